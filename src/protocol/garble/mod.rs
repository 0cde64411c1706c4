//! Garbled circuits as pure functions: Boolean circuits, half-gates, three halves, no communication.

pub mod circuit;
mod half_gates;
mod instances;
mod relu;
mod three_halves;

pub use circuit::Circuit;
pub use half_gates::{HalfGates, TABLE_BYTES};
pub use instances::{AndGate, Garbling, Scheme};
pub use relu::relu_circuit;
pub use three_halves::ThreeHalves;
