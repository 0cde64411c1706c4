//! Activations of `f32` on the processor, with PILLAR's clipping, penalty and range records in the same pass.

use multiversion::multiversion;
use rayon::prelude::*;

use super::super::backend::{ActivationSpec, Curve};

const LANES: usize = 16;

/// What one pass saw, over the whole batch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Seen {
    /// Sum of `|x / reg_range|^power`; 0 without a penalty.
    pub penalty: f64,
    /// Pre-activations beyond the range.
    pub outside: u64,
    /// The largest magnitude; infinite if one was NaN.
    pub max_abs: f32,
}

/// `output = P(clip(input))`, or ReLU.
pub(super) fn forward(spec: &ActivationSpec, input: &[f32], images: usize, output: &mut [f32]) -> Seen {
    let part = input.len() / images;
    let images = output.par_chunks_mut(part).zip(input.par_chunks(part));
    let seen: Vec<Seen> = images.map(|(output, input)| forward_image(spec, input, output)).collect();
    seen.into_iter().fold(Seen::default(), |sum, image| Seen {
        penalty: sum.penalty + image.penalty,
        outside: sum.outside + image.outside,
        max_abs: sum.max_abs.max(image.max_abs),
    })
}

/// Replaces `gradient`, `dL/dy`, by `dL/dx`, to which it adds the gradient of the weighted penalty of a batch of `images`.
pub(super) fn backward(spec: &ActivationSpec, input: &[f32], images: usize, gradient: &mut [f32]) {
    let part = input.len() / images;
    // d/dx of weight / images * (x / r)^e.
    let slope = spec.penalty.map_or(0.0, |penalty| {
        penalty.weight * f64::from(penalty.power) / (penalty.range * images as f64)
    });
    let images = gradient.par_chunks_mut(part).zip(input.par_chunks(part));
    images.for_each(|(gradient, input)| backward_image(spec, slope as f32, input, gradient));
}

/// `LANES` numbers at a time; the last ones are filled up with zeros.
#[inline(always)]
fn blocks(input: &[f32]) -> impl Iterator<Item = [f32; LANES]> {
    let (whole, rest) = input.as_chunks::<LANES>();
    let mut last = [0.0; LANES];
    last[..rest.len()].copy_from_slice(rest);
    whole.iter().copied().chain((!rest.is_empty()).then_some(last))
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma", "aarch64+neon"))]
fn forward_image(spec: &ActivationSpec, input: &[f32], output: &mut [f32]) -> Seen {
    let range = spec.range;
    let clip = if spec.clip { range } else { f32::INFINITY };
    let (half, inverse) = spec.penalty.map_or((0, 0.0), |p| (p.power / 2, (1.0 / p.range) as f32));
    let (mut penalty, mut outside, mut max) = ([0.0f32; LANES], [0u32; LANES], [0.0f32; LANES]);
    let mut nan = false;
    for (x, output) in blocks(input).zip(output.chunks_mut(LANES)) {
        let mut magnitude = [0.0; LANES];
        for lane in 0..LANES {
            magnitude[lane] = x[lane].abs();
            max[lane] = if magnitude[lane] > max[lane] { magnitude[lane] } else { max[lane] };
            outside[lane] += u32::from(magnitude[lane] > range);
            nan |= x[lane].is_nan();
        }
        if half > 0 {
            let mut power = [1.0; LANES];
            for _ in 0..half {
                for lane in 0..LANES {
                    let scaled = magnitude[lane] * inverse;
                    power[lane] *= scaled * scaled;
                }
            }
            for lane in 0..LANES {
                penalty[lane] += power[lane];
            }
        }
        let mut y = [0.0; LANES];
        match &spec.curve {
            Curve::Relu => {
                for lane in 0..LANES {
                    // Unlike `max`, keeps NaN.
                    y[lane] = if x[lane] < 0.0 { 0.0 } else { x[lane] };
                }
            }
            Curve::Polynomial { coefficients, .. } => {
                let clipped = x.map(|x| x.clamp(-clip, clip));
                for &c in coefficients.iter().rev() {
                    for lane in 0..LANES {
                        y[lane] = y[lane] * clipped[lane] + c;
                    }
                }
            }
        }
        output.copy_from_slice(&y[..output.len()]);
    }
    let largest = max.into_iter().fold(0.0, f32::max);
    Seen {
        penalty: if half > 0 { penalty.iter().map(|&p| f64::from(p)).sum() } else { 0.0 },
        outside: outside.iter().map(|&count| u64::from(count)).sum(),
        max_abs: if nan { f32::INFINITY } else { largest },
    }
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma", "aarch64+neon"))]
fn backward_image(spec: &ActivationSpec, slope: f32, input: &[f32], gradient: &mut [f32]) {
    let clip = if spec.clip { spec.range } else { f32::INFINITY };
    let (half, inverse) = spec.penalty.map_or((0, 0.0), |p| (p.power / 2, (1.0 / p.range) as f32));
    for (x, gradient) in blocks(input).zip(gradient.chunks_mut(LANES)) {
        let mut slopes = [0.0; LANES];
        match &spec.curve {
            Curve::Relu => {
                for lane in 0..LANES {
                    slopes[lane] = if x[lane] > 0.0 { 1.0 } else { 0.0 };
                }
            }
            Curve::Polynomial { derivative, .. } => {
                for &c in derivative.iter().rev() {
                    for lane in 0..LANES {
                        slopes[lane] = slopes[lane] * x[lane] + c;
                    }
                }
                for lane in 0..LANES {
                    slopes[lane] = if x[lane].abs() > clip { 0.0 } else { slopes[lane] };
                }
            }
        }
        let mut result = [0.0; LANES];
        result[..gradient.len()].copy_from_slice(gradient);
        for lane in 0..LANES {
            result[lane] *= slopes[lane];
        }
        if half > 0 {
            // (x / r)^(e - 1): the sign of x, and one factor less than above.
            let mut power = [slope; LANES];
            for lane in 0..LANES {
                power[lane] *= x[lane] * inverse;
            }
            for _ in 1..half {
                for lane in 0..LANES {
                    let scaled = x[lane] * inverse;
                    power[lane] *= scaled * scaled;
                }
            }
            for lane in 0..LANES {
                result[lane] += power[lane];
            }
        }
        gradient.copy_from_slice(&result[..gradient.len()]);
    }
}
