//! Which runs belong together.

use super::Results;
use crate::report::{LayerRecord, RunRecord};
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

/// A cell, whatever the scenario is called.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CellName {
    /// Model name.
    pub model: String,
    /// Protocol name.
    pub protocol: String,
    /// Link name.
    pub link: String,
}

impl CellName {
    fn of(run: &RunRecord) -> CellName {
        CellName { model: run.model.clone(), protocol: run.protocol.clone(), link: run.link.clone() }
    }

    /// The cell of a row of `layers.csv`.
    pub(super) fn of_layer(layer: &LayerRecord) -> CellName {
        CellName { model: layer.model.clone(), protocol: layer.protocol.clone(), link: layer.link.clone() }
    }
}

impl fmt::Display for CellName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} / {} / {}", self.model, self.protocol, self.link))
    }
}

impl Serialize for CellName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One cell's runs on both sides; one side may have none.
#[derive(Debug)]
pub(super) struct Pair<'a> {
    pub name: CellName,
    pub baseline: Vec<&'a RunRecord>,
    pub candidate: Vec<&'a RunRecord>,
}

/// Every cell of either side, in order of first appearance, the baseline's first.
pub(super) fn pairs<'a>(baseline: &'a [RunRecord], candidate: &'a [RunRecord]) -> Vec<Pair<'a>> {
    let mut pairs: Vec<Pair<'a>> = Vec::new();
    let mut index: HashMap<CellName, usize> = HashMap::new();
    let sides = [(baseline, true), (candidate, false)];
    for (run, is_baseline) in sides.into_iter().flat_map(|(runs, side)| runs.iter().map(move |run| (run, side))) {
        let at = *index.entry(CellName::of(run)).or_insert_with(|| {
            pairs.push(Pair { name: CellName::of(run), baseline: Vec::new(), candidate: Vec::new() });
            pairs.len() - 1
        });
        let Pair { baseline, candidate, .. } = &mut pairs[at];
        if is_baseline { baseline.push(run) } else { candidate.push(run) }
    }
    pairs
}

/// Whether both scenarios ask for the same fixed number of repetitions, so that fewer runs are lost runs.
pub(super) fn repetitions_are_fixed(baseline: &Results, candidate: &Results) -> bool {
    let asked = |results: &Results| results.manifest.scenario["repetitions"].as_u64();
    asked(baseline).is_some() && asked(baseline) == asked(candidate)
}

impl<'a> Pair<'a> {
    /// Runs with the same repetition and image.
    pub fn runs(&self) -> Vec<(&'a RunRecord, &'a RunRecord)> {
        let id = |run: &RunRecord| (run.repetition, run.image);
        let candidate: BTreeMap<(u32, u32), &RunRecord> = self.candidate.iter().map(|run| (id(run), *run)).collect();
        self.baseline.iter().filter_map(|run| Some((*run, *candidate.get(&id(run))?))).collect()
    }

    /// Distinct images on each side.
    pub fn images(&self) -> [BTreeSet<u32>; 2] {
        [&self.baseline, &self.candidate].map(|runs| runs.iter().map(|run| run.image).collect())
    }
}
