//! The regression gate: results of one scenario against a baseline, records in, findings out.
//!
//! ```text
//! pair (runs of both sides, by cell) -> scenario, exact, time -> Report -> table, markdown, github, junit
//! ```
//!
//! What the seed fixes must be equal: rounds, messages, bytes, floors, predictions, transcripts. Times compare as
//! multiples of the calibration kernel that ran beside them, and count as slower only beyond noise and tolerance;
//! `time.rs` states the rule. Nothing here reads a file or a clock.

mod exact;
mod finding;
#[cfg(test)]
mod fixture;
mod github;
mod junit;
mod markdown;
mod pair;
mod scenario;
mod table;
mod time;

pub use finding::{Finding, Kind, Value};
pub use github::annotations;
pub use junit::junit;
pub use markdown::markdown;
pub use pair::CellName;
pub use scenario::differing_keys;
pub use table::table;
pub use time::{Outcome, TimeComparison};

use crate::report::{LayerRecord, Manifest, RunRecord};
use pair::Pair;
use serde::Serialize;

/// One side of a comparison.
#[derive(Clone, Debug)]
pub struct Results {
    /// Where and with what the runs were made.
    pub manifest: Manifest,
    /// The rows of `runs.csv`.
    pub runs: Vec<RunRecord>,
    /// The rows of `layers.csv`, if the folder has one.
    pub layers: Option<Vec<LayerRecord>>,
}

/// What the user may choose.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Slowdown that is let pass: 0.1 is 10 %.
    pub tolerance: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options { tolerance: 0.1 }
    }
}

/// Whether something got worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing did.
    Ok,
    /// Something did, or something exact is no longer the same.
    Regression,
}

/// The outcome of a comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Every cell of either side, in order of first appearance.
    pub cells: Vec<CellName>,
    /// What moved: first what concerns all cells, then cell by cell.
    pub findings: Vec<Finding>,
    /// Every time that was compared.
    pub times: Vec<TimeComparison>,
    /// What was not compared, and how times were corrected.
    pub notes: Vec<String>,
}

/// Compares `candidate` with `baseline`.
pub fn check(baseline: &Results, candidate: &Results, options: &Options) -> Report {
    let pairs = pair::pairs(&baseline.runs, &candidate.runs);
    let mut notes = Vec::new();
    let mut findings = scenario::findings(&baseline.manifest, &candidate.manifest);
    let seeds_equal = baseline.manifest.seed == candidate.manifest.seed;
    if !seeds_equal {
        notes.push("the seeds differ: transcripts, predictions and errors were not compared".to_string());
    }
    let times = time::compare(&pairs, machines(baseline, candidate), options.tolerance, &mut notes);
    let exact = exact::Rules { seeds_equal, fixed_repetitions: pair::repetitions_are_fixed(baseline, candidate) };
    let layers = exact::layers(baseline.layers.as_deref(), candidate.layers.as_deref(), &mut notes);
    let mut young = exact::Young::default();
    for pair in &pairs {
        findings.extend(exact::runs(pair, exact, &mut young));
        findings.extend(layers.iter().filter(|finding| finding.cell.as_ref() == Some(&pair.name)).cloned());
        findings.extend(times.iter().filter(|time| time.cell == pair.name).filter_map(TimeComparison::finding));
    }
    notes.extend(young.note());
    Report { cells: pairs.into_iter().map(|pair: Pair| pair.name).collect(), findings, times, notes }
}

/// What differs between the machines, or in how the programs use them, in words; `None` if nothing that is known does.
fn machines(baseline: &Results, candidate: &Results) -> Option<String> {
    let (then, now) = (&baseline.manifest.host, &candidate.manifest.host);
    if then.cpu_model != now.cpu_model {
        let name = |model: &Option<String>| model.clone().unwrap_or_else(|| "an unknown processor".into());
        return Some(format!("{} instead of {}", name(&now.cpu_model), name(&then.cpu_model)));
    }
    let features = |features: &[String]| features.join(" ");
    if then.cpu_features != now.cpu_features {
        let (now, then) = (features(&now.cpu_features), features(&then.cpu_features));
        return Some(format!("instruction sets {now} instead of {then}"));
    }
    let (then, now) = (&baseline.manifest.allocator, &candidate.manifest.allocator);
    let settings = |allocator: &Option<String>| allocator.clone().unwrap_or_else(|| "its defaults".into());
    (then != now).then(|| {
        let (now, then) = (settings(now), settings(then));
        format!("memory allocator with {now} instead of {then}; make the baseline with `check --update`")
    })
}

impl Report {
    /// [`Verdict::Regression`] as soon as one finding is more than information.
    pub fn verdict(&self) -> Verdict {
        match self.findings.iter().any(|finding| finding.kind.fails()) {
            true => Verdict::Regression,
            false => Verdict::Ok,
        }
    }

    /// Whether times are all that failed: they deserve a second look, exact columns do not.
    pub fn only_times_fail(&self) -> bool {
        let mut failures = self.findings.iter().filter(|finding| finding.kind.fails()).peekable();
        failures.peek().is_some() && failures.all(|finding| finding.kind == Kind::Slower)
    }

    /// Keeps of the findings about times those that `again`, another run against the same baseline, shows as well,
    /// each with the smaller change of the two.
    pub fn confirm(&mut self, again: &Report) {
        self.findings.retain_mut(|finding| {
            let Some(ratio) = finding.ratio else {
                return true;
            };
            let same = |other: &&Finding| {
                (&other.cell, &other.column, other.kind) == (&finding.cell, &finding.column, finding.kind)
            };
            let Some((other, other_ratio)) = again.findings.iter().find(same).and_then(|f| Some((f, f.ratio?))) else {
                return false;
            };
            if other_ratio.ln().abs() < ratio.ln().abs() {
                *finding = other.clone();
            }
            true
        });
    }

    /// Findings about `cell`.
    fn of_cell<'a>(&'a self, cell: Option<&'a CellName>) -> impl Iterator<Item = &'a Finding> {
        self.findings.iter().filter(move |finding| finding.cell.as_ref() == cell)
    }

    /// One line: how much was compared, and what came of it.
    fn summary(&self) -> String {
        let failures = self.findings.iter().filter(|finding| finding.kind.fails()).count();
        let compared = format!("{} cells and {} times compared", self.cells.len(), self.times.len());
        let largest = self.times.iter().max_by(|a, b| a.ratio.total_cmp(&b.ratio));
        match (failures, largest) {
            (0, Some(most)) => {
                format!("ok: {compared}; largest time ratio {:.3} ({}, {})", most.ratio, most.cell, most.column)
            }
            (0, None) => format!("ok: {compared}"),
            (1, _) => format!("regression: 1 finding; {compared}"),
            (n, _) => format!("regression: {n} findings; {compared}"),
        }
    }
}

#[cfg(test)]
mod tests;
