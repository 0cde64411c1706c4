//! The findings for a terminal or a log.

use super::{Finding, Report};
use crate::report::plain_table;
use std::fmt::Write;

/// What moved as a table, the notes below it, and the verdict in the last line.
pub fn table(report: &Report) -> String {
    let mut text = String::new();
    if !report.findings.is_empty() {
        let mut table = plain_table(["cell", "column", "baseline", "candidate", "ratio", "verdict"]);
        for index in [1, 5] {
            let column = table.column_mut(index).expect("six columns");
            column.set_cell_alignment(comfy_table::CellAlignment::Left);
        }
        report.findings.iter().for_each(|finding| {
            table.add_row(row(finding));
        });
        text = format!("{}\n", table.trim_fmt());
    }
    let mut line = |line: &str| writeln!(text, "{line}").expect("a string takes everything");
    if report.findings.iter().any(|finding| finding.ratio.is_some()) {
        line(
            "times are lower quartiles; ratio: candidate / baseline, after each was divided by its machine's calibration",
        );
    }
    report.notes.iter().for_each(|note| line(&format!("note: {note}")));
    line(&report.summary());
    text
}

pub(super) fn row(finding: &Finding) -> [String; 6] {
    [
        finding.place(),
        finding.column.clone(),
        finding.baseline.to_string(),
        finding.candidate.to_string(),
        finding.ratio_text(),
        finding.verdict_text(),
    ]
}
