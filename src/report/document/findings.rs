//! What the figures say, in sentences.

use super::Source;
use crate::report::SpeedupRecord;
use crate::report::human::three_digits;

/// One sentence per subject and baseline, in order of first appearance.
pub(super) fn findings(sources: &[Source]) -> Vec<String> {
    let rows: Vec<&SpeedupRecord> = sources.iter().flat_map(|source| &source.speedups).collect();
    let several_scenarios = rows.iter().any(|row| row.scenario != rows[0].scenario);
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    for row in &rows {
        if !pairs.contains(&pair_of(row)) {
            pairs.push(pair_of(row));
        }
    }
    let sentence = |pair: &(&str, &str)| {
        let rows: Vec<&SpeedupRecord> = rows.iter().copied().filter(|row| pair_of(row) == *pair).collect();
        let place = |row: &SpeedupRecord| match several_scenarios {
            true => format!(" ({}: {} over {})", row.scenario, row.model, row.link),
            false => format!(" ({} over {})", row.model, row.link),
        };
        let online = range(&extremes(&rows, |row| row.online_speedup)?, place);
        let total = extremes(&rows, |row| row.total_speedup);
        let total = total.map_or(String::new(), |total| format!(", {} with offline", range(&total, |_| String::new())));
        let (subject, baseline) = pair;
        Some(format!("{subject} is {online} as fast as {baseline} online{total}."))
    };
    pairs.iter().filter_map(sentence).collect()
}

fn pair_of(row: &SpeedupRecord) -> (&str, &str) {
    (&row.subject, &row.baseline)
}

/// The smallest and the largest ratio with their places.
struct Extremes<'a> {
    least: (f64, &'a SpeedupRecord),
    most: (f64, &'a SpeedupRecord),
}

fn extremes<'a>(rows: &[&'a SpeedupRecord], ratio: fn(&SpeedupRecord) -> Option<f64>) -> Option<Extremes<'a>> {
    let measured = || rows.iter().filter_map(|row| ratio(row).filter(|ratio| *ratio > 0.0).map(|ratio| (ratio, *row)));
    let least = measured().min_by(|a, b| a.0.total_cmp(&b.0))?;
    let most = measured().max_by(|a, b| a.0.total_cmp(&b.0))?;
    Some(Extremes { least, most })
}

/// `1.50x (model over link) to 24.0x (model over link)`, once what would look the same twice.
fn range(Extremes { least, most }: &Extremes, place: impl Fn(&SpeedupRecord) -> String) -> String {
    let (low, high) = (three_digits(least.0), three_digits(most.0));
    match low == high {
        true => format!("{low}\u{d7}"),
        false => format!("{low}\u{d7}{} to {high}\u{d7}{}", place(least.1), place(most.1)),
    }
}
