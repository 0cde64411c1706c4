//! The arithmetic of `fused`: what the dealer computes of a mask, and what a party does with an opened value.

use super::{opening, polynomial};
use crate::link::Party;
use crate::protocol::activation::ActivationSpec;
use crate::protocol::masked_open::MaskedOpening;
use crate::ring::Wide;

/// Calls a function with the number of 64-bit words of a layer's ring as its constant parameter.
macro_rules! with_ring_words {
    ($spec:expr, $function:ident($($argument:expr),*)) => {
        match $crate::protocol::activation::fused::ring_words($spec) {
            2 => $function::<2>($($argument),*),
            3 => $function::<3>($($argument),*),
            _ => $function::<4>($($argument),*),
        }
    };
}
pub(super) use with_ring_words;

/// `P` with coefficients scaled so that every term has scale `d f + p`, constant first.
fn scaled_coefficients<const L: usize>(spec: &ActivationSpec) -> Vec<Wide<L>> {
    let polynomial = polynomial(spec);
    let degree = polynomial.degree() as u32;
    let terms = polynomial.coefficients.iter().zip(0..);
    terms.map(|(&c, k): (_, u32)| Wide::from_i128(c.into()).shifted_left((degree - k) * spec.output_bits)).collect()
}

/// Turns the server's shares of `b_0..b_(d-1)` for both candidates of each mask into the client's.
pub(super) fn subtract_from_coefficients<const L: usize>(spec: &ActivationSpec, r: &[u64], shares: &mut [u64]) {
    let coefficients = scaled_coefficients::<L>(spec);
    let degree = coefficients.len() - 1;
    let opening = opening(spec);
    let offset = i128::from(opening.offset() >> opening.shift);
    let shares: &mut [Wide<L>] = bytemuck::cast_slice_mut(shares);
    for (shares, &r) in shares.chunks_exact_mut(2 * degree).zip(r) {
        let (rho, rho_wrapped) = opening.shifted_mask(r);
        for (shares, rho) in shares.chunks_exact_mut(degree).zip([rho, rho_wrapped]) {
            let b = taylor_shift(&coefficients, Wide::from_i128(-(i128::from(rho) + offset)));
            shares.iter_mut().zip(b).for_each(|(share, b)| *share = b.wrapping_sub(*share));
        }
    }
}

/// The coefficients of `P(X + z)` in `X`, by repeated synthetic division.
fn taylor_shift<const L: usize>(coefficients: &[Wide<L>], z: Wide<L>) -> Vec<Wide<L>> {
    let mut b = coefficients.to_vec();
    for first in 0..b.len().saturating_sub(1) {
        for k in (first..b.len() - 1).rev() {
            b[k] = b[k].wrapping_add(b[k + 1].wrapping_mul(z));
        }
    }
    b
}

/// The kernel: a party's share of `P`, truncated, from opened values and shared coefficients.
pub struct Evaluator {
    spec: ActivationSpec,
    party: Party,
}

impl Evaluator {
    /// The kernel of `party` for a layer that `supports` admits.
    pub fn new(spec: &ActivationSpec, party: Party) -> Evaluator {
        Evaluator { spec: spec.clone(), party }
    }

    /// Words of shared coefficients per activation.
    pub fn coefficient_words(&self) -> usize {
        super::coefficient_words(&self.spec)
    }

    /// `output[i]` becomes the party's share for `opened[i]`; `shares` are [`Evaluator::coefficient_words`] for each.
    pub fn run(&self, opened: &[u64], shares: &[u64], output: &mut [u64]) {
        with_ring_words!(&self.spec, evaluate(&self.spec, self.party, opened, shares, output));
    }
}

fn evaluate<const L: usize>(spec: &ActivationSpec, party: Party, opened: &[u64], shares: &[u64], output: &mut [u64]) {
    let leading = *scaled_coefficients::<L>(spec).last().expect("a polynomial has a leading coefficient");
    // The leading coefficient is public: the server's.
    let leading = if party == Party::Server { leading } else { Wide::ZERO };
    let degree = polynomial(spec).degree();
    let work = Horner { opening: opening(spec), leading, truncated: truncated_bits(spec), party };
    let shares: &[Wide<L>] = bytemuck::cast_slice(shares);
    match degree {
        1 => work.run::<1>(opened, shares, output),
        2 => work.run::<2>(opened, shares, output),
        3 => work.run::<3>(opened, shares, output),
        4 => work.run::<4>(opened, shares, output),
        5 => work.run::<5>(opened, shares, output),
        6 => work.run::<6>(opened, shares, output),
        7 => work.run::<7>(opened, shares, output),
        8 => work.run::<8>(opened, shares, output),
        other => unreachable!("a scenario's polynomials have degree 8 at most, not {other}"),
    }
}

/// Bits from scale `d f + p` to `f`.
pub(super) fn truncated_bits(spec: &ActivationSpec) -> u32 {
    let polynomial = polynomial(spec);
    (polynomial.degree() as u32 - 1) * spec.output_bits + polynomial.precision_bits
}

struct Horner<const L: usize> {
    opening: MaskedOpening,
    leading: Wide<L>,
    truncated: u32,
    party: Party,
}

impl<const L: usize> Horner<L> {
    /// `D` coefficients per candidate; a constant so that the loop unrolls.
    fn run<const D: usize>(&self, opened: &[u64], shares: &[Wide<L>], output: &mut [u64]) {
        let (candidates, _) = shares.as_chunks::<D>();
        let (pairs, _) = candidates.as_chunks::<2>();
        for ((&opened, pair), output) in opened.iter().zip(pairs).zip(output) {
            let (x, wrapped) = self.opening.shifted(opened);
            let sum = pair[usize::from(wrapped)].iter().rev().fold(self.leading, |sum, b| sum.mul_add(x, *b));
            *output = self.truncate(sum);
        }
    }

    /// Local truncation: the server rounds its share down, the client its negated share.
    #[inline(always)]
    fn truncate(&self, share: Wide<L>) -> u64 {
        match self.party {
            Party::Server => share.shifted_right(self.truncated),
            _ => Wide::ZERO.wrapping_sub(share).shifted_right(self.truncated).wrapping_neg(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifting_a_polynomial_by_hand() {
        // 1 + 2 x + 3 x^2 at X + 5: 1 + 10 + 75, 2 + 30, 3.
        let p = [1, 2, 3].map(Wide::<3>::from_i128);
        assert_eq!(taylor_shift(&p, Wide::from_i128(5)), [86, 32, 3].map(Wide::from_i128));
        assert_eq!(taylor_shift(&p, Wide::from_i128(-1)), [2, -4, 3].map(Wide::from_i128));
    }
}
