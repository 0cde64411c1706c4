//! AVX-512 kernels: `vpmullq` and `vpaddq` on a register tile of pixels by output channels.
//!
//! Each step of the inner loop loads one vector of weights per vector of the tile, broadcasts one
//! input element per pixel, and does pixels x vectors multiply-adds. Tiles of 6x4 and 8x3 take 24
//! of the 32 registers as accumulators and need 10 or 11 loads for 24 multiplications; 12x2 runs
//! out of general registers for its row pointers and is slower than 8x2.
#![allow(unsafe_code)]

use super::conv::{LANES, Pass};
use super::linear::Kernels;
use super::words::{Word, WordSlice, with_width};
use std::arch::asm;
use std::arch::x86_64::*;

/// How far ahead of the weights in use they are fetched, in bytes: the processor itself stops at the end of a page.
const PREFETCH: usize = 4096;

static KERNELS: Kernels = Kernels { name: "avx512", conv_pass, dense };

/// The kernels, where the processor has AVX-512 F and DQ.
pub(super) fn kernels() -> Option<&'static Kernels> {
    let present = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq");
    present.then_some(&KERNELS)
}

fn conv_pass(pass: &Pass<'_>, output: &mut [u64]) {
    // SAFETY: `kernels` is the only way here, and it has found AVX-512 F and DQ.
    with_width!(pass.weights, weights => unsafe { all_tiles(pass, weights, output) });
}

fn dense(weights: WordSlice<'_>, input: &[u64], output: &mut [u64]) {
    // SAFETY: as in `conv_pass`.
    with_width!(weights, weights => unsafe { dense_rows(weights, input, output) });
}

/// Loads [`LANES`] elements, each widened.
trait Load: Word {
    /// # Safety
    /// The processor has AVX-512 F, and [`LANES`] elements can be read at `from`.
    unsafe fn load(from: *const Self) -> __m512i;
}

