//! Convolutions of `f32` on the processor: forward, and the gradients with respect to input and weights.
//!
//! Images are `[h][w][c]`, weights `[h][w][in][out]`. The innermost loops hold a register tile whose lanes are
//! one vector of output channels, of a run of pixels in the forward pass and the input gradient, of a run of input
//! channels in the weight gradient. Each step loads one vector, broadcasts one number per row of the tile and does
//! that many fused multiply-adds: eight for nine loads, so that the multipliers are nearly the bound.
//! Padding is written into a copy of each image. Sums are split by image and added in order: the result does not
//! depend on the number of threads.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::ring::ConvShape;

/// In how many parts a batch is summed, each by one thread.
const PARTS: usize = 16;

/// `y = W * x + b` for every image of the batch.
///
/// # Panics
/// If the slices do not fit the shape.
pub(super) fn forward(shape: &ConvShape, weights: &[f32], bias: &[f32], input: &[f32], output: &mut [f32]) {
    let packed = pack(weights, shape.out_c, lanes());
    let bias = pack(bias, shape.out_c, lanes());
    convolve_batch(shape, (&packed, &bias), 1, (shape.in_h, shape.in_w), input, output);
}

/// `dL/dx` from `dL/dy`: the transposed convolution, as a forward one of stride 1 on the spread gradient.
///
/// # Panics
/// If the slices do not fit the shape, or the padding is not less than the kernel.
pub(super) fn input_gradient(shape: &ConvShape, weights: &[f32], gradient: &[f32], output: &mut [f32]) {
    let ConvShape { in_h, in_w, in_c, out_c, kernel_h, kernel_w, stride, padding: [top, left, ..] } = *shape;
    let (out_h, out_w) = (shape.out_h(), shape.out_w());
    let spread = |side: usize| (side - 1) * stride + 1;
    let (before_h, before_w) = (kernel_h - 1 - top, kernel_w - 1 - left);
    let after = |side: usize, kernel: usize, out: usize, before: usize| side + kernel - 1 - spread(out) - before;
    let transposed = ConvShape {
        in_h: spread(out_h),
        in_w: spread(out_w),
        in_c: out_c,
        out_c: in_c,
        kernel_h,
        kernel_w,
        stride: 1,
        padding: [before_h, before_w, after(in_h, kernel_h, out_h, before_h), after(in_w, kernel_w, out_w, before_w)],
    };
    let mut flipped = vec![0.0; weights.len()];
    let taps = kernel_h * kernel_w;
    for (tap, matrix) in weights.chunks_exact(in_c * out_c).enumerate() {
        let place = &mut flipped[(taps - 1 - tap) * in_c * out_c..][..in_c * out_c];
        for (i, row) in matrix.chunks_exact(out_c).enumerate() {
            for (o, &weight) in row.iter().enumerate() {
                place[o * in_c + i] = weight;
            }
        }
    }
    let packed = pack(&flipped, in_c, lanes());
    let bias = pack(&vec![0.0; in_c], in_c, lanes());
    convolve_batch(&transposed, (&packed, &bias), stride, (out_h, out_w), gradient, output);
}

/// `dL/dW` from `dL/dy`, summed over the batch.
///
/// # Panics
/// If the slices do not fit the shape.
pub(super) fn weight_gradient(shape: &ConvShape, input: &[f32], gradient: &[f32], output: &mut [f32]) {
    let (inputs, outputs) = (shape.in_h * shape.in_w * shape.in_c, shape.out_h() * shape.out_w() * shape.out_c);
    let images = input.len() / inputs;
    let lanes = lanes();
    let blocks = shape.out_c.div_ceil(lanes);
    let terms = shape.kernel_h * shape.kernel_w * shape.in_c;
    let part = images.div_ceil(PARTS).max(1);
    let parts = input.par_chunks(part * inputs).zip(gradient.par_chunks(part * outputs));
    let sums = parts.map(|(input, gradient)| {
        let mut sums = vec![0.0; blocks * terms * lanes];
        let (mut padded, mut block_gradient) = (Vec::new(), Vec::new());
        for (image, gradient) in input.chunks_exact(inputs).zip(gradient.chunks_exact(outputs)) {
            let image = pad(shape, 1, (shape.in_h, shape.in_w), image, &mut padded);
            for (block, sums) in sums.chunks_exact_mut(terms * lanes).enumerate() {
                take_block(gradient, shape.out_c, block, lanes, &mut block_gradient);
                Arch::new().dispatch(Accumulate { shape, image, gradient: &block_gradient, sums });
            }
        }
        sums
    });
    let sums: Vec<Vec<f32>> = sums.collect();
    output.fill(0.0);
    for sums in sums {
        for (index, lanes) in sums.chunks_exact(lanes).enumerate() {
            let (first, term) = (index / terms * lanes.len(), index % terms);
            let place = &mut output[term * shape.out_c..][..shape.out_c];
            place[first..].iter_mut().zip(lanes).for_each(|(sum, lane)| *sum += lane);
        }
    }
}

