//! Joins results of one scenario: those of the shards of a run, or of runs of some of its cells each.
//!
//! The joined files are those of one run of all cells: rows in the scenario's order, summary and speedups made anew. What
//! would make them mean something else is refused or becomes a warning.

mod complete;
mod error;
pub(super) mod machines;
mod outline;
mod part;
#[cfg(test)]
mod tests;

pub use error::MergeError;
pub use part::{Part, read_parts};

use super::{
    CellKey, LayerRecord, Manifest, MessageRecord, ReportError, ResultsDir, RunRecord, SpeedupRecord, SummaryRecord,
    speedups, summarize,
};
use outline::Outline;

/// Results joined.
#[derive(Clone, Debug)]
pub struct Merged {
    /// In the order of a run of all cells.
    pub runs: Vec<RunRecord>,
    /// As the runs.
    pub layers: Vec<LayerRecord>,
    /// As the runs.
    pub messages: Vec<MessageRecord>,
    /// A row per cell, from the joined runs.
    pub summaries: Vec<SummaryRecord>,
    /// A row per model, link and baseline, from the joined runs.
    pub speedups: Vec<SpeedupRecord>,
    /// Of all parts together.
    pub manifest: Manifest,
    /// What only the merge could see; the manifest has the warnings of the parts, too.
    pub warnings: Vec<String>,
    /// Text of the scenario file, if a part kept it.
    pub scenario: Option<String>,
}

impl Merged {
    /// Writes everything into `results`, a fresh folder.
    ///
    /// # Errors
    /// [`ReportError::Write`] of the first file that fails.
    pub fn write(&self, results: &mut ResultsDir) -> Result<(), ReportError> {
        if let Some(text) = &self.scenario {
            results.keep_scenario(text.clone());
        }
        results.append_runs(&self.runs)?;
        results.add_layers(&self.layers);
        results.add_messages(self.messages.clone());
        results.write_all(&self.summaries, &self.speedups, &self.manifest)
    }
}

/// Joins `parts`. With `allow_missing` shards and cells may be missing, which becomes a warning.
///
/// # Errors
/// Parts of different scenarios, a cell or shard twice, missing ones unless allowed, rows that the scenario does not have.
pub fn merge(parts: Vec<Part>, allow_missing: bool) -> Result<Merged, MergeError> {
    let first = parts.first().ok_or(MergeError::Nothing)?;
    for part in &parts[1..] {
        complete::same_scenario(first, part)?;
    }
    let outline = Outline::new(&first.manifest.scenario)
        .map_err(|message| MergeError::Scenario { folder: first.folder.clone(), message })?;
    let missing_shards = complete::missing_shards(&parts)?;
    let missing_cells = complete::missing_cells(&parts, &outline)?;
    let mut warnings = Vec::new();
    if let Some(missing) = missing_shards {
        if !allow_missing {
            return Err(MergeError::MissingShards { missing });
        }
        warnings.push(missing);
    }
    // Shards of a filtered run are complete without the cells that the filter left out.
    let filters = complete::common_filters(&parts);
    if let Some(missing) = missing_cells.as_ref().filter(|_| filters.is_none()) {
        if !allow_missing {
            return Err(MergeError::MissingCells { missing: missing.clone() });
        }
        warnings.push(missing.clone());
    }
    let selection = missing_cells.is_some().then(|| filters.unwrap_or_else(|| selections(&parts)));
    warnings.extend(machines::differences(&parts, outline.measures));
    let manifest = manifest(&parts, selection, warnings.clone());
    join(parts, &outline, manifest, warnings)
}

/// What the parts were asked for, together.
fn selections(parts: &[Part]) -> String {
    let selections =
        parts.iter().map(|part| part.manifest.selection.clone().unwrap_or_else(|| "all cells".to_string()));
    machines::distinct(selections).expect("there is a part")
}

fn manifest(parts: &[Part], selection: Option<String>, mut warnings: Vec<String>) -> Manifest {
    let manifests = || parts.iter().map(|part| &part.manifest);
    for text in manifests().flat_map(|manifest| &manifest.warnings) {
        if !warnings.contains(text) {
            warnings.push(text.clone());
        }
    }
    let first = &parts[0].manifest;
    let mut resumed_at: Vec<String> = manifests().flat_map(|manifest| manifest.resumed_at.clone()).collect();
    resumed_at.sort();
    Manifest {
        version: machines::distinct(manifests().map(|manifest| manifest.version.clone())).expect("there is a part"),
        git_commit: first.git_commit.clone().filter(|_| manifests().all(|other| other.git_commit == first.git_commit)),
        // All in UTC and of one length: in order as texts.
        started_at: manifests().map(|manifest| manifest.started_at.clone()).min().expect("there is a part"),
        finished_at: manifests().filter_map(|manifest| manifest.finished_at.clone()).max(),
        resumed_at,
        selection,
        shard: None,
        merged_from: parts.iter().map(|part| part.name.clone()).collect(),
        host: machines::common(parts),
        peak_rss_bytes: manifests().filter_map(|manifest| manifest.peak_rss_bytes).max(),
        warnings,
        ..first.clone()
    }
}

/// The rows in the order in which one run of all cells writes them.
fn join(
    mut parts: Vec<Part>,
    outline: &Outline,
    manifest: Manifest,
    warnings: Vec<String>,
) -> Result<Merged, MergeError> {
    let place = |cell: CellKey| outline.place(&cell).expect("checked with the cells");
    let scenario = parts.iter_mut().find_map(|part| part.scenario.take());
    let (mut runs, mut layers, mut messages) = (Vec::new(), Vec::new(), Vec::new());
    for part in parts {
        runs.extend(part.runs);
        layers.extend(part.layers);
        messages.extend(part.messages);
    }
    // Repetitions are interleaved over the protocols of a model and link.
    runs.sort_by_cached_key(|run| {
        let (model, link, protocol) = place(run.cell());
        (model, link, run.repetition, protocol, run.image)
    });
    layers.sort_by_cached_key(|layer| (place(layer.cell()), layer.layer));
    // Within a cell as they were: by phase and time. The first runs of a link's protocols follow one another.
    messages.sort_by_cached_key(|message| place(message.cell()));
    let summaries = summarize(&runs)?;
    let speedups = match &outline.comparison {
        Some(comparison) => speedups(&runs, comparison)?,
        None => Vec::new(),
    };
    Ok(Merged { runs, layers, messages, summaries, speedups, manifest, warnings, scenario })
}
