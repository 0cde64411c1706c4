//! The x86-64 kernels. Each is handed out only after its instructions were detected.
#![allow(unsafe_code)]

use super::{COLUMNS, Kernel, Tile, WORDS};
use crate::crypto::Block;
use std::arch::x86_64::*;

/// The AVX-512 kernel, if this processor has its instructions.
pub(super) fn gfni() -> Option<Kernel> {
    let detected = is_x86_feature_detected!("gfni")
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vbmi");
    detected.then_some(|tile, out| {
        // SAFETY: this function is reachable only through the detection above.
        unsafe { transpose_gfni(tile, out) }
    })
}

/// The AVX2 kernel, if this processor has its instructions.
pub(super) fn avx2() -> Option<Kernel> {
    is_x86_feature_detected!("avx2").then_some(|tile, out| {
        // SAFETY: this function is reachable only through the detection above.
        unsafe { transpose_avx2(tile, out) }
    })
}

/// Eight rows at a time become, for every 64 columns, 64 bytes (`stripes`: byte `j` is the eight
/// rows' bits of column `j`); sixteen such stripes are then unpacked into 64 blocks.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni")]
fn transpose_gfni(tile: &Tile, out: &mut [Block; COLUMNS]) {
    // Qword `c`, byte `7 - r` takes byte `c` of row `r`; the affine map reads its matrix from the
    // last byte to the first, and applied to the unit vectors returns the matrix transposed.
    let order = load(&std::array::from_fn(|c| 0x0008_1018_2028_3038 + c as u64 * 0x0101_0101_0101_0101));
    let unit_vectors = _mm512_set1_epi64(0x8040_2010_0804_0201_u64 as i64);
    let mut stripes = [[_mm512_setzero_si512(); 16]; WORDS];
    for (group, rows) in tile.0.as_chunks::<8>().0.iter().enumerate() {
        let words = transpose_qwords(std::array::from_fn(|i| load(&rows[i])));
        for (stripe, word) in stripes.iter_mut().zip(words) {
            let bytes = _mm512_permutexvar_epi8(order, word);
            stripe[group] = _mm512_gf2p8affine_epi64_epi8::<0>(unit_vectors, bytes);
        }
    }
    for (stripe, out) in stripes.iter().zip(out.as_chunks_mut::<64>().0) {
        unpack_stripes(stripe, out);
    }
}

/// Word `w` of each of eight rows, in row order, for `w` = 0..8.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose_qwords(rows: [__m512i; 8]) -> [__m512i; 8] {
    let mut words = rows;
    for odd in 0..2 {
        let lanes = transpose_lanes(std::array::from_fn(|pair| {
            let (a, b) = (rows[2 * pair], rows[2 * pair + 1]);
            match odd {
                0 => _mm512_unpacklo_epi64(a, b),
                _ => _mm512_unpackhi_epi64(a, b),
            }
        }));
        for (lane, words_of_lane) in lanes.into_iter().enumerate() {
            words[2 * lane + odd] = words_of_lane;
        }
    }
    words
}

/// The 4 x 4 matrix of 128-bit lanes, transposed.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose_lanes([a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    let ab_even = _mm512_shuffle_i64x2::<0b10_00_10_00>(a, b);
    let ab_odd = _mm512_shuffle_i64x2::<0b11_01_11_01>(a, b);
    let cd_even = _mm512_shuffle_i64x2::<0b10_00_10_00>(c, d);
    let cd_odd = _mm512_shuffle_i64x2::<0b11_01_11_01>(c, d);
    [
        _mm512_shuffle_i64x2::<0b10_00_10_00>(ab_even, cd_even),
        _mm512_shuffle_i64x2::<0b10_00_10_00>(ab_odd, cd_odd),
        _mm512_shuffle_i64x2::<0b11_01_11_01>(ab_even, cd_even),
        _mm512_shuffle_i64x2::<0b11_01_11_01>(ab_odd, cd_odd),
    ]
}

