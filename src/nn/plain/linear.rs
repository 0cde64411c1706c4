//! Convolutions and dense layers in f64.
//!
//! Weights are repacked into blocks of [`LANES`] output channels, so that the innermost loop is a contiguous
//! multiply-add over output channels with a tile of pixels in registers. Padding is written into a copy of
//! the input: a product with zero leaves a finite sum as it is. Each output adds bias first, then kernel row,
//! kernel column and input channel in order.

use multiversion::multiversion;

use crate::ring::{ConvShape, LinearShape};

/// Output channels of a block.
const LANES: usize = 16;
/// Pixels of a tile.
const TILE: usize = 4;

/// `W x + b`; the image, weights and result in the orders of [`LinearShape`].
pub(super) fn apply(shape: &LinearShape, weights: &[f32], bias: &[f32], input: &[f64]) -> Vec<f64> {
    if bias.len() > shape.channels() {
        // One bias per element: added last.
        let mut output = apply(shape, weights, &vec![0.0; shape.channels()], input);
        output.iter_mut().zip(bias).for_each(|(value, &b)| *value += f64::from(b));
        return output;
    }
    match shape {
        LinearShape::Conv2d(conv) => {
            let packed = pack(weights, conv.out_c, |term, out_c| term * conv.out_c + out_c);
            convolve(conv, &packed, bias, input)
        }
        LinearShape::Dense { inputs, outputs } => {
            let packed = pack(weights, *outputs, |term, output| output * inputs + term);
            let conv = ConvShape {
                in_h: 1,
                in_w: 1,
                in_c: *inputs,
                out_c: *outputs,
                kernel_h: 1,
                kernel_w: 1,
                stride: 1,
                padding: [0; 4],
            };
            convolve(&conv, &packed, bias, input)
        }
    }
}

/// `[block][term][lane]` from weights whose place is given by `index(term, output)`; missing lanes are zero.
fn pack(weights: &[f32], outputs: usize, index: impl Fn(usize, usize) -> usize) -> Vec<f64> {
    let terms = weights.len() / outputs;
    let blocks = outputs.div_ceil(LANES);
    let mut packed = vec![0.0; blocks * terms * LANES];
    for (row, lanes) in packed.chunks_exact_mut(LANES).enumerate() {
        let (block, term) = (row / terms, row % terms);
        let first = block * LANES;
        for (lane, output) in (first..outputs.min(first + LANES)).enumerate() {
            lanes[lane] = f64::from(weights[index(term, output)]);
        }
    }
    packed
}

fn convolve(conv: &ConvShape, packed: &[f64], bias: &[f32], input: &[f64]) -> Vec<f64> {
    let padded;
    let image = if conv.padding == [0; 4] {
        input
    } else {
        padded = pad(conv, input);
        &padded
    };
    let mut output = vec![0.0; conv.out_h() * conv.out_w() * conv.out_c];
    let terms = conv.kernel_h * conv.kernel_w * conv.in_c;
    for (block, weights) in packed.chunks_exact(terms * LANES).enumerate() {
        let first = block * LANES;
        let mut start = [0.0; LANES];
        for (start, &b) in start.iter_mut().zip(&bias[first..]) {
            *start = f64::from(b);
        }
        convolve_block(conv, weights, &start, image, first, &mut output);
    }
    output
}

/// The image with its border of zeros.
fn pad(conv: &ConvShape, input: &[f64]) -> Vec<f64> {
    let [top, left, bottom, right] = conv.padding;
    let width = (conv.in_w + left + right) * conv.in_c;
    let mut padded = vec![0.0; (conv.in_h + top + bottom) * width];
    for (y, row) in input.chunks_exact(conv.in_w * conv.in_c).enumerate() {
        padded[(y + top) * width + left * conv.in_c..][..row.len()].copy_from_slice(row);
    }
    padded
}

/// Fills the output channels from `first` on, for every pixel of the padded image.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma", "aarch64+neon"))]
fn convolve_block(
    conv: &ConvShape,
    weights: &[f64],
    start: &[f64; LANES],
    image: &[f64],
    first: usize,
    output: &mut [f64],
) {
    let width = (conv.in_w + conv.padding[1] + conv.padding[3]) * conv.in_c;
    let step = conv.stride * conv.in_c;
    let span = conv.kernel_w * conv.in_c;
    let lanes = LANES.min(conv.out_c - first);
    let out_w = conv.out_w();
    for (y, row) in output.chunks_exact_mut(out_w * conv.out_c).enumerate() {
        let image = &image[y * conv.stride * width..];
        let mut x = 0;
        while x < out_w {
            let place = &mut row[x * conv.out_c + first..];
            let image = &image[x * step..];
            if out_w - x >= TILE {
                let sums = tile::<TILE>(image, weights, start, (width, step, span));
                store(&sums, place, conv.out_c, lanes);
                x += TILE;
            } else {
                let sums = tile::<1>(image, weights, start, (width, step, span));
                store(&sums, place, conv.out_c, lanes);
                x += 1;
            }
        }
    }
}

