//! `espn-reference`: ESPN as its authors coded it, one Beaver product for every term of Pascal's triangle.
//!
//! Functionality: that of [`espn`](super::espn), with the same rounding and the same failures (`powers`).
//!
//! Source: Diaa et al., USENIX Security 2024, section 4, and the published code (PILLAR-ESPN), which shares
//! `a^i` as `(a^i, 0)` and `b^(k-i)` as `(0, b^(k-i))` for every term `C(k, i) a^i b^(k-i)` of every `x^k`, ends
//! included, and multiplies the shares as if nobody knew a factor (Beaver, CRYPTO 1991). A row has k + 1 products: 12
//! at d = 4. **Zero coefficients cost as much as others**, unlike in this crate's other protocols: the published
//! figure of 384 bytes per activation is that of a polynomial without a cubic term. Use `espn` for what the
//! idea costs; this entry is for what the published measurements paid.
//!
//! 1. Both truncate their shares of `y` to `f` bits, floor them by `s_k`, and raise them to the powers 0..k.
//! 2. For every product they open `E = A - alpha` and `D = B - beta`, all in one simultaneous exchange.
//! 3. `A B = E D + E beta + D alpha + alpha beta`: the dealer has dealt shares of `alpha`, `beta`, `alpha beta`.
//! 4. Both truncate `x^k` to `f` bits, multiply by `c_k`, add up, and truncate by `p` bits.
//!
//! Deviation: the authors' pre-scaling and truncation divide with rounding to zero; here both shift.
//!
//! ```text
//! offline  dealer -> both     keys; the client's shares of alpha beta
//! online   server <-> client  halves of every E and D
//! ```
//!
//! Security: semi-honest, non-colluding dealer. Every half is masked by the sender's share of `alpha` or `beta`,
//! uniform and used once. Output shares are locally truncated: they add up to the result, but do not fill the ring.
//!
//! Cost for n activations, with `m = sum of (k + 1) for k = 2..d = (d - 1)(d + 4) / 2` products: online 1 round, 16 m n
//! bytes each way; dealer 16 bytes to the server, 16 + 8 m n to the client. Nothing at all at degree 1.

use super::powers::{
    BLOCK, NO_POWERS, Terms, binomials, blocks, floored_bits, multiply_add, plane, plane_mut, polynomial, raise,
    scale_and_add, subtract_from, supported,
};
use super::{ActivationProtocol, ActivationSpec, Activator, Family, Material, ProtocolEntry, Settings};
use crate::link::Party;
use crate::protocol::linear::add_into;
use crate::protocol::{Cost, Dealer, PhaseCost, ProtocolError, Session};
use std::ops::Range;

pub(super) const ENTRY: ProtocolEntry = ProtocolEntry {
    id: "espn-reference",
    family: Family::Polynomial,
    summary: "ESPN as published code runs it: a Beaver product per term, all powers up to d",
    source: "Diaa et al., USENIX Security 2024 (PILLAR-ESPN)",
    dealer: true,
    exact: false,
    // As `espn`: the base of x^4 is up to 2^-7 too small, 3072 units at |x| = 8, and roundings.
    tolerance_ulp: 3100.0,
    settings: &[],
    protocol: &EspnReference,
};

struct EspnReference;

impl ActivationProtocol for EspnReference {
    fn supports(&self, spec: &ActivationSpec) -> Result<(), String> {
        supported(ENTRY.id, spec, |k| k as u32 * (spec.output_bits - floored_bits(k, spec.output_bits)))
    }

    fn cost(&self, spec: &ActivationSpec) -> Cost {
        let (n, products) = (spec.elements as u64, products(polynomial(spec).degree()) as u64);
        if products == 0 {
            return Cost::default();
        }
        Cost {
            offline: PhaseCost { rounds: 1, up: 0, down: 0 },
            online: PhaseCost { rounds: 1, up: 16 * products * n, down: 16 * products * n },
            dealer_server: 16,
            dealer_client: 16 + 8 * products * n,
            ..Cost::default()
        }
    }

    fn setup(&self, _session: &mut Session, _settings: &Settings) -> Result<Box<dyn Activator>, ProtocolError> {
        Ok(Box::new(EspnReference))
    }

    fn deal(&self, dealer: &mut Dealer, spec: &ActivationSpec) -> Result<(), ProtocolError> {
        let words = products(polynomial(spec).degree()) * spec.elements;
        if products(polynomial(spec).degree()) == 0 {
            return Ok(());
        }
        let (server_key, mut server) = dealer.key();
        let (client_key, mut client) = dealer.key();
        let mut masks = server.words::<u64>(2 * words);
        add_into(&mut masks, &client.words(2 * words));
        let (alpha, beta) = masks.split_at(words);
        let mut share = server.words::<u64>(words);
        for ((share, alpha), beta) in share.iter_mut().zip(alpha).zip(beta) {
            *share = alpha.wrapping_mul(*beta).wrapping_sub(*share);
        }
        dealer.send::<u64>(Party::Server, Some(server_key), &[])?;
        dealer.send(Party::Client, Some(client_key), &share)?;
        Ok(())
    }
}

