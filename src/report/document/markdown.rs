//! The tables as Markdown, for an issue, a wiki or a README.

use super::{Document, Table};
use std::fmt::Write;

/// Title, findings, warnings and every table.
pub fn markdown(document: &Document) -> String {
    let mut text = format!("## {}\n\n{}\n", escaped(&document.title), escaped(&document.subtitle));
    let mut paragraph = |paragraph: String| write!(text, "\n{paragraph}").expect("a string takes everything");
    for list in [list(&document.findings, ""), list(&document.warnings, "**Warning:** ")].into_iter().flatten() {
        paragraph(list);
    }
    let tables = document.speedups.iter().chain([&document.times, &document.costs, &document.correctness]);
    tables.filter(|of| !of.rows.is_empty()).for_each(|of| paragraph(table(of)));
    text
}

fn list(items: &[String], before: &str) -> Option<String> {
    let lines: String = items.iter().map(|item| format!("* {before}{}\n", escaped(item))).collect();
    (!lines.is_empty()).then_some(lines)
}

fn table(table: &Table) -> String {
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| escaped(cell)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let alignment: String =
        (0..table.header.len()).map(|column| if column < table.names { "---|" } else { "---:|" }).collect();
    let rows: String = table.rows.iter().map(|row| line(row)).collect();
    format!("{}\n\n{}|{alignment}\n{rows}", escaped(&table.caption), line(&table.header))
}

/// Text that stays text in Markdown: names of models and links are the user's, they must not end a table's cell or become markup.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '#' => out.extend(['\\', char]),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\n' | '\r' => out.push(' '),
            _ => out.push(char),
        }
    }
    out
}
