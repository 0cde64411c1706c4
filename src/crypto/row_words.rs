//! Operations on the 64-bit halves of a row's blocks, for garbling schemes that slice labels.
//!
//! A mask has a bit per half: bit `2 lane` is for the low half of a lane, bit `2 lane + 1` for the high one.

use super::Block;
use super::rekeyed::{LANES, Row};

/// The low halves of all lanes.
pub const LOW: u32 = 0x5555_5555;
/// The high halves of all lanes.
pub const HIGH: u32 = !LOW;

/// The operations, in portable code; a kernel may override them by faster ones.
pub trait RowWords: Copy {
    /// The least significant bit of each half.
    #[inline(always)]
    fn lsbs(self, x: &Row) -> u32 {
        let blocks = x.0.iter().enumerate();
        blocks.fold(0, |mask, (lane, x)| mask | ((x.0 as u32 & 1) | ((x.0 >> 64) as u32 & 1) << 1) << (2 * lane))
    }

    /// The halves in the mask; the others are zero.
    #[inline(always)]
    fn select(self, mask: u32, x: &Row) -> Row {
        let mut out = *x;
        for (lane, block) in out.0.iter_mut().enumerate() {
            let keep = |half: usize| u128::from((u64::from(mask >> (2 * lane + half)) & 1).wrapping_neg());
            block.0 &= keep(0) | keep(1) << 64;
        }
        out
    }

    /// Both halves of every block exchanged.
    #[inline(always)]
    fn swap(self, x: &Row) -> Row {
        let mut out = *x;
        out.0.iter_mut().for_each(|block| block.0 = block.0.rotate_left(64));
        out
    }

    /// In every lane the low half of `low`, then that of `high`.
    #[inline(always)]
    fn low_halves(self, low: &Row, high: &Row) -> Row {
        let mut out = *low;
        for (block, high) in out.0.iter_mut().zip(&high.0) {
            *block = Block(u128::from(block.0 as u64) | high.0 << 64);
        }
        out
    }

    /// In every lane the high half of `low`, then that of `high`.
    #[inline(always)]
    fn high_halves(self, low: &Row, high: &Row) -> Row {
        let mut out = *high;
        for (block, low) in out.0.iter_mut().zip(&low.0) {
            *block = Block(low.0 >> 64 | block.0 >> 64 << 64);
        }
        out
    }

    /// The low half of each lane.
    #[inline(always)]
    fn pack(self, x: &Row) -> [u64; LANES] {
        x.0.map(|block| block.0 as u64)
    }

    /// A word in both halves of its lane.
    #[inline(always)]
    fn spread(self, words: &[u64; LANES]) -> Row {
        Row(words.map(|word| Block(u128::from(word) | u128::from(word) << 64)))
    }
}
