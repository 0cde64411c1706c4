//! The numbers behind the charts, as JSON: tables with the CSV files' columns, the cell as an index.

use super::Source;
use crate::report::{CellKey, LayerRecord, MessageRecord, Record, SpeedupRecord, SummaryRecord, to_cells};
use crate::units::{BitRate, Nanos};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// Most bytes that the rows of layers and those of messages may take each, so that a report stays a file to mail.
const BUDGET: usize = 1_750_000;
/// The four columns that name the cell come first in those files.
const CELL_COLUMNS: usize = 4;
/// Columns of names: a layer may be called "1".
const TEXTS: [&str; 11] =
    ["scenario", "model", "link", "subject", "baseline", "name", "kind", "phase", "from", "to", "pool"];
/// Significant digits of the times in a chart.
const DIGITS: i32 = 6;

/// The data, and warnings about what had to stay out of it.
pub(super) fn data(sources: &[Source]) -> (Value, Vec<String>) {
    let summaries: Vec<&SummaryRecord> = sources.iter().flat_map(|source| &source.summaries).collect();
    let index: HashMap<CellKey, usize> = summaries.iter().zip(0..).map(|(summary, i)| (summary.cell(), i)).collect();
    let speedups: Vec<&SpeedupRecord> = sources.iter().flat_map(|source| &source.speedups).collect();
    let subjects: Map<String, Value> =
        speedups.iter().map(|row| (row.scenario.clone(), Value::from(row.subject.clone()))).collect();
    let layers = sources.iter().flat_map(|source| &source.layers);
    let messages = sources.iter().flat_map(|source| &source.messages);
    let (layers, without_layers) = within_budget(by_cell(layers, LayerRecord::cell, &index));
    let (messages, without_messages) = within_budget(by_cell(messages, MessageRecord::cell, &index));
    let rows = summaries.iter().enumerate().map(|(i, summary)| row(i, *summary)).collect();
    let data = json!({
        "title": super::environment::title(sources),
        "tool": sources.first().map(|source| format!("{} {}", source.manifest.tool, source.manifest.version)),
        "folders": sources.iter().map(folder).collect::<Vec<_>>(),
        "cells": summaries.iter().map(|summary| cell(&summary.cell())).collect::<Vec<_>>(),
        "links": sources.iter().flat_map(links).collect::<Vec<_>>(),
        "subjects": subjects,
        "summary": table::<SummaryRecord>(rows),
        "speedup": {
            "columns": SpeedupRecord::COLUMNS,
            "rows": speedups.iter().map(|row| values(*row).collect::<Value>()).collect::<Vec<_>>(),
        },
        "layers": (!layers.is_empty()).then(|| table::<LayerRecord>(layers)),
        "messages": (!messages.is_empty()).then(|| table::<MessageRecord>(messages)),
        "accuracy": accuracy(&summaries),
    });
    let without = |what: &str, file: &str, missing: fn(&Source) -> bool| {
        let folders: Vec<&str> = sources.iter().filter(|source| missing(source)).map(|source| &*source.name).collect();
        (!folders.is_empty()).then(|| format!("no {file} in {}: no chart of {what}", folders.join(", ")))
    };
    let warning = |what: &str, cells: usize| {
        (cells > 0).then(|| {
            format!("to keep this file small the charts of {what} leave out {cells} cells; the CSV files have them")
        })
    };
    let warnings = [
        without("layers", LayerRecord::FILE, |source| source.layers.is_empty()),
        without("messages", MessageRecord::FILE, |source| source.messages.is_empty()),
        warning("layers", without_layers),
        warning("messages", without_messages),
    ];
    (data, warnings.into_iter().flatten().collect())
}

fn cell(key: &CellKey) -> Value {
    let CellKey { scenario, model, protocol, link } = key;
    json!({ "scenario": scenario, "model": model, "protocol": protocol, "link": link })
}

/// The manifest without the scenario, which is on the page as text.
fn folder(source: &Source) -> Value {
    let manifest = json!({
        "started_at": source.manifest.started_at,
        "host": source.manifest.host,
        "clock": source.manifest.scenario["clock"],
        "compute": source.manifest.scenario["compute"],
    });
    json!({ "name": source.name, "manifest": manifest })
}

