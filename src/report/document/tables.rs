//! The tables: speedups, times, costs and correctness of all cells.

use super::{Source, Table};
use crate::report::human::{bytes, three_digits, time};
use crate::report::{SpeedupRecord, SummaryRecord};
use crate::units::Nanos;

/// In the place of what was not measured.
pub(super) const NOTHING: &str = "\u{2013}";

type Column = (&'static str, fn(&SummaryRecord) -> String);

/// Times of every cell.
pub(super) fn times(sources: &[Source]) -> Table {
    let columns: &[Column] = &[
        ("runs", |s| s.n.to_string()),
        ("online (median)", |s| time(s.online_s_median)),
        ("95 % interval", |s| interval(s.online_s_ci_low, s.online_s_ci_high)),
        ("online (p95)", |s| time(s.online_s_p95)),
        ("offline", |s| time(s.offline_s_median)),
        ("total", |s| time(s.total_s_median)),
        ("95 % interval", |s| interval(s.total_s_ci_low, s.total_s_ci_high)),
        ("setup", |s| time(s.setup_s_median)),
        ("online floor", |s| time(s.online_floor_s)),
        ("server computing online", |s| optional(s.online_server_compute_s_median, time)),
        ("client computing online", |s| optional(s.online_client_compute_s_median, time)),
    ];
    cells(sources, "times", "Times of every cell: medians over its runs; total is offline plus online.", columns)
}

/// Rounds, bytes and messages of every cell.
pub(super) fn costs(sources: &[Source]) -> Table {
    let columns: &[Column] = &[
        ("online rounds", |s| s.online_rounds.to_string()),
        ("online bytes up", |s| bytes(s.online_bytes_up)),
        ("online bytes down", |s| bytes(s.online_bytes_down)),
        ("online messages up", |s| optional(s.online_messages_up, |n| n.to_string())),
        ("online messages down", |s| optional(s.online_messages_down, |n| n.to_string())),
        ("offline rounds", |s| s.offline_rounds.to_string()),
        ("offline bytes up", |s| bytes(s.offline_bytes_up)),
        ("offline bytes down", |s| bytes(s.offline_bytes_down)),
        ("setup bytes up", |s| bytes(s.setup_bytes_up)),
        ("setup bytes down", |s| bytes(s.setup_bytes_down)),
        ("dealer to server", |s| bytes(s.dealer_bytes_server)),
        ("dealer to client", |s| bytes(s.dealer_bytes_client)),
    ];
    let caption = "Rounds, payload bytes and messages of one query in every cell: up is client to server, down is server to \
                   client; the same in every run.";
    cells(sources, "costs", caption, columns)
}

/// How results compare with plaintext, and with the labels if there are some.
pub(super) fn correctness(sources: &[Source]) -> Table {
    let mut columns: Vec<Column> = vec![
        ("images", |s| s.images.to_string()),
        ("agree with plaintext", crate::report::table::agreement),
        (
            "largest error of a logit",
            |s| if s.max_abs_error.is_finite() { error(s.max_abs_error) } else { NOTHING.into() },
        ),
        ("left the ring", |s| s.overflowed_activations.to_string()),
        ("wrapped around", |s| optional(s.wrapped_activations, |n| n.to_string())),
    ];
    let labelled = |summary: &SummaryRecord| summary.labelled.is_some_and(|labelled| labelled > 0);
    if sources.iter().flat_map(|source| &source.summaries).any(labelled) {
        columns.push(("correct", |s| optional(s.labelled.zip(s.correct), |(of, correct)| format!("{correct}/{of}"))));
        columns.push(("accuracy", |s| optional(s.accuracy(), |accuracy| format!("{:.1} %", 100.0 * accuracy.share()))));
        columns.push(("95 % interval", |s| {
            optional(s.accuracy(), |a| {
                format!("{:.1} \u{2013} {:.1} %", 100.0 * a.interval.low, 100.0 * a.interval.high)
            })
        }));
    }
    let caption = "Results against the plaintext network with the same activation functions; accuracy, where images \
                   have labels, with a Wilson interval.";
    cells(sources, "correctness", caption, &columns)
}

/// A row per cell: its names, then `columns`.
fn cells(sources: &[Source], id: &str, caption: &str, columns: &[Column]) -> Table {
    let summaries = || sources.iter().flat_map(|source| &source.summaries);
    let mut names: Vec<Column> =
        vec![("model", |s| s.model.clone()), ("link", |s| s.link.clone()), ("protocol", |s| s.protocol.clone())];
    if !all_equal(summaries().map(|summary| &summary.scenario)) {
        names.insert(0, ("scenario", |s| s.scenario.clone()));
    }
    if summaries().any(|summary| summary.pool.is_some()) {
        names.push(("pooling", |s| s.pool.clone().unwrap_or_else(|| NOTHING.to_string())));
    }
    let all = || names.iter().chain(columns);
    Table {
        id: id.into(),
        caption: caption.into(),
        header: all().map(|(name, _)| (*name).to_string()).collect(),
        names: names.len(),
        rows: summaries().map(|summary| all().map(|(_, value)| value(summary)).collect()).collect(),
    }
}

/// Per scenario and subject a table of the online times and one of the totals.
pub(super) fn speedups(sources: &[Source]) -> Vec<Table> {
    let rows: Vec<&SpeedupRecord> = sources.iter().flat_map(|source| &source.speedups).collect();
    let mut subjects: Vec<(&str, &str)> = Vec::new();
    for row in &rows {
        push_new(&mut subjects, (&*row.scenario, &*row.subject));
    }
    let several = subjects.len() > 1;
    let mut tables = Vec::new();
    for (index, (scenario, subject)) in subjects.into_iter().enumerate() {
        let of_subject: Vec<&SpeedupRecord> =
            rows.iter().copied().filter(|row| (&*row.scenario, &*row.subject) == (scenario, subject)).collect();
        for (kind, what, ratio) in KINDS {
            let scope = if several { format!("{scenario}: ") } else { String::new() };
            tables.push(Table {
                id: match several {
                    true => format!("speedup-{kind}-{}", index + 1),
                    false => format!("speedup-{kind}"),
                },
                caption: format!(
                    "{scope}{what} of each protocol over that of {subject}: above 1, {subject} is faster. Median over \
                     paired runs, in brackets its 95 % interval."
                ),
                ..pivot(&of_subject, ratio)
            });
        }
    }
    tables
}

type Ratio = fn(&SpeedupRecord) -> (Option<f64>, Option<f64>, Option<f64>);

const KINDS: [(&str, &str, Ratio); 2] = [
    ("online", "Online time", |row| (row.online_speedup, row.online_speedup_low, row.online_speedup_high)),
    ("total", "Total time (offline plus online)", |row| {
        (row.total_speedup, row.total_speedup_low, row.total_speedup_high)
    }),
];

/// A row per model and link and a column per baseline, or the other way round where that is narrower.
fn pivot(rows: &[&SpeedupRecord], ratio: Ratio) -> Table {
    let (mut places, mut baselines): (Vec<(&str, &str)>, Vec<&str>) = (Vec::new(), Vec::new());
    for row in rows {
        push_new(&mut places, (&*row.model, &*row.link));
        push_new(&mut baselines, &*row.baseline);
    }
    let value = |place: (&str, &str), baseline: &str| {
        let found = rows.iter().find(|row| (&*row.model, &*row.link, &*row.baseline) == (place.0, place.1, baseline));
        found.map_or(NOTHING.to_string(), |row| ratio_text(ratio(row)))
    };
    let text = |name: &&str| (*name).to_string();
    let (header, names, cells): (Vec<String>, usize, Vec<Vec<String>>) = if baselines.len() > places.len() {
        let place = |(model, link): &(&str, &str)| format!("{model}, {link}");
        let row = |baseline: &&str| {
            let values = places.iter().map(|place| value(*place, baseline));
            std::iter::once(text(baseline)).chain(values).collect()
        };
        let header = std::iter::once("protocol".to_string()).chain(places.iter().map(place)).collect();
        (header, 1, baselines.iter().map(row).collect())
    } else {
        let row = |place: &(&str, &str)| {
            let values = baselines.iter().map(|baseline| value(*place, baseline));
            [text(&place.0), text(&place.1)].into_iter().chain(values).collect()
        };
        let header = ["model", "link"].iter().chain(&baselines).map(text).collect();
        (header, 2, places.iter().map(row).collect())
    };
    Table { id: String::new(), caption: String::new(), header, names, rows: cells }
}

fn ratio_text((median, low, high): (Option<f64>, Option<f64>, Option<f64>)) -> String {
    let Some(median) = median else { return NOTHING.to_string() };
    let times = format!("{}\u{d7}", three_digits(median));
    match low.zip(high) {
        Some((low, high)) => format!("{times} [{}, {}]", three_digits(low), three_digits(high)),
        None => times,
    }
}

fn push_new<T: PartialEq>(values: &mut Vec<T>, value: T) {
    if !values.contains(&value) {
        values.push(value);
    }
}

fn all_equal<T: PartialEq>(mut values: impl Iterator<Item = T>) -> bool {
    values.next().is_none_or(|first| values.all(|value| value == first))
}

fn interval(low: Option<Nanos>, high: Option<Nanos>) -> String {
    optional(low.zip(high), |(low, high)| format!("{} \u{2013} {}", time(low), time(high)))
}

fn optional<T>(value: Option<T>, text: impl Fn(T) -> String) -> String {
    value.map_or(NOTHING.to_string(), text)
}

/// Two significant digits.
fn error(value: f64) -> String {
    if value == 0.0 { "0".into() } else { format!("{value:.1e}") }
}
