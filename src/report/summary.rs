//! From runs to summaries and speedups: pure functions.

use super::{
    error::ReportError,
    record::{CellKey, RunRecord, SpeedupRecord, SummaryRecord},
    statistics::{Interval, Latencies, PairedRatio, RunId, paired_ratio, wilson_interval},
};
use crate::units::Nanos;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Seed of every bootstrap: the same runs must give the same files.
const BOOTSTRAP_SEED: u64 = 1;

/// Which protocol is compared with which others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Protocol id in the denominator.
    pub subject: String,
    /// Protocol ids in the numerator; `None` means every other protocol.
    pub baselines: Option<Vec<String>>,
}

impl Comparison {
    fn has_baseline(&self, protocol: &str) -> bool {
        protocol != self.subject && self.baselines.as_ref().is_none_or(|listed| listed.iter().any(|id| id == protocol))
    }
}

/// Share of the labelled runs that are right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accuracy {
    /// Runs whose prediction is the label.
    pub correct: u64,
    /// Runs with a label and a prediction; at least one.
    pub labelled: u64,
    /// Wilson's 95 % interval of the share.
    pub interval: Interval<f64>,
}

impl Accuracy {
    /// From 0 to 1.
    pub fn share(&self) -> f64 {
        self.correct as f64 / self.labelled as f64
    }
}

impl SummaryRecord {
    /// `None` without labels.
    pub fn accuracy(&self) -> Option<Accuracy> {
        let (labelled, correct) = (self.labelled.filter(|labelled| *labelled > 0)?, self.correct?);
        Some(Accuracy { correct, labelled, interval: wilson_interval(correct, labelled) })
    }
}

/// One summary per cell, in order of first appearance.
///
/// # Errors
/// If a cell has the same repetition and image twice, or if its rounds or bytes vary.
pub fn summarize(runs: &[RunRecord]) -> Result<Vec<SummaryRecord>, ReportError> {
    Ok(cells(runs)?.iter().map(Cell::summary).collect())
}

/// One row per model, link and baseline that has runs, in order of first appearance.
///
/// # Errors
/// As [`summarize`].
pub fn speedups(runs: &[RunRecord], comparison: &Comparison) -> Result<Vec<SpeedupRecord>, ReportError> {
    let cells = cells(runs)?;
    let subjects = cells.iter().filter(|cell| cell.key.protocol == comparison.subject);
    let rows = subjects.flat_map(|subject| {
        let baselines = cells
            .iter()
            .filter(|cell| subject.differs_in_protocol_only(cell) && comparison.has_baseline(&cell.key.protocol));
        baselines.map(|baseline| subject.speedup_over(baseline))
    });
    Ok(rows.collect())
}

/// The runs of one cell; at least one.
struct Cell<'a> {
    key: CellKey,
    runs: Vec<&'a RunRecord>,
}

/// Groups runs by cell and checks each cell.
fn cells(runs: &[RunRecord]) -> Result<Vec<Cell<'_>>, ReportError> {
    let cells: Vec<Cell<'_>> = in_cells(runs).into_iter().map(|(key, runs)| Cell { key, runs }).collect();
    cells.iter().try_for_each(Cell::check)?;
    Ok(cells)
}

/// The runs of each cell, cells in order of first appearance.
pub(super) fn in_cells(runs: &[RunRecord]) -> Vec<(CellKey, Vec<&RunRecord>)> {
    let mut cells: Vec<(CellKey, Vec<&RunRecord>)> = Vec::new();
    let mut index: HashMap<CellKey, usize> = HashMap::new();
    for run in runs {
        let key = run.cell();
        let at = *index.entry(key.clone()).or_insert_with(|| {
            cells.push((key, Vec::new()));
            cells.len() - 1
        });
        cells[at].1.push(run);
    }
    cells
}

