//! `beaver-poly`: a polynomial by repeated multiplication, in ceil(log2 d) rounds.
//!
//! Functionality: shares of `y` (scale `input_bits`, `|x| <= 8`) to shares of `P(x)` (scale `f = output_bits`), `P` of
//! degree `d` with coefficients of `p` fractional bits; with the failures of local truncation (`powers`).
//!
//! Source: CrypTen's `polynomial` (Knott et al., NeurIPS 2021), after Beaver (CRYPTO 1991): round `i` multiplies
//! the powers found so far by the highest, `x^h` with `h = 2^(i-1)`, which gives the powers in `(h, 2 h]`.
//!
//! 1. Both truncate their shares of `y` to `f` bits.
//! 2. In round `i` they open `E_j = x^j - r_j` for the factors not opened before, both halves at the same time;
//!    the dealer has dealt shares of `r_j`, and of `r_h r_j` for every product.
//! 3. `x^h x^j = E_h E_j + E_h r_j + E_j r_h + r_h r_j`, truncated locally by `f` bits.
//! 4. Both multiply the powers by their coefficients, add up, and truncate by `p` bits.
//!
//! Deviations, in its favour: a power is opened once and serves all its products (CrypTen opens factors again for
//! every multiplication: 64 bytes at d = 4, both directions together, where this takes 32), squares open one value
//! as CrypTen's do, and a power that no coefficient needs is not computed. As published, both halves are sent
//! online, although the client's half of the first opening is known before.
//!
//! ```text
//! offline  dealer -> both     keys; the client's shares of r_h r_j
//! online   server <-> client  halves of E_j, once per round
//! ```
//!
//! Security: semi-honest, non-colluding dealer. Every half is masked by the sender's share of `r_j`, uniform and used
//! once. Output shares are locally truncated: they add up to the result, but do not fill the ring.
//!
//! Cost for n activations, with `o` distinct factors and `m` products (`relu-d4`: o = 2, m = 2; with a cubic o = 2, m = 3;
//! all powers to d = 8: o = 4, m = 7): online ceil(log2 d) rounds, 8 o n bytes each way; dealer 16 bytes to the server,
//! 16 + 8 m n to the client. Nothing at all at degree 1.
//!
//! A product of scale `2 f` fails with probability `|x|^k 2^(2f - 64)`, as in ESPN, and spoils the powers made of it.

use super::powers::{Terms, multiply_add, needed_powers, plane, polynomial, subtract_from, supported};
use super::{ActivationProtocol, ActivationSpec, Activator, Family, Material, ProtocolEntry, Settings};
use crate::link::Party;
use crate::protocol::linear::add_into;
use crate::protocol::local_truncation::truncate_in_place;
use crate::protocol::{Cost, Dealer, PhaseCost, Polynomial, ProtocolError, Session};

pub(super) const ENTRY: ProtocolEntry = ProtocolEntry {
    id: "beaver-poly",
    family: Family::Polynomial,
    summary: "polynomial by Beaver products in log2(degree) rounds; local truncation can fail",
    source: "Knott et al., NeurIPS 2021 (CrypTen)",
    dealer: true,
    exact: false,
    // One unit in x is 17 in x^2 and 2177 in x^4 at |x| = 8: 17 x 160/1024 + 2177 x 3/1024, 1/2 from x, 1 at the end.
    tolerance_ulp: 12.0,
    settings: &[],
    protocol: &BeaverPoly,
};

struct BeaverPoly;

impl ActivationProtocol for BeaverPoly {
    fn supports(&self, spec: &ActivationSpec) -> Result<(), String> {
        supported(ENTRY.id, spec, |_| 2 * spec.output_bits)
    }

    fn cost(&self, spec: &ActivationSpec) -> Cost {
        let n = spec.elements as u64;
        let plan = Plan::new(polynomial(spec));
        let (factors, products) = (plan.factors.len() as u64, plan.products.len() as u64);
        if products == 0 {
            return Cost::default();
        }
        Cost {
            offline: PhaseCost { rounds: 1, up: 0, down: 0 },
            online: PhaseCost { rounds: plan.rounds(), up: 8 * factors * n, down: 8 * factors * n },
            dealer_server: 16,
            dealer_client: 16 + 8 * products * n,
            ..Cost::default()
        }
    }

