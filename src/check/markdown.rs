//! The findings as Markdown: for a step summary, a pull request, a wiki.

use super::table::row;
use super::{Report, Verdict};
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

/// Names of models and links are the user's: they must not end a table's cell or become markup.
fn escaped(text: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_names_is_text() {
        assert_eq!(escaped("a|b <c> online_s\nx"), "a\\|b &lt;c&gt; online\\_s x");
    }
}
