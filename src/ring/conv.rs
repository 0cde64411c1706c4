//! Packing and driving of convolutions; the arithmetic is in the `tile_*` modules.
//!
//! No im2col. For each output pixel a table says where in the input each kernel tap's run of
//! channels begins, and a tap in the padding reads a row of zeros. A kernel keeps a tile of some
//! pixels by some output channels in registers and walks all taps of a [`Pass`]. Output channels
//! are the vector dimension, so the packing interleaves them in vectors of [`LANES`].

use super::ConvShape;
use super::linear::Kernels;
use super::words::{WordSlice, Words};
use std::ops::Range;

/// Output channels per vector of the packing: one AVX-512 register.
pub(super) const LANES: usize = 8;

/// Vectors of output channels per block, at most. Six pixels by four vectors fill 24 of the 32
/// AVX-512 registers with accumulators.
const MAX_VECTORS: usize = 4;

/// Weights one pass reads for every tile of pixels; they should stay in the L2 cache.
const PASS_BYTES: usize = 256 << 10;

/// With fewer input channels than this, the taps of a kernel row are joined into one run.
const JOIN_BELOW: usize = 8;

/// In the table of run starts: the tap lies in the padding.
const PADDING: u32 = u32::MAX;

#[derive(Clone)]
pub(super) struct PackedConv {
    shape: ConvShape,
    /// Whether runs are whole kernel rows, read from a zero-padded copy of the input.
    joined: bool,
    taps: usize,
    run: usize,
    /// `[pixel][tap]`: where the run starts in the source, or [`PADDING`].
    starts: Vec<u32>,
    blocks: Vec<Block>,
}

/// Adjacent output channels that share the tiles.
#[derive(Clone)]
struct Block {
    channels: Range<usize>,
    vectors: usize,
    /// `[tap][run][vectors][LANES]`, channels past the end are zero.
    weights: Words,
}

/// What a kernel is asked to do: all output pixels, one block of output channels, some taps.
pub(super) struct Pass<'a> {
    source: &'a [u64],
    zeros: &'a [u64],
    starts: &'a [u32],
    taps_per_pixel: usize,
    out_c: usize,
    /// The taps to sum over.
    pub(super) taps: Range<usize>,
    /// Consecutive input elements per tap.
    pub(super) run: usize,
    /// `[taps][run][vectors][LANES]`.
    pub(super) weights: WordSlice<'a>,
    /// Vectors of output channels: 1 to 4.
    pub(super) vectors: usize,
    /// The output channels written; the last vector may be partly used.
    pub(super) channels: Range<usize>,
    /// Add to the output instead of overwriting it.
    pub(super) accumulate: bool,
}

impl PackedConv {
    pub(super) fn pack(shape: &ConvShape, weights: &[u64]) -> PackedConv {
        let s = *shape;
        s.check(weights.len());
        let joined = s.in_c < JOIN_BELOW && s.kernel_w > 1;
        let (taps, run) = match joined {
            true => (s.kernel_h, s.kernel_w * s.in_c),
            false => (s.kernel_h * s.kernel_w, s.in_c),
        };
        PackedConv {
            shape: s,
            joined,
            taps,
            run,
            starts: if joined { joined_starts(&s) } else { tap_starts(&s) },
            blocks: split_channels(s.out_c)
                .map(|(channels, vectors)| Block {
                    weights: Words::for_uses(pack_block(weights, s.out_c, &channels, vectors), s.out_h() * s.out_w()),
                    channels,
                    vectors,
                })
                .collect(),
        }
    }

    pub(super) fn apply(&self, kernels: &Kernels, input: &[u64], output: &mut [u64]) {
        let padded = self.padded(input);
        let source = padded.as_deref().unwrap_or(input);
        self.apply_rows(kernels, source, 0..self.shape.out_h() * self.shape.out_w(), output);
    }

    /// What [`apply_rows`](Self::apply_rows) reads instead of the input: its zero-padded copy, if it needs one.
    pub(super) fn padded(&self, input: &[u64]) -> Option<Vec<u64>> {
        self.joined.then(|| pad(&self.shape, input))
    }