/// Numbers in a vector of this processor.
fn lanes() -> usize {
    struct Lanes;
    impl WithSimd for Lanes {
        type Output = usize;
        fn with_simd<S: Simd>(self, _: S) -> usize {
            S::F32_LANES
        }
    }
    Arch::new().dispatch(Lanes)
}

/// `[block][term][lane]` from `[term][output]`; missing lanes are zero.
fn pack(weights: &[f32], outputs: usize, lanes: usize) -> Vec<f32> {
    let terms = weights.len() / outputs;
    let mut packed = vec![0.0; outputs.div_ceil(lanes) * terms * lanes];
    for (index, vector) in packed.chunks_exact_mut(lanes).enumerate() {
        let (first, term) = (index / terms * lanes, index % terms);
        let row = &weights[term * outputs..][..outputs][first..];
        vector.iter_mut().zip(row).for_each(|(lane, &weight)| *lane = weight);
    }
    packed
}

/// One block of channels of every pixel, side by side; missing lanes are zero.
fn take_block(image: &[f32], channels: usize, block: usize, lanes: usize, taken: &mut Vec<f32>) {
    let first = block * lanes;
    let width = lanes.min(channels - first);
    taken.clear();
    taken.resize(image.len() / channels * lanes, 0.0);
    for (vector, pixel) in taken.chunks_exact_mut(lanes).zip(image.chunks_exact(channels)) {
        vector[..width].copy_from_slice(&pixel[first..][..width]);
    }
}

/// The image with its border of zeros, its pixels `spread` apart.
fn pad<'p>(
    shape: &ConvShape,
    spread: usize,
    (height, width): (usize, usize),
    image: &'p [f32],
    padded: &'p mut Vec<f32>,
) -> &'p [f32] {
    if shape.padding == [0; 4] && spread == 1 {
        return image;
    }
    let [top, left, bottom, right] = shape.padding;
    let row = (shape.in_w + left + right) * shape.in_c;
    let size = (shape.in_h + top + bottom) * row;
    if padded.len() != size {
        // Only ever the same pixels are written, so that the zeros stay.
        *padded = vec![0.0; size];
    }
    for y in 0..height {
        let from = &image[y * width * shape.in_c..][..width * shape.in_c];
        let to = &mut padded[(top + y * spread) * row + left * shape.in_c..];
        if spread == 1 {
            to[..from.len()].copy_from_slice(from);
        } else {
            for (to, from) in to.chunks_mut(spread * shape.in_c).zip(from.chunks_exact(shape.in_c)) {
                to[..shape.in_c].copy_from_slice(from);
            }
        }
    }
    padded
}

/// Convolves images of `size` pixels, each spread out and padded as the shape says.
fn convolve_batch(
    shape: &ConvShape,
    packed: (&[f32], &[f32]),
    spread: usize,
    size: (usize, usize),
    input: &[f32],
    output: &mut [f32],
) {
    let inputs = size.0 * size.1 * shape.in_c;
    let outputs = shape.out_h() * shape.out_w() * shape.out_c;
    assert_eq!(input.len() / inputs, output.len() / outputs, "images");
    let images = output.par_chunks_exact_mut(outputs).zip(input.par_chunks_exact(inputs));
    images.for_each_init(Vec::new, |padded, (output, image)| {
        let image = pad(shape, spread, size, image, padded);
        Arch::new().dispatch(Convolve { shape, packed, image, output });
    });
}

/// The convolution of one padded image; weights and bias are packed.
struct Convolve<'a> {
    shape: &'a ConvShape,
    packed: (&'a [f32], &'a [f32]),
    image: &'a [f32],
    output: &'a mut [f32],
}

impl WithSimd for Convolve<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Convolve { shape, packed, image, output } = self;
        let ((weights, _), (bias, _)) = (S::as_simd_f32s(packed.0), S::as_simd_f32s(packed.1));
        let terms = shape.kernel_h * shape.kernel_w * shape.in_c;
        for (block, (weights, &bias)) in weights.chunks_exact(terms).zip(bias).enumerate() {
            let parameters = (weights, bias);
            // With the distance of pixels known, a tile's addresses need one register.
            match shape.stride * shape.in_c {
                16 => rows::<S, 16>(simd, shape, parameters, image, block, output),
                32 => rows::<S, 32>(simd, shape, parameters, image, block, output),
                64 => rows::<S, 64>(simd, shape, parameters, image, block, output),
                128 => rows::<S, 128>(simd, shape, parameters, image, block, output),
                256 => rows::<S, 256>(simd, shape, parameters, image, block, output),
                512 => rows::<S, 512>(simd, shape, parameters, image, block, output),
                _ => rows::<S, 0>(simd, shape, parameters, image, block, output),
            }
        }
    }
}

