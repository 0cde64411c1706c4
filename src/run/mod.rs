//! From a scenario to records: every cell executed, repeated and measured.

mod layers;
mod measurement;

pub use layers::{LayerCost, layer_costs};
pub use measurement::{Measurement, PhaseMeasurement};
