//! Garbled circuits as pure functions: Boolean circuits, half-gates, no communication.

pub mod circuit;
mod half_gates;
mod projection;
mod relu;

pub use circuit::Circuit;
pub use half_gates::{Garbling, TABLE_BYTES};
pub use projection::Projection;
pub use relu::relu_circuit;
