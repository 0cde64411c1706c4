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
pub(crate) use deal::deal;
pub use execute::{Inference, Query, infer};
pub(crate) use execute::{Resources, ask, serve};
pub use lower::{lower, lower_batch, lower_whole};
pub use plan::{LayerInfo, Method, Plan, PlanError, Slot};
pub use server_weights::ServerWeights;
