//! What can go wrong with results.

use super::record::CellKey;
use std::{io, path::PathBuf};

/// Bad records, or a results folder that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The results folder cannot be created, or nothing can be written into it.
    #[error("{}: cannot use this as a results folder: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file could not be written; what it held before is untouched.
    #[error("{}: cannot write: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file could not be read.
    #[error("{}: cannot read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not follow the schema.
    #[error("{}:{line}: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1; the header is line 1.
        line: u64,
        /// What was expected and what was found.
        message: String,
    },
    /// A folder without results, neither in itself nor in the folders directly in it.
    #[error("{}: no results here: there is no manifest.json in it or in its folders; name a folder that `longhaul run` wrote", path.display())]
    NoResults {
        /// The folder.
        path: PathBuf,
    },
    /// A column that must be the same in every repetition of a cell is not.
    #[error(
        "{cell}: {column} must be the same in every repetition, \
         but repetition {repetition} of image {image} has {actual} where the first run had {expected}"
    )]
    NotConstant {
        /// The cell.
        cell: Box<CellKey>,
        /// The column of `runs.csv`.
        column: &'static str,
        /// Repetition of the deviating run.
        repetition: u32,
        /// Image of the deviating run.
        image: u32,
        /// The value of the cell's first run.
        expected: u64,
        /// The deviating value.
        actual: u64,
    },
    /// Two runs of a cell have the same repetition and image.
    #[error("{cell}: repetition {repetition} of image {image} appears twice")]
    DuplicateRun {
        /// The cell.
        cell: Box<CellKey>,
        /// The repetition.
        repetition: u32,
        /// The image.
        image: u32,
    },
}