/// The links of a scenario, in numbers; those that the manifest does not describe are left out.
fn links(source: &Source) -> Vec<Value> {
    let scenario = source.summaries.first().map(|summary| summary.scenario.clone());
    let rate = |value: &Value| {
        let rate: BitRate = value.as_str()?.parse().ok()?;
        Some(if rate == BitRate::UNLIMITED { Value::Null } else { rate.0.into() })
    };
    let link = |link: &Value| {
        let latency: Nanos = link["latency"].as_str()?.parse().ok()?;
        Some(json!({
            "scenario": scenario,
            "name": link["name"],
            "rtt_s": significant(2.0 * latency.0 as f64 / 1e9),
            "up_bit_s": rate(&link["up"])?,
            "down_bit_s": rate(&link["down"])?,
        }))
    };
    source.manifest.scenario["links"].as_array().into_iter().flatten().filter_map(link).collect()
}

fn accuracy(summaries: &[&SummaryRecord]) -> Option<Vec<Value>> {
    let rows: Vec<Value> = summaries
        .iter()
        .enumerate()
        .filter_map(|(cell, summary)| {
            let of = summary.accuracy()?;
            let (correct, labelled) = (of.correct, of.labelled);
            Some(json!({ "cell": cell, "correct": correct, "labelled": labelled, "low": significant(of.interval.low), "high": significant(of.interval.high) }))
        })
        .collect();
    (!rows.is_empty()).then_some(rows)
}

fn table<R: Record>(rows: Vec<Value>) -> Value {
    let columns: Vec<&str> = std::iter::once("cell").chain(R::COLUMNS[CELL_COLUMNS..].iter().copied()).collect();
    json!({ "columns": columns, "rows": rows })
}

/// Index of the cell, then the columns after its names.
fn row<R: Record>(cell: usize, record: &R) -> Value {
    std::iter::once(Value::from(cell)).chain(values(record).skip(CELL_COLUMNS)).collect()
}

/// Numbers as numbers, names as texts, nothing as null.
fn values<R: Record>(record: &R) -> impl Iterator<Item = Value> {
    to_cells(record).into_iter().zip(R::COLUMNS).map(|(text, column)| {
        let number = || match (text.parse::<u64>(), text.parse::<f64>()) {
            (Ok(whole), _) => Some(Value::from(whole)),
            (_, Ok(number)) if number.is_finite() => Some(Value::from(significant(number))),
            _ => None,
        };
        match text.is_empty() {
            false if TEXTS.contains(column) => Value::from(text),
            false => number().unwrap_or(Value::Null),
            true => Value::Null,
        }
    })
}

fn significant(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    format!("{value:.*e}", (DIGITS - 1) as usize).parse().expect("a number that was just printed")
}

/// The rows of each cell, in order of appearance; cells without a summary are left out.
fn by_cell<'a, R: Record + 'a>(
    records: impl Iterator<Item = &'a R>,
    cell: fn(&R) -> CellKey,
    index: &HashMap<CellKey, usize>,
) -> Vec<Vec<Value>> {
    let mut cells: Vec<(usize, Vec<Value>)> = Vec::new();
    let mut position: HashMap<usize, usize> = HashMap::new();
    for record in records {
        let Some(&i) = index.get(&cell(record)) else { continue };
        let at = *position.entry(i).or_insert_with(|| {
            cells.push((i, Vec::new()));
            cells.len() - 1
        });
        cells[at].1.push(row(i, record));
    }
    cells.into_iter().map(|(_, rows)| rows).collect()
}

/// The rows of as many cells as fit, those with the fewest first, in their order; and how many cells did not fit.
fn within_budget(cells: Vec<Vec<Value>>) -> (Vec<Value>, usize) {
    let size = |rows: &Vec<Value>| rows.iter().map(|row| row.to_string().len() + 1).sum::<usize>();
    let mut by_size: Vec<(usize, usize)> = cells.iter().map(size).zip(0..).collect();
    by_size.sort_unstable();
    let mut total = 0;
    let fits = |(size, _): &&(usize, usize)| {
        total += size;
        total <= BUDGET
    };
    let mut kept: Vec<usize> = by_size.iter().take_while(fits).map(|(_, i)| *i).collect();
    kept.sort_unstable();
    let left_out = cells.len() - kept.len();
    let mut cells: Vec<Option<Vec<Value>>> = cells.into_iter().map(Some).collect();
    (kept.into_iter().filter_map(|i| cells[i].take()).flatten().collect(), left_out)
}