impl Load for u64 {
    #[inline(always)]
    unsafe fn load(from: *const u64) -> __m512i {
        // SAFETY: the caller's.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }
}

impl Load for i32 {
    #[inline(always)]
    unsafe fn load(from: *const i32) -> __m512i {
        // SAFETY: the caller's.
        unsafe { _mm512_cvtepi32_epi64(_mm256_loadu_si256(from.cast())) }
    }
}

impl Load for i16 {
    #[inline(always)]
    unsafe fn load(from: *const i16) -> __m512i {
        // SAFETY: the caller's.
        unsafe { _mm512_cvtepi16_epi64(_mm_loadu_si128(from.cast())) }
    }
}

/// Covers the pixels with tiles of nearly equal height, none taller than the first height given, which count down to 1.
macro_rules! cover {
    ($pass:ident, $weights:ident, $output:ident, $vectors:literal: $most:literal $($height:literal)*) => {{
        let (mut pixel, end) = (0, $pass.pixels());
        while pixel < end {
            let left = end - pixel;
            let height = left.div_ceil(left.div_ceil($most));
            match height {
                $most => tile::<_, $most, $vectors>($pass, $weights, $output, pixel),
                $($height => tile::<_, $height, $vectors>($pass, $weights, $output, pixel),)*
                _ => unreachable!("tiles of 1 to {} pixels", $most),
            }
            pixel += height;
        }
    }};
}

#[target_feature(enable = "avx512f,avx512dq")]
fn all_tiles<W: Load>(pass: &Pass<'_>, weights: &[W], output: &mut [u64]) {
    match pass.vectors {
        1 => cover!(pass, weights, output, 1: 8 7 6 5 4 3 2 1),
        2 => cover!(pass, weights, output, 2: 8 7 6 5 4 3 2 1),
        3 => cover!(pass, weights, output, 3: 8 7 6 5 4 3 2 1),
        4 => cover!(pass, weights, output, 4: 6 5 4 3 2 1),
        n => unreachable!("a block has 1 to 4 vectors, not {n}"),
    }
}

/// `P` pixels from `pixel` on by `V` vectors of output channels.
#[target_feature(enable = "avx512f,avx512dq")]
fn tile<W: Load, const P: usize, const V: usize>(pass: &Pass<'_>, weights: &[W], output: &mut [u64], pixel: usize) {
    assert_eq!(weights.len(), pass.taps.len() * pass.run * V * LANES);
    assert_eq!(pass.channels.len().div_ceil(LANES), V);
    // From here on the tile is plain pointers and loops without panics: with anything else in
    // them the compiler leaves the accumulators in memory.
    let (corner, pitch) = pass.corner(output, pixel, P);
    let mut masks = [0xFF; V];
    masks[V - 1] = first_lanes(pass.channels.len() - (V - 1) * LANES);

    let mut sums = [[_mm512_setzero_si512(); V]; P];
    if pass.accumulate {
        for (p, sums) in sums.iter_mut().enumerate() {
            for (v, sum) in sums.iter_mut().enumerate() {
                // SAFETY: `Pass::corner` checks the tile's pixels, and the masks keep the access
                // within the pass's channels.
                *sum = unsafe { _mm512_maskz_loadu_epi64(masks[v], corner.add(p * pitch + v * LANES).cast()) };
            }
        }
    }
    let mut weights = weights.as_ptr();
    for tap in pass.taps.clone() {
        let mut rows = [std::ptr::null(); P];
        for (p, row) in rows.iter_mut().enumerate() {
            *row = pass.row(pixel + p, tap).as_ptr();
        }
        for i in 0..pass.run {
            let mut w = [_mm512_setzero_si512(); V];
            for w in &mut w {
                // SAFETY: the loops read taps * run * V vectors, the length asserted above.
                unsafe {
                    *w = W::load(weights);
                    weights = weights.add(LANES);
                }
            }
            for line in 0..(V * LANES * size_of::<W>()).div_ceil(64) {
                _mm_prefetch::<_MM_HINT_T0>(weights.cast::<i8>().wrapping_add(PREFETCH + 64 * line));
            }
            for (row, sums) in rows.iter().zip(&mut sums) {
                // SAFETY: `Pass::row` is `run` elements long.
                let x = _mm512_set1_epi64(unsafe { row.add(i).read() } as i64);
                let (pairs, rest) = sums.as_chunks_mut();
                let (w_pairs, w_rest) = w.as_chunks();
                for (sums, w) in pairs.iter_mut().zip(w_pairs) {
                    add_products(sums, x, w);
                }
                for (sum, w) in rest.iter_mut().zip(w_rest) {
                    *sum = _mm512_add_epi64(*sum, _mm512_mullo_epi64(x, *w));
                }
            }
        }
    }
    for (p, sums) in sums.iter().enumerate() {
        for (v, sum) in sums.iter().enumerate() {
            // SAFETY: as for the loads above.
            unsafe {
                _mm512_mask_storeu_epi64(corner.add(p * pitch + v * LANES).cast(), masks[v], *sum);
            }
        }
    }
}

/// `sums += x * w` for two vectors, both multiplications before both additions: Zen 4 runs this
/// order a fifth faster than alternating ones, which the compiler's scheduler would make of it.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn add_products(sums: &mut [__m512i; 2], x: __m512i, w: &[__m512i; 2]) {
    let [mut sum0, mut sum1] = *sums;
    // SAFETY: arithmetic on registers only.
    unsafe {
        asm!(
            "vpmullq {product0}, {x}, {w0}",
            "vpmullq {product1}, {x}, {w1}",
            "vpaddq {sum0}, {sum0}, {product0}",
            "vpaddq {sum1}, {sum1}, {product1}",
            product0 = out(zmm_reg) _,
            product1 = out(zmm_reg) _,
            sum0 = inout(zmm_reg) sum0,
            sum1 = inout(zmm_reg) sum1,
            x = in(zmm_reg) x,
            w0 = in(zmm_reg) w[0],
            w1 = in(zmm_reg) w[1],
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    *sums = [sum0, sum1];
}

fn first_lanes(n: usize) -> __mmask8 {
    ((1u16 << n.min(LANES)) - 1) as __mmask8
}

#[target_feature(enable = "avx512f,avx512dq")]
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
#[target_feature(enable = "avx512f,avx512dq")]
fn dots<W: Load, const R: usize>(weights: &[W], input: &[u64], output: &mut [u64], row: usize) {
    let n = input.len();
    let rows = &weights[row * n..][..R * n];
    let whole = n - n % LANES;
    let mut sums = [_mm512_setzero_si512(); R];
    for i in (0..whole).step_by(LANES) {
        // SAFETY: i + LANES <= n.
        let x = unsafe { u64::load(input.as_ptr().add(i)) };
        for (r, sum) in sums.iter_mut().enumerate() {
            // SAFETY: the same, within row r of `rows`.
            let w = unsafe { W::load(rows.as_ptr().add(r * n + i)) };
            *sum = _mm512_add_epi64(*sum, _mm512_mullo_epi64(x, w));
        }
    }
    for (r, sum) in sums.into_iter().enumerate() {
        let rest = input[whole..].iter().zip(&rows[r * n + whole..]);
        let vector = _mm512_reduce_add_epi64(sum) as u64;
        output[row + r] = rest.fold(vector, |sum, (x, w)| sum.wrapping_add(x.wrapping_mul(w.widen())));
    }
}
