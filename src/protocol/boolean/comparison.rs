//! Comparison of public values with secrets that the dealer knows: one opening, no AND gate between the parties.
//!
//! A value is cut into `K` digits, most significant first. For a digit of `k` bits the dealer shares the secret digit
//! as the unit vector `q` of length `2^k` over `Z_2^s`. As the other digit `u` is public, "equal" is the shared `q[u]`
//! and "secret greater" the shared `sum of q[a], a > u`: local lookups. That is a multi-fan-in AND on masked bits
//! (Patra, Schneider, Suresh, Yalame, *ABY2.0*, USENIX Security 2021) whose `2^k - 1` dealt products of mask bits
//! are written in the basis of unit vectors: both depend on the same mask, and a vector serves every
//! function of the digit.
//!
//! The second level is an AND with unbounded fan-in. Digit `i` decides if it is greater and all before it are equal,
//! so if its code `E_i = (1 - greater_i) + sum over j < i of (1 - equal_j)` is zero. `E_i` lies in `0..=i` and is
//! linear in the shares; over `Z_2^s` with `2^s > i` no sum of ones wraps to zero. At most one code is zero, and one
//! is exactly if `public < secret`. [`super::ZeroTest`] turns opened codes into a shared result.

use multiversion::multiversion;

/// One digit of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digit {
    /// Position of its lowest bit.
    pub low: u32,
    /// Its bits, at most 8.
    pub bits: u32,
    /// Bits of its code: enough for the codes `0..=i` of the `i`-th digit from the top, counted from one.
    pub code_bits: u32,
}

impl Digit {
    /// Bytes of one bit plane of the unit vector.
    fn plane_bytes(&self) -> usize {
        (1 << self.bits) / 8_usize.min(1 << self.bits)
    }

    /// Entries that are dealt for the test of its code: one follows from the others.
    pub(super) fn entries(&self) -> usize {
        (1 << self.code_bits) - 1
    }
}

/// Larger unit vectors never are the cheapest.
const MAX_DIGIT_BITS: u32 = 8;
/// More digits never are the cheapest.
const MAX_DIGITS: u32 = 15;

/// How values are cut into digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    digits: Vec<Digit>,
}

impl Comparison {
    /// The cut of `bits`-bit values for which the dealer sends the fewest bytes, when a tested code costs
    /// `entry_bytes` for each value it can take but one.
    ///
    /// # Panics
    /// If `bits` is not in `1..=64`.
    pub fn cheapest(bits: u32, entry_bytes: usize) -> Comparison {
        let counts = bits.div_ceil(MAX_DIGIT_BITS)..=bits.min(MAX_DIGITS);
        let cuts = counts.map(|digits| Comparison::with_digits(bits, digits));
        cuts.min_by_key(|cut| cut.table_bytes() + cut.entries() * entry_bytes).expect("between 1 and 64 bits")
    }

    /// `digits` digits of nearly equal length, the longer ones on top, where the codes are short.
    pub(super) fn with_digits(bits: u32, digits: u32) -> Comparison {
        let mut low = bits;
        let cut = (1..=digits).map(|i| {
            let digit_bits = (low).div_ceil(digits + 1 - i);
            low -= digit_bits;
            Digit { low, bits: digit_bits, code_bits: u32::BITS - i.leading_zeros() }
        });
        Comparison { digits: cut.collect() }
    }

    /// The digits, most significant first.
    pub fn digits(&self) -> &[Digit] {
        &self.digits
    }

    /// Dealt bytes of the unit vectors of one value.
    pub fn table_bytes(&self) -> usize {
        self.digits.iter().map(|digit| digit.plane_bytes() * self.planes()).sum()
    }

    /// Bits of all codes of one value: what each party opens.
    pub fn opened_bits(&self) -> u32 {
        self.digits.iter().map(|digit| digit.code_bits).sum()
    }

    /// Dealt entries of one value in the tests of its codes.
    pub(super) fn entries(&self) -> usize {
        self.digits.iter().map(Digit::entries).sum()
    }

    /// Bits of an entry of a unit vector: the longest code's, because every digit enters the last code.
    fn planes(&self) -> usize {
        self.digits.last().map_or(0, |digit| digit.code_bits as usize)
    }

