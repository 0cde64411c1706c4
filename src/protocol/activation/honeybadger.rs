//! `honeybadger`: a polynomial in one round, from the powers of a dealer's mask.
//!
//! Functionality: shares of `y` (scale `input_bits`, `|x| <= 8`) to shares of `P(x)` (scale `f = output_bits`), `P` of
//! degree `d` with coefficients of `p` fractional bits; with the rounding and the failures of local truncation
//! (`powers` has the numerics, step by step, and the probabilities).
//!
//! Source: HoneyBadgerMPC (Lu et al., CCS 2019, section 5), for fixed point as in Diaa et al. (USENIX Security 2024):
//!
//! 1. Both truncate their shares of `y` to `f` bits and floor them by `s_k`: shares of `z`, for each distinct `s_k`.
//! 2. They open `E = z - r` for each distinct `s_k`; the dealer has dealt shares of `r, r^2, ..`.
//! 3. `x^k = (E + r)^k = sum_i C(k, i) E^(k-i) r^i`, a linear combination of shares with public factors.
//! 4. Both truncate `x^k` to `f` bits, multiply by `c_k`, add up, and truncate by `p` bits.
//!
//! Deviations, in its favour: the client's half of the opening is sent offline (its share is known then), and what
//! only a zero coefficient would need is neither dealt nor sent.
//!
//! ```text
//! offline  dealer -> both    keys; the client's share of r^2, r^3, ..
//!          client -> server  z_c - r_c
//! online   server -> client  z_s - r_s
//! ```
//!
//! Security: semi-honest, non-colluding dealer. Each half is masked by the sender's share of `r`, uniform and used
//! once; `E` by `r`. Output shares are locally truncated: they add up to the result, but do not fill the ring.
//!
//! Cost for n activations, with `o` the number of distinct `s_k` of needed powers from 2 on and `q` the sum over them
//! of (largest needed power - 1) (`relu-d4`: o = 2, q = 4): online 1 round, 8 o n bytes down; offline 8 o n bytes up;
//! dealer 16 bytes to the server, 16 + 8 q n to the client. Nothing at all at degree 1.

use super::powers::{
    BLOCK, NO_POWERS, Scale, Terms, binomials, blocks, floored_bits, multiply_add, needed_powers, plane, plane_mut,
    polynomial, raise, scales, subtract_from, supported,
};
use super::{ActivationProtocol, ActivationSpec, Activator, Family, Material, ProtocolEntry, Settings};
use crate::link::Party;
use crate::protocol::linear::add_into;
use crate::protocol::{Cost, Dealer, PhaseCost, ProtocolError, Session};

pub(super) const ENTRY: ProtocolEntry = ProtocolEntry {
    id: "honeybadger",
    family: Family::Polynomial,
    summary: "polynomial in one round from powers of a dealt mask; local truncation can fail",
    source: "Lu et al., CCS 2019 (HoneyBadgerMPC), as in Diaa et al., USENIX Security 2024",
    dealer: true,
    exact: false,
    // As `espn`: the base of x^4 is up to 2^-7 too small, 3072 units at |x| = 8, and roundings.
    tolerance_ulp: 3100.0,
    settings: &[],
    protocol: &HoneyBadger,
};

/// Activations of a large layer that are on their way while the next ones are computed.
const STREAM_CHUNK: usize = 4096;

struct HoneyBadger;

impl ActivationProtocol for HoneyBadger {
    fn supports(&self, spec: &ActivationSpec) -> Result<(), String> {
        supported(ENTRY.id, spec, |k| k as u32 * (spec.output_bits - floored_bits(k, spec.output_bits)))
    }

    fn cost(&self, spec: &ActivationSpec) -> Cost {
        let n = spec.elements as u64;
        let evaluator = Evaluator::new(spec, Party::Server);
        let (openings, powers) = (evaluator.openings() as u64, evaluator.higher_powers() as u64);
        if openings == 0 {
            return Cost::default();
        }
        Cost {
            offline: PhaseCost { rounds: 2, up: 8 * openings * n, down: 0 },
            online: PhaseCost { rounds: 1, up: 0, down: 8 * openings * n },
            dealer_server: 16,
            dealer_client: 16 + 8 * powers * n,
            ..Cost::default()
        }
    }

    fn chunk(&self) -> Option<usize> {
        Some(STREAM_CHUNK)
    }

    fn setup(&self, _session: &mut Session, _settings: &Settings) -> Result<Box<dyn Activator>, ProtocolError> {
        Ok(Box::new(HoneyBadger))
    }

    fn deal(&self, dealer: &mut Dealer, spec: &ActivationSpec) -> Result<(), ProtocolError> {
        let evaluator = Evaluator::new(spec, Party::Server);
        let n = spec.elements;
        if evaluator.openings() == 0 {
            return Ok(());
        }
        let (server_key, mut server) = dealer.key();
        let (client_key, mut client) = dealer.key();
        let mut r = server.words::<u64>(evaluator.openings() * n);
        let client = client.words(r.len());
        add_into(&mut r, &client);
        let mut higher = server.words(evaluator.higher_powers() * n);
        evaluator.correlate(&r, n, &mut higher);
        dealer.send::<u64>(Party::Server, Some(server_key), &[])?;
        dealer.send(Party::Client, Some(client_key), &higher)?;
        Ok(())
    }
}

