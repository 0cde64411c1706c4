//! Keeps the trace of each cell's typical run.

use super::RunError;
use crate::link::{Trace, TraceHeader};
use crate::nn::secure::{Inference, Plan};
use crate::report::{ReportError, write_file};
use crate::units::Nanos;
use std::fs;
use std::path::{Path, PathBuf};

/// What the folder of traces is called, inside the results.
const FOLDER: &str = "traces";

/// Traces of the runs of every cell so far.
pub(super) struct Traces {
    folder: PathBuf,
    /// The cell, the online time, and the file's bytes.
    kept: Vec<(usize, Nanos, Vec<u8>)>,
    /// What is in the folder belongs to this run.
    ours: bool,
}

impl Traces {
    pub(super) fn new(results: &Path, resume: bool) -> Traces {
        Traces { folder: results.join(FOLDER), kept: Vec::new(), ours: resume }
    }

    pub(super) fn keep(&mut self, cell: usize, online: Nanos, header: TraceHeader, plan: &Plan, inference: &Inference) {
        let layers = plan.layers.iter().map(|layer| layer.name.clone()).collect();
        let events = inference.ledgers.each_ref().map(|ledger| ledger.events.clone());
        self.kept.push((cell, online, Trace { header: TraceHeader { layers, ..header }, events }.encode()));
    }

    /// Writes the trace of the run of `cell` with the median online time (of an even number the faster one) and forgets the
    /// others.
    pub(super) fn write(&mut self, cell: usize, name: &str) -> Result<(), RunError> {
        let (mut mine, others) =
            std::mem::take(&mut self.kept).into_iter().partition::<Vec<_>, _>(|(of, ..)| *of == cell);
        self.kept = others;
        mine.sort_by_key(|(_, online, _)| *online);
        let Some((_, _, bytes)) = mine.get(mine.len().saturating_sub(1) / 2) else {
            return Ok(());
        };
        let failed = |source| ReportError::Write { path: self.folder.clone(), source };
        if !self.ours {
            match fs::remove_dir_all(&self.folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error).into()),
                _ => self.ours = true,
            }
        }
        fs::create_dir_all(&self.folder).map_err(failed)?;
        Ok(write_file(&self.folder.join(format!("{name}.trace")), bytes)?)
    }
}
