//! Integers mod 2^(64 L): the rings in which a product of several fixed-point numbers still fits.

use bytemuck::{Pod, Zeroable};

/// An integer mod `2^(64 L)`, little-endian words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Wide<const L: usize>(pub [u64; L]);

#[allow(unsafe_code, reason = "derives of these traits do not take constant parameters")]
// SAFETY: a transparent wrapper of an array of words; all zeros is the number zero.
unsafe impl<const L: usize> Zeroable for Wide<L> {}
#[allow(unsafe_code, reason = "derives of these traits do not take constant parameters")]
// SAFETY: a transparent wrapper of an array of words: no padding, every bit pattern is a number.
unsafe impl<const L: usize> Pod for Wide<L> {}

impl<const L: usize> Wide<L> {
    /// Zero.
    pub const ZERO: Self = Wide([0; L]);

    /// A signed number.
    pub fn from_i128(value: i128) -> Self {
        let sign = if value < 0 { u64::MAX } else { 0 };
        Wide(std::array::from_fn(|i| match i {
            0 => value as u64,
            1 => (value >> 64) as u64,
            _ => sign,
        }))
    }

    /// `self * 2^bits`.
    pub fn shifted_left(self, bits: u32) -> Self {
        let (words, bits) = ((bits / 64) as usize, bits % 64);
        let word = |i: usize| if i < words { 0 } else { self.0[i - words] };
        Wide(std::array::from_fn(|i| {
            let below = if i > words { word(i - 1) } else { 0 };
            (word(i) << bits) | (u128::from(below) << bits >> 64) as u64
        }))
    }

    /// `self * x + addend`: a multiplication per word.
    #[inline(always)]
    pub fn mul_add(self, x: u64, addend: Self) -> Self {
        let mut carry = 0;
        Wide(std::array::from_fn(|i| {
            let sum = u128::from(self.0[i]) * u128::from(x) + u128::from(addend.0[i]) + u128::from(carry);
            carry = (sum >> 64) as u64;
            sum as u64
        }))
    }

    /// `self * other`.
    pub fn wrapping_mul(self, other: Self) -> Self {
        // Horner's rule in 2^64, from the highest word of `other` down.
        other.0.iter().rev().fold(Wide::ZERO, |sum, &word| self.mul_add(word, sum.shifted_left(64)))
    }

    /// `self + other`.
    #[inline(always)]
    pub fn wrapping_add(self, other: Self) -> Self {
        self.mul_add(1, other)
    }

    /// `self - other`.
    #[inline(always)]
    pub fn wrapping_sub(self, other: Self) -> Self {
        let mut borrow = false;
        Wide(std::array::from_fn(|i| {
            let (difference, first) = self.0[i].overflowing_sub(other.0[i]);
            let (difference, second) = difference.overflowing_sub(u64::from(borrow));
            borrow = first | second;
            difference
        }))
    }

    /// The low word of `floor(self / 2^bits)`, `self` taken as not negative; `bits` is at most `64 (L - 1)`.
    #[inline(always)]
    pub fn shifted_right(self, bits: u32) -> u64 {
        let (word, bits) = ((bits / 64) as usize, bits % 64);
        let high = self.0.get(word + 1).copied().unwrap_or(0);
        (u128::from(high) << 64 >> bits) as u64 | self.0[word] >> bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wide(value: u128) -> Wide<2> {
        Wide([value as u64, (value >> 64) as u64])
    }

    proptest! {
        #[test]
        fn two_words_are_u128(a: u128, b: u128, x: u64, bits in 0u32..65) {
            let (wa, wb) = (wide(a), wide(b));
            prop_assert_eq!(wa.mul_add(x, wb), wide(a.wrapping_mul(x.into()).wrapping_add(b)));
            prop_assert_eq!(wa.wrapping_mul(wb), wide(a.wrapping_mul(b)));
            prop_assert_eq!(wa.wrapping_add(wb), wide(a.wrapping_add(b)));
            prop_assert_eq!(wa.wrapping_sub(wb), wide(a.wrapping_sub(b)));
            prop_assert_eq!(wa.shifted_left(bits), wide(a << bits));
            prop_assert_eq!(wa.shifted_right(bits), (a >> bits) as u64);
            prop_assert_eq!(Wide::<2>::from_i128(a as i128), wa);
        }

        /// Associativity and distributivity tie more words to each other; the low two words are those of `u128`.
        #[test]
        fn four_words_are_a_ring(a: [u64; 4], b: [u64; 4], c: [u64; 4], bits in 0u32..193) {
            let (a, b, c) = (Wide(a), Wide(b), Wide(c));
            prop_assert_eq!(a.wrapping_mul(b).wrapping_mul(c), a.wrapping_mul(b.wrapping_mul(c)));
            prop_assert_eq!(a.wrapping_mul(b.wrapping_add(c)), a.wrapping_mul(b).wrapping_add(a.wrapping_mul(c)));
            prop_assert_eq!(a.wrapping_add(b).wrapping_sub(b), a);
            let low = |w: Wide<4>| u128::from(w.0[0]) | u128::from(w.0[1]) << 64;
            prop_assert_eq!(low(a.wrapping_mul(b)), low(a).wrapping_mul(low(b)));
            prop_assert_eq!(a.shifted_left(bits), a.wrapping_mul(Wide::from_i128(1).shifted_left(bits)));
            prop_assert_eq!(a.shifted_right(192), a.0[3]);
            prop_assert_eq!(Wide::<4>([a.0[0], 0, 0, 0]).shifted_left(bits).shifted_right(bits), a.0[0]);
        }
    }

    #[test]
    fn negative_numbers_fill_all_words() {
        let minus_two = Wide::<3>::from_i128(-2);
        assert_eq!(minus_two, Wide([u64::MAX - 1, u64::MAX, u64::MAX]));
        assert_eq!(minus_two.wrapping_mul(minus_two), Wide([4, 0, 0]));
    }
}
