//! From a scenario to records: every cell executed, repeated and measured.

mod catalogue;
mod engine;
mod error;
mod layers;
mod measurement;
mod prepare;
mod records;
mod reference;

pub use catalogue::{catalogue, cpu_features};
pub use engine::{Observer, Outcome, run};
pub use error::RunError;
pub use layers::{LayerCost, layer_costs};
pub use measurement::{Measurement, PhaseMeasurement};
pub use prepare::{Prepared, prepare};
