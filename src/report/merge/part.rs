//! What is merged: the results in one folder.

use super::MergeError;
use crate::report::{
    LayerRecord, Manifest, MessageRecord, Record, RunRecord, SCHEMA_VERSION, read_manifest, read_records, read_runs,
};
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The results in one folder.
#[derive(Clone, Debug)]
pub struct Part {
    /// The folder, as the user named it.
    pub folder: PathBuf,
    /// What the merged manifest calls it.
    pub name: String,
    /// Its manifest.
    pub manifest: Manifest,
    /// Its runs.
    pub runs: Vec<RunRecord>,
    /// Its layers.
    pub layers: Vec<LayerRecord>,
    /// Its messages; none in results of versions that did not write any.
    pub messages: Vec<MessageRecord>,
    /// Text of the scenario file, if it was kept.
    pub scenario: Option<String>,
}

/// Reads results folders; each is called by as much of its path as tells it from the others.
///
/// # Errors
/// A folder without results, or a file that cannot be read.
pub fn read_parts(folders: &[PathBuf]) -> Result<Vec<Part>, MergeError> {
    let names = short_names(folders);
    folders.iter().zip(names).map(|(folder, name)| Part::read(folder, name)).collect()
}

/// The fewest last components that tell the folders apart: results may be moved, and a merged manifest need not tell where
/// a machine keeps them.
fn short_names(folders: &[PathBuf]) -> Vec<String> {
    let whole: Vec<PathBuf> =
        folders.iter().map(|folder| folder.canonicalize().unwrap_or_else(|_| folder.clone())).collect();
    let longest = whole.iter().map(|path| path.components().count()).max().unwrap_or(0);
    let ends = |length: usize| -> Vec<String> {
        let end = |path: &PathBuf| {
            let parts: Vec<_> = path.iter().collect();
            parts[parts.len().saturating_sub(length)..].iter().collect::<PathBuf>().display().to_string()
        };
        whole.iter().map(end).collect()
    };
    let distinct = |names: &Vec<String>| names.iter().collect::<HashSet<_>>().len() == names.len();
    (1..=longest).map(ends).find(distinct).unwrap_or_else(|| ends(1))
}

impl Part {
    fn read(folder: &Path, name: String) -> Result<Part, MergeError> {
        let path = folder.join("manifest.json");
        if !path.exists() {
            return Err(MergeError::NoResults { folder: folder.to_owned() });
        }
        let manifest = read_manifest(path)?;
        if manifest.schema_version != SCHEMA_VERSION {
            let (expected, actual) = (SCHEMA_VERSION, manifest.schema_version);
            return Err(MergeError::OtherSchema { folder: folder.to_owned(), expected, actual });
        }
        if manifest.finished_at.is_none() {
            return Err(MergeError::Unfinished { folder: folder.to_owned() });
        }
        let messages = folder.join(MessageRecord::FILE);
        Ok(Part {
            runs: read_runs(folder.join(RunRecord::FILE))?,
            layers: read_records(folder.join(LayerRecord::FILE))?,
            messages: if messages.exists() { read_records(messages)? } else { Vec::new() },
            scenario: fs::read_to_string(folder.join("scenario.toml")).ok(),
            folder: folder.to_owned(),
            name,
            manifest,
        })
    }

    /// The selection without the shard: what the shards of one run have in common.
    pub(super) fn filters(&self) -> String {
        let selection = self.manifest.selection.as_deref().unwrap_or_default();
        match self.manifest.shard {
            Some(shard) => {
                let shard = format!("--shard {}/{}", shard.index, shard.count);
                selection.strip_suffix(&shard).unwrap_or(selection).trim_end().to_string()
            }
            None => selection.to_string(),
        }
    }
}
