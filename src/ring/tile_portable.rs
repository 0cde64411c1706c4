//! Portable kernels: plain loops, the twins of the SIMD ones.

use super::conv::{LANES, Pass};
use super::linear::Kernels;
use super::words::{Word, WordSlice, with_width};

pub(super) static KERNELS: Kernels = Kernels { name: "portable", conv_pass, dense };

fn conv_pass(pass: &Pass<'_>, output: &mut [u64]) {
    with_width!(pass.weights, weights => all_pixels(pass, weights, output));
}

fn all_pixels<W: Word>(pass: &Pass<'_>, weights: &[W], output: &mut [u64]) {
    let stride = pass.vectors * LANES;
    for pixel in 0..pass.pixels() {
        for vector in 0..pass.vectors {
            let mut sums = [0u64; LANES];
            for (i, tap) in pass.taps.clone().enumerate() {
                let weights = &weights[i * pass.run * stride..][..pass.run * stride];
                for (x, weights) in pass.row(pixel, tap).iter().zip(weights.chunks_exact(stride)) {
                    for (sum, w) in sums.iter_mut().zip(&weights[vector * LANES..]) {
                        *sum = sum.wrapping_add(x.wrapping_mul(w.widen()));
                    }
                }
            }
            pass.store(output, pixel, vector, &sums);
        }
    }
}

fn dense(weights: WordSlice<'_>, input: &[u64], output: &mut [u64]) {
    with_width!(weights, weights => dots(weights, input, output));
}

fn dots<W: Word>(weights: &[W], input: &[u64], output: &mut [u64]) {
    for (o, out) in output.iter_mut().enumerate() {
        let row = &weights[o * input.len()..][..input.len()];
        *out = row.iter().zip(input).fold(0, |sum, (w, x)| sum.wrapping_add(w.widen().wrapping_mul(*x)));
    }
}
