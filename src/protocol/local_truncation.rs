//! Truncation of shares without communication, and with the failures that published protocols accept.
//!
//! A value `v` mod 2^64 is shared as `v + r` (server) and `-r` (client). SecureML (Mohassel and Zhang, IEEE S&P
//! 2017, section 4.1, theorem 1): the server shifts its share, the client negates, shifts and negates. If `v + r`
//! does not wrap around the ring, the results add up to `floor(v / 2^t)` or one above. It wraps for `|v|` of the
//! 2^64 values of `r`: **with probability `|v| / 2^64` the result is off by `2^(64-t)`**, which no later step notices.
//!
//! [`masked_open`](super::masked_open) truncates without this failure, but needs an opening.

use crate::link::Party;
use multiversion::multiversion;

/// A party's share of `v >> bits`, from its share of `v`.
pub(super) fn truncated(party: Party, share: u64, bits: u32) -> u64 {
    match party {
        Party::Server => share >> bits,
        _ => (share.wrapping_neg() >> bits).wrapping_neg(),
    }
}

/// `output[i]` becomes the party's share of `v >> bits` for its share `shares[i]` of `v`.
pub(super) fn truncate(party: Party, shares: &[u64], bits: u32, output: &mut [u64]) {
    output.copy_from_slice(shares);
    truncate_in_place(party, output, bits);
}

/// [`truncate`] of a slice into itself.
#[multiversion(targets("x86_64+avx512f+avx512dq", "x86_64+avx2"))]
pub(super) fn truncate_in_place(party: Party, shares: &mut [u64], bits: u32) {
    for share in shares {
        *share = truncated(party, *share, bits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shared_and_truncated(v: i64, r: u64, bits: u32) -> i64 {
        let server = truncated(Party::Server, (v as u64).wrapping_add(r), bits);
        server.wrapping_add(truncated(Party::Client, r.wrapping_neg(), bits)) as i64
    }

    proptest! {
        #[test]
        fn the_floor_or_one_above_unless_the_sum_wraps(v in -(1i64 << 40)..1 << 40, r: u64, bits in 0u32..40) {
            let wraps = i128::from(v) + i128::from(r) < 0 || i128::from(v) + i128::from(r) > i128::from(u64::MAX);
            let error = shared_and_truncated(v, r, bits).wrapping_sub(v >> bits);
            let off = if wraps { 1i64.checked_shl(64 - bits).unwrap_or(0).wrapping_mul(v.signum()).wrapping_neg() } else { 0 };
            prop_assert!([off, off.wrapping_add(1)].contains(&error), "{error}");
        }
    }

    #[test]
    fn a_wrap_is_off_by_the_ring_over_the_divisor() {
        // 5 at scale 32 against masks at the top of the ring: 5 * 2^32 of them wrap.
        let v = 5i64 << 32;
        let last = u64::MAX - v as u64;
        assert_eq!(shared_and_truncated(v, last, 16), 5 << 16);
        assert_eq!(shared_and_truncated(v, last + 1, 16), (5 << 16) - (1 << 48));
        assert_eq!(shared_and_truncated(-v, v as u64, 16), -5 << 16);
        assert_eq!(shared_and_truncated(-v, v as u64 - 1, 16), (-5 << 16) + (1 << 48));
    }

    #[test]
    fn slices_and_words_agree() {
        let shares: Vec<u64> = (0..100u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        for party in [Party::Server, Party::Client] {
            let mut output = vec![0; 100];
            truncate(party, &shares, 13, &mut output);
            assert!(shares.iter().zip(output).all(|(&share, actual)| actual == truncated(party, share, 13)));
        }
    }
}