/// Terms of Pascal's triangle in the rows 2..d.
fn products(degree: usize) -> usize {
    (2..=degree).map(|k| k + 1).sum()
}

struct EspnReferenceMaterial {
    terms: Terms,
    degree: usize,
    /// Shares of all `alpha`, then of all `beta`: planes of n words, in the order of the triangle.
    masks: Vec<u64>,
    /// Shares of `alpha beta`.
    products: Vec<u64>,
}

impl Activator for EspnReference {
    fn preprocess(
        &mut self,
        session: &mut Session,
        spec: &ActivationSpec,
        _client_share: &[u64],
    ) -> Result<Box<dyn Material>, ProtocolError> {
        let degree = polynomial(spec).degree();
        let words = products(degree) * spec.elements;
        let terms = Terms::new(spec, session.role());
        let mut material = EspnReferenceMaterial { terms, degree, masks: Vec::new(), products: Vec::new() };
        if products(degree) > 0 {
            let server = session.is_server();
            let mut dealt = session.recv_dealt(if server { 16 } else { 16 + words * 8 })?;
            let mut own = dealt.prg();
            material.masks = own.words(2 * words);
            material.products = if server { own.words(words) } else { dealt.words(words) };
        }
        Ok(Box::new(material))
    }
}

impl Material for EspnReferenceMaterial {
    fn online(self: Box<Self>, session: &mut Session, mut share: Vec<u64>) -> Result<Vec<u64>, ProtocolError> {
        let mut opened = self.masks.clone();
        self.mask(&share, &mut opened);
        let received = session.exchange_words(&opened)?;
        add_into(&mut opened, &received);
        self.run(&opened, &mut share);
        Ok(share)
    }
}

impl EspnReferenceMaterial {
    /// Step 2: `masks` becomes this party's halves, from its share of `y`.
    fn mask(&self, y: &[u64], masks: &mut [u64]) {
        let (mut x, mut powers) = ([0; BLOCK], NO_POWERS);
        let (alpha, beta) = masks.split_at_mut(products(self.degree) * y.len());
        // Of every product a party knows one factor; its share of the other is zero.
        let (known, unknown) = if self.terms.party() == Party::Server { (alpha, beta) } else { (beta, alpha) };
        for place in blocks(y.len()) {
            let x = &mut x[..place.len()];
            self.terms.truncate_input(&y[place.clone()], x);
            let mut index = 0;
            for k in 2..=self.degree {
                raise(x, floored_bits(k, self.terms.frac_bits()), k, &mut powers);
                for i in 0..=k {
                    let exponent = if self.terms.party() == Party::Server { i } else { k - i };
                    let power = if exponent == 0 { &[1; BLOCK] } else { &powers[exponent - 1] };
                    subtract_from(power, plane_mut(known, y.len(), index, place.clone()));
                    subtract_from(&[0; BLOCK], plane_mut(unknown, y.len(), index, place.clone()));
                    index += 1;
                }
            }
        }
    }

    /// Steps 3 and 4: `share`, the party's share of `y`, becomes its share of `P(x)`.
    fn run(&self, opened: &[u64], share: &mut [u64]) {
        let n = share.len();
        let mut x = [0; BLOCK];
        for place in blocks(n) {
            let (x, sum) = (&mut x[..place.len()], &mut share[place.clone()]);
            self.terms.truncate_input(sum, x);
            self.terms.start(x, sum);
            let mut index = 0;
            for k in 2..=self.degree {
                let mut power = [0; BLOCK];
                let power = &mut power[..sum.len()];
                for i in 0..=k {
                    self.add_product(power, binomials(k)[i], opened, n, index, &place);
                    index += 1;
                }
                let bits = k as u32 * (self.terms.frac_bits() - floored_bits(k, self.terms.frac_bits()));
                self.terms.add(k, power, bits, sum);
            }
            self.terms.finish(sum);
        }
    }

    /// Step 3 for one block of product `index`.
    fn add_product(
        &self,
        power: &mut [u64],
        factor: u64,
        opened: &[u64],
        n: usize,
        index: usize,
        place: &Range<usize>,
    ) {
        let second = products(self.degree) + index;
        let (e, d) = (plane(opened, n, index, place.clone()), plane(opened, n, second, place.clone()));
        let alpha = plane(&self.masks, n, index, place.clone());
        let beta = plane(&self.masks, n, second, place.clone());
        if self.terms.party() == Party::Server {
            multiply_add(power, factor, e, d);
        }
        multiply_add(power, factor, e, beta);
        multiply_add(power, factor, d, alpha);
        scale_and_add(power, factor, plane(&self.products, n, index, place.clone()));
    }
}