    /// Only the output pixels `rows`; `source` is the input or, if there is one, its padded copy.
    pub(super) fn apply_rows(&self, kernels: &Kernels, source: &[u64], rows: Range<usize>, output: &mut [u64]) {
        let out_c = self.shape.out_c;
        assert_eq!(output.len(), rows.len() * out_c, "rows {rows:?} of {:?}", self.shape);
        let zeros = vec![0; self.run];
        let starts = &self.starts[rows.start * self.taps..rows.end * self.taps];
        for block in &self.blocks {
            let tap_len = self.run * block.vectors * LANES;
            let taps_per_pass = (PASS_BYTES / 8 / tap_len.max(1)).max(1);
            for first in (0..self.taps).step_by(taps_per_pass) {
                let taps = first..self.taps.min(first + taps_per_pass);
                let pass = Pass {
                    source,
                    zeros: &zeros,
                    starts,
                    taps_per_pixel: self.taps,
                    out_c,
                    weights: block.weights.slice(taps.start * tap_len..taps.end * tap_len),
                    taps,
                    run: self.run,
                    vectors: block.vectors,
                    channels: block.channels.clone(),
                    accumulate: first > 0,
                };
                (kernels.conv_pass)(&pass, output);
            }
        }
    }
}

impl<'a> Pass<'a> {
    /// A matrix product: rows of `run` elements of `source` by `weights`, written to adjacent outputs.
    pub(super) fn dense_rows(
        source: &'a [u64],
        starts: &'a [u32],
        run: usize,
        weights: WordSlice<'a>,
        out_c: usize,
        (channels, vectors): (Range<usize>, usize),
    ) -> Pass<'a> {
        let accumulate = false;
        Pass {
            source,
            zeros: &[],
            starts,
            taps_per_pixel: 1,
            out_c,
            taps: 0..1,
            run,
            weights,
            vectors,
            channels,
            accumulate,
        }
    }

    pub(super) fn pixels(&self) -> usize {
        self.starts.len() / self.taps_per_pixel
    }

    /// The `run` input elements under `tap` of an output pixel.
    #[inline(always)]
    pub(super) fn row(&self, pixel: usize, tap: usize) -> &'a [u64] {
        match self.starts[pixel * self.taps_per_pixel + tap] {
            PADDING => &self.zeros[..self.run],
            start => &self.source[start as usize..][..self.run],
        }
    }

    /// The output elements of one pixel that vector `vector` of the block writes: [`LANES`] or,
    /// at the end, fewer.
    #[inline(always)]
    pub(super) fn lanes<'o>(&self, output: &'o mut [u64], pixel: usize, vector: usize) -> &'o mut [u64] {
        let from = self.channels.start + vector * LANES;
        let to = self.channels.end.min(from + LANES);
        &mut output[pixel * self.out_c..][from..to]
    }

    /// For raw stores: the block's first output element at `pixel`, and the distance between
    /// pixels. Checks that `pixels` pixels of the block's channels lie within the output.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(super) fn corner(&self, output: &mut [u64], pixel: usize, pixels: usize) -> (*mut u64, usize) {
        assert!(self.channels.start <= self.channels.end && self.channels.end <= self.out_c);
        let tile = &mut output[pixel * self.out_c..][..pixels * self.out_c];
        (tile[self.channels.start..].as_mut_ptr(), self.out_c)
    }

    /// Writes or adds a vector of sums (those past the last channel are dropped).
    #[inline(always)]
    pub(super) fn store(&self, output: &mut [u64], pixel: usize, vector: usize, values: &[u64; LANES]) {
        for (out, value) in self.lanes(output, pixel, vector).iter_mut().zip(values) {
            *out = match self.accumulate {
                true => out.wrapping_add(*value),
                false => *value,
            };
        }
    }
}