    /// The dealer's part: `tables` comes as the server's uniform share of the unit vectors and becomes the client's.
    ///
    /// `tables` holds the values' tables digit by digit, [`Comparison::table_bytes`] per value.
    pub fn deal(&self, secrets: &[u64], tables: &mut [u8]) {
        let mut rest = tables;
        for digit in &self.digits {
            let table;
            (table, rest) = rest.split_at_mut(secrets.len() * digit.plane_bytes() * self.planes());
            match digit.plane_bytes() {
                1 => deal_digit::<1>(*digit, self.planes(), secrets, table),
                2 => deal_digit::<2>(*digit, self.planes(), secrets, table),
                4 => deal_digit::<4>(*digit, self.planes(), secrets, table),
                8 => deal_digit::<8>(*digit, self.planes(), secrets, table),
                16 => deal_digit::<16>(*digit, self.planes(), secrets, table),
                _ => deal_digit::<32>(*digit, self.planes(), secrets, table),
            }
        }
    }

    /// A party's part: adds its share of every code to `codes`, which holds a byte per value, digit by digit, and
    /// comes with the party's share of the masks.
    pub fn add_codes(&self, server: bool, public: &[u64], tables: &[u8], codes: &mut [u8]) {
        add_codes(self, server, public, tables, codes);
    }
}

/// Popcount and variable shifts as instructions where the processor has them.
#[multiversion(targets("x86_64+popcnt+bmi1+bmi2"))]
fn add_codes(comparison: &Comparison, server: bool, public: &[u64], tables: &[u8], codes: &mut [u8]) {
    let (planes, one) = (comparison.planes(), u8::from(server));
    let mut unequal = vec![0u8; public.len()];
    let mut rest = tables;
    for (digit, codes) in comparison.digits.iter().zip(codes.chunks_exact_mut(public.len().max(1))) {
        let table;
        (table, rest) = rest.split_at(public.len() * digit.plane_bytes() * planes);
        match digit.plane_bytes() {
            1 => add_digit::<1>(*digit, planes, one, public, table, codes, &mut unequal),
            2 => add_digit::<2>(*digit, planes, one, public, table, codes, &mut unequal),
            4 => add_digit::<4>(*digit, planes, one, public, table, codes, &mut unequal),
            8 => add_digit::<8>(*digit, planes, one, public, table, codes, &mut unequal),
            16 => add_digit::<16>(*digit, planes, one, public, table, codes, &mut unequal),
            _ => add_digit::<32>(*digit, planes, one, public, table, codes, &mut unequal),
        }
    }
}

/// Adds the shares of one digit's code, and of its `1 - equal` to `unequal`.
#[inline(always)]
fn add_digit<const B: usize>(
    digit: Digit,
    planes: usize,
    one: u8,
    public: &[u64],
    tables: &[u8],
    codes: &mut [u8],
    unequal: &mut [u8],
) {
    let code_mask = (1u8 << digit.code_bits) - 1;
    let tables = tables.chunks_exact(B * planes);
    for (((&public, table), code), unequal) in public.iter().zip(tables).zip(codes).zip(unequal) {
        let u = public >> digit.low & ((1 << digit.bits) - 1);
        let (word_of_u, bit_of_u) = ((u / 64) as usize, u % 64);
        let (mut equal, mut greater) = (0u8, 0u8);
        for (plane, bytes) in table.as_chunks::<B>().0.iter().enumerate() {
            let (mut hit, mut above) = (0, 0);
            for word in 0..B.div_ceil(8) {
                let entries = load(bytes, word);
                let (here, beyond) = (u64::from(word == word_of_u), u64::from(word > word_of_u).wrapping_neg());
                let mask = (((u64::MAX << bit_of_u) << 1) & here.wrapping_neg()) | beyond;
                above += (entries & mask & used_entries(digit)).count_ones();
                hit |= entries >> bit_of_u & here;
            }
            equal = equal.wrapping_add((hit as u8) << plane);
            greater = greater.wrapping_add((above as u8) << plane);
        }
        *code = code.wrapping_add(one).wrapping_sub(greater).wrapping_add(*unequal) & code_mask;
        *unequal = unequal.wrapping_add(one).wrapping_sub(equal);
    }
}

/// The bits of a word that are entries: a byte is the least that a plane takes.
#[inline(always)]
fn used_entries(digit: Digit) -> u64 {
    u64::MAX >> (64 - (1u64 << digit.bits).min(64))
}