impl Cell<'_> {
    fn check(&self) -> Result<(), ReportError> {
        let mut seen = HashSet::new();
        let expected = self.runs[0].exact_columns();
        for run in &self.runs {
            let (repetition, image) = (run.repetition, run.image);
            if !seen.insert((repetition, image)) {
                return Err(ReportError::DuplicateRun { cell: Box::new(self.key.clone()), repetition, image });
            }
            for ((column, expected), (_, actual)) in expected.into_iter().zip(run.exact_columns()) {
                if expected != actual {
                    return Err(ReportError::NotConstant {
                        cell: Box::new(self.key.clone()),
                        column,
                        repetition,
                        image,
                        expected,
                        actual,
                    });
                }
            }
        }
        Ok(())
    }

    fn latencies(&self, time: impl Fn(&RunRecord) -> Nanos) -> Latencies {
        self.runs.iter().map(|run| time(run)).collect()
    }

    fn median(&self, time: impl Fn(&RunRecord) -> Nanos) -> Nanos {
        self.latencies(time).median().expect("a cell has at least one run")
    }

    /// `None` as soon as one run was not measured.
    fn optional_median(&self, time: impl Fn(&RunRecord) -> Option<Nanos>) -> Option<Nanos> {
        let times: Option<Latencies> = self.runs.iter().map(|run| time(run)).collect();
        times?.median()
    }

    fn timed(&self, time: impl Fn(&RunRecord) -> Nanos) -> Vec<(RunId, Nanos)> {
        self.runs.iter().map(|run| ((run.repetition, run.image), time(run))).collect()
    }

    fn summary(&self) -> SummaryRecord {
        let online = self.latencies(|run| run.online_s);
        let interval = online.median_interval(BOOTSTRAP_SEED);
        // `exact` stands for every run in the columns that `check` has compared.
        let total_interval = self.latencies(total).median_interval(BOOTSTRAP_SEED);
        let exact = self.runs[0];
        let overflowed = self.overflowed_by_image();
        SummaryRecord {
            scenario: self.key.scenario.clone(),
            model: self.key.model.clone(),
            protocol: self.key.protocol.clone(),
            link: self.key.link.clone(),
            n: self.runs.len() as u64,
            online_s_median: self.median(|run| run.online_s),
            online_s_p95: online.p95().expect("a cell has at least one run"),
            online_s_ci_low: interval.map(|interval| interval.low),
            online_s_ci_high: interval.map(|interval| interval.high),
            offline_s_median: self.median(|run| run.offline_s),
            total_s_median: self.median(total),
            online_floor_s: self.median(|run| run.online_floor_s),
            online_server_compute_s_median: self.optional_median(|run| run.online_server_compute_s),
            online_client_compute_s_median: self.optional_median(|run| run.online_client_compute_s),
            online_rounds: exact.online_rounds,
            online_bytes_up: exact.online_bytes_up,
            online_bytes_down: exact.online_bytes_down,
            offline_rounds: exact.offline_rounds,
            offline_bytes_up: exact.offline_bytes_up,
            offline_bytes_down: exact.offline_bytes_down,
            setup_s_median: self.median(|run| run.setup_s),
            setup_bytes_up: exact.setup_bytes_up,
            setup_bytes_down: exact.setup_bytes_down,
            dealer_bytes_server: exact.dealer_bytes_server,
            dealer_bytes_client: exact.dealer_bytes_client,
            images: overflowed.len() as u64,
            predictions: self.predicted().count() as u64,
            agreements: self.agreements(),
            max_abs_error: self.max_abs_error(),
            overflowed_activations: overflowed.values().fold(0, |sum, more| sum.saturating_add(*more)),
            wrapped_activations: self.runs.iter().map(|run| run.wrapped_activations).sum(),
            pool: exact.pool.clone(),
            total_s_ci_low: total_interval.map(|interval| interval.low),
            total_s_ci_high: total_interval.map(|interval| interval.high),
            labelled: Some(self.labelled().count() as u64),
            correct: Some(self.labelled().filter(|run| run.prediction == run.label).count() as u64),
            online_messages_up: exact.online_messages_up,
            online_messages_down: exact.online_messages_down,
            offline_messages_up: exact.offline_messages_up,
            offline_messages_down: exact.offline_messages_down,
            offline_floor_s: self.optional_median(|run| run.offline_floor_s),
            offline_compute_s_median: self.optional_median(|run| run.offline_compute_s),
            calibration_s_median: self.optional_median(|run| run.calibration_s),
        }
    }

    /// The runs that gave a result: those within the ring's range.
    fn predicted(&self) -> impl Iterator<Item = &RunRecord> {
        self.runs.iter().copied().filter(|run| run.prediction.is_some())
    }

    /// Runs that are right or wrong: with a label and a prediction.
    fn labelled(&self) -> impl Iterator<Item = &RunRecord> {
        self.predicted().filter(|run| run.label.is_some())
    }

    fn agreements(&self) -> u64 {
        self.predicted().filter(|run| run.prediction == run.reference_prediction).count() as u64
    }

    /// NaN if a run with a result lacks a finite error, or if there is none: a maximum over the rest would look
    /// better than it is.
    fn max_abs_error(&self) -> f64 {
        let largest = |largest: f64, run: &RunRecord| match run.max_abs_error.is_finite() {
            true => largest.max(run.max_abs_error),
            false => f64::INFINITY,
        };
        let error = self.predicted().fold(-1.0, largest);
        if error.is_finite() && error >= 0.0 { error } else { f64::NAN }
    }

    /// Repetitions of an image overflow in the same places, so each image counts once.
    fn overflowed_by_image(&self) -> BTreeMap<u32, u64> {
        let mut by_image = BTreeMap::new();
        for run in &self.runs {
            let most: &mut u64 = by_image.entry(run.image).or_default();
            *most = run.overflowed_activations.max(*most);
        }
        by_image
    }

    fn differs_in_protocol_only(&self, other: &Cell<'_>) -> bool {
        let place = |key: &CellKey| (key.scenario.clone(), key.model.clone(), key.link.clone());
        place(&self.key) == place(&other.key) && self.key.protocol != other.key.protocol
    }

    fn speedup_over(&self, baseline: &Cell<'_>) -> SpeedupRecord {
        let paired =
            |time: fn(&RunRecord) -> Nanos| paired_ratio(&baseline.timed(time), &self.timed(time), BOOTSTRAP_SEED);
        let online: Option<PairedRatio> = paired(|run| run.online_s);
        let interval = online.and_then(|ratio| ratio.interval);
        let total: Option<PairedRatio> = paired(total);
        let total_interval = total.and_then(|ratio| ratio.interval);
        let (above, below) = (baseline.runs[0], self.runs[0]);
        SpeedupRecord {
            scenario: self.key.scenario.clone(),
            model: self.key.model.clone(),
            link: self.key.link.clone(),
            subject: self.key.protocol.clone(),
            baseline: baseline.key.protocol.clone(),
            online_speedup: online.map(|ratio| ratio.median),
            online_speedup_low: interval.map(|interval| interval.low),
            online_speedup_high: interval.map(|interval| interval.high),
            total_speedup: total.map(|ratio| ratio.median),
            bytes_ratio: ratio(online_bytes(above), online_bytes(below)),
            rounds_ratio: ratio(above.online_rounds, below.online_rounds),
            total_speedup_low: total_interval.map(|interval| interval.low),
            total_speedup_high: total_interval.map(|interval| interval.high),
        }
    }
}

