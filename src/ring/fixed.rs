//! Fixed point: a real `x` at scale `frac_bits` is `round(x * 2^frac_bits)` in two's complement.

/// 2^63: the first magnitude a signed 64-bit number cannot hold.
const LIMIT: f64 = 9_223_372_036_854_775_808.0;

/// `x` at scale `frac_bits`, rounded to nearest, ties to even. `None` if `x` is not a number or
/// `|x| * 2^frac_bits >= 2^63`.
///
/// ```
/// use longhaul::ring::{decode, encode};
/// assert_eq!(encode(-1.5, 16), Some((-98304i64) as u64));
/// assert_eq!(decode(98304, 16), 1.5);
/// assert_eq!(encode(1e30, 16), None);
/// ```
///
/// # Panics
/// If `frac_bits` is above 63.
pub fn encode(x: f64, frac_bits: u32) -> Option<u64> {
    let scaled = x * scale(frac_bits);
    // False for NaN. From 2^53 on `scaled` is whole, so rounding cannot reach the limit.
    (scaled.abs() < LIMIT).then(|| scaled.round_ties_even() as i64 as u64)
}

/// The real number that `x` stands for at scale `frac_bits`, to the nearest `f64`.
///
/// # Panics
/// If `frac_bits` is above 63.
pub fn decode(x: u64, frac_bits: u32) -> f64 {
    x as i64 as f64 / scale(frac_bits)
}

/// [`encode`] for a slice.
///
/// # Errors
/// The index of the first value that cannot be encoded.
///
/// # Panics
/// If `frac_bits` is above 63.
pub fn encode_slice(values: &[f64], frac_bits: u32) -> Result<Vec<u64>, usize> {
    values.iter().enumerate().map(|(index, &x)| encode(x, frac_bits).ok_or(index)).collect()
}

/// [`decode`] for a slice.
///
/// # Panics
/// If `frac_bits` is above 63.
pub fn decode_slice(values: &[u64], frac_bits: u32) -> Vec<f64> {
    values.iter().map(|&x| decode(x, frac_bits)).collect()
}

fn scale(frac_bits: u32) -> f64 {
    assert!(frac_bits < 64, "frac_bits is {frac_bits}, the ring has 64");
    (1u64 << frac_bits) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_values() {
        let table: [(f64, u32, i64); 13] = [
            (0.0, 16, 0),
            (-0.0, 16, 0),
            (1.0, 16, 65_536),
            (-1.0, 16, -65_536),
            (0.314_452_5, 10, 322),
            (0.5, 0, 0), // ties to even
            (1.5, 0, 2),
            (2.5, 0, 2),
            (-0.5, 0, 0),
            (-1.5, 0, -2),
            (0.499_999, 0, 0),
            (0.5, 63, 1 << 62),
            (-0.5, 63, -(1 << 62)),
        ];
        for (x, frac_bits, expected) in table {
            let actual = encode(x, frac_bits).map(|x| x as i64);
            assert_eq!(actual, Some(expected), "encode({x}, {frac_bits})");
        }
        assert_eq!(decode(u64::MAX, 16), -1.0 / 65_536.0);
        assert_eq!(decode(1 << 63, 63), -1.0);
    }

    #[test]
    fn the_range_ends_at_two_to_the_63() {
        for frac_bits in [0, 1, 16, 63] {
            let limit = LIMIT / scale(frac_bits);
            let below = f64::from_bits(limit.to_bits() - 1);
            // The neighbour below 2^63 is 2^63 - 1024.
            let largest = i64::MAX - 1023;
            assert_eq!(encode(below, frac_bits), Some(largest as u64));
            assert_eq!(encode(-below, frac_bits), Some(-largest as u64));
            for bad in [limit, -limit, 1e300, f64::INFINITY, -f64::INFINITY, f64::NAN] {
                assert_eq!(encode(bad, frac_bits), None, "{bad} at {frac_bits}");
            }
        }
    }

    #[test]
    fn slices_name_the_first_bad_value() {
        assert_eq!(encode_slice(&[1.0, -2.0], 4), Ok(vec![16, -32i64 as u64]));
        assert_eq!(encode_slice(&[], 4), Ok(vec![]));
        assert_eq!(encode_slice(&[0.0, 1.0, f64::NAN, 1e99], 4), Err(2));
        assert_eq!(decode_slice(&[16, -32i64 as u64], 4), [1.0, -2.0]);
    }

    #[test]
    #[should_panic(expected = "frac_bits is 64")]
    fn too_many_fraction_bits() {
        encode(0.0, 64);
    }

    proptest! {
        #[test]
        fn rounds_to_nearest(x in -1e6..1e6f64, frac_bits in 0..40u32) {
            let encoded = encode(x, frac_bits).expect("in range");
            prop_assert!((decode(encoded, frac_bits) - x).abs() <= 0.5 / scale(frac_bits));
        }

        #[test]
        fn decode_inverts_encode(x in -(1i64 << 53)..(1i64 << 53), frac_bits in 0..64u32) {
            prop_assert_eq!(encode(decode(x as u64, frac_bits), frac_bits), Some(x as u64));
        }
    }
}
