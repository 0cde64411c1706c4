//! Secure execution of a network: lowered to a plan of steps, which each of the three parties walks.

mod audit;
mod execute;
mod local;
mod max_pool;
mod plan;

pub use audit::Audit;
pub use execute::{Inference, Query, infer};
pub use plan::{LayerInfo, Plan, PlanError, ServerWeights, lower};
