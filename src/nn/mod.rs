//! Networks: graphs, import, reference, and the secure executor.

pub mod arch;
pub mod builder;
pub mod data;
mod dataset;
pub mod error;
pub mod graph;
pub mod onnx;
pub mod plain;
pub mod random;
pub mod safetensors;
pub mod secure;
pub(crate) mod seeded;
mod trained;
mod validate;
pub mod weights;

pub use error::NnError;