    fn setup(&self, _session: &mut Session, _settings: &Settings) -> Result<Box<dyn Activator>, ProtocolError> {
        Ok(Box::new(BeaverPoly))
    }

    fn deal(&self, dealer: &mut Dealer, spec: &ActivationSpec) -> Result<(), ProtocolError> {
        let (n, plan) = (spec.elements, Plan::new(polynomial(spec)));
        if plan.products.is_empty() {
            return Ok(());
        }
        let (server_key, mut server) = dealer.key();
        let (client_key, mut client) = dealer.key();
        let mut masks = server.words::<u64>(plan.factors.len() * n);
        let client = client.words(masks.len());
        add_into(&mut masks, &client);
        let mut shares = server.words::<u64>(plan.products.len() * n);
        for (index, product) in plan.products.iter().enumerate() {
            let mut exact = vec![0; n];
            let [high, low] = [product.high, product.low].map(|factor| plane(&masks, n, plan.place(factor), 0..n));
            multiply_add(&mut exact, 1, high, low);
            subtract_from(&exact, &mut shares[index * n..][..n]);
        }
        dealer.send::<u64>(Party::Server, Some(server_key), &[])?;
        dealer.send(Party::Client, Some(client_key), &shares)?;
        Ok(())
    }
}

/// `x^power = x^high x^low`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Product {
    power: usize,
    high: usize,
    low: usize,
}

impl Product {
    fn new(power: usize) -> Product {
        let high = 1 << (power - 1).ilog2();
        Product { power, high, low: power - high }
    }

    /// Counted from 1.
    fn round(&self) -> u32 {
        self.high.ilog2() + 1
    }
}

/// Which powers are multiplied, and which opened for that.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    /// Ascending by power, and so by round.
    products: Vec<Product>,
    /// The powers that are factors, and the round that opens them, in this order.
    factors: Vec<(usize, u32)>,
}

impl Plan {
    fn new(polynomial: &Polynomial) -> Plan {
        let mut needed = [false; Polynomial::MAX_DEGREE + 1];
        needed_powers(polynomial).into_iter().for_each(|k| needed[k] = true);
        for k in (2..needed.len()).rev().filter(|&k| needed[k]).collect::<Vec<_>>() {
            mark(k, &mut needed);
        }
        let products: Vec<_> = (2..needed.len()).filter(|&k| needed[k]).map(Product::new).collect();
        let mut factors: Vec<(usize, u32)> = Vec::new();
        for product in &products {
            for factor in [product.high, product.low] {
                if factors.iter().all(|&(known, _)| known != factor) {
                    factors.push((factor, product.round()));
                }
            }
        }
        Plan { products, factors }
    }

    fn rounds(&self) -> u32 {
        self.products.last().map_or(0, Product::round)
    }

    /// The plane of a factor's mask and opening.
    fn place(&self, factor: usize) -> usize {
        self.factors.iter().position(|&(known, _)| known == factor).expect("every factor of a product is in the list")
    }
}

/// Marks what `x^k` is made of.
fn mark(k: usize, needed: &mut [bool]) {
    if k >= 2 {
        needed[k] = true;
        mark(Product::new(k).high, needed);
        mark(Product::new(k).low, needed);
    }
}

struct BeaverPolyMaterial {
    plan: Plan,
    terms: Terms,
    /// Shares of `r`: planes of n words, as everything here.
    masks: Vec<u64>,
    /// Shares of `r_h r_j`.
    products: Vec<u64>,
}

impl Activator for BeaverPoly {
    fn preprocess(
        &mut self,
        session: &mut Session,
        spec: &ActivationSpec,
        _client_share: &[u64],
    ) -> Result<Box<dyn Material>, ProtocolError> {
        let (plan, terms) = (Plan::new(polynomial(spec)), Terms::new(spec, session.role()));
        let (masks, products) = (plan.factors.len() * spec.elements, plan.products.len() * spec.elements);
        let mut material = BeaverPolyMaterial { plan, terms, masks: Vec::new(), products: Vec::new() };
        if !material.plan.products.is_empty() {
            let server = session.is_server();
            let mut dealt = session.recv_dealt(if server { 16 } else { 16 + products * 8 })?;
            let mut own = dealt.prg();
            material.masks = own.words(masks);
            material.products = if server { own.words(products) } else { dealt.words(products) };
        }
        Ok(Box::new(material))
    }
}