/// `P` neighbouring pixels of one block; `width`, `step` and `span` are image row, pixel distance and
/// kernel row in elements.
#[inline(always)]
fn tile<const P: usize>(
    image: &[f64],
    weights: &[f64],
    start: &[f64; LANES],
    (width, step, span): (usize, usize, usize),
) -> [[f64; LANES]; P] {
    let mut sums = [*start; P];
    for (ky, weights) in weights.chunks_exact(span * LANES).enumerate() {
        let rows: [&[f64]; P] = std::array::from_fn(|p| &image[ky * width + p * step..][..span]);
        let (weights, _) = weights.as_chunks::<LANES>();
        for (term, weights) in weights.iter().enumerate() {
            for p in 0..P {
                let value = rows[p][term];
                for lane in 0..LANES {
                    sums[p][lane] += value * weights[lane];
                }
            }
        }
    }
    sums
}

#[inline(always)]
fn store<const P: usize>(sums: &[[f64; LANES]; P], place: &mut [f64], out_c: usize, lanes: usize) {
    for (p, sums) in sums.iter().enumerate() {
        place[p * out_c..][..lanes].copy_from_slice(&sums[..lanes]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::nn::seeded::Uniform;

    /// The definition, in the same order of additions and without the padding.
    fn naive(conv: &ConvShape, weights: &[f32], bias: &[f32], input: &[f64]) -> Vec<f64> {
        let mut output = Vec::new();
        for pixel in 0..conv.out_h() * conv.out_w() {
            let (y, x) = (pixel / conv.out_w(), pixel % conv.out_w());
            for (out_c, &b) in bias.iter().enumerate() {
                let mut sum = f64::from(b);
                for tap in 0..conv.kernel_h * conv.kernel_w {
                    let (ky, kx) = (tap / conv.kernel_w, tap % conv.kernel_w);
                    let iy = (y * conv.stride + ky).wrapping_sub(conv.padding[0]);
                    let ix = (x * conv.stride + kx).wrapping_sub(conv.padding[1]);
                    if iy >= conv.in_h || ix >= conv.in_w {
                        continue;
                    }
                    for in_c in 0..conv.in_c {
                        let value = input[(iy * conv.in_w + ix) * conv.in_c + in_c];
                        let weight = weights[(tap * conv.in_c + in_c) * conv.out_c + out_c];
                        sum += value * f64::from(weight);
                    }
                }
                output.push(sum);
            }
        }
        output
    }

    fn random(seed: u64, label: &str, count: usize) -> Vec<f64> {
        let uniform = Uniform::new(seed, label).draw(count);
        uniform.into_iter().map(|u| 2.0 * u - 1.0).collect()
    }

    fn random_f32(seed: u64, label: &str, count: usize) -> Vec<f32> {
        random(seed, label, count).into_iter().map(|v| v as f32).collect()
    }

    proptest! {
        #[test]
        fn convolution_equals_its_definition(
            (in_h, in_w, in_c) in (3usize..8, 3usize..12, 1usize..5),
            out_c in 1usize..40,
            (kernel_h, kernel_w) in (1usize..4, 1usize..4),
            stride in 1usize..4,
            padding in prop::array::uniform4(0usize..3),
            seed in any::<u64>(),
        ) {
            let conv = ConvShape { in_h, in_w, in_c, out_c, kernel_h, kernel_w, stride, padding };
            let shape = LinearShape::Conv2d(conv);
            let weights = random_f32(seed, "weights", shape.weights());
            let bias = random_f32(seed, "bias", out_c);
            let input = random(seed, "input", shape.inputs());
            let expected = naive(&conv, &weights, &bias, &input);
            prop_assert_eq!(apply(&shape, &weights, &bias, &input), expected);
        }
    }

    #[test]
    fn dense_equals_its_definition() {
        let shape = LinearShape::Dense { inputs: 37, outputs: 19 };
        let weights = random_f32(5, "weights", shape.weights());
        let bias = random_f32(5, "bias", 19);
        let input = random(5, "input", 37);
        let output = apply(&shape, &weights, &bias, &input);
        for (o, &actual) in output.iter().enumerate() {
            let row = &weights[o * 37..][..37];
            let terms = row.iter().zip(&input);
            let expected = terms.fold(f64::from(bias[o]), |s, (&w, x)| s + x * f64::from(w));
            assert_eq!(actual, expected, "output {o}");
        }
        assert_eq!(output.len(), 19);
    }
}
