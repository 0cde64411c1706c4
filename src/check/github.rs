//! The findings as GitHub Actions workflow commands: annotations of the run.
//!
//! Syntax and escapes: <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>.

use super::Report;

/// One `::error` line per finding that fails, one `::notice` line per other.
pub fn annotations(report: &Report) -> String {
    let lines = report.findings.iter().map(|finding| {
        let command = if finding.kind.fails() { "error" } else { "notice" };
        let title = property(&format!("longhaul check: {}", finding.place()));
        format!("::{command} title={title}::{}\n", message(&finding.sentence()))
    });
    lines.collect()
}

/// A command ends with its line.
fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property ends at a comma or a colon as well.
fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_command_is_escaped() {
        assert_eq!(message("10 % more\r\nb: c, d"), "10 %25 more%0D%0Ab: c, d");
        assert_eq!(property("a: b, c\n"), "a%3A b%2C c%0A");
    }
}