impl Material for BeaverPolyMaterial {
    fn online(self: Box<Self>, session: &mut Session, share: Vec<u64>) -> Result<Vec<u64>, ProtocolError> {
        let (n, mut sum) = (share.len(), share);
        let mut powers = vec![Vec::new(); Polynomial::MAX_DEGREE + 1];
        powers[1] = vec![0; n];
        self.terms.truncate_input(&sum, &mut powers[1]);
        self.terms.start(&powers[1], &mut sum);
        let mut opened = Vec::with_capacity(self.masks.len());
        for round in 1..=self.plan.rounds() {
            let mut halves = self.masks[opened.len()..].to_vec();
            let new = self.plan.factors.iter().filter(|&&(_, opens)| opens == round);
            halves.truncate(new.clone().count() * n);
            for (half, &(factor, _)) in halves.chunks_exact_mut(n.max(1)).zip(new) {
                subtract_from(&powers[factor], half);
            }
            let received = session.exchange_words(&halves)?;
            add_into(&mut halves, &received);
            opened.append(&mut halves);
            for (index, product) in self.plan.products.iter().enumerate() {
                if product.round() == round {
                    powers[product.power] = self.multiply(index, *product, &opened, n);
                    self.terms.add_truncated(product.power, &powers[product.power], &mut sum);
                }
            }
        }
        self.terms.finish(&mut sum);
        Ok(sum)
    }
}

impl BeaverPolyMaterial {
    /// Step 3.
    fn multiply(&self, index: usize, product: Product, opened: &[u64], n: usize) -> Vec<u64> {
        let places = [product.high, product.low].map(|factor| self.plan.place(factor));
        let [e_high, e_low] = places.map(|place| plane(opened, n, place, 0..n));
        let [r_high, r_low] = places.map(|place| plane(&self.masks, n, place, 0..n));
        let mut result = plane(&self.products, n, index, 0..n).to_vec();
        if self.terms.party() == Party::Server {
            multiply_add(&mut result, 1, e_high, e_low);
        }
        multiply_add(&mut result, 1, e_high, r_low);
        multiply_add(&mut result, 1, e_low, r_high);
        truncate_in_place(self.terms.party(), &mut result, self.terms.frac_bits());
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(coefficients: &[i64]) -> Plan {
        Plan::new(&Polynomial { coefficients: coefficients.to_vec(), precision_bits: 0 })
    }

    #[test]
    fn only_what_a_coefficient_needs_is_multiplied_and_every_factor_is_opened_once() {
        let powers = |plan: &Plan| plan.products.iter().map(|product| product.power).collect::<Vec<_>>();
        let all = plan(&[1; 9]);
        assert_eq!(powers(&all), [2, 3, 4, 5, 6, 7, 8]);
        // x^3 is opened in round 3 for x^7, x and x^2 no second time.
        assert_eq!(all.factors, [(1, 1), (2, 2), (4, 3), (3, 3)]);
        let even = plan(&[1, 1, 1, 0, 1]);
        assert_eq!((powers(&even), &even.factors[..], even.rounds()), (vec![2, 4], &[(1, 1), (2, 2)][..], 2));
        let sixth = plan(&[0, 0, 0, 0, 0, 0, 5]);
        assert_eq!((powers(&sixth), sixth.rounds()), (vec![2, 4, 6], 3));
        let seventh = plan(&[0, 0, 0, 0, 0, 0, 0, 5]);
        assert_eq!(powers(&seventh), [2, 3, 4, 7]);
        assert_eq!(plan(&[1, 2]), Plan { products: vec![], factors: vec![] });
    }

    #[test]
    fn rounds_are_the_logarithm_of_the_degree() {
        for d in 1..=8usize {
            let mut coefficients = vec![0; d + 1];
            coefficients[d] = 1;
            assert_eq!(plan(&coefficients).rounds(), d.next_power_of_two().ilog2(), "degree {d}");
        }
    }
}
