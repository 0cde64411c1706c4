//! Symmetric primitives: blocks and seeded randomness. No communication.

mod block;
mod prg;

pub use block::Block;
pub use prg::{Prg, Seed};
