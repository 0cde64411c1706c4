//! Secure execution of a network: lowered to a plan of steps, which each of the three parties walks.

mod audit;
mod client;
mod deal;
mod execute;
mod local;
mod lower;
mod max_pool;
mod plan;
mod predict;
mod server;
mod server_weights;
mod stream;
mod walk;

pub use audit::Audit;
pub use execute::{Inference, Query, infer};
pub use lower::{lower, lower_batch, lower_whole};
pub use plan::{LayerInfo, Method, Plan, PlanError, Slot};
pub use server_weights::ServerWeights;
