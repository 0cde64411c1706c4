//! Symmetric primitives: blocks, seeded randomness, bit transposition. No communication.

mod block;
mod prg;
mod transpose;

pub use block::Block;
pub use prg::{Prg, Seed};
pub use transpose::transpose;
