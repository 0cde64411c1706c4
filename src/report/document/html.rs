//! The document as one HTML file: tables that need nothing, charts drawn by the bundled script.
//!
//! `html/page.html` is the page, with a `{{slot}}` for each part; what goes into a slot is never searched for slots.

use super::definitions::DEFINITIONS;
use super::{Document, Table};
use std::fmt::Write;

const PAGE: &str = include_str!("../html/page.html");
const STYLE: &str = include_str!("../html/style.css");
/// In this order; together the body of one function.
const SCRIPTS: [&str; 8] = [
    include_str!("../html/script/base.js"),
    include_str!("../html/script/chart.js"),
    include_str!("../html/script/times.js"),
    include_str!("../html/script/layers.js"),
    include_str!("../html/script/costs.js"),
    include_str!("../html/script/timeline.js"),
    include_str!("../html/script/links.js"),
    include_str!("../html/script/main.js"),
];
/// A part of Apache ECharts; `scripts/build-echarts.sh` makes it.
const CHARTS: &str = include_str!("../html/echarts.min.js");

/// The whole file. It loads nothing.
pub fn html(document: &Document) -> String {
    let environment = table(&document.environment);
    let slots = |name: &str| match name {
        "title" => escaped(&document.title),
        "subtitle" => escaped(&document.subtitle),
        "style" => STYLE.to_string(),
        "charts" => CHARTS.to_string(),
        "script" => format!("(() => {{\n'use strict';\n{}}})();", SCRIPTS.concat()),
        // Within a script only "<" could end it.
        "data" => document.data.to_string().replace('<', "\\u003c"),
        "findings" => list(&document.findings),
        "warnings" => list(&[&document.warnings[..], &document.omissions].concat()),
        "speedups" => document.speedups.iter().map(table).collect(),
        "cells" => table(&document.times),
        "phases" => table(&document.costs),
        "accuracy" => table(&document.correctness),
        "environment" => environment.clone(),
        "scenario" => document.scenarios.iter().map(scenario).collect(),
        "definitions" => definitions(),
        _ => panic!("page.html has no such slot: {name}"),
    };
    filled(PAGE, slots)
}

/// `page` with the text of `slot` in the place of each `{{name}}`.
fn filled(page: &str, slot: impl Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(page.len());
    let mut rest = page;
    while let Some((before, (name, after))) = rest.split_once("{{").and_then(|(b, r)| Some((b, r.split_once("}}")?))) {
        out.push_str(before);
        out.push_str(&slot(name));
        rest = after;
    }
    out + rest
}

fn list(items: &[String]) -> String {
    if items.is_empty() {
        return String::new();
    }
    let items: String = items.iter().map(|item| format!("<li>{}</li>", escaped(item))).collect();
    format!("<ul>{items}</ul>")
}

/// Scrolls within itself where the screen is narrower.
fn table(table: &Table) -> String {
    if table.rows.is_empty() {
        return String::new();
    }
    // The caption stands outside: inside it would scroll with the table.
    let (id, caption) = (escaped(&table.id), escaped(&table.caption));
    let mut out = format!(
        "<p class=\"caption\" id=\"{id}-caption\">{caption}</p><div class=\"table\" tabindex=\"0\" role=\"region\" \
         aria-labelledby=\"{id}-caption\"><table id=\"{id}\" aria-labelledby=\"{id}-caption\">"
    );
    let mut push = |text: String| out.push_str(&text);
    push("<thead><tr>".into());
    for (column, name) in table.header.iter().enumerate() {
        let class = if column < table.names { "" } else { " class=\"n\"" };
        push(format!("<th scope=\"col\"{class}>{}</th>", escaped(name)));
    }
    push("</tr></thead><tbody>".into());
    for row in &table.rows {
        push("<tr>".into());
        for (column, cell) in row.iter().enumerate() {
            let cell = escaped(cell);
            push(match column {
                0 => format!("<th scope=\"row\">{cell}</th>"),
                _ if column < table.names => format!("<td>{cell}</td>"),
                _ => format!("<td class=\"n\">{cell}</td>"),
            });
        }
        push("</tr>".into());
    }
    push("</tbody></table></div>".into());
    out
}

fn scenario((name, text): &(String, String)) -> String {
    format!("<h3>{}</h3><pre tabindex=\"0\">{}</pre>", escaped(name), escaped(text))
}

fn definitions() -> String {
    let mut out = String::from("<dl>");
    for (term, meaning) in DEFINITIONS {
        write!(out, "<dt>{}</dt><dd>{}</dd>", escaped(term), escaped(meaning)).expect("a string takes everything");
    }
    out + "</dl>"
}

/// Text in an element or a quoted attribute.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
