//! What the seed and the scenario fix: it must be the same.

use super::finding::{Finding, Kind, Value};
use super::pair::{CellName, Pair};
use crate::report::{LayerRecord, RunRecord};
use std::collections::{BTreeMap, BTreeSet};

/// The plaintext network computes in floating point, whose last bits other library versions round otherwise: so much may
/// `max_abs_error` grow. A bit of a fixed-point logit is at least a thousand times larger.
const ERROR_ROUNDING: f64 = 1e-9;

/// What can be compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Other seeds give other images, masks and bytes.
    pub seeds_equal: bool,
    /// Runs beyond the smaller side's are lost, not left out on purpose.
    pub fixed_repetitions: bool,
}

/// Columns that only one side has, because an older version wrote the other.
#[derive(Debug, Default)]
pub(super) struct Young(BTreeSet<&'static str>);

impl Young {
    /// Says which they are.
    pub fn note(self) -> Option<String> {
        let columns: Vec<&str> = self.0.into_iter().collect();
        (!columns.is_empty())
            .then(|| format!("columns that only one side has are not compared: {}", columns.join(", ")))
    }
}

/// Which columns a value belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Follows from scenario and protocol alone.
    Fixed,
    /// Follows from the seed as well.
    Seeded,
    /// As [`Class::Fixed`], and absent from files of older versions.
    Young,
    /// As [`Class::Seeded`], and absent where nobody looked.
    YoungSeeded,
}

/// The exact columns of one run.
fn columns(run: &RunRecord) -> Vec<(&'static str, Class, Value)> {
    let count = |value: Option<u64>| value.map_or(Value::Empty, Value::Count);
    let class = |value: Option<u32>| count(value.map(u64::from));
    let exact = run.exact_columns().map(|(column, value)| (column, Class::Fixed, Value::Count(value)));
    let mut columns = exact.to_vec();
    columns.extend([
        ("online_messages_up", Class::Young, count(run.online_messages_up)),
        ("online_messages_down", Class::Young, count(run.online_messages_down)),
        ("offline_messages_up", Class::Young, count(run.offline_messages_up)),
        ("offline_messages_down", Class::Young, count(run.offline_messages_down)),
        ("online_floor_s", Class::Fixed, Value::Time(run.online_floor_s)),
        ("offline_floor_s", Class::Young, run.offline_floor_s.map_or(Value::Empty, Value::Time)),
        ("label", Class::Seeded, class(run.label)),
        ("prediction", Class::Seeded, class(run.prediction)),
        ("reference_prediction", Class::Seeded, class(run.reference_prediction)),
        ("overflowed_activations", Class::Seeded, Value::Count(run.overflowed_activations)),
        ("wrapped_activations", Class::YoungSeeded, count(run.wrapped_activations)),
        ("transcript_blake3", Class::Seeded, Value::Digest(run.transcript_blake3)),
        ("pool", Class::Young, run.pool.clone().map_or(Value::Empty, Value::Text)),
    ]);
    // With compute = "none" the clocks show the link alone.
    if run.online_server_compute_s.is_none() {
        columns.extend([
            ("online_s", Class::Fixed, Value::Time(run.online_s)),
            ("offline_s", Class::Fixed, Value::Time(run.offline_s)),
            ("setup_s", Class::Fixed, Value::Time(run.setup_s)),
        ]);
    }
    columns
}

/// Findings of one cell's runs; adds the columns that only one side has to `young`.
pub(super) fn runs(pair: &Pair<'_>, rules: Rules, young: &mut Young) -> Vec<Finding> {
    if let Some(finding) = one_sided(pair) {
        return vec![finding];
    }
    let mut findings = different_runs(pair, rules);
    let mut changed: BTreeMap<usize, (Finding, usize)> = BTreeMap::new();
    let runs = pair.runs();
    for (then, now) in &runs {
        for (index, ((column, class, before), (_, _, after))) in columns(then).into_iter().zip(columns(now)).enumerate()
        {
            let seeded = matches!(class, Class::Seeded | Class::YoungSeeded);
            let one_empty = (before == Value::Empty) != (after == Value::Empty);
            if before == after || (seeded && !rules.seeds_equal) {
                continue;
            }
            if one_empty && matches!(class, Class::Young | Class::YoungSeeded) {
                young.0.insert(column);
                continue;
            }
            let first = || {
                let at = format!("repetition {}, image {}", then.repetition, then.image);
                (finding(pair, column, before, after, Kind::Changed, at), 0)
            };
            changed.entry(index).or_insert_with(first).1 += 1;
        }
    }
    let with_count = |(mut finding, count): (Finding, usize)| {
        finding.detail = match count == runs.len() {
            true => format!("in all {count} runs"),
            false => format!("in {count} of {} runs, first {}", runs.len(), finding.detail),
        };
        finding
    };
    findings.extend(changed.into_values().map(with_count));
    if rules.seeds_equal {
        findings.extend(error_growth(pair, &runs));
    }
    findings
}

fn finding(
    pair: &Pair<'_>,
    column: &str,
    baseline: Value,
    candidate: Value,
    kind: Kind,
    detail: impl Into<String>,
) -> Finding {
    let detail = detail.into();
    Finding { cell: Some(pair.name.clone()), column: column.into(), baseline, candidate, ratio: None, kind, detail }
}

/// A cell that only one side has.
fn one_sided(pair: &Pair<'_>) -> Option<Finding> {
    let sides = [pair.baseline.len(), pair.candidate.len()];
    let (kind, detail) = match sides {
        [_, 0] => (Kind::Missing, "the candidate lacks this cell"),
        [0, _] => (Kind::Added, "the baseline lacks this cell"),
        _ => return None,
    };
    let [baseline, candidate] = sides.map(|runs| Value::Text(format!("{runs} runs")));
    Some(finding(pair, "cell", baseline, candidate, kind, detail))
}

