//! Two-party protocols.

mod function;
pub mod ot;

pub use function::{Function, Polynomial};
