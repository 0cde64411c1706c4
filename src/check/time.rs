//! Times: is a cell slower than it was, beyond noise and tolerance?
//!
//! **What.** The processor time that the parties spent online, that spent offline, and the online time above the floor.
//! Not the online time itself: over a long link its floor would hide any computing.
//!
//! **Units.** Times are divided by the calibration, a fixed piece of work measured in the same process just before each
//! run: that of all runs of the same model and link, since these take turns and so share the machine's moment. A machine,
//! or a moment, that is slower altogether cancels out.
//!
//! **Rule.** A cell's ratio is the candidate's over the baseline's, each the lower quartile of its times over that of its
//! calibrations. Everything is resampled for the 95 % interval, so the stored spread counts as much as the new one. A time
//! is slower if the ratio is above 1 + tolerance and the whole interval above 1 + tolerance / 2: caches shared with other
//! work move a cell by some percent for minutes, which no resampling knows. Faster is the same upside down. Below
//! [`SMALLEST`], and for fewer than [`FEWEST_RUNS`] runs, nothing is concluded.
//!
//! **Other machines.** The calibration kernel is not the protocols' code, so between two kinds of processor its ratio and
//! theirs differ. Every ratio is then divided by the median ratio of all cells in the same column, and the scatter of the
//! cells about that median, which two processors cause without anybody's fault, widens the tolerance.

use super::finding::{Finding, Kind, Value};
use super::pair::{CellName, Pair};
use crate::report::{Calibrated, Interval, RunRecord, calibrated_ratio, lower_quartile};
use crate::units::Nanos;
use serde::{Serialize, Serializer};

/// Times below this on both sides are not compared: caches and the operating system's clock make them.
pub const SMALLEST: Nanos = Nanos(3_000_000);
/// Fewer runs say nothing about the next one.
pub const FEWEST_RUNS: usize = 3;
/// Cells scatter about their median by so many robust standard deviations before one stands out.
const SCATTER_DEVIATIONS: f64 = 3.0;
/// From the median absolute deviation to the standard deviation of a normal distribution.
const MAD_TO_DEVIATION: f64 = 1.4826;
/// The same records must give the same verdict.
const BOOTSTRAP_SEED: u64 = 1;

/// Whether a time moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Not beyond noise and tolerance.
    Same,
    /// It grew.
    Slower,
    /// It shrank.
    Faster,
}

/// One time of one cell on both sides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TimeComparison {
    /// The cell.
    pub cell: CellName,
    /// `online_compute_s`, `offline_compute_s` or `online_above_floor_s`.
    pub column: &'static str,
    /// Lower quartile of the baseline, as measured.
    #[serde(serialize_with = "seconds")]
    pub baseline: Nanos,
    /// Lower quartile of the candidate, as measured.
    #[serde(serialize_with = "seconds")]
    pub candidate: Nanos,
    /// Candidate / baseline, both relative to their calibration.
    pub ratio: f64,
    /// Lower end of its 95 % interval.
    pub ratio_low: f64,
    /// Upper end of its 95 % interval.
    pub ratio_high: f64,
    /// What follows.
    pub outcome: Outcome,
}

fn seconds<S: Serializer>(time: &Nanos, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.0 as f64 / 1e9)
}

impl TimeComparison {
    pub(super) fn finding(&self) -> Option<Finding> {
        let kind = match self.outcome {
            Outcome::Same => return None,
            Outcome::Slower => Kind::Slower,
            Outcome::Faster => Kind::Faster,
        };
        Some(Finding {
            cell: Some(self.cell.clone()),
            column: self.column.to_string(),
            baseline: Value::Measured(self.baseline),
            candidate: Value::Measured(self.candidate),
            ratio: Some(self.ratio),
            kind,
            detail: format!("95 % interval {:.3} to {:.3}", self.ratio_low, self.ratio_high),
        })
    }
}

