//! Why results cannot be joined.

use crate::report::{CellKey, ReportError};
use std::path::PathBuf;

/// Results that cannot be joined, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// A file cannot be read, or the joined rows contradict each other.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// No folder was named.
    #[error("there is nothing to merge; name the folders that `longhaul run` wrote")]
    Nothing,
    /// Not a results folder.
    #[error("{}: holds no results (there is no manifest.json); name folders that `longhaul run` wrote", folder.display())]
    NoResults {
        /// The folder.
        folder: PathBuf,
    },
    /// Written by a version whose columns mean something else.
    #[error("{}: its files follow version {actual} of the schema, this program version {expected}; merge with the version that wrote them", folder.display())]
    OtherSchema {
        /// The folder.
        folder: PathBuf,
        /// What this version writes.
        expected: u32,
        /// What the folder holds.
        actual: u32,
    },
    /// The manifest's scenario is not one.
    #[error("{}: the scenario in manifest.json cannot be read: {message}", folder.display())]
    Scenario {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A run that goes on, or was interrupted.
    #[error("{}: its run is not finished; wait for it, or finish it with the same command and --resume", folder.display())]
    Unfinished {
        /// The folder.
        folder: PathBuf,
    },
    /// Two folders of different scenarios.
    #[error("{} ran another scenario than {}: {difference} there; merge results of one scenario only", second.display(), first.display())]
    OtherScenario {
        /// The first folder.
        first: PathBuf,
        /// The folder that does not fit it.
        second: PathBuf,
        /// The first key that differs, with both values.
        difference: String,
    },
    /// A row of a cell that the scenario does not have.
    #[error("{}: the cell {cell} is not in the scenario of its manifest.json; the files do not belong together", folder.display())]
    UnknownCell {
        /// The folder.
        folder: PathBuf,
        /// The cell.
        cell: Box<CellKey>,
    },
    /// One shard in two folders.
    #[error("shard {shard} is there twice, in {} and in {}; leave one out", first.display(), second.display())]
    SameShard {
        /// The shard, as `2/5`.
        shard: String,
        /// The first folder with it.
        first: PathBuf,
        /// The second one.
        second: PathBuf,
    },
    /// One cell in two folders.
    #[error("the cell {cell} is there twice, in {} and in {}; leave one folder out", first.display(), second.display())]
    SameCell {
        /// The cell.
        cell: Box<CellKey>,
        /// The first folder with it.
        first: PathBuf,
        /// The second one.
        second: PathBuf,
    },
    /// Not all shards are there.
    #[error("{missing}; run what is missing, or add --allow-missing")]
    MissingShards {
        /// Which, of how many.
        missing: String,
    },
    /// Not all cells of the scenario are there.
    #[error("{missing}; run what is missing, or add --allow-missing")]
    MissingCells {
        /// Which, of how many.
        missing: String,
    },
}
