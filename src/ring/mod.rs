//! Z_2^64 and wider rings: fixed point, shares, and the linear kernels.

mod conv;
mod fixed;
mod linear;
mod scheme;
mod shape;
mod short;
#[cfg(target_arch = "x86_64")]
mod tile_avx2;
#[cfg(target_arch = "x86_64")]
mod tile_avx512;
mod tile_portable;
mod wide;
mod words;

pub use fixed::{decode, decode_slice, encode, encode_slice};
pub use linear::{PackedWeights, Product};
pub use shape::{ConvShape, LinearShape};
pub use wide::Wide;
pub use words::Words;