/// A column made from those of `runs.csv`; `None` where it was not measured.
type Column = (&'static str, fn(&RunRecord) -> Option<Nanos>);

const COLUMNS: [Column; 3] = [
    ("online_compute_s", |run| {
        Some(Nanos(run.online_server_compute_s?.0.saturating_add(run.online_client_compute_s?.0)))
    }),
    ("offline_compute_s", |run| run.offline_compute_s),
    ("online_above_floor_s", |run| {
        // Without measured computing there is nothing above it.
        run.online_server_compute_s?;
        Some(Nanos(run.online_s.0.saturating_sub(run.online_floor_s.0)))
    }),
];

/// Compares every time of every cell; `machines` says what differs between the machines, if anything.
pub(super) fn compare(
    pairs: &[Pair<'_>],
    machines: Option<String>,
    tolerance: f64,
    notes: &mut Vec<String>,
) -> Vec<TimeComparison> {
    let mut skipped = Skipped::default();
    let mut corrections = Vec::new();
    let mut compared = Vec::new();
    for (column, time) in COLUMNS {
        let raw = pairs.iter().filter_map(|pair| skipped.keep(pair, column, raw(pairs, pair, column, time)));
        let mut raw: Vec<TimeComparison> = raw.collect();
        let mut limit = 1.0 + tolerance;
        if machines.is_some() && !raw.is_empty() {
            let (median, scatter) = location_and_scatter(&raw);
            raw.iter_mut().for_each(|time| time.divide(median));
            limit = limit.max((SCATTER_DEVIATIONS * scatter).exp());
            corrections.push(format!("{column} by {median:.3} (then up to {limit:.2} is let pass)"));
        }
        raw.iter_mut().for_each(|time| time.conclude(limit));
        compared.extend(raw);
    }
    if let Some(machines) = machines {
        let divided = match corrections.is_empty() {
            true => "times were not compared".to_string(),
            false => format!(
                "times were also divided by the median ratio of all cells, {}, so that a slowdown of all cells alike does \
                 not show",
                corrections.join(", ")
            ),
        };
        notes.push(format!("another machine ({machines}): {divided}"));
    }
    notes.extend(skipped.notes());
    compared
}

/// Why a time was not compared.
enum Skip {
    /// On one side at least.
    NotMeasured,
    NoCalibration,
    FewRuns,
    Short,
}

/// Samples of one side, in nanoseconds.
struct Samples {
    times: Vec<f64>,
    calibrations: Vec<f64>,
}

impl Samples {
    /// Times of `runs`, the runs of one cell; calibrations of `block`, the runs of its model and link.
    fn new(
        runs: &[&RunRecord],
        block: impl Iterator<Item = Option<Nanos>>,
        time: fn(&RunRecord) -> Option<Nanos>,
    ) -> Result<Samples, Skip> {
        if runs.len() < FEWEST_RUNS {
            return Err(Skip::FewRuns);
        }
        let nanos = |time: Nanos| time.0 as f64;
        let times: Option<Vec<f64>> = runs.iter().map(|run| time(run).map(nanos)).collect();
        let calibrations: Option<Vec<f64>> = block.map(|time| time.map(nanos).filter(|time| *time > 0.0)).collect();
        let times = times.ok_or(Skip::NotMeasured)?;
        Ok(Samples { times, calibrations: calibrations.ok_or(Skip::NoCalibration)? })
    }

    fn lower_quartile(&self) -> Nanos {
        Nanos(lower_quartile(&mut self.times.clone()) as u64)
    }

    fn calibrated(&self) -> Calibrated<'_> {
        Calibrated { times: &self.times, calibrations: &self.calibrations }
    }
}

/// The ratio of one cell, not yet corrected nor judged.
fn raw(
    pairs: &[Pair<'_>],
    pair: &Pair<'_>,
    column: &'static str,
    time: fn(&RunRecord) -> Option<Nanos>,
) -> Result<TimeComparison, Skip> {
    let place = |pair: &Pair<'_>| (pair.name.model.clone(), pair.name.link.clone());
    let block = || pairs.iter().filter(|other| place(other) == place(pair));
    let then = block().flat_map(|pair| pair.baseline.iter().map(|run| run.calibration_s));
    let now = block().flat_map(|pair| pair.candidate.iter().map(|run| run.calibration_s));
    let baseline = Samples::new(&pair.baseline, then, time)?;
    let candidate = Samples::new(&pair.candidate, now, time)?;
    let (then, now) = (baseline.lower_quartile(), candidate.lower_quartile());
    if then.max(now) < SMALLEST {
        return Err(Skip::Short);
    }
    let ratio = calibrated_ratio(baseline.calibrated(), candidate.calibrated(), BOOTSTRAP_SEED).ok_or(Skip::Short)?;
    let Interval { low, high } = ratio.interval;
    Ok(TimeComparison {
        cell: pair.name.clone(),
        column,
        baseline: then,
        candidate: now,
        ratio: ratio.ratio,
        ratio_low: low,
        ratio_high: high,
        outcome: Outcome::Same,
    })
}

impl TimeComparison {
    fn divide(&mut self, by: f64) {
        [&mut self.ratio, &mut self.ratio_low, &mut self.ratio_high].into_iter().for_each(|value| *value /= by);
    }

    fn conclude(&mut self, limit: f64) {
        let half_way = (1.0 + limit) / 2.0;
        if self.ratio > limit && self.ratio_low > half_way {
            self.outcome = Outcome::Slower;
        } else if self.ratio < 1.0 / limit && self.ratio_high < 1.0 / half_way {
            self.outcome = Outcome::Faster;
        }
    }
}

/// The median ratio, and the robust standard deviation of the ratios' logarithms about it.
fn location_and_scatter(times: &[TimeComparison]) -> (f64, f64) {
    let median = |mut values: Vec<f64>| {
        values.sort_unstable_by(f64::total_cmp);
        let middle = values.len() / 2;
        if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
    };
    let location = median(times.iter().map(|time| time.ratio).collect());
    let distances = times.iter().map(|time| (time.ratio / location).ln().abs());
    (location, MAD_TO_DEVIATION * median(distances.collect()))
}

/// What was not compared, by reason.
#[derive(Default)]
struct Skipped {
    not_measured: Vec<String>,
    no_calibration: usize,
    few_runs: Vec<String>,
    short: Vec<String>,
}

impl Skipped {
    /// The comparison; if there is none, remembers why. A cell missing on one side is a finding of its own.
    fn keep(
        &mut self,
        pair: &Pair<'_>,
        column: &'static str,
        raw: Result<TimeComparison, Skip>,
    ) -> Option<TimeComparison> {
        if pair.baseline.is_empty() || pair.candidate.is_empty() {
            return None;
        }
        let what = || format!("{} {column}", pair.name);
        match raw {
            Ok(time) => return Some(time),
            Err(Skip::NotMeasured) => self.not_measured.push(what()),
            Err(Skip::NoCalibration) => self.no_calibration += 1,
            Err(Skip::FewRuns) if self.few_runs.last() == Some(&pair.name.to_string()) => {}
            Err(Skip::FewRuns) => self.few_runs.push(pair.name.to_string()),
            Err(Skip::Short) => self.short.push(what()),
        }
        None
    }

    fn notes(self) -> Vec<String> {
        let mut few_runs = self.few_runs;
        few_runs.sort();
        few_runs.dedup();
        let lists = [
            (few_runs, format!("times of fewer than {FEWEST_RUNS} runs are not compared")),
            (self.not_measured, "times that one side did not measure are not compared".to_string()),
            (self.short, format!("times below {SMALLEST} on both sides are not compared")),
        ];
        let listed = lists.into_iter().filter(|(cells, _)| !cells.is_empty());
        let mut notes: Vec<String> = listed.map(|(cells, why)| format!("{why}: {}", cells.join(", "))).collect();
        if self.no_calibration > 0 {
            notes.push(
                "times of runs without calibration_s are not compared: make the baseline again with this version"
                    .into(),
            );
        }
        notes
    }
}
