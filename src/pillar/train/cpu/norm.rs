//! Batch norm of `f32` on the processor: statistics over a batch, and the gradient through them.
//!
//! Ioffe and Szegedy, *Batch Normalization*, ICML 2015, section 3. Tensors are `[pixel][channel]`, the pixels of all
//! images one after the other. Sums run over one image in f32 and over images in f64, in order.

use multiversion::multiversion;
use rayon::prelude::*;

/// Channels of a block.
const LANES: usize = 16;

/// Mean and variance (of the batch itself, not of what it is drawn from) per channel.
pub(super) fn moments(input: &[f32], images: usize, channels: usize) -> (Vec<f32>, Vec<f32>) {
    let sums = products(input, input, images, channels);
    let count = (input.len() / channels) as f64;
    let mean: Vec<f64> = sums.iter().map(|[sum, _]| sum / count).collect();
    let variance = sums.iter().zip(&mean).map(|([_, squares], mean)| (squares / count - mean * mean).max(0.0) as f32);
    let variance = variance.collect();
    (mean.into_iter().map(|mean| mean as f32).collect(), variance)
}

/// `output = input * scale + shift` per channel.
pub(super) fn affine(input: &[f32], scale: &[f32], shift: &[f32], images: usize, output: &mut [f32]) {
    let part = input.len() / images;
    let images = output.par_chunks_mut(part).zip(input.par_chunks(part));
    images.for_each(|(output, input)| affine_image(input, scale, shift, output));
}

/// What the backward pass of batch norm yields.
pub(super) struct Gradients {
    /// With respect to the scale.
    pub gamma: Vec<f32>,
    /// With respect to the shift.
    pub beta: Vec<f32>,
}

/// Replaces `gradient`, `dL/dy`, by `dL/dx`; `inverse` is `1 / sqrt(variance + eps)`.
pub(super) fn backward(
    input: &[f32],
    gamma: &[f32],
    mean: &[f32],
    inverse: &[f32],
    images: usize,
    gradient: &mut [f32],
) -> Gradients {
    let channels = gamma.len();
    let count = (input.len() / channels) as f64;
    let sums = products(gradient, input, images, channels);
    let (mut d_gamma, mut d_beta) = (Vec::new(), Vec::new());
    // dx = gamma inverse (dy - mean(dy) - x^ mean(dy x^)) = a dy + b x + c, x^ being (x - mean) inverse.
    let (mut a, mut b, mut c) = (Vec::new(), Vec::new(), Vec::new());
    for (channel, [sum, product]) in sums.into_iter().enumerate() {
        let (mean, inverse) = (f64::from(mean[channel]), f64::from(inverse[channel]));
        let normalised = (product - mean * sum) * inverse;
        let scale = f64::from(gamma[channel]) * inverse;
        let slope = -scale * inverse * normalised / count;
        a.push(scale as f32);
        b.push(slope as f32);
        c.push((-scale * sum / count - slope * mean) as f32);
        d_gamma.push(normalised as f32);
        d_beta.push(sum as f32);
    }
    let part = input.len() / images;
    let images = gradient.par_chunks_mut(part).zip(input.par_chunks(part));
    images.for_each(|(gradient, input)| combine_image(input, [&a, &b, &c], gradient));
    Gradients { gamma: d_gamma, beta: d_beta }
}

/// Sum per channel.
pub(super) fn sums(values: &[f32], images: usize, channels: usize) -> Vec<f32> {
    products(values, values, images, channels).into_iter().map(|[sum, _]| sum as f32).collect()
}

/// Sums of `a` and of `a * b` per channel.
fn products(a: &[f32], b: &[f32], images: usize, channels: usize) -> Vec<[f64; 2]> {
    let part = a.len() / images;
    let per_image = a.par_chunks(part).zip(b.par_chunks(part)).map(|(a, b)| {
        let mut sums = vec![[0.0; 2]; channels];
        products_image(a, b, &mut sums);
        sums
    });
    let per_image: Vec<Vec<[f32; 2]>> = per_image.collect();
    let mut total = vec![[0.0; 2]; channels];
    for image in per_image {
        for (total, sums) in total.iter_mut().zip(image) {
            total[0] += f64::from(sums[0]);
            total[1] += f64::from(sums[1]);
        }
    }
    total
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma", "aarch64+neon"))]
fn products_image(a: &[f32], b: &[f32], sums: &mut [[f32; 2]]) {
    let channels = sums.len();
    for (block, sums) in sums.chunks_mut(LANES).enumerate() {
        let (mut sum, mut product) = ([0.0f32; LANES], [0.0f32; LANES]);
        if sums.len() == LANES {
            for (a, b) in a.chunks_exact(channels).zip(b.chunks_exact(channels)) {
                let a: &[f32; LANES] = a[block * LANES..].first_chunk().expect("a whole block");
                let b: &[f32; LANES] = b[block * LANES..].first_chunk().expect("a whole block");
                for lane in 0..LANES {
                    sum[lane] += a[lane];
                    product[lane] += a[lane] * b[lane];
                }
            }
        } else {
            for (a, b) in a.chunks_exact(channels).zip(b.chunks_exact(channels)) {
                for lane in 0..sums.len() {
                    sum[lane] += a[block * LANES + lane];
                    product[lane] += a[block * LANES + lane] * b[block * LANES + lane];
                }
            }
        }
        for (lane, sums) in sums.iter_mut().enumerate() {
            *sums = [sum[lane], product[lane]];
        }
    }
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma", "aarch64+neon"))]
fn affine_image(input: &[f32], scale: &[f32], shift: &[f32], output: &mut [f32]) {
    let channels = scale.len();
    for (output, input) in output.chunks_exact_mut(channels).zip(input.chunks_exact(channels)) {
        for (((y, x), scale), shift) in output.iter_mut().zip(input).zip(scale).zip(shift) {
            *y = x * scale + shift;
        }
    }
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma", "aarch64+neon"))]
fn combine_image(input: &[f32], [a, b, c]: [&[f32]; 3], gradient: &mut [f32]) {
    let channels = a.len();
    let (a, b, c) = (&a[..channels], &b[..channels], &c[..channels]);
    for (gradient, input) in gradient.chunks_exact_mut(channels).zip(input.chunks_exact(channels)) {
        for channel in 0..channels {
            gradient[channel] = a[channel] * gradient[channel] + b[channel] * input[channel] + c[channel];
        }
    }
}
