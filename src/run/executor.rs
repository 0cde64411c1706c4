//! Where the parties of an execution are: in this process, or elsewhere (`remote`).

use super::RunError;
use super::records::CellNames;
use crate::nn::secure::{Inference, Query, infer};

/// Which execution of a scenario.
pub(super) struct Place<'a> {
    pub names: &'a CellNames,
    pub round: u32,
    pub image: usize,
}

/// Where the parties of an execution are.
pub(super) trait Executor {
    fn execute(&self, place: &Place, query: &Query) -> Result<Inference, RunError>;
}

/// All of them in this process.
pub(super) struct Local;

impl Executor for Local {
    fn execute(&self, place: &Place, query: &Query) -> Result<Inference, RunError> {
        infer(query).map_err(|failure| RunError::cell(place.names.to_string(), failure))
    }
}