struct HoneyBadgerMaterial {
    evaluator: Evaluator,
    /// Shares of `r`; planes of n words, as everything here.
    masks: Vec<u64>,
    /// Shares of `r^2, r^3, ..`.
    higher: Vec<u64>,
    /// The client's half of `E` at both parties.
    client_half: Vec<u64>,
}

impl Activator for HoneyBadger {
    fn preprocess(
        &mut self,
        session: &mut Session,
        spec: &ActivationSpec,
        client_share: &[u64],
    ) -> Result<Box<dyn Material>, ProtocolError> {
        let evaluator = Evaluator::new(spec, session.role());
        let (openings, words) = (evaluator.openings() * spec.elements, evaluator.higher_powers() * spec.elements);
        if evaluator.openings() == 0 {
            return Ok(Box::new(HoneyBadgerMaterial { evaluator, masks: vec![], higher: vec![], client_half: vec![] }));
        }
        if session.is_server() {
            let mut own = session.recv_dealt(16)?.prg();
            let (masks, higher) = (own.words(openings), own.words(words));
            let client_half = session.recv_words(openings)?;
            return Ok(Box::new(HoneyBadgerMaterial { evaluator, masks, higher, client_half }));
        }
        let mut dealt = session.recv_dealt(16 + words * 8)?;
        let (masks, higher) = (dealt.prg().words(openings), dealt.words(words));
        let mut client_half = masks.clone();
        evaluator.mask(client_share, &mut client_half);
        session.send_words(&client_half)?;
        Ok(Box::new(HoneyBadgerMaterial { evaluator, masks, higher, client_half }))
    }
}

impl Material for HoneyBadgerMaterial {
    fn online(self: Box<Self>, session: &mut Session, mut share: Vec<u64>) -> Result<Vec<u64>, ProtocolError> {
        let (evaluator, mut opened) = (self.evaluator, self.client_half);
        if session.is_server() {
            let mut half = self.masks.clone();
            evaluator.mask(&share, &mut half);
            session.send_words(&half)?;
            add_into(&mut opened, &half);
        } else {
            add_into(&mut opened, &session.recv_words(self.masks.len())?);
        }
        evaluator.run(&opened, &self.masks, &self.higher, &mut share);
        Ok(share)
    }
}

/// The kernels of one party. Words lie in planes: all elements of the first power, then of the second.
struct Evaluator {
    terms: Terms,
    scales: Vec<Scale>,
}

impl Evaluator {
    fn new(spec: &ActivationSpec, party: Party) -> Evaluator {
        let scales = scales(&needed_powers(polynomial(spec)), spec.output_bits);
        Evaluator { terms: Terms::new(spec, party), scales }
    }

    /// Values opened per element.
    fn openings(&self) -> usize {
        self.scales.len()
    }

    /// Powers of masks from 2 on, per element.
    fn higher_powers(&self) -> usize {
        self.scales.iter().map(|scale| scale.top() - 1).sum()
    }

    /// The dealer's: `higher`, the server's shares of the powers of `r`, becomes the client's.
    fn correlate(&self, r: &[u64], n: usize, higher: &mut [u64]) {
        let mut powers = NO_POWERS;
        for place in blocks(n) {
            let mut index = 0;
            for (number, scale) in self.scales.iter().enumerate() {
                raise(plane(r, n, number, place.clone()), 0, scale.top(), &mut powers);
                for power in &powers[1..scale.top()] {
                    subtract_from(&power[..place.len()], plane_mut(higher, n, index, place.clone()));
                    index += 1;
                }
            }
        }
    }

    /// Step 2: `masks` becomes this party's half of `E`, from its share of `y`.
    fn mask(&self, y: &[u64], masks: &mut [u64]) {
        let (mut x, mut powers) = ([0; BLOCK], NO_POWERS);
        for place in blocks(y.len()) {
            let x = &mut x[..place.len()];
            self.terms.truncate_input(&y[place.clone()], x);
            for (number, scale) in self.scales.iter().enumerate() {
                raise(x, scale.floored, 1, &mut powers);
                subtract_from(&powers[0][..x.len()], plane_mut(masks, y.len(), number, place.clone()));
            }
        }
    }

    /// Steps 3 and 4: `share`, the party's share of `y`, becomes its share of `P(x)`.
    fn run(&self, opened: &[u64], masks: &[u64], higher: &[u64], share: &mut [u64]) {
        let n = share.len();
        let (mut x, mut powers) = ([0; BLOCK], NO_POWERS);
        for place in blocks(n) {
            let (x, sum) = (&mut x[..place.len()], &mut share[place.clone()]);
            self.terms.truncate_input(sum, x);
            self.terms.start(x, sum);
            let mut first = 0;
            for (number, scale) in self.scales.iter().enumerate() {
                raise(plane(opened, n, number, place.clone()), 0, scale.top(), &mut powers);
                for &k in &scale.powers {
                    // E^k is public: the server's.
                    let mut power = if self.terms.party() == Party::Server { powers[k - 1] } else { [0; BLOCK] };
                    let power = &mut power[..sum.len()];
                    for i in 1..=k {
                        let r = match i {
                            1 => plane(masks, n, number, place.clone()),
                            _ => plane(higher, n, first + i - 2, place.clone()),
                        };
                        let public = if i == k { &[1; BLOCK] } else { &powers[k - i - 1] };
                        multiply_add(power, binomials(k)[i], public, r);
                    }
                    self.terms.add(k, power, k as u32 * (self.terms.frac_bits() - scale.floored), sum);
                }
                first += scale.top() - 1;
            }
            self.terms.finish(sum);
        }
    }
}
