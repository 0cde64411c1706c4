//! The findings as Markdown: for a step summary, a pull request, a wiki.

use super::table::row;
use super::{Report, Verdict};
use crate::report::markdown_escaped as escaped;
use std::fmt::Write;

/// A heading with the verdict, the findings as a table, the notes as a list.
pub fn markdown(report: &Report) -> String {
    let verdict = match report.verdict() {
        Verdict::Ok => "ok",
        Verdict::Regression => "regression",
    };
    let mut text = format!("## longhaul check: {verdict}\n\n{}\n", escaped(&report.summary()));
    let mut line = |line: &str| writeln!(text, "{line}").expect("a string takes everything");
    if !report.findings.is_empty() {
        line("\n| cell | column | baseline | candidate | ratio | verdict |\n|---|---|---:|---:|---:|---|");
        for finding in &report.findings {
            line(&format!("| {} |", row(finding).map(|cell| escaped(&cell)).join(" | ")));
        }
    }
    if !report.notes.is_empty() {
        line("");
        report.notes.iter().for_each(|note| line(&format!("* {}", escaped(note))));
    }
    text
}
