//! What the published polynomial protocols share: which powers at which scale, and the sum of the terms.
//!
//! `x` has `f` fractional bits, `x^k` would have `k f`. ESPN (Diaa et al. 2024, section 4) raises a coarser `x`: each
//! party floors its share of `x` by `s_k = max(0, ceil((k-2) f / k))` bits, so that `x^k` has `k (f - s_k) <= 2 f`
//! fractional bits. At f = 16: `s_k` = 0, 6, 8, 10, 11, 12, 12 for k = 2..8. Two floors make that base up to
//! `2^-(f - s_k)` x 2 too small, 2^-8 on average for k = 4, which is nearly all of the rounding error.
//!
//! Every power is then truncated locally to `f` bits, multiplied by its coefficient of `p` fractional bits, summed
//! with the constant and the linear term, and truncated locally by `p` bits. Each local truncation of a value `v`
//! fails with probability `|v| / 2^64` (see [`crate::protocol::local_truncation`]):
//!
//! | step | value | probability |
//! |---|---|---|
//! | input to `f` bits | `y` at scale `input_bits` | `abs(x) 2^(input_bits - 64)` |
//! | power `k` | `x^k` at scale `k (f - s_k)` | `abs(x)^k 2^(k (f - s_k) - 64)` |
//! | sum | `P(x)` at scale `f + p` | `abs(P(x)) 2^(f + p - 64)` |
//!
//! With f = 16, `input_bits` = 32: `(5 + 25 + 625) 2^-32 = 2^-22.6` for `relu-d4` at `|x| = 5`. A wrapped power is
//! off by `2^(64 - k (f - s_k))`, about 2^32, times its coefficient.

use super::ActivationSpec;
use crate::link::Party;
use crate::protocol::local_truncation::{truncate, truncate_in_place};
use crate::protocol::{Function, Polynomial};
use multiversion::multiversion;

/// Elements that kernels work on at a time: a power of them is 2 KiB, so that all powers stay in the first cache.
pub(super) const BLOCK: usize = 256;

/// Powers of a share, in a kernel's block.
pub(super) type Powers = [[u64; BLOCK]; Polynomial::MAX_DEGREE];

/// No powers yet.
pub(super) const NO_POWERS: Powers = [[0; BLOCK]; Polynomial::MAX_DEGREE];

/// Inputs up to 2^3 in magnitude must be held.
const RANGE_BITS: u32 = 3;

/// The polynomial of a layer that `supports` has admitted.
pub(super) fn polynomial(spec: &ActivationSpec) -> &Polynomial {
    match &spec.function {
        Function::Polynomial(polynomial) => polynomial,
        Function::Relu | Function::Relu6 => unreachable!("`supports` admits polynomials only"),
    }
}

/// Powers of the same coarser base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scale {
    /// Bits by which the share of `x` is floored.
    pub(super) floored: u32,
    /// Which powers, ascending.
    pub(super) powers: Vec<usize>,
}

impl Scale {
    /// The largest power.
    pub(super) fn top(&self) -> usize {
        *self.powers.last().expect("a scale exists for a power")
    }
}

/// `s_k` at `f` fractional bits.
pub(super) fn floored_bits(k: usize, frac_bits: u32) -> u32 {
    let k = k as u32;
    (k.saturating_sub(2) * frac_bits).div_ceil(k)
}

/// The powers from 2 on that a coefficient needs.
pub(super) fn needed_powers(polynomial: &Polynomial) -> Vec<usize> {
    (2..=polynomial.degree()).filter(|&k| polynomial.coefficients[k] != 0).collect()
}

/// `powers`, ascending, by scale.
pub(super) fn scales(powers: &[usize], frac_bits: u32) -> Vec<Scale> {
    let mut scales: Vec<Scale> = Vec::new();
    for &k in powers {
        let floored = floored_bits(k, frac_bits);
        match scales.last_mut() {
            Some(scale) if scale.floored == floored => scale.powers.push(k),
            _ => scales.push(Scale { floored, powers: vec![k] }),
        }
    }
    scales
}

/// Row `k` of Pascal's triangle.
pub(super) fn binomials(k: usize) -> [u64; Polynomial::MAX_DEGREE + 1] {
    let mut row = [0; Polynomial::MAX_DEGREE + 1];
    row[0] = 1;
    for i in 1..=k {
        row[i] = row[i - 1] * (k + 1 - i) as u64 / i as u64;
    }
    row
}

