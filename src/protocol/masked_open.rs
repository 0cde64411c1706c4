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
}
