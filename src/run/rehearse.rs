//! One execution of one cell with computing free: what the cell does, message by message, and nothing that varies.

use super::links::link_config;
use super::prepare::Prepared;
use super::records::{CellNames, message_records};
use super::{Measurement, PhaseMeasurement, RunError};
use crate::crypto::Seed;
use crate::link::{ClockMode, ComputeMode, LinkConfig};
use crate::nn::secure::{Query, infer};
use crate::report::MessageRecord;
use crate::scenario::Link;
use tokio_util::sync::CancellationToken;

/// What one execution of a cell did.
pub struct Rehearsal<'a> {
    /// The link it ran over.
    pub link: &'a Link,
    /// By [`crate::link::Phase`]: setup, offline, online; times are floors.
    pub phases: [PhaseMeasurement; 3],
    /// Every message, by phase and time.
    pub messages: Vec<MessageRecord>,
}

impl<'a> Prepared<'a> {
    /// Runs the first selected cell once, on its first image, under the virtual clock with computing free.
    ///
    /// # Errors
    /// The execution's failure.
    ///
    /// # Panics
    /// If no cell is selected.
    pub fn rehearse(&self, cancel: &CancellationToken) -> Result<Rehearsal<'a>, RunError> {
        let model = self.models.first().expect("a cell is selected");
        let unit = model.units.first().expect("a model that runs has a unit");
        let prepared = &model.protocols[unit.protocols[0]];
        let names = CellNames::new(self.scenario, model, prepared, unit.link);
        let link = LinkConfig {
            clock: ClockMode::Virtual,
            compute: ComputeMode::None,
            ..link_config(self.scenario, unit.link, cancel)
        };
        let query = Query {
            plan: &prepared.plan,
            weights: &model.variants[prepared.variant].weights,
            image: &model.images[0].pixels,
            link: &link,
            seed: Seed::from_u64(self.scenario.seed).derive(&format!("{names} / rehearsal")),
            material_bytes: self.scenario.memory.material.0,
            audit: None,
        };
        let inference = infer(&query).map_err(|failure| RunError::cell(names.to_string(), failure))?;
        let measurement = Measurement::new(&prepared.plan, &inference);
        let messages = message_records(&names, &prepared.plan.layers, &measurement);
        Ok(Rehearsal { link: unit.link, phases: measurement.phases, messages })
    }
}
