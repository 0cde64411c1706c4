//! Symmetric primitives: blocks, seeded randomness, hashing, bit transposition. No communication.

mod block;
mod counter;
#[cfg(target_arch = "x86_64")]
mod counter_vaes;
pub mod dcf;
mod prg;
pub mod rekeyed;
#[cfg(target_arch = "x86_64")]
mod rekeyed_narrow;
#[cfg(target_arch = "x86_64")]
mod rekeyed_vaes;
pub mod row_words;
pub mod stream_sums;
mod transpose;

pub use block::Block;
pub use prg::{Prg, Seed};
pub use transpose::transpose;
