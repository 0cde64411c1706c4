//! The masked opening that truncates without failing (longhaul's own).
//!
//! In `w`-bit words (`w = 64`, or fewer to send less): for `|y| < 2^(w-2)` and a uniform mask `r`, both parties learn
//! `Y = y + 2^(w-2) + r mod 2^w`. Let `rho = r >> t`, and `rho' = rho - 2^(w-t) msb(r)`. As `0 <= y + 2^(w-2) < 2^(w-1)`:
//!
//! * `msb(Y) = 1`: the sum cannot have wrapped (a wrapped sum is below `2^(w-1)`), so `rho` is right;
//! * `msb(Y) = 0`: it wrapped exactly if `msb(r) = 1`, so `rho'` is right.
//!
//! With the right one, `(Y >> t) - 2^(w-2-t) - rho = floor(y / 2^t) + {0, 1}` over the integers; the borrow
//! is an unbiased stochastic rounding, because the low bits of `r` are uniform.
//!
//! The rounding depends on the opened `Y`: up exactly if `Y mod 2^t < y mod 2^t`. So the functionality is that of rounding by a
//! threshold which both parties know; who learns a result in the clear learns how the bits below compare with it.
//!
//! Shares of `y` mod 2^64 are shares mod 2^w as well: only low bits are added and opened. A `y` outside the range
//! gives a wrong value, which is why a run counts the pre-activations beyond [`MaskedOpening::width`]` - 2` bits.

use super::pack::low_bits;

/// Word size and truncation of an opening.
#[derive(Clone, Copy, Debug)]
pub(super) struct MaskedOpening {
    /// Bits of the opened words, `w`.
    pub width: u32,
    /// Bits to truncate, `t`.
    pub shift: u32,
}

impl MaskedOpening {
    /// Bits of `X` and of `rho`.
    pub fn truncated_bits(self) -> u32 {
        self.width - self.shift
    }

    /// Makes the bounded `y` non-negative before masking.
    pub fn offset(self) -> u64 {
        1 << (self.width - 2)
    }

    /// `(rho, rho')` of a mask, of which only the low `w` bits count.
    pub fn shifted_mask(self, r: u64) -> (i64, i64) {
        let r = r & low_bits(self.width);
        let rho = (r >> self.shift) as i64;
        let msb = (r >> (self.width - 1)) as i64;
        // At w = 64 and t = 0 the difference is 2^64, nothing in the ring.
        (rho, rho.wrapping_sub(msb.checked_shl(self.width - self.shift).unwrap_or(0)))
    }

    /// `(X, wrapped)` of an opened value: the truncated value is `X - rho`, or `X - rho'` if `wrapped`.
    #[inline(always)]
    pub fn truncated(self, opened: u64) -> (i64, bool) {
        let (x, wrapped) = self.shifted(opened);
        // At w = 64 and t = 0 the opened value fills the ring, in which the difference is taken.
        ((x as i64).wrapping_sub((self.offset() >> self.shift) as i64), wrapped)
    }

    /// `(Y >> t, wrapped)`: as [`MaskedOpening::truncated`] with the offset still in.
    #[inline(always)]
    pub fn shifted(self, opened: u64) -> (u64, bool) {
        let opened = opened & low_bits(self.width);
        (opened >> self.shift, opened >> (self.width - 1) == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is lost between the opening's value and `floor(y / 2^t)`: 0 or 1.
    fn rounding(opening: MaskedOpening, y: i64, r: u64) -> i64 {
        let (x, wrapped) = opening.truncated((y as u64).wrapping_add(opening.offset()).wrapping_add(r));
        let (rho, rho_wrapped) = opening.shifted_mask(r);
        x.wrapping_sub(if wrapped { rho_wrapped } else { rho }) - (y >> opening.shift)
    }

    proptest! {
        #[test]
        fn truncates_to_the_floor_or_one_above(y: i64, r: u64, width in 8u32..65, shift in 0u32..32) {
            let opening = MaskedOpening { width, shift: shift.min(width - 3) };
            let y = y >> (64 - (width - 1));
            let error = rounding(opening, y, r);
            prop_assert!(error == 0 || error == 1 && opening.shift > 0, "{error}");
        }
    }

    #[test]
    fn every_mask_and_value_of_a_small_ring() {
        for shift in 0..6 {
            let opening = MaskedOpening { width: 8, shift };
            let sum: i64 = (-64..64).flat_map(|y| (0..256).map(move |r| rounding(opening, y, r))).sum();
            // Unbiased: the mean of the rounding is the mean of the truncated fraction, (1 - 2^-t) / 2.
            assert_eq!((2 * sum) << shift, (128 * 256) * ((1 << shift) - 1));
        }
    }

    #[test]
    fn range_ends() {
        let opening = MaskedOpening { width: 64, shift: 16 };
        for y in [-(1i64 << 62), (1 << 62) - 1, 0, -1, 1] {
            for r in [0, 1, u64::MAX, 1 << 63, (1 << 63) - 1] {
                assert!([0, 1].contains(&rounding(opening, y, r)), "y {y} r {r}");
            }
        }
    }
}
