//! Z_2^64 and Z_2^128: fixed point, shares, and the linear kernels.

mod shape;

pub use shape::{ConvShape, LinearShape};
