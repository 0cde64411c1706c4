//! The summary as text for a terminal: one table per model and link.

use super::{
    human,
    record::{SpeedupRecord, SummaryRecord},
};
use crate::units::Nanos;
use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};
use std::fmt::Write;

/// Longest line of a table.
const WIDTH: u16 = 120;
const NOTHING: &str = "-";
const RULE: LineStyle = LineStyle::none().fill('─').junction('─');
const STYLE: TableStyle = TableStyle::new().top_border(RULE).header_separator(RULE).bottom_border(RULE);

/// One table per scenario, model and link, in order of first appearance; without colours, at most
/// 120 columns wide. The last column but one says how each protocol compares with the subject of
/// `speedups`; it is left out when there are none.
pub fn table(summaries: &[SummaryRecord], speedups: &[SpeedupRecord]) -> String {
    let mut places: Vec<(&str, &str, &str)> = Vec::new();
    for summary in summaries {
        let place = place_of(summary);
        if !places.contains(&place) {
            places.push(place);
        }
    }
    let blocks: Vec<String> = places
        .into_iter()
        .map(|place| {
            let rows: Vec<&SummaryRecord> = summaries.iter().filter(|s| place_of(s) == place).collect();
            let ratios: Vec<&SpeedupRecord> =
                speedups.iter().filter(|s| (&*s.scenario, &*s.model, &*s.link) == place).collect();
            block(place, &rows, &ratios)
        })
        .collect();
    blocks.join("\n")
}

fn place_of(summary: &SummaryRecord) -> (&str, &str, &str) {
    (&summary.scenario, &summary.model, &summary.link)
}

/// Title, table and notes of one model and link.
fn block((scenario, model, link): (&str, &str, &str), rows: &[&SummaryRecord], speedups: &[&SpeedupRecord]) -> String {
    let subject = speedups.first().map(|speedup| &*speedup.subject);
    let mut table = plain_table(header(subject));
    for summary in rows {
        let against = subject.map(|subject| comparison(summary, subject, speedups));
        table.add_row(row(summary, against));
    }
    let mut text = format!("{scenario}: {model} over {link}\n{}\n", table.trim_fmt());
    for summary in rows {
        write_notes(&mut text, summary);
    }
    text
}