/// One block of output channels, for pixels `STEP` elements apart, 0 if that is not known.
#[inline(always)]
fn rows<S: Simd, const STEP: usize>(
    simd: S,
    shape: &ConvShape,
    parameters: (&[S::f32s], S::f32s),
    image: &[f32],
    block: usize,
    output: &mut [f32],
) {
    let width = (shape.in_w + shape.padding[1] + shape.padding[3]) * shape.in_c;
    let step = if STEP > 0 { STEP } else { shape.stride * shape.in_c };
    let size = (width, step, shape.kernel_w * shape.in_c);
    let first = block * S::F32_LANES;
    let out_w = shape.out_w();
    for (y, row) in output.chunks_exact_mut(out_w * shape.out_c).enumerate() {
        let image = &image[y * shape.stride * width..];
        let mut x = 0;
        while x < out_w {
            let place = &mut row[x * shape.out_c + first..];
            let image = &image[x * step..];
            x += match out_w - x {
                8.. => tile::<S, 8, STEP>(simd, image, parameters, size, place, (first, shape.out_c)),
                4.. => tile::<S, 4, STEP>(simd, image, parameters, size, place, (first, shape.out_c)),
                _ => tile::<S, 1, STEP>(simd, image, parameters, size, place, (first, shape.out_c)),
            };
        }
    }
}

/// `P` neighbouring pixels of the block from channel `first` on, stored at `place`; `width`, `step` and `span` are
/// image row, pixel distance and kernel row in elements.
#[inline(always)]
fn tile<S: Simd, const P: usize, const STEP: usize>(
    simd: S,
    image: &[f32],
    (weights, bias): (&[S::f32s], S::f32s),
    (width, step, span): (usize, usize, usize),
    place: &mut [f32],
    (first, out_c): (usize, usize),
) -> usize {
    let step = if STEP > 0 { STEP } else { step };
    let mut sums = [bias; P];
    for (ky, weights) in weights.chunks_exact(span).enumerate() {
        let window = &image[ky * width..][..(P - 1) * step + span];
        let pixels: [&[f32]; P] = std::array::from_fn(|p| &window[p * step..][..span]);
        for (term, &weights) in weights.iter().enumerate() {
            for p in 0..P {
                sums[p] = simd.mul_add_f32s(simd.splat_f32s(pixels[p][term]), weights, sums[p]);
            }
        }
    }
    let lanes = S::F32_LANES.min(out_c - first);
    for (p, &sums) in sums.iter().enumerate() {
        simd.partial_store_f32s(&mut place[p * out_c..][..lanes], sums);
    }
    P
}

/// One image's part of the weight gradient of one block of output channels, added to `sums`.
struct Accumulate<'a> {
    shape: &'a ConvShape,
    image: &'a [f32],
    gradient: &'a [f32],
    sums: &'a mut [f32],
}

impl WithSimd for Accumulate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Accumulate { shape, image, gradient, sums } = self;
        let (gradient, _) = S::as_simd_f32s(gradient);
        let (sums, _) = S::as_mut_simd_f32s(sums);
        let width = (shape.in_w + shape.padding[1] + shape.padding[3]) * shape.in_c;
        let size = (shape.stride * width, shape.stride * shape.in_c, shape.out_w());
        for (tap, sums) in sums.chunks_exact_mut(shape.in_c).enumerate() {
            let (ky, kx) = (tap / shape.kernel_w, tap % shape.kernel_w);
            let image = &image[ky * width + kx * shape.in_c..];
            let mut i = 0;
            while i < shape.in_c {
                let (image, sums) = (&image[i..], &mut sums[i..]);
                i += match sums.len() {
                    8.. => outer::<S, 8>(simd, image, gradient, size, sums),
                    4.. => outer::<S, 4>(simd, image, gradient, size, sums),
                    _ => outer::<S, 1>(simd, image, gradient, size, sums),
                };
            }
        }
    }
}

/// Adds `sum over pixels of x[i] g[lane]` for `I` input channels; `row`, `step` and `out_w` are the distances of output
/// rows and pixels in the image in elements, and the pixels of a row.
#[inline(always)]
fn outer<S: Simd, const I: usize>(
    simd: S,
    image: &[f32],
    gradient: &[S::f32s],
    (row, step, out_w): (usize, usize, usize),
    sums: &mut [S::f32s],
) -> usize {
    let (sums, _) = sums.split_first_chunk_mut::<I>().expect("the caller counted");
    let mut tile = *sums;
    for (y, gradient) in gradient.chunks_exact(out_w).enumerate() {
        let image = &image[y * row..][..(out_w - 1) * step + I];
        for (x, &gradient) in gradient.iter().enumerate() {
            let pixel: &[f32; I] = image[x * step..].first_chunk().expect("inside the row");
            for i in 0..I {
                tile[i] = simd.mul_add_f32s(simd.splat_f32s(pixel[i]), gradient, tile[i]);
            }
        }
    }
    *sums = tile;
    I
}
