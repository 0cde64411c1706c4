//! Two-party protocols.

mod function;
pub mod garble;

pub use function::{Function, Polynomial};
