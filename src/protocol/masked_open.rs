//! The masked opening that truncates without failing (longhaul's own).
//!
//! For `|y| < 2^62` and a uniform mask `r`, both parties learn `Y = y + 2^62 + r mod 2^64`. Let
//! `rho = r >> t`, and `rho' = rho - 2^(64-t) msb(r)`. As `0 <= y + 2^62 < 2^63`:
//!
//! * `msb(Y) = 1`: the sum cannot have wrapped (a wrapped sum is below `2^63`), so `rho` is right;
//! * `msb(Y) = 0`: it wrapped exactly if `msb(r) = 1`, so `rho'` is right.
//!
//! With the right one, `(Y >> t) - 2^(62-t) - rho = floor(y / 2^t) + {0, 1}` over the integers; the borrow
//! is an unbiased stochastic rounding, because the low bits of `r` are uniform.

use super::Session;
use crate::link::LinkError;

/// Makes the bounded `y` non-negative before masking.
pub(super) const OFFSET: u64 = 1 << 62;

/// `(rho, rho')` of a mask.
pub(super) fn shifted_mask(r: u64, shift: u32) -> (i64, i64) {
    let rho = (r >> shift) as i64;
    (rho, rho.wrapping_sub(((r >> 63) as i64) << (64 - shift)))
}

/// `(X, wrapped)` of an opened value: the truncated value is `X - rho`, or `X - rho'` if `wrapped`.
pub(super) fn truncated_opening(opened: u64, shift: u32) -> (i64, bool) {
    ((opened >> shift) as i64 - (OFFSET >> shift) as i64, opened >> 63 == 0)
}

/// The same in a ring of `width` bits: `|y| < 2^(width-2)`, and only `width` bits of each half travel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opening {
    /// Bits that are opened: 3 to 64.
    pub(super) width: u32,
    /// Bits that are truncated: at most `width - 3`.
    pub(super) shift: u32,
}

impl Opening {
    /// Bits of `X` and of `rho`.
    pub(super) fn truncated_bits(self) -> u32 {
        self.width - self.shift
    }

    /// Makes the bounded `y` non-negative before masking.
    pub(super) fn offset(self) -> u64 {
        1 << (self.width - 2)
    }

    /// `(rho, rho')` of a mask of which the lowest `width` bits count.
    pub(super) fn shifted_mask(self, r: u64) -> (u64, u64) {
        let rho = self.reduce(r) >> self.shift;
        let wrapped = (rho >> (self.truncated_bits() - 1)) << (self.truncated_bits() - 1) << 1;
        (rho, rho.wrapping_sub(wrapped))
    }

    /// `(X, wrapped)` of the sum of the halves: the truncated value is `X - rho`, or `X - rho'` if `wrapped`.
    pub(super) fn truncated(self, sum: u64) -> (u64, bool) {
        let opened = self.reduce(sum);
        ((opened >> self.shift).wrapping_sub(self.offset() >> self.shift), opened >> (self.width - 1) == 0)
    }

    /// Bytes of a half on the wire.
    pub(super) fn wire_bytes(self) -> usize {
        self.width.div_ceil(8) as usize
    }

    /// Sends halves as one message, the lowest `width` bits of each; nothing for no halves.
    pub(super) fn send(self, session: &mut Session, halves: &[u64]) -> Result<(), LinkError> {
        if halves.is_empty() {
            return Ok(());
        }
        let bytes = self.wire_bytes();
        let mut message = Vec::with_capacity(bytes * halves.len());
        for &half in halves {
            message.extend_from_slice(&self.reduce(half).to_le_bytes()[..bytes]);
        }
        session.send(message)
    }

    /// Receives `n` halves; nothing for none.
    pub(super) fn recv(self, session: &mut Session, n: usize) -> Result<Vec<u64>, LinkError> {
        if n == 0 {
            return Ok(Vec::new());
        }
        let bytes = self.wire_bytes();
        let word = |half: &[u8]| {
            let mut word = [0; 8];
            word[..bytes].copy_from_slice(half);
            u64::from_le_bytes(word)
        };
        Ok(session.recv(bytes * n)?.chunks_exact(bytes).map(word).collect())
    }

    fn reduce(self, value: u64) -> u64 {
        value & (u64::MAX >> (64 - self.width))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn truncates_to_the_floor_or_one_above(y in -(1i64 << 62) + 1..(1i64 << 62), r: u64, shift in 1u32..32) {
            let (x, wrapped) = truncated_opening((y as u64).wrapping_add(OFFSET).wrapping_add(r), shift);
            let (rho, rho_wrapped) = shifted_mask(r, shift);
            let error = x - if wrapped { rho_wrapped } else { rho } - (y >> shift);
            prop_assert!(error == 0 || error == 1);
        }
    }

    #[test]
    fn range_ends() {
        for y in [-(1i64 << 62), (1 << 62) - 1, 0, -1, 1] {
            for r in [0, 1, u64::MAX, 1 << 63, (1 << 63) - 1] {
                let (x, wrapped) = truncated_opening((y as u64).wrapping_add(OFFSET).wrapping_add(r), 16);
                let (rho, rho_wrapped) = shifted_mask(r, 16);
                let error = x - if wrapped { rho_wrapped } else { rho } - (y >> 16);
                assert!(error == 0 || error == 1, "y {y} r {r}");
            }
        }
    }

    #[test]
    fn small_rings_in_full() {
        for (width, shift) in [(8, 0), (8, 2), (8, 5), (7, 3), (3, 0)] {
            let opening = Opening { width, shift };
            let bound = 1i64 << (width - 2);
            for (y, r) in (1 - bound..bound).flat_map(|y| (0..1u64 << width).map(move |r| (y, r))) {
                let (x, wrapped) = opening.truncated((y as u64).wrapping_add(opening.offset()).wrapping_add(r));
                let (rho, rho_wrapped) = opening.shifted_mask(r);
                let error = x.wrapping_sub(if wrapped { rho_wrapped } else { rho }).wrapping_sub((y >> shift) as u64);
                assert!(error <= u64::from(shift > 0), "width {width} shift {shift}: y {y} r {r}: {error}");
            }
        }
    }

    #[test]
    fn the_whole_word_is_one_of_the_widths() {
        let opening = Opening { width: 64, shift: 16 };
        for r in [0, 1, u64::MAX, 1 << 63, (1 << 63) - 1, 0x1234_5678_9abc_def0] {
            let (rho, rho_wrapped) = shifted_mask(r, 16);
            assert_eq!(opening.shifted_mask(r), (rho as u64, rho_wrapped as u64));
            let (x, wrapped) = truncated_opening(r, 16);
            assert_eq!(opening.truncated(r), (x as u64, wrapped));
        }
    }
}
