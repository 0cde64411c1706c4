//! Symmetric primitives: blocks and seeded randomness. No communication.

mod block;
mod prg;
pub mod rekeyed;
#[cfg(target_arch = "x86_64")]
mod rekeyed_aesni;
#[cfg(target_arch = "x86_64")]
mod rekeyed_vaes;

pub use block::Block;
pub use prg::{Prg, Seed};
