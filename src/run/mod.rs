//! From a scenario to records: every cell executed, repeated and measured.

mod accuracy;
mod calibrate;
mod catalogue;
mod engine;
mod error;
mod forecast;
mod journal;
mod layers;
mod links;
mod measurement;
mod predict;
mod prepare;
mod records;
mod reference;
mod rehearse;
mod remote;
mod selection;
mod shard;
mod sweep;
mod traces;

pub use accuracy::{AccuracyOptions, accuracy};
pub use catalogue::{catalogue, cpu_features};
pub use engine::{Observer, Outcome, RunOptions, Stage, run};
pub use error::RunError;
pub use journal::unfinished;
pub use layers::{LayerCost, layer_costs};
pub use links::directions;
pub use measurement::{Measurement, PhaseMeasurement};
pub use predict::CellPrediction;
pub use prepare::{Part, Prepared, prepare};
pub use records::CellTimes;
pub use rehearse::Rehearsal;
pub use remote::{Probe, QueryOptions, ServiceOptions, Waits, deal, probe, query, serve};
pub use selection::{Filter, Selection, Unit};
pub use shard::Shard;
pub use sweep::{Condition, ConditionTimes, SweepOptions, sweep};
