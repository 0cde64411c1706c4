//! Sums of the AES counter streams of 2^k keys, k = 2, 4 or 8: what small-field VOLE makes of the leaves of a tree.
//!
//! Stream `x` is AES-128(key `x`, 0), AES-128(key `x`, 1), ..., as in [`Prg`](super::Prg). Over the same blocks of
//! all streams, [`StreamSums::fill`] gives for every bit `b` of an index the XOR of the streams whose index has bit `b`
//! set, and the XOR of all streams.
//!
//! Every stream is expanded once and enters two XORs on average: pairs of neighbours fold into one stream of half as
//! many, whose odd members sum to the next bit's row: a stream at a time, as a binary counter carries.
//!
//! The kernel with VAES keeps four registers of each of two streams in flight and folds them where they are; the
//! portable one calls the crate `aes` and is its twin in the tests.

use super::Block;
use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};

#[cfg(target_arch = "x86_64")]
mod vaes;

/// Most bits that the index of a stream can have.
const MAX_BITS: usize = 8;

/// Rows have a multiple of this many blocks.
pub const STEP: usize = 16;

/// Blocks of a stream that the portable kernel makes at a time: enough to fill the pipelines.
const CHUNK: usize = 64;

/// The streams of 2^k keys.
pub struct StreamSums {
    bits: usize,
    keys: Keys,
}

/// The expanded keys, as the kernel in use wants them.
enum Keys {
    Portable(Vec<Aes128>),
    #[cfg(target_arch = "x86_64")]
    Vaes(vaes::Keys),
}

impl StreamSums {
    /// The streams of these keys, with the fastest kernel of this processor.
    ///
    /// # Panics
    /// If there are not 4, 16 or 256 keys.
    pub fn new(keys: &[[u8; 16]]) -> StreamSums {
        #[cfg(target_arch = "x86_64")]
        if let Some(expanded) = vaes::Keys::new(keys) {
            return StreamSums { bits: index_bits(keys.len()), keys: Keys::Vaes(expanded) };
        }
        StreamSums::portable(keys)
    }

    fn portable(keys: &[[u8; 16]]) -> StreamSums {
        let expanded = keys.iter().map(|key| Aes128::new(key.into())).collect();
        StreamSums { bits: index_bits(keys.len()), keys: Keys::Portable(expanded) }
    }

    /// `k`: bits of a stream's index.
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// Blocks `first..first + n` of the sums, as `k + 1` rows of `n` blocks: row `b < k` sums the streams whose index
    /// has bit `b` set, row `k` all streams.
    ///
    /// # Panics
    /// If `rows` are not `k + 1` rows of a multiple of [`STEP`] blocks.
    pub fn fill(&self, first: u64, rows: &mut [Block]) {
        let n = rows.len() / (self.bits + 1);
        assert!(n.is_multiple_of(STEP) && n * (self.bits + 1) == rows.len(), "rows of whole steps");
        match &self.keys {
            Keys::Portable(ciphers) => fill_portable(ciphers, first, rows, n),
            #[cfg(target_arch = "x86_64")]
            Keys::Vaes(keys) => keys.fill(first, rows, n),
        }
    }
}

fn index_bits(keys: usize) -> usize {
    assert!(matches!(keys, 4 | 16 | 256), "{keys} keys: neither 4, 16 nor 256");
    keys.ilog2() as usize
}

fn fill_portable(ciphers: &[Aes128], first: u64, rows: &mut [Block], n: usize) {
    let bits = ciphers.len().ilog2() as usize;
    rows.fill(Block::ZERO);
    for start in (0..n).step_by(CHUNK) {
        let size = CHUNK.min(n - start);
        let counters: [_; CHUNK] = std::array::from_fn(|i| u128::from(first + (start + i) as u64).to_le_bytes().into());
        let mut partial = [[Block::ZERO; CHUNK]; MAX_BITS + 1];
        for (x, cipher) in ciphers.iter().enumerate() {
            let mut states: [aes::Block; CHUNK] = counters;
            cipher.encrypt_blocks(&mut states[..size]);
            let mut sum = states.map(|state| Block(u128::from_le_bytes(state.into())));
            let carries = x.trailing_ones() as usize;
            for (level, partial) in partial.iter().enumerate().take(carries) {
                xor(&mut rows[level * n + start..][..size], &sum);
                xor(&mut sum, partial);
            }
            partial[carries] = sum;
        }
        rows[bits * n + start..][..size].copy_from_slice(&partial[bits][..size]);
    }
}

fn xor(into: &mut [Block], from: &[Block]) {
    for (into, from) in into.iter_mut().zip(from) {
        *into ^= *from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Prg, Seed};

    /// Both kernels, where the processor has them.
    fn kernels(keys: &[[u8; 16]]) -> [StreamSums; 2] {
        [StreamSums::portable(keys), StreamSums::new(keys)]
    }

    /// The definition, over whole streams of the generator.
    fn by_definition(keys: &[[u8; 16]], blocks: usize) -> Vec<Vec<Block>> {
        let bits = keys.len().ilog2() as usize;
        let mut rows = vec![vec![Block::ZERO; blocks]; bits + 1];
        for (x, key) in keys.iter().enumerate() {
            let stream: Vec<Block> = Prg::from_key(*key).words(blocks);
            for (b, row) in rows.iter_mut().enumerate() {
                // Bit k of x + 2^k is set for every x.
                if (x | 1 << bits) >> b & 1 == 1 {
                    xor(row, &stream);
                }
            }
        }
        rows
    }

    #[test]
    fn every_kernel_equals_the_definition() {
        for bits in [2, 4, 8] {
            let keys: Vec<[u8; 16]> = Seed::from_u64(bits as u64).prg().words(1 << bits);
            let expected = by_definition(&keys, 192);
            for (which, sums) in kernels(&keys).iter().enumerate() {
                assert_eq!(sums.bits(), bits);
                for (first, n) in [(0, 16), (0, 64), (48, 80), (16, 176), (192, 0)] {
                    let mut rows = vec![Block(7); (bits + 1) * n];
                    sums.fill(first as u64, &mut rows);
                    let part: Vec<Block> = expected.iter().flat_map(|row| &row[first..first + n]).copied().collect();
                    assert!(rows == part, "kernel {which}, {bits} bits, {n} blocks from {first}");
                }
            }
        }
    }

    #[test]
    fn counters_beyond_32_bits_are_counted() {
        let keys: Vec<[u8; 16]> = Seed::from_u64(3).prg().words(4);
        let first = (1 << 32) - 8;
        let [portable, best] = kernels(&keys).map(|sums| {
            let mut rows = vec![Block::ZERO; 3 * 16];
            sums.fill(first, &mut rows);
            rows
        });
        assert_eq!(portable, best);
        assert!((1..16).all(|i| portable[i] != portable[0]));
    }

    #[test]
    #[should_panic(expected = "neither 4, 16 nor 256")]
    fn another_number_of_keys_is_refused() {
        StreamSums::new(&[[0; 16]; 3]);
    }

    #[test]
    #[should_panic(expected = "whole steps")]
    fn a_part_of_a_step_is_refused() {
        StreamSums::new(&[[0; 16]; 4]).fill(0, &mut [Block::ZERO; 3 * 8]);
    }
}