/// Whether `id` can compute this layer, with `power_bits(k)` fractional bits before the truncation of `x^k`.
pub(super) fn supported(id: &str, spec: &ActivationSpec, power_bits: impl Fn(usize) -> u32) -> Result<(), String> {
    let Function::Polynomial(polynomial) = &spec.function else {
        return Err(format!("`{id}` computes polynomials, not ReLU"));
    };
    if polynomial.degree() == 0 {
        return Err(format!("`{id}` needs a polynomial of degree 1 or more"));
    }
    let f = spec.output_bits;
    for k in needed_powers(polynomial) {
        let bits = power_bits(k);
        if bits < f {
            return Err(format!(
                "`{id}` keeps {bits} fractional bits of x^{k}, fewer than frac_bits = {f}; frac_bits must be {k} or more"
            ));
        }
        let range = RANGE_BITS * k as u32;
        if bits + range > 62 {
            return Err(format!(
                "`{id}` holds x^{k} with {bits} fractional bits, and up to |x| = 8 {range} more: beyond the ring's 62; lower frac_bits or the degree"
            ));
        }
    }
    if spec.input_bits + RANGE_BITS > 62 {
        return Err(format!("`{id}` cannot hold |x| = 8 with {} fractional bits; lower frac_bits", spec.input_bits));
    }
    let magnitude = polynomial.coefficients.iter().rev().fold(0.0, |sum, &c| sum * 8.0 + (c as f64).abs());
    let bits = magnitude.log2().ceil() as u32 + f;
    if bits > 62 {
        return Err(format!(
            "`{id}` sums the terms with frac_bits + precision_bits fractional bits, up to |x| = 8 {bits} bits in all: beyond the ring's 62; lower frac_bits, precision_bits or the coefficients"
        ));
    }
    Ok(())
}

/// A party's part of everything around the powers.
pub(super) struct Terms {
    party: Party,
    input_shift: u32,
    frac_bits: u32,
    precision_bits: u32,
    /// `c_k` in the ring.
    coefficients: Vec<u64>,
}

impl Terms {
    /// The terms of a layer that [`supported`] admits.
    pub(super) fn new(spec: &ActivationSpec, party: Party) -> Terms {
        let polynomial = polynomial(spec);
        Terms {
            party,
            input_shift: spec.shift(),
            frac_bits: spec.output_bits,
            precision_bits: polynomial.precision_bits,
            coefficients: polynomial.coefficients.iter().map(|&c| c as u64).collect(),
        }
    }

    /// The party whose shares these are.
    pub(super) fn party(&self) -> Party {
        self.party
    }

    /// Fractional bits of `x`.
    pub(super) fn frac_bits(&self) -> u32 {
        self.frac_bits
    }

    /// Shares of `x` from shares of `y`.
    pub(super) fn truncate_input(&self, y: &[u64], x: &mut [u64]) {
        truncate(self.party, y, self.input_shift, x);
    }

    /// `sum = c_0 + c_1 x`.
    pub(super) fn start(&self, x: &[u64], sum: &mut [u64]) {
        let constant = if self.party == Party::Server { self.coefficients[0] << self.frac_bits } else { 0 };
        sum.fill(constant);
        scale_and_add(sum, self.coefficients[1], x);
    }

    /// `sum += c_k x^k` from shares of `x^k` with `bits` fractional bits, which are truncated in place.
    pub(super) fn add(&self, k: usize, power: &mut [u64], bits: u32, sum: &mut [u64]) {
        truncate_in_place(self.party, power, bits - self.frac_bits);
        self.add_truncated(k, power, sum);
    }

    /// `sum += c_k x^k` from shares of `x^k` with `f` fractional bits.
    pub(super) fn add_truncated(&self, k: usize, power: &[u64], sum: &mut [u64]) {
        scale_and_add(sum, self.coefficients[k], power);
    }

    /// Truncates the sum to `f` fractional bits.
    pub(super) fn finish(&self, sum: &mut [u64]) {
        truncate_in_place(self.party, sum, self.precision_bits);
    }
}

/// `powers[i - 1]` becomes the `i`-th power, mod 2^64, of the floored `x`, for `i` up to `top`.
pub(super) fn raise(x: &[u64], floored: u32, top: usize, powers: &mut Powers) {
    for (base, &x) in powers[0].iter_mut().zip(x) {
        *base = ((x as i64) >> floored) as u64;
    }
    for i in 1..top {
        let (lower, higher) = powers.split_at_mut(i);
        higher[0] = [0; BLOCK];
        multiply_add(&mut higher[0][..x.len()], 1, &lower[i - 1], &lower[0]);
    }
}

/// Words `place` of plane `index`, of planes of `n` words.
pub(super) fn plane(planes: &[u64], n: usize, index: usize, place: std::ops::Range<usize>) -> &[u64] {
    &planes[index * n + place.start..index * n + place.end]
}