/// Byte `g` of block `j` is byte `j` of stripe `g`.
///
/// Four rounds of unpacking join neighbouring stripes; afterwards lane `l` of register `k` is block
/// `16 l + k`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn unpack_stripes(stripes: &[__m512i; 16], out: &mut [Block; 64]) {
    let mut now = *stripes;
    for round in 0..4 {
        let (before, columns) = (now, 1 << round);
        for i in 0..8 {
            let (pair, column) = (i / columns, i % columns);
            let a = before[2 * pair * columns + column];
            let b = before[(2 * pair + 1) * columns + column];
            let (low, high) = match round {
                0 => (_mm512_unpacklo_epi8(a, b), _mm512_unpackhi_epi8(a, b)),
                1 => (_mm512_unpacklo_epi16(a, b), _mm512_unpackhi_epi16(a, b)),
                2 => (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b)),
                _ => (_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b)),
            };
            now[2 * pair * columns + 2 * column] = low;
            now[2 * pair * columns + 2 * column + 1] = high;
        }
    }
    for k in 0..4 {
        let lanes = transpose_lanes(std::array::from_fn(|i| now[4 * k + i]));
        for (lane, blocks) in lanes.into_iter().enumerate() {
            let out: &mut [Block; 4] = &mut out.as_chunks_mut().0[4 * lane + k];
            // SAFETY: `out` is 64 writable bytes; the store needs no alignment.
            unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), blocks) };
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(words: &[u64; WORDS]) -> __m512i {
    // SAFETY: `words` is 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

/// For 32 rows and 64 columns: unpacking brings byte `c` of every row into one register, whose sign
/// mask is 32 bits of column `8 c + 7`; doubling the bytes moves on to the column before.
#[target_feature(enable = "avx2")]
fn transpose_avx2(tile: &Tile, out: &mut [Block; COLUMNS]) {
    for (word, out) in out.as_chunks_mut::<64>().0.iter_mut().enumerate() {
        let mut masks = [[0u32; 4]; 64];
        for (quarter, rows) in tile.0.as_chunks::<32>().0.iter().enumerate() {
            for (byte, mut bytes) in gather_bytes(rows, word).into_iter().enumerate() {
                for column in (8 * byte..8 * byte + 8).rev() {
                    masks[column][quarter] = _mm256_movemask_epi8(bytes) as u32;
                    bytes = _mm256_add_epi8(bytes, bytes);
                }
            }
        }
        for (out, [a, b, c, d]) in out.iter_mut().zip(masks) {
            let wide = |low: u32, high: u32| (low as u64 | (high as u64) << 32) as u128;
            *out = Block(wide(a, b) | wide(c, d) << 64);
        }
    }
}

/// Byte `c` of the word of each of 32 rows, in row order, for `c` = 0..8.
#[inline]
#[target_feature(enable = "avx2")]
fn gather_bytes(rows: &[[u64; WORDS]; 32], word: usize) -> [__m256i; 8] {
    // Bits of a byte's position in its lane, and of its register's number, as row bits r3..r0 and
    // byte bits c2..c0: at first (r0 c2 c1 c0) and (r2 r1 r3). Unpacking registers that differ in
    // one bit of the number pushes that bit below the position and puts the position's top bit in
    // its place; four rounds give (r3 r2 r1 r0) and (c2 c1 c0).
    let mut now: [__m256i; 8] = std::array::from_fn(|i| {
        let row = 8 * (i & 1) + (i & 6);
        let [a, b, c, d] = [row, row + 1, row + 16, row + 17].map(|i| rows[i][word] as i64);
        _mm256_set_epi64x(d, c, b, a)
    });
    for bit in [1, 4, 2, 1] {
        for i in (0..8).filter(|i| i & bit == 0) {
            let (a, b) = (now[i], now[i | bit]);
            now[i] = _mm256_unpacklo_epi8(a, b);
            now[i | bit] = _mm256_unpackhi_epi8(a, b);
        }
    }
    now
}
