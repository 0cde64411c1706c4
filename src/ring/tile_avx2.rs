//! AVX2 kernels. There is no 64-bit multiply; with 32-bit halves
//!
//! `x w = x0 w0 + 2^32 (x1 w0 + x0 w1)  mod 2^64`
//!
//! `vpmuludq` gives the first product, and `vpmulld` of `w` and `x` with its halves swapped gives
//! the low words of both cross products at once. The two kinds are summed apart (cross products in
//! 32-bit lanes, where they may wrap) and joined when the tile is done.
#![allow(unsafe_code)]

use super::conv::{LANES, Pass};
use super::linear::Kernels;
use super::words::{Word, WordSlice, with_width};
use std::arch::x86_64::*;

static KERNELS: Kernels = Kernels { name: "avx2", conv_pass, dense };

/// The kernels, where the processor has AVX2.
pub(super) fn kernels() -> Option<&'static Kernels> {
    is_x86_feature_detected!("avx2").then_some(&KERNELS)
}

fn conv_pass(pass: &Pass<'_>, output: &mut [u64]) {
    // SAFETY: `kernels` is the only way here, and it has found AVX2.
    with_width!(pass.weights, weights => unsafe { all_tiles(pass, weights, output) });
}

fn dense(weights: WordSlice<'_>, input: &[u64], output: &mut [u64]) {
    // SAFETY: as in `conv_pass`.
    with_width!(weights, weights => unsafe { dense_rows(weights, input, output) });
}

/// Loads four elements, each widened.
trait Load: Word {
    /// # Safety
    /// The processor has AVX2, and four elements can be read at `from`.
    unsafe fn load(from: *const Self) -> __m256i;
}

impl Load for u64 {
    #[inline(always)]
    unsafe fn load(from: *const u64) -> __m256i {
        // SAFETY: the caller's.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }
}

impl Load for i32 {
    #[inline(always)]
    unsafe fn load(from: *const i32) -> __m256i {
        // SAFETY: the caller's.
        unsafe { _mm256_cvtepi32_epi64(_mm_loadu_si128(from.cast())) }
    }
}

impl Load for i16 {
    #[inline(always)]
    unsafe fn load(from: *const i16) -> __m256i {
        // SAFETY: the caller's.
        unsafe { _mm256_cvtepi16_epi64(_mm_loadu_si64(from.cast())) }
    }
}

/// Four running sums of products, the halves not yet joined.
#[derive(Clone, Copy)]
struct Sum {
    low: __m256i,
    cross: __m256i,
}

impl Sum {
    #[inline]
    #[target_feature(enable = "avx2")]
    fn zero() -> Sum {
        let zero = _mm256_setzero_si256();
        Sum { low: zero, cross: zero }
    }

    /// Adds `x * w`; `swapped` is `x` with the halves of each element exchanged.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn add_product(&mut self, x: __m256i, swapped: __m256i, w: __m256i) {
        self.low = _mm256_add_epi64(self.low, _mm256_mul_epu32(x, w));
        self.cross = _mm256_add_epi32(self.cross, _mm256_mullo_epi32(swapped, w));
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn join(self) -> [u64; 4] {
        let cross = _mm256_add_epi32(self.cross, _mm256_srli_epi64::<32>(self.cross));
        let sum = _mm256_add_epi64(self.low, _mm256_slli_epi64::<32>(cross));
        let mut lanes = [0; 4];
        // SAFETY: `lanes` is 32 bytes.
        unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), sum) };
        lanes
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn swap_halves(x: __m256i) -> __m256i {
    _mm256_shuffle_epi32::<0b10_11_00_01>(x)
}

#[target_feature(enable = "avx2")]
fn all_tiles<W: Load>(pass: &Pass<'_>, weights: &[W], output: &mut [u64]) {
    for vector in 0..pass.vectors {
        let (mut pixel, end) = (0, pass.pixels());
        while pixel + 2 <= end {
            tile::<_, 2>(pass, weights, output, pixel, vector);
            pixel += 2;
        }
        while pixel < end {
            tile::<_, 1>(pass, weights, output, pixel, vector);
            pixel += 1;
        }
    }
}

/// `P` pixels from `pixel` on by one vector of eight output channels. Two pixels are eight
/// accumulators; with three the sixteen registers do not suffice, which costs a quarter.
#[target_feature(enable = "avx2")]
fn tile<W: Load, const P: usize>(pass: &Pass<'_>, weights: &[W], output: &mut [u64], pixel: usize, vector: usize) {
    let stride = pass.vectors * LANES;
    assert_eq!(weights.len(), pass.taps.len() * pass.run * stride);
    assert!(vector < pass.vectors);
    let mut sums = [[Sum::zero(); 2]; P];
    let mut step = 0;
    for tap in pass.taps.clone() {
        let mut rows = [std::ptr::null(); P];
        for (p, row) in rows.iter_mut().enumerate() {
            *row = pass.row(pixel + p, tap).as_ptr();
        }
        for i in 0..pass.run {
            // SAFETY: step < taps * run and vector < vectors, so eight weights are left (asserted).
            let (w0, w1) = unsafe {
                let w = weights.as_ptr().add(step * stride + vector * LANES);
                (W::load(w), W::load(w.add(4)))
            };
            step += 1;
            for (row, sums) in rows.iter().zip(&mut sums) {
                // SAFETY: `Pass::row` is `run` elements long.
                let x = _mm256_set1_epi64x(unsafe { row.add(i).read() } as i64);
                let swapped = swap_halves(x);
                sums[0].add_product(x, swapped, w0);
                sums[1].add_product(x, swapped, w1);
            }
        }
    }
    for (p, sums) in sums.iter().enumerate() {
        let mut lanes = [0; LANES];
        lanes[..4].copy_from_slice(&sums[0].join());
        lanes[4..].copy_from_slice(&sums[1].join());
        pass.store(output, pixel + p, vector, &lanes);
    }
}

#[target_feature(enable = "avx2")]
fn dense_rows<W: Load>(weights: &[W], input: &[u64], output: &mut [u64]) {
    assert_eq!(weights.len(), input.len() * output.len());
    let mut row = 0;
    while row + 4 <= output.len() {
        dots::<_, 4>(weights, input, output, row);
        row += 4;
    }
    while row < output.len() {
        dots::<_, 1>(weights, input, output, row);
        row += 1;
    }
}

/// The dot products of `R` rows from `row` on with the input.
#[target_feature(enable = "avx2")]
fn dots<W: Load, const R: usize>(weights: &[W], input: &[u64], output: &mut [u64], row: usize) {
    let n = input.len();
    let rows = &weights[row * n..][..R * n];
    let whole = n - n % 4;
    let mut sums = [Sum::zero(); R];
    for i in (0..whole).step_by(4) {
        // SAFETY: i + 4 <= n.
        let x = unsafe { u64::load(input.as_ptr().add(i)) };
        let swapped = swap_halves(x);
        for (r, sum) in sums.iter_mut().enumerate() {
            // SAFETY: the same, within row r of `rows`.
            let w = unsafe { W::load(rows.as_ptr().add(r * n + i)) };
            sum.add_product(x, swapped, w);
        }
    }
    for (r, sum) in sums.into_iter().enumerate() {
        let vector = sum.join().into_iter().fold(0, u64::wrapping_add);
        let rest = input[whole..].iter().zip(&rows[r * n + whole..]);
        output[row + r] = rest.fold(vector, |s, (x, w)| s.wrapping_add(x.wrapping_mul(w.widen())));
    }
}