#[inline(always)]
fn load<const B: usize>(plane: &[u8; B], word: usize) -> u64 {
    let mut bytes = [0; 8];
    let length = B.min(8);
    bytes[..length].copy_from_slice(&plane[8 * word..][..length]);
    u64::from_le_bytes(bytes)
}

/// `unit vector - share` in every entry, on bit planes.
fn deal_digit<const B: usize>(digit: Digit, planes: usize, secrets: &[u64], tables: &mut [u8]) {
    for (&secret, table) in secrets.iter().zip(tables.chunks_exact_mut(B * planes)) {
        let secret = secret >> digit.low & ((1 << digit.bits) - 1);
        for word in 0..B.div_ceil(8) {
            // Complement plus one, then plus the unit vector: two carries rippling up the planes.
            let mut carry = u64::MAX;
            let mut unit = u64::from(secret / 64 == word as u64) << (secret % 64);
            for bytes in table.as_chunks_mut::<B>().0 {
                let complement = !load(bytes, word);
                let negated = complement ^ carry;
                carry &= complement;
                let entries = negated ^ unit;
                unit &= negated;
                let length = B.min(8);
                bytes[8 * word..][..length].copy_from_slice(&entries.to_le_bytes()[..length]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Seed;

    /// Opened codes without masks, digit by digit, of all pairs.
    fn codes(comparison: &Comparison, public: &[u64], secrets: &[u64]) -> Vec<u8> {
        let n = public.len();
        let server: Vec<u8> = Seed::from_u64(1).prg().words(n * comparison.table_bytes());
        let mut client = server.clone();
        comparison.deal(secrets, &mut client);
        assert!(client.iter().zip(&server).any(|(client, server)| client != server));
        let mut codes = vec![0; n * comparison.digits().len()];
        comparison.add_codes(true, public, &server, &mut codes);
        comparison.add_codes(false, public, &client, &mut codes);
        codes
    }

    fn assert_compares(comparison: &Comparison, public: &[u64], secrets: &[u64]) {
        let codes = codes(comparison, public, secrets);
        for (i, (public, secret)) in public.iter().zip(secrets).enumerate() {
            let zeros = codes.iter().skip(i).step_by(secrets.len()).filter(|&&code| code == 0).count();
            assert_eq!(zeros, usize::from(public < secret), "{comparison:?}: {public} and {secret}");
        }
    }

    #[test]
    fn one_code_is_zero_exactly_if_public_is_smaller_for_all_small_values() {
        for bits in 1..=6 {
            let (public, secrets): (Vec<u64>, Vec<u64>) =
                (0..1 << (2 * bits)).map(|i| (i >> bits, i & ((1 << bits) - 1))).unzip();
            for digits in 1..=bits {
                assert_compares(&Comparison::with_digits(bits, digits), &public, &secrets);
            }
        }
    }

    #[test]
    fn long_values_that_differ_in_one_bit_or_at_random() {
        for bits in [7, 15, 23, 40, 47, 63, 64] {
            let kept = u64::MAX >> (64 - bits);
            let mut secrets: Vec<u64> = Seed::from_u64(2).prg().words(200);
            secrets.extend([0, u64::MAX]);
            secrets.iter_mut().for_each(|secret| *secret &= kept);
            let mut public: Vec<u64> = Seed::from_u64(3).prg().words(secrets.len());
            for (i, (public, secret)) in public.iter_mut().zip(&secrets).enumerate() {
                *public = match i % 3 {
                    0 => *public & kept,
                    1 => secret ^ (1 << (i as u32 % bits)),
                    _ => *secret,
                };
            }
            for digits in bits.div_ceil(MAX_DIGIT_BITS)..=bits.min(MAX_DIGITS) {
                assert_compares(&Comparison::with_digits(bits, digits), &public, &secrets);
            }
        }
    }

    #[test]
    fn cuts_cover_all_bits_and_codes_fit() {
        for bits in 1..=64 {
            let cut = Comparison::cheapest(bits, 18);
            let mut low = bits;
            for (i, digit) in (1u32..).zip(cut.digits()) {
                assert_eq!(digit.low + digit.bits, low);
                assert!(digit.bits >= 1 && digit.bits <= MAX_DIGIT_BITS && 1 << digit.code_bits > i);
                low = digit.low;
            }
            assert_eq!(low, 0);
        }
    }
}