/// Images, or repetitions, that only one side has.
fn different_runs(pair: &Pair<'_>, rules: Rules) -> Vec<Finding> {
    let [then, now] = pair.images();
    let kind = |fewer: bool| if fewer { Kind::Missing } else { Kind::Added };
    let count = |count: usize| Value::Count(count as u64);
    if then != now {
        let other = then.symmetric_difference(&now).next().expect("the sets differ");
        let detail = format!("number of images; image {other} is on one side only");
        return vec![finding(pair, "image", count(then.len()), count(now.len()), kind(now.len() < then.len()), detail)];
    }
    let (before, after) = (pair.baseline.len(), pair.candidate.len());
    if rules.fixed_repetitions && before != after {
        let detail = "number of runs; was one side interrupted?";
        return vec![finding(pair, "repetition", count(before), count(after), kind(after < before), detail)];
    }
    Vec::new()
}

/// The run whose error grew most, if any did by more than a rounding.
fn error_growth(pair: &Pair<'_>, runs: &[(&RunRecord, &RunRecord)]) -> Option<Finding> {
    let growth = |(then, now): &(&RunRecord, &RunRecord)| match (then.max_abs_error, now.max_abs_error) {
        (before, _) if before.is_nan() => 0.0,
        (_, after) if after.is_nan() => f64::INFINITY,
        (before, after) => after - before,
    };
    let (then, now) = runs.iter().max_by(|a, b| growth(a).total_cmp(&growth(b)))?;
    if growth(&(then, now)) <= ERROR_ROUNDING {
        return None;
    }
    let value = |error: f64| if error.is_nan() { Value::Empty } else { Value::Number(error) };
    let (before, after) = (value(then.max_abs_error), value(now.max_abs_error));
    let at = format!("repetition {}, image {}", then.repetition, then.image);
    Some(finding(pair, "max_abs_error", before, after, Kind::Accuracy, at))
}

/// Findings about rounds and bytes of layers, by cell; says in `notes` if a side has no layers.
pub(super) fn layers(
    baseline: Option<&[LayerRecord]>,
    candidate: Option<&[LayerRecord]>,
    notes: &mut Vec<String>,
) -> Vec<Finding> {
    let (Some(baseline), Some(candidate)) = (baseline, candidate) else {
        let side = if baseline.is_none() { "the baseline" } else { "the candidate" };
        notes.push(format!("{side} has no layers.csv: layers were not compared"));
        return Vec::new();
    };
    let (then, now) = (by_cell(baseline), by_cell(candidate));
    // A cell that one side lacks is found by its runs.
    let both =
        then.iter().filter_map(|(cell, layers)| Some((cell, layers, now.iter().find(|(other, _)| other == cell)?)));
    both.flat_map(|(cell, then, (_, now))| cell_layers(cell, then, now)).collect()
}

fn by_cell(layers: &[LayerRecord]) -> Vec<(CellName, Vec<&LayerRecord>)> {
    let mut cells: Vec<(CellName, Vec<&LayerRecord>)> = Vec::new();
    for layer in layers {
        let name = CellName::of_layer(layer);
        match cells.last_mut() {
            Some((cell, layers)) if *cell == name => layers.push(layer),
            _ => cells.push((name, vec![layer])),
        }
    }
    cells
}

fn cell_layers(cell: &CellName, then: &[&LayerRecord], now: &[&LayerRecord]) -> Vec<Finding> {
    let finding = |column: &str, baseline, candidate, kind, detail| Finding {
        cell: Some(cell.clone()),
        column: format!("layers.csv: {column}"),
        baseline,
        candidate,
        ratio: None,
        kind,
        detail,
    };
    if then.len() != now.len() {
        let count = |layers: &[&LayerRecord]| Value::Count(layers.len() as u64);
        let kind = if now.len() < then.len() { Kind::Missing } else { Kind::Added };
        return vec![finding("layer", count(then), count(now), kind, "number of layers".to_string())];
    }
    let mut changed: BTreeMap<usize, (Finding, usize)> = BTreeMap::new();
    for (before, after) in then.iter().zip(now) {
        let columns = layer_columns(before).into_iter().zip(layer_columns(after)).enumerate();
        for (index, ((column, then), (_, now))) in columns.filter(|(_, ((_, then), (_, now)))| then != now) {
            let at = format!("layer {} `{}`", before.layer, before.name);
            changed.entry(index).or_insert_with(|| (finding(column, then, now, Kind::Changed, at), 0)).1 += 1;
        }
    }
    let with_count = |(mut finding, count): (Finding, usize)| {
        if count > 1 {
            finding.detail += &format!(" and {} more", count - 1);
        }
        finding
    };
    changed.into_values().map(with_count).collect()
}

fn layer_columns(layer: &LayerRecord) -> [(&'static str, Value); 9] {
    [
        ("name", Value::Text(layer.name.clone())),
        ("kind", Value::Text(layer.kind.clone())),
        ("elements", Value::Count(layer.elements)),
        ("online_rounds", Value::Count(layer.online_rounds)),
        ("offline_rounds", Value::Count(layer.offline_rounds)),
        ("online_bytes_up", Value::Count(layer.online_bytes_up)),
        ("online_bytes_down", Value::Count(layer.online_bytes_down)),
        ("offline_bytes_up", Value::Count(layer.offline_bytes_up)),
        ("offline_bytes_down", Value::Count(layer.offline_bytes_down)),
    ]
}