/// A table for a terminal, a log or a README: the first column to the left, figures to the right.
pub fn plain_table<T: Into<Cell>>(header: impl IntoIterator<Item = T>) -> Table {
    let mut table = Table::new();
    table
        .load_style(STYLE)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH)
        .force_no_tty()
        .set_header(header.into_iter().map(Into::into).collect::<Vec<Cell>>());
    for (index, column) in table.column_iter_mut().enumerate() {
        // With the blank that stands for a vertical line: two blanks between columns.
        column.set_padding((0, 1));
        if index > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn header(subject: Option<&str>) -> Vec<String> {
    let mut header: Vec<String> = [
        "protocol",
        "online",
        "±\n(95 %)",
        "offline",
        "rounds",
        "online\nup / down",
        "offline\nup / down",
        "dealer\nto both",
    ]
    .map(String::from)
    .to_vec();
    header.extend(subject.map(|subject| format!("online vs\n{subject}")));
    header.push("agree".into());
    header
}

fn row(summary: &SummaryRecord, against: Option<String>) -> Vec<Cell> {
    let both = |up, down| format!("{} / {}", human::bytes(up), human::bytes(down));
    let mut cells = vec![
        summary.protocol.clone(),
        human::time(summary.online_s_median),
        uncertainty(summary),
        human::time(summary.offline_s_median),
        summary.online_rounds.to_string(),
        both(summary.online_bytes_up, summary.online_bytes_down),
        both(summary.offline_bytes_up, summary.offline_bytes_down),
        human::bytes(summary.dealer_bytes_server.saturating_add(summary.dealer_bytes_client)),
    ];
    cells.extend(against);
    cells.push(agreement(summary));
    cells.into_iter().map(Cell::new).collect()
}

/// The farther end of the interval, relative to the median.
fn uncertainty(summary: &SummaryRecord) -> String {
    let Nanos(median) = summary.online_s_median;
    let (Some(low), Some(high)) = (summary.online_s_ci_low, summary.online_s_ci_high) else {
        return NOTHING.into();
    };
    let farther = median.abs_diff(low.0).max(median.abs_diff(high.0));
    match (farther, median) {
        (0, _) => "0 %".into(),
        (_, 0) => NOTHING.into(),
        _ => format!("{:.1} %", 100.0 * farther as f64 / median as f64),
    }
}

/// How the online time compares with the subject's, in words.
fn comparison(summary: &SummaryRecord, subject: &str, speedups: &[&SpeedupRecord]) -> String {
    if summary.protocol == subject {
        return NOTHING.into();
    }
    let found = speedups.iter().find(|speedup| speedup.baseline == summary.protocol);
    match found.and_then(|speedup| speedup.online_speedup) {
        None => NOTHING.into(),
        Some(ratio) if ratio >= 1.0 => format!("{}x slower", human::three_digits(ratio)),
        Some(0.0) => NOTHING.into(),
        Some(ratio) => format!("{}x faster", human::three_digits(1.0 / ratio)),
    }
}

/// Runs that agree with the plaintext network, or a dash where nobody could compare.
pub(super) fn agreement(summary: &SummaryRecord) -> String {
    match summary.agreements {
        0 if summary.predictions > 0 && summary.max_abs_error.is_nan() => "-".into(),
        agreements => format!("{agreements}/{}", summary.predictions),
    }
}

fn write_notes(text: &mut String, summary: &SummaryRecord) {
    if let Some(wrapped @ 1..) = summary.wrapped_activations {
        let (protocol, n) = (&summary.protocol, summary.n);
        writeln!(text, "note: {protocol}: {wrapped} activations wrapped around in {n} runs")
            .expect("a string takes everything");
    }
    let without = summary.n - summary.predictions;
    if summary.overflowed_activations > 0 {
        let (protocol, n, values) = (&summary.protocol, summary.n, summary.overflowed_activations);
        writeln!(text, "note: {protocol}: {values} values beyond what the ring can hold; {without} of {n} runs without a prediction")
            .expect("a string takes everything");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{
        fixture::{run, three_protocols},
        record::RunRecord,
        summary::{Comparison, speedups, summarize},
    };

    fn rendered(runs: &[RunRecord], subject: &str) -> String {
        let comparison = Comparison { subject: subject.into(), baselines: None };
        let text = table(&summarize(runs).unwrap(), &speedups(runs, &comparison).unwrap());
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(usize::from(WIDTH)), "{widest:?}\n{text}");
        assert!(!text.contains('\u{1b}'), "no escape sequences");
        text
    }

    #[test]
    fn three_protocols_side_by_side() {
        insta::assert_snapshot!(rendered(&three_protocols(), "fused"), @r"
        quickstart: resnet20 over wan
        ────────────────────────────────────────────────────────────────────────────────────────────────────────────
        protocol  online       ±  offline  rounds             online          offline   dealer     online vs  agree
                          (95 %)                           up / down        up / down  to both         fused
        ────────────────────────────────────────────────────────────────────────────────────────────────────────────
        fused     2.10 s   4.8 %   500 ms      39   1.00 MB / 500 KB  800 B / 64.0 KB  4.13 KB             -    3/3
        gc        21.0 s   4.8 %   500 ms      39  16.0 MB / 8.00 MB  800 B / 64.0 KB  4.13 KB  10.0x slower    3/3
        gmw       50.4 s   4.8 %   500 ms      39  3.00 MB / 1.50 MB  800 B / 64.0 KB  4.13 KB  24.0x slower    3/3
        ────────────────────────────────────────────────────────────────────────────────────────────────────────────
        ");
    }

    #[test]
    fn places_are_apart_and_overflow_and_disagreement_show() {
        let mut lan = run("gc", 0, 7_000_000);
        lan.link = "lan".into();
        lan.overflowed_activations = 12;
        lan.wrapped_activations = Some(3);
        lan.prediction = Some(2);
        let runs = [run("gc", 0, 1000), run("fused", 0, 2500), lan];
        insta::assert_snapshot!(rendered(&runs, "fused"), @r"
        quickstart: resnet20 over wan
        ───────────────────────────────────────────────────────────────────────────────────────────────────────────
        protocol  online       ±  offline  rounds            online          offline   dealer     online vs  agree
                          (95 %)                          up / down        up / down  to both         fused
        ───────────────────────────────────────────────────────────────────────────────────────────────────────────
        gc        1.00 s       -   500 ms      39  1.00 MB / 500 KB  800 B / 64.0 KB  4.13 KB  2.50x faster    1/1
        fused     2.50 s       -   500 ms      39  1.00 MB / 500 KB  800 B / 64.0 KB  4.13 KB             -    1/1
        ───────────────────────────────────────────────────────────────────────────────────────────────────────────

        quickstart: resnet20 over lan
        ──────────────────────────────────────────────────────────────────────────────────────────────
        protocol   online       ±  offline  rounds            online          offline   dealer  agree
                           (95 %)                          up / down        up / down  to both
        ──────────────────────────────────────────────────────────────────────────────────────────────
        gc        117 min       -   500 ms      39  1.00 MB / 500 KB  800 B / 64.0 KB  4.13 KB    0/1
        ──────────────────────────────────────────────────────────────────────────────────────────────
        note: gc: 3 activations wrapped around in 1 runs
        note: gc: 12 values beyond what the ring can hold; 0 of 1 runs without a prediction
        ");
    }

    #[test]
    fn large_figures_and_long_names_still_fit() {
        let mut large = run("espn-reference", 0, 599_000);
        large.online_bytes_up = 12_345_678_901;
        large.online_bytes_down = 23_456_789_012;
        large.offline_bytes_up = 34_567_890_123;
        large.offline_bytes_down = 45_678_901_234;
        let runs = [large.clone(), run("honeybadger", 0, 600)];
        let text = rendered(&runs, "honeybadger");
        assert!(text.contains("12.3 GB / 23.5 GB"), "on one line:\n{text}");
        assert!(text.contains("espn-reference "), "on one line:\n{text}");

        large.protocol = "a-protocol-with-a-name-of-many-letters".into();
        rendered(&[large, run("honeybadger", 0, 600)], "honeybadger");
    }

    #[test]
    fn nothing_gives_nothing() {
        assert_eq!(table(&[], &[]), "");
        let single = table(&summarize(&[run("gc", 0, 5)]).unwrap(), &[]);
        assert!(!single.contains("vs "), "{single}");
    }
}
