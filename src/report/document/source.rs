//! Results folders, read.

use crate::report::manifest::Manifest;
use crate::report::write::{read_manifest, read_records};
use crate::report::{
    LayerRecord, MessageRecord, Record, ReportError, RunRecord, SpeedupRecord, SummaryRecord, summarize,
};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// The results of one folder.
#[derive(Clone, Debug)]
pub struct Source {
    /// The folder as the user named it.
    pub name: String,
    /// Its manifest.
    pub manifest: Manifest,
    /// A row per cell.
    pub summaries: Vec<SummaryRecord>,
    /// A row per model, link and baseline.
    pub speedups: Vec<SpeedupRecord>,
    /// A row per layer of each cell; may be missing.
    pub layers: Vec<LayerRecord>,
    /// The messages of an inference of each cell; may be missing.
    pub messages: Vec<MessageRecord>,
    /// Text of the scenario file, if the run kept it.
    pub scenario: Option<String>,
}

/// The results folders that `folder` stands for: itself, or those directly in it.
///
/// # Errors
/// [`ReportError::NoResults`] if there are none, [`ReportError::Read`] if it cannot be listed.
pub fn find_folders(folder: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let holds_results = |folder: &Path| folder.join("manifest.json").is_file();
    if holds_results(folder) {
        return Ok(vec![folder.to_owned()]);
    }
    let failed = |source| ReportError::Read { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if holds_results(&path) {
            found.push(path);
        }
    }
    found.sort();
    match found.is_empty() {
        true => Err(ReportError::NoResults { path: folder.to_owned() }),
        false => Ok(found),
    }
}

/// Reads each of `folders`. A manifest and either a summary or runs must be there; all else may be missing.
///
/// # Errors
/// [`ReportError`] of the first file that cannot be read.
pub fn read_sources(folders: &[PathBuf]) -> Result<Vec<Source>, ReportError> {
    folders.iter().map(|folder| read_source(folder)).collect()
}

fn read_source(folder: &Path) -> Result<Source, ReportError> {
    let manifest = read_manifest(folder.join("manifest.json"))?;
    // An interrupted run has runs, and a summary only if it was stopped cleanly.
    let summaries = match folder.join(SummaryRecord::FILE).is_file() {
        true => read_records(folder.join(SummaryRecord::FILE))?,
        false => summarize(&read_records::<RunRecord>(folder.join(RunRecord::FILE))?)?,
    };
    Ok(Source {
        name: folder.display().to_string(),
        manifest,
        summaries,
        speedups: read_if_present(folder)?,
        layers: read_if_present(folder)?,
        messages: read_if_present(folder)?,
        scenario: std::fs::read_to_string(folder.join("scenario.toml")).ok(),
    })
}

fn read_if_present<R: Record>(folder: &Path) -> Result<Vec<R>, ReportError> {
    let path = folder.join(R::FILE);
    if path.is_file() { read_records(path) } else { Ok(Vec::new()) }
}

/// Where a cell is in two folders, for example before and after a change, the folders' names take the place of the
/// scenarios' names.
pub(super) fn tell_apart(sources: &mut [Source]) {
    let mut seen = HashSet::new();
    let twice = sources.iter().flat_map(|source| &source.summaries).any(|summary| !seen.insert(summary.cell()));
    if !twice {
        return;
    }
    for source in sources {
        let name = &source.name;
        source.summaries.iter_mut().for_each(|row| row.scenario.clone_from(name));
        source.speedups.iter_mut().for_each(|row| row.scenario.clone_from(name));
        source.layers.iter_mut().for_each(|row| row.scenario.clone_from(name));
        source.messages.iter_mut().for_each(|row| row.scenario.clone_from(name));
    }
}