/// Blocks of at most [`MAX_VECTORS`] vectors, as even as can be: 40 channels are 3 + 2 vectors.
pub(super) fn split_channels(out_c: usize) -> impl Iterator<Item = (Range<usize>, usize)> {
    let vectors = out_c.div_ceil(LANES);
    let blocks = vectors.div_ceil(MAX_VECTORS);
    (0..blocks).map(move |b| {
        let first = vectors * b / blocks;
        let last = vectors * (b + 1) / blocks;
        (first * LANES..out_c.min(last * LANES), last - first)
    })
}

/// `[term][out_c]` to `[term][vectors][LANES]`, zero-padded.
fn pack_block(weights: &[u64], out_c: usize, channels: &Range<usize>, vectors: usize) -> Vec<u64> {
    let width = vectors * LANES;
    let mut packed = vec![0; weights.len() / out_c * width];
    for (to, from) in packed.chunks_exact_mut(width).zip(weights.chunks_exact(out_c)) {
        to[..channels.len()].copy_from_slice(&from[channels.clone()]);
    }
    packed
}

/// Starts of single taps in the input itself.
fn tap_starts(s: &ConvShape) -> Vec<u32> {
    let mut starts = Vec::with_capacity(s.out_h() * s.out_w() * s.kernel_h * s.kernel_w);
    for_each_pixel(s, |top, left| {
        for ky in 0..s.kernel_h {
            for kx in 0..s.kernel_w {
                // Wraps to a huge coordinate above and left of the image.
                let y = (top + ky).wrapping_sub(s.padding[0]);
                let x = (left + kx).wrapping_sub(s.padding[1]);
                starts.push(if y < s.in_h && x < s.in_w { start((y * s.in_w + x) * s.in_c) } else { PADDING });
            }
        }
    });
    starts
}

/// Starts of kernel rows in the zero-padded copy.
fn joined_starts(s: &ConvShape) -> Vec<u32> {
    let mut starts = Vec::with_capacity(s.out_h() * s.out_w() * s.kernel_h);
    for_each_pixel(s, |top, left| {
        for ky in 0..s.kernel_h {
            starts.push(start(((top + ky) * padded_width(s) + left) * s.in_c));
        }
    });
    starts
}

/// Calls `f` with each output pixel's corner in padded input coordinates.
fn for_each_pixel(s: &ConvShape, mut f: impl FnMut(usize, usize)) {
    for oy in 0..s.out_h() {
        for ox in 0..s.out_w() {
            f(oy * s.stride, ox * s.stride);
        }
    }
}

fn start(offset: usize) -> u32 {
    u32::try_from(offset).ok().filter(|&offset| offset != PADDING).expect("an image has fewer than 2^32 - 1 elements")
}

fn padded_width(s: &ConvShape) -> usize {
    s.in_w + s.padding[1] + s.padding[3]
}

fn pad(s: &ConvShape, input: &[u64]) -> Vec<u64> {
    let width = padded_width(s) * s.in_c;
    let mut padded = vec![0; (s.in_h + s.padding[0] + s.padding[2]) * width];
    let row_len = s.in_w * s.in_c;
    if row_len > 0 {
        let left = s.padding[1] * s.in_c;
        let rows = padded[s.padding[0] * width..].chunks_exact_mut(width);
        for (to, from) in rows.zip(input.chunks_exact(row_len)) {
            to[left..left + row_len].copy_from_slice(from);
        }
    }
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_split_evenly() {
        let split = |out_c| split_channels(out_c).collect::<Vec<_>>();
        assert_eq!(split(10), [(0..10, 2)]);
        assert_eq!(split(32), [(0..32, 4)]);
        assert_eq!(split(40), [(0..16, 2), (16..40, 3)]);
        assert_eq!(split(65), [(0..24, 3), (24..48, 3), (48..65, 3)]);
    }

    #[test]
    #[should_panic(expected = "fit the padded input")]
    fn kernel_larger_than_padded_input_is_refused() {
        let shape = ConvShape {
            in_h: 2,
            in_w: 4,
            in_c: 1,
            out_c: 1,
            kernel_h: 5,
            kernel_w: 1,
            stride: 1,
            padding: [1, 0, 1, 0],
        };
        PackedConv::pack(&shape, &[0; 5]);
    }
}