fn total(run: &RunRecord) -> Nanos {
    Nanos(run.offline_s.0.saturating_add(run.online_s.0))
}

fn online_bytes(run: &RunRecord) -> u64 {
    run.online_bytes_up.saturating_add(run.online_bytes_down)
}

fn ratio(above: u64, below: u64) -> Option<f64> {
    (below != 0).then(|| above as f64 / below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::{run, three_protocols};

    #[test]
    fn a_summary_takes_medians_and_copies_exact_columns() {
        let summaries = summarize(&three_protocols()).unwrap();
        let ids: Vec<&str> = summaries.iter().map(|s| s.protocol.as_str()).collect();
        assert_eq!(ids, ["fused", "gc", "gmw"], "order of first appearance");
        let fused = &summaries[0];
        // Online 2.0, 2.1, 2.2 s; offline always 0.5 s.
        assert_eq!(fused.n, 3);
        assert_eq!(fused.online_s_median, Nanos(2_100_000_000));
        assert_eq!(fused.online_s_p95, Nanos(2_200_000_000));
        assert_eq!(fused.online_s_ci_low, Some(Nanos(2_000_000_000)));
        assert_eq!(fused.online_s_ci_high, Some(Nanos(2_200_000_000)));
        assert_eq!(fused.total_s_median, Nanos(2_600_000_000));
        assert_eq!(fused.online_bytes_up, 1_000_000);
        assert_eq!((fused.images, fused.agreements), (1, 3));
    }

    #[test]
    fn images_count_once_and_disagreements_show() {
        let mut runs = Vec::new();
        for (repetition, image, overflowed) in [(0, 0, 4), (0, 1, 3), (1, 0, 4), (1, 1, 3)] {
            let mut run = run("fused", repetition, 1000);
            run.image = image;
            run.overflowed_activations = overflowed;
            run.prediction = Some(image); // the reference says 1
            run.max_abs_error = f64::from(image) / 4.0;
            runs.push(run);
        }
        let summary = &summarize(&runs).unwrap()[0];
        assert_eq!((summary.n, summary.images, summary.agreements), (4, 2, 2));
        assert_eq!(summary.overflowed_activations, 7);
        assert_eq!(summary.max_abs_error, 0.25);

        runs[2].max_abs_error = f64::INFINITY;
        assert!(summarize(&runs).unwrap()[0].max_abs_error.is_nan());
        // A run past the ring has neither a prediction nor an error; the others still count.
        (runs[2].max_abs_error, runs[2].prediction) = (f64::NAN, None);
        let summary = &summarize(&runs).unwrap()[0];
        assert_eq!((summary.n, summary.predictions), (4, 3));
        assert_eq!(summary.max_abs_error, 0.25);
        runs[1].online_server_compute_s = None;
        let summary = &summarize(&runs).unwrap()[0];
        assert_eq!(summary.online_server_compute_s_median, None);
        assert!(summary.online_client_compute_s_median.is_some());
    }

    #[test]
    fn a_varying_exact_column_is_an_error_naming_cell_and_column() {
        let mut runs = three_protocols();
        runs[4].offline_bytes_down += 1;
        insta::assert_snapshot!(summarize(&runs).unwrap_err(), @"quickstart: resnet20, gc, wan: offline_bytes_down must be the same in every repetition, but repetition 1 of image 0 has 64001 where the first run had 64000");
        assert!(speedups(&runs, &comparison("fused", None)).is_err());
    }

    #[test]
    fn the_same_run_twice_is_an_error() {
        let runs = [run("gc", 2, 1000), run("gc", 2, 1000)];
        insta::assert_snapshot!(summarize(&runs).unwrap_err(), @"quickstart: resnet20, gc, wan: repetition 2 of image 0 appears twice");
    }

    #[test]
    fn speedups_are_baseline_over_subject() {
        let rows = speedups(&three_protocols(), &comparison("fused", None)).unwrap();
        let ids: Vec<&str> = rows.iter().map(|row| row.baseline.as_str()).collect();
        assert_eq!(ids, ["gc", "gmw"]);
        // gc online is 10 times each fused repetition; totals are 20.5 / 2.5, 21.5 / 2.6, 22.5 / 2.7.
        let gc = &rows[0];
        assert_eq!(gc.online_speedup, Some(10.0));
        assert_eq!(gc.online_speedup_low, Some(10.0));
        assert_eq!(gc.total_speedup, Some(215.0 / 26.0));
        assert_eq!((gc.bytes_ratio, gc.rounds_ratio), (Some(16.0), Some(1.0)));

        let reverse = speedups(&three_protocols(), &comparison("gc", Some(vec!["fused".into()])));
        let reverse = reverse.unwrap();
        assert_eq!(reverse.len(), 1, "gmw is not listed");
        assert_eq!(reverse[0].online_speedup, Some(0.1));
    }

    #[test]
    fn ratios_over_zero_are_empty_and_other_links_do_not_mix() {
        let mut subject = run("fused", 0, 0);
        (subject.online_bytes_up, subject.online_bytes_down) = (0, 0);
        subject.online_rounds = 0;
        let mut elsewhere = run("gmw", 0, 1000);
        elsewhere.link = "lan".into();
        let rows = speedups(&[subject, run("gc", 0, 1000), elsewhere], &comparison("fused", None)).unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].baseline, "gc");
        assert_eq!(rows[0].online_speedup, None);
        assert_eq!((rows[0].bytes_ratio, rows[0].rounds_ratio), (None, None));
        assert!(rows[0].total_speedup.is_some(), "offline time is not zero");
    }

    fn comparison(subject: &str, baselines: Option<Vec<String>>) -> Comparison {
        Comparison { subject: subject.into(), baselines }
    }
}