/// [`plane`] to write to.
pub(super) fn plane_mut(planes: &mut [u64], n: usize, index: usize, place: std::ops::Range<usize>) -> &mut [u64] {
    &mut planes[index * n + place.start..index * n + place.end]
}

/// The places of `n` elements, block by block.
pub(super) fn blocks(n: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (0..n).step_by(BLOCK).map(move |start| start..n.min(start + BLOCK))
}

/// `sum[e] += factor a[e] b[e]` for every element of `sum`.
#[multiversion(targets("x86_64+avx512f+avx512dq", "x86_64+avx2"))]
pub(super) fn multiply_add(sum: &mut [u64], factor: u64, a: &[u64], b: &[u64]) {
    for ((sum, a), b) in sum.iter_mut().zip(a).zip(b) {
        *sum = sum.wrapping_add(factor.wrapping_mul(*a).wrapping_mul(*b));
    }
}

/// `sum[e] += factor a[e]`.
#[multiversion(targets("x86_64+avx512f+avx512dq", "x86_64+avx2"))]
pub(super) fn scale_and_add(sum: &mut [u64], factor: u64, a: &[u64]) {
    for (sum, a) in sum.iter_mut().zip(a) {
        *sum = sum.wrapping_add(factor.wrapping_mul(*a));
    }
}

/// `masked[e] = value[e] - masked[e]`.
pub(super) fn subtract_from(value: &[u64], masked: &mut [u64]) {
    for (masked, value) in masked.iter_mut().zip(value) {
        *masked = value.wrapping_sub(*masked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_floored_as_published() {
        assert_eq!([1, 2, 3, 4, 5, 6, 7, 8].map(|k| floored_bits(k, 16)), [0, 0, 6, 8, 10, 11, 12, 12]);
        // The k-th power has 2 f fractional bits at most, and fewer by less than k.
        for f in 0..30 {
            for k in 2..=8 {
                let bits = k as u32 * (f - floored_bits(k, f));
                assert!(bits <= 2 * f && bits + k as u32 > 2 * f, "f = {f}, k = {k}: {bits}");
            }
        }
    }

    #[test]
    fn powers_that_no_coefficient_needs_have_no_scale() {
        let powers = needed_powers(&Polynomial::named("relu-d4").expect("of the table"));
        assert_eq!(powers, [2, 4]);
        let expected = [Scale { floored: 0, powers: vec![2] }, Scale { floored: 8, powers: vec![4] }];
        assert_eq!(scales(&powers, 16), expected);
        let shared = scales(&[3, 7, 8], 16);
        assert_eq!(shared[1], Scale { floored: 12, powers: vec![7, 8] });
        assert_eq!(shared[1].top(), 8);
    }

    #[test]
    fn pascals_triangle() {
        assert_eq!(binomials(4)[..5], [1, 4, 6, 4, 1]);
        assert_eq!(binomials(8), [1, 8, 28, 56, 70, 56, 28, 8, 1]);
    }

    #[test]
    fn what_the_scale_cannot_hold_is_refused_with_a_way_out() {
        let spec = |coefficients: Vec<i64>, precision_bits, input_bits, output_bits| ActivationSpec {
            function: Function::Polynomial(Polynomial { coefficients, precision_bits }),
            elements: 1,
            input_bits,
            output_bits,
            settings: Default::default(),
        };
        let refusal = |spec: &ActivationSpec| {
            let bits = |k| k as u32 * (spec.output_bits - floored_bits(k, spec.output_bits));
            supported("id", spec, bits).err().unwrap_or_default()
        };
        assert_eq!(refusal(&spec(vec![322, 512, 160, 0, -3], 10, 32, 16)), "");
        assert_eq!(refusal(&spec(vec![1; 9], 0, 32, 16)), "");
        assert!(refusal(&spec(vec![3], 0, 32, 16)).contains("degree 1 or more"));
        assert!(refusal(&spec(vec![0, 0, 0, 0, 0, 0, 0, 1], 0, 6, 3)).contains("frac_bits must be 7 or more"));
        assert!(refusal(&spec(vec![1; 9], 0, 40, 20)).contains("lower frac_bits or the degree"));
        assert!(refusal(&spec(vec![1, 1], 0, 60, 30)).contains("60 fractional bits"));
        assert!(refusal(&spec(vec![1, 1 << 50], 34, 32, 16)).contains("lower frac_bits, precision_bits"));
        let relu = ActivationSpec { function: Function::Relu, ..spec(vec![], 0, 32, 16) };
        assert!(refusal(&relu).contains("not ReLU"));
    }
}
