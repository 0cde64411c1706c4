//! Activations of `f32` on the processor, with PILLAR's clipping, penalty and range records in the same pass.
#![allow(clippy::needless_range_loop, reason = "loops over lanes become vector instructions as they stand")]

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
    let slope =
        spec.penalty.map_or(0.0, |penalty| penalty.weight * f64::from(penalty.power) / (penalty.range * images as f64));
    let images = gradient.par_chunks_mut(part).zip(input.par_chunks(part));
    images.for_each(|(gradient, input)| backward_image(spec, slope as f32, input, gradient));
}

/// What one vector of lanes saw.
#[derive(Clone, Copy)]
struct Lanes {
    penalty: [f32; LANES],
    outside: [u32; LANES],
    max: [f32; LANES],
    nan: [u32; LANES],
}

/// The numbers of a spec that the loops need.
#[derive(Clone, Copy)]
struct Constants {
    range: f32,
    clip: f32,
    /// Half the exponent of the penalty, 0 for none.
    half: u32,
    /// `1 / reg_range`.
    inverse: f32,
}

impl Constants {
    fn of(spec: &ActivationSpec) -> Constants {
        let clip = if spec.clip { spec.range } else { f32::INFINITY };
        let (half, inverse) = spec.penalty.map_or((0, 0.0), |p| (p.power / 2, (1.0 / p.range) as f32));
        Constants { range: spec.range, clip, half, inverse }
    }
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma", "aarch64+neon"))]
fn forward_image(spec: &ActivationSpec, input: &[f32], output: &mut [f32]) -> Seen {
    let constants = Constants::of(spec);
    let mut lanes = Lanes { penalty: [0.0; LANES], outside: [0; LANES], max: [0.0; LANES], nan: [0; LANES] };
    let (whole, rest) = input.as_chunks::<LANES>();
    let (outputs, last) = output.as_chunks_mut::<LANES>();
    for (x, y) in whole.iter().zip(outputs) {
        see(constants, x, &mut lanes);
        function(&spec.curve, constants.clip, x, y);
    }
    if !rest.is_empty() {
        // Filled up with zeros, which are never outside.
        let (mut x, mut y) = ([0.0; LANES], [0.0; LANES]);
        x[..rest.len()].copy_from_slice(rest);
        see(constants, &x, &mut lanes);
        function(&spec.curve, constants.clip, &x, &mut y);
        last.copy_from_slice(&y[..last.len()]);
    }
    let mut seen = Seen::default();
    for lane in 0..LANES {
        seen.penalty += f64::from(lanes.penalty[lane]);
        seen.outside += u64::from(lanes.outside[lane]);
        seen.max_abs = seen.max_abs.max(if lanes.nan[lane] > 0 { f32::INFINITY } else { lanes.max[lane] });
    }
    seen
}

#[inline(always)]
fn see(Constants { range, half, inverse, .. }: Constants, x: &[f32; LANES], lanes: &mut Lanes) {
    for lane in 0..LANES {
        let magnitude = x[lane].abs();
        lanes.max[lane] = if magnitude > lanes.max[lane] { magnitude } else { lanes.max[lane] };
        lanes.outside[lane] += u32::from(magnitude > range);
        lanes.nan[lane] |= u32::from(magnitude.is_nan());
    }
    if half > 0 {
        let (mut square, mut power) = ([0.0; LANES], [1.0; LANES]);
        for lane in 0..LANES {
            square[lane] = (x[lane] * inverse) * (x[lane] * inverse);
        }
        for _ in 0..half {
            for lane in 0..LANES {
                power[lane] *= square[lane];
            }
        }
        for lane in 0..LANES {
            lanes.penalty[lane] += power[lane];
        }
    }
}

#[inline(always)]
fn function(curve: &Curve, clip: f32, x: &[f32; LANES], y: &mut [f32; LANES]) {
    match curve {
        Curve::Relu => {
            for lane in 0..LANES {
                // Unlike `max`, keeps NaN.
                y[lane] = if x[lane] < 0.0 { 0.0 } else { x[lane] };
            }
        }
        Curve::Polynomial { coefficients, .. } => {
            let mut clipped = *x;
            for lane in 0..LANES {
                clipped[lane] = if clipped[lane] > clip { clip } else { clipped[lane] };
                clipped[lane] = if clipped[lane] < -clip { -clip } else { clipped[lane] };
            }
            let mut sum = [0.0; LANES];
            for &c in coefficients.iter().rev() {
                for lane in 0..LANES {
                    sum[lane] = sum[lane] * clipped[lane] + c;
                }
            }
            *y = sum;
        }
    }
}

#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma", "aarch64+neon"))]
fn backward_image(spec: &ActivationSpec, slope: f32, input: &[f32], gradient: &mut [f32]) {
    let constants = Constants::of(spec);
    let (whole, rest) = input.as_chunks::<LANES>();
    let (gradients, last) = gradient.as_chunks_mut::<LANES>();
    for (x, gradient) in whole.iter().zip(gradients) {
        chain(&spec.curve, constants, slope, x, gradient);
    }
    if !rest.is_empty() {
        let (mut x, mut result) = ([0.0; LANES], [0.0; LANES]);
        x[..rest.len()].copy_from_slice(rest);
        result[..rest.len()].copy_from_slice(last);
        chain(&spec.curve, constants, slope, &x, &mut result);
        last.copy_from_slice(&result[..last.len()]);
    }
}

#[inline(always)]
fn chain(
    curve: &Curve,
    Constants { clip, half, inverse, .. }: Constants,
    slope: f32,
    x: &[f32; LANES],
    gradient: &mut [f32; LANES],
) {
    match curve {
        Curve::Relu => {
            for lane in 0..LANES {
                gradient[lane] = if x[lane] > 0.0 { gradient[lane] } else { 0.0 };
            }
        }
        Curve::Polynomial { derivative, .. } => {
            let mut sum = [0.0; LANES];
            for &c in derivative.iter().rev() {
                for lane in 0..LANES {
                    sum[lane] = sum[lane] * x[lane] + c;
                }
            }
            for lane in 0..LANES {
                gradient[lane] = if x[lane].abs() > clip { 0.0 } else { gradient[lane] * sum[lane] };
            }
        }
    }
    if half > 0 {
        // (x / r)^(e - 1): the sign of x, and one factor less than above.
        let (mut square, mut power) = ([0.0; LANES], [0.0; LANES]);
        for lane in 0..LANES {
            let scaled = x[lane] * inverse;
            square[lane] = scaled * scaled;
            power[lane] = scaled * slope;
        }
        for _ in 1..half {
            for lane in 0..LANES {
                power[lane] *= square[lane];
            }
        }
        for lane in 0..LANES {
            gradient[lane] += power[lane];
        }
    }
}
