//! Garbled circuits as pure functions: Boolean circuits, half-gates, three halves, no communication.

pub mod circuit;
mod half_gates;
mod instances;
mod projection;
mod relu;
mod three_halves;

pub use circuit::Circuit;
pub use half_gates::HalfGates;
pub use instances::{AndGate, Garbling, Scheme};
pub use projection::Projection;
pub use relu::relu_circuit;
pub use three_halves::ThreeHalves;
