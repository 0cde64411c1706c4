//! Transposition of a bit matrix of 128 rows: the step of OT extension that turns 128 bit streams
//! into one block per transfer.
//!
//! The matrix is cut into tiles of 128 rows by 512 columns (8 KiB, so a tile stays in the first
//! cache whatever the row length). Three kernels transpose one tile and agree bit for bit:
//! AVX-512 with GFNI (8 x 8 bit matrices by one affine map, bytes by unpacking), AVX2 (byte
//! unpacking and sign masks) and a portable one (the recursive swap of Eklundh, 1972).

use super::Block;

#[cfg(target_arch = "x86_64")]
mod x86;

/// Columns of a tile.
const COLUMNS: usize = 512;
/// 64-bit words of a tile's row.
const WORDS: usize = COLUMNS / 64;

/// 128 rows of 512 bits; column `j` is bit `j % 64` of word `j / 64`.
#[repr(C, align(64))]
struct Tile([[u64; WORDS]; 128]);

type Kernel = fn(&Tile, &mut [Block; COLUMNS]);

/// Transposes 128 rows of `out.len()` bits into `out.len()` blocks: bit `i` of `out[j]` becomes bit
/// `j` of row `i`.
///
/// `rows` holds the rows one after another, `out.len() / 8` bytes each; bit `j` of a row is bit
/// `j % 8` of its byte `j / 8`.
///
/// # Panics
///
/// If `out.len()` is not a multiple of 8, or `rows` has not 16 bytes per block.
pub fn transpose(rows: &[u8], out: &mut [Block]) {
    transpose_with(kernel(), rows, out);
}

fn transpose_with(kernel: Kernel, rows: &[u8], out: &mut [Block]) {
    assert_eq!(out.len() % 8, 0, "rows are whole bytes");
    assert_eq!(rows.len(), 16 * out.len(), "128 bits per column");
    let row_bytes = out.len() / 8;
    let mut tile = Tile([[0; WORDS]; 128]);
    let mut partial = [Block::ZERO; COLUMNS];
    for (index, columns) in out.chunks_mut(COLUMNS).enumerate() {
        let start = index * COLUMNS / 8;
        for (row, words) in rows.chunks_exact(row_bytes).zip(&mut tile.0) {
            load_row(&row[start..start + columns.len() / 8], words);
        }
        match columns.as_mut_array::<COLUMNS>() {
            Some(whole) => kernel(&tile, whole),
            None => {
                kernel(&tile, &mut partial);
                columns.copy_from_slice(&partial[..columns.len()]);
            }
        }
    }
}

/// Copies up to 64 bytes; words beyond them keep bits that the caller does not read.
#[inline(always)]
fn load_row(bytes: &[u8], words: &mut [u64; WORDS]) {
    let (whole, rest) = bytes.as_chunks::<8>();
    for (word, bytes) in words.iter_mut().zip(whole) {
        *word = u64::from_le_bytes(*bytes);
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        words[whole.len()] = u64::from_le_bytes(last);
    }
}

/// The fastest kernel of this processor.
fn kernel() -> Kernel {
    #[cfg(target_arch = "x86_64")]
    if let Some(kernel) = x86::gfni().or_else(x86::avx2) {
        return kernel;
    }
    portable
}

/// A 128 x 64 part at a time, as two 64 x 64 squares.
fn portable(tile: &Tile, out: &mut [Block; COLUMNS]) {
    for (word, out) in out.as_chunks_mut::<64>().0.iter_mut().enumerate() {
        let mut low: [u64; 64] = std::array::from_fn(|i| tile.0[i][word]);
        let mut high: [u64; 64] = std::array::from_fn(|i| tile.0[64 + i][word]);
        transpose_square(&mut low);
        transpose_square(&mut high);
        for ((out, low), high) in out.iter_mut().zip(low).zip(high) {
            *out = Block(low as u128 | (high as u128) << 64);
        }
    }
}

/// Swaps the off-diagonal quarters of every square of side 64, then 32, ... then 2.
fn transpose_square(rows: &mut [u64; 64]) {
    let mut mask = u64::MAX >> 32;
    let mut half = 32;
    while half > 0 {
        for square in rows.chunks_exact_mut(2 * half) {
            let (top, bottom) = square.split_at_mut(half);
            for (top, bottom) in top.iter_mut().zip(bottom) {
                let swap = (*top >> half ^ *bottom) & mask;
                *top ^= swap << half;
                *bottom ^= swap;
            }
        }
        half /= 2;
        mask ^= mask << half;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Seed;
    use proptest::prelude::*;

    /// Every kernel this processor can run.
    fn kernels() -> Vec<(&'static str, Kernel)> {
        let mut kernels = vec![("portable", portable as Kernel)];
        #[cfg(target_arch = "x86_64")]
        {
            kernels.extend(x86::avx2().map(|kernel| ("avx2", kernel)));
            kernels.extend(x86::gfni().map(|kernel| ("gfni", kernel)));
        }
        kernels
    }

    /// The definition, a bit at a time.
    fn by_definition(rows: &[u8], columns: usize) -> Vec<Block> {
        let bit = |i: usize, j: usize| rows[i * columns / 8 + j / 8] >> (j % 8) & 1;
        (0..columns).map(|j| Block((0..128).fold(0, |block, i| block | (bit(i, j) as u128) << i))).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn every_kernel_equals_the_definition(seed: u64, bytes in 0usize..200) {
            let columns = 8 * bytes;
            let rows: Vec<u8> = Seed::from_u64(seed).prg().words(16 * columns);
            let expected = by_definition(&rows, columns);
            for (name, kernel) in kernels() {
                let mut out = vec![Block::ZERO; columns];
                transpose_with(kernel, &rows, &mut out);
                prop_assert_eq!(&out, &expected, "{}", name);
            }
        }
    }

    #[test]
    fn transposing_a_square_twice_is_the_identity() {
        let square: Vec<Block> = Seed::from_u64(1).prg().words(128);
        for (name, kernel) in kernels() {
            let mut once = vec![Block::ZERO; 128];
            let mut twice = once.clone();
            transpose_with(kernel, bytemuck::cast_slice(&square), &mut once);
            transpose_with(kernel, bytemuck::cast_slice(&once), &mut twice);
            assert_ne!(once, square, "{name}");
            assert_eq!(twice, square, "{name}");
        }
    }

    #[test]
    fn one_bit_lands_where_the_definition_says() {
        // Row 5, column 77 of 128 rows of 80 bits (10 bytes): byte 5 * 10 + 9, bit 5.
        let mut rows = vec![0u8; 1280];
        rows[59] = 1 << 5;
        let mut out = vec![Block::ZERO; 80];
        transpose(&rows, &mut out);
        assert_eq!(out[77], Block(1 << 5));
        assert!((0..80).all(|j| j == 77 || out[j] == Block::ZERO));
    }

    #[test]
    #[should_panic(expected = "128 bits per column")]
    fn a_matrix_of_another_size_is_refused() {
        transpose(&[0; 100], &mut [Block::ZERO; 8]);
    }
}
