//! What the figures say, in sentences.

use super::Source;
use crate::report::SpeedupRecord;
use crate::report::human::three_digits;

/// One sentence per scenario, subject and baseline, in order of first appearance.
pub(super) fn findings(sources: &[Source]) -> Vec<String> {
    let rows: Vec<&SpeedupRecord> = sources.iter().flat_map(|source| &source.speedups).collect();
    let mut groups: Vec<(&str, &str, &str)> = Vec::new();
    for row in &rows {
        let group = group_of(row);
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    let several_scenarios = groups.iter().any(|group| group.0 != groups[0].0);
    let sentence = |group: &(&str, &str, &str)| {
        let rows: Vec<&SpeedupRecord> = rows.iter().copied().filter(|row| group_of(row) == *group).collect();
        let (scenario, subject, baseline) = *group;
        let scope = if several_scenarios { format!("{scenario}: ") } else { String::new() };
        let online = extremes(&rows, |row| row.online_speedup)?;
        let total = extremes(&rows, |row| row.total_speedup);
        let total = total.map_or(String::new(), |total| format!("; offline and online together {}", range(&total)));
        Some(format!("{scope}{subject} against {baseline}: online {}{total}.", range(&online)))
    };
    groups.iter().filter_map(sentence).collect()
}

fn group_of(row: &SpeedupRecord) -> (&str, &str, &str) {
    (&row.scenario, &row.subject, &row.baseline)
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

fn range(Extremes { least, most }: &Extremes) -> String {
    let place = |row: &SpeedupRecord| format!("{} over {}", row.model, row.link);
    if std::ptr::eq(least.1, most.1) {
        return format!("{} ({})", comparison(least.0), place(least.1));
    }
    format!(
        "from {} ({}) to {} ({})",
        comparison(least.0),
        place(least.1),
        comparison(most.0),
        place(most.1)
    )
}

/// In words: the subject is faster above 1.
fn comparison(ratio: f64) -> String {
    match ratio {
        _ if ratio >= 1.0 => format!("{}\u{d7} faster", three_digits(ratio)),
        _ => format!("{}\u{d7} slower", three_digits(1.0 / ratio)),
    }
}
