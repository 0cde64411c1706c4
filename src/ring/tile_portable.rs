//! Portable kernels: plain loops, the twins of the SIMD ones.

use super::conv::{LANES, Pass};
use super::linear::Kernels;

pub(super) static KERNELS: Kernels = Kernels { name: "portable", conv_pass, dense };

fn conv_pass(pass: &Pass<'_>, output: &mut [u64]) {
    let stride = pass.vectors * LANES;
    for pixel in 0..pass.pixels() {
        for vector in 0..pass.vectors {
            let mut sums = [0u64; LANES];
            for (i, tap) in pass.taps.clone().enumerate() {
                let weights = &pass.weights[i * pass.run * stride..][..pass.run * stride];
                for (x, weights) in pass.row(pixel, tap).iter().zip(weights.chunks_exact(stride)) {
                    for (sum, w) in sums.iter_mut().zip(&weights[vector * LANES..]) {
                        *sum = sum.wrapping_add(x.wrapping_mul(*w));
                    }
                }
            }
            pass.store(output, pixel, vector, &sums);
        }
    }
}

fn dense(weights: &[u64], input: &[u64], output: &mut [u64]) {
    for (o, out) in output.iter_mut().enumerate() {
        let row = &weights[o * input.len()..][..input.len()];
        *out = row.iter().zip(input).fold(0, |sum, (w, x)| sum.wrapping_add(w.wrapping_mul(*x)));
    }
}
