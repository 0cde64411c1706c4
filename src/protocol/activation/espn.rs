//! `espn`: a polynomial in one round, from powers that each party raises its own share to.
//!
//! Functionality: shares of `y` (scale `input_bits`, `|x| <= 8`) to shares of `P(x)` (scale `f = output_bits`), `P` of
//! degree `d` with coefficients of `p` fractional bits; with the rounding and the failures of local truncation
//! (`powers` has the numerics, step by step, and the probabilities).
//!
//! Source: ESPN (Diaa et al., USENIX Security 2024, section 4). With `x = a + b`, `a` the server's and `b` the
//! client's share, `x^k = sum_i C(k, i) a^i b^(k-i)`: every factor is known to one party.
//!
//! 1. Both truncate their shares of `y` to `f` bits and floor them by `s_k`: `a` and `b`, for each distinct `s_k`.
//! 2. The server reveals `A_i = a^i - u_i`, the client `B_j = b^j - v_j`, for the `i`, `j` that products need.
//! 3. `a^i b^j = a^i B_j + A_i v_j + u_i v_j`: the server computes the first term, the client the second, and the
//!    dealer has dealt shares of `W_k = sum_i C(k, i) u_i v_(k-i)`. The ends `a^k`, `b^k` are local.
//! 4. Both truncate `x^k` to `f` bits, multiply by `c_k`, add up, and truncate by `p` bits.
//!
//! Deviations, all in its favour: the authors open both operands of every product of the triangle online
//! (`espn-reference` does that); here a power is opened once for all products of its scale, the client's powers are
//! opened offline (its share is known then), one `W_k` serves all products of `x^k`, and what only a zero
//! coefficient would need is neither dealt nor sent.
//!
//! ```text
//! offline  dealer -> both    keys; the client's share of W_k
//!          client -> server  B_j = b^j - v_j
//! online   server -> client  A_i = a^i - u_i
//! ```
//!
//! Security: semi-honest, non-colluding dealer. `A_i` and `B_j` are uniform, because `u_i` and `v_j` are and serve
//! once. Output shares are locally truncated: they add up to the result, but do not fill the ring.
//!
//! Cost for n activations, with `o` the sum over the distinct `s_k` of (largest needed power - 1) and `w` the number
//! of needed powers from 2 on (`relu-d4`: o = 4, w = 2): online 1 round, 8 o n bytes down; offline 8 o n bytes up;
//! dealer 16 bytes to the server, 16 + 8 w n to the client. Nothing at all at degree 1.

use super::powers::{
    BLOCK, NO_POWERS, Powers, Scale, Terms, binomials, blocks, floored_bits, multiply_add, needed_powers, plane,
    plane_mut, polynomial, raise, scales, subtract_from, supported,
};
use super::{ActivationProtocol, ActivationSpec, Activator, Family, Material, ProtocolEntry, Settings};
use crate::link::Party;
use crate::protocol::{Cost, Dealer, PhaseCost, ProtocolError, Session};

pub(super) const ENTRY: ProtocolEntry = ProtocolEntry {
    id: "espn",
    family: Family::Polynomial,
    summary: "polynomial in one round from powers of each party's share; local truncation can fail",
    source: "Diaa et al., USENIX Security 2024 (ESPN)",
    dealer: true,
    exact: false,
    // The base of x^4 is up to 2^-7 too small: 4 x 3/1024 x 8^3 x 2^-7 = 3072 units at |x| = 8, and roundings.
    tolerance_ulp: 3100.0,
    settings: &[],
    protocol: &Espn,
};

/// Activations of a large layer that are on their way while the next ones are computed.
const STREAM_CHUNK: usize = 4096;

struct Espn;

impl ActivationProtocol for Espn {
    fn supports(&self, spec: &ActivationSpec) -> Result<(), String> {
        supported(ENTRY.id, spec, |k| k as u32 * (spec.output_bits - floored_bits(k, spec.output_bits)))
    }

    fn cost(&self, spec: &ActivationSpec) -> Cost {
        let n = spec.elements as u64;
        let evaluator = Evaluator::new(spec, Party::Server);
        let (openings, correlated) = (evaluator.openings() as u64, evaluator.correlated() as u64);
        if openings == 0 {
            return Cost::default();
        }
        Cost {
            offline: PhaseCost { rounds: 2, up: 8 * openings * n, down: 0 },
            online: PhaseCost { rounds: 1, up: 0, down: 8 * openings * n },
            dealer_server: 16,
            dealer_client: 16 + 8 * correlated * n,
            ..Cost::default()
        }
    }

    fn chunk(&self) -> Option<usize> {
        Some(STREAM_CHUNK)
    }

    fn setup(&self, _session: &mut Session, _settings: &Settings) -> Result<Box<dyn Activator>, ProtocolError> {
        Ok(Box::new(Espn))
    }

    fn deal(&self, dealer: &mut Dealer, spec: &ActivationSpec) -> Result<(), ProtocolError> {
        let evaluator = Evaluator::new(spec, Party::Server);
        let n = spec.elements;
        if evaluator.openings() == 0 {
            return Ok(());
        }
        let (server_key, mut server) = dealer.key();
        let (client_key, mut client) = dealer.key();
        let (u, v) = (server.words(evaluator.openings() * n), client.words(evaluator.openings() * n));
        let mut correlated = server.words(evaluator.correlated() * n);
        evaluator.correlate(&u, &v, &mut correlated);
        dealer.send::<u64>(Party::Server, Some(server_key), &[])?;
        dealer.send(Party::Client, Some(client_key), &correlated)?;
        Ok(())
    }
}

struct EspnMaterial {
    evaluator: Evaluator,
    /// `u` at the server, `v` at the client; planes of n words, as everything here.
    masks: Vec<u64>,
    /// `B` at the server, nothing at the client.
    received: Vec<u64>,
    /// Shares of `W`.
    correlated: Vec<u64>,
}

impl Activator for Espn {
    fn preprocess(
        &mut self,
        session: &mut Session,
        spec: &ActivationSpec,
        client_share: &[u64],
    ) -> Result<Box<dyn Material>, ProtocolError> {
        let evaluator = Evaluator::new(spec, session.role());
        let (openings, words) = (evaluator.openings() * spec.elements, evaluator.correlated() * spec.elements);
        if evaluator.openings() == 0 {
            return Ok(Box::new(EspnMaterial { evaluator, masks: vec![], received: vec![], correlated: vec![] }));
        }
        if session.is_server() {
            let mut own = session.recv_dealt(16)?.prg();
            let (masks, correlated) = (own.words(openings), own.words(words));
            let received = session.recv_words(openings)?;
            return Ok(Box::new(EspnMaterial { evaluator, masks, received, correlated }));
        }
        let mut dealt = session.recv_dealt(16 + words * 8)?;
        let (masks, correlated) = (dealt.prg().words(openings), dealt.words(words));
        let mut masked = masks.clone();
        evaluator.mask(client_share, &mut masked);
        session.send_words(&masked)?;
        Ok(Box::new(EspnMaterial { evaluator, masks, received: vec![], correlated }))
    }
}

impl Material for EspnMaterial {
    fn online(self: Box<Self>, session: &mut Session, mut share: Vec<u64>) -> Result<Vec<u64>, ProtocolError> {
        let (evaluator, mut masks, mut received) = (self.evaluator, self.masks, self.received);
        if session.is_server() {
            evaluator.mask(&share, &mut masks);
            session.send_words(&masks)?;
        } else {
            received = session.recv_words(masks.len())?;
        }
        evaluator.run(&masks, &received, &self.correlated, &mut share);
        Ok(share)
    }
}

/// The kernels of one party. Words lie in planes: all elements of the first power, then of the second.
pub struct Evaluator {
    terms: Terms,
    scales: Vec<Scale>,
}

impl Evaluator {
    /// The kernels of `party` for a layer that [`ActivationProtocol::supports`] admits.
    pub fn new(spec: &ActivationSpec, party: Party) -> Evaluator {
        let scales = scales(&needed_powers(polynomial(spec)), spec.output_bits);
        Evaluator { terms: Terms::new(spec, party), scales }
    }

    /// Powers that each party opens, per element.
    pub fn openings(&self) -> usize {
        self.scales.iter().map(|scale| scale.top() - 1).sum()
    }

    /// Words `W` that the dealer correlates, per element.
    pub fn correlated(&self) -> usize {
        self.scales.iter().map(|scale| scale.powers.len()).sum()
    }

    /// The dealer's: `correlated`, the server's shares of `W`, becomes the client's.
    pub fn correlate(&self, u: &[u64], v: &[u64], correlated: &mut [u64]) {
        if correlated.is_empty() {
            return;
        }
        let n = correlated.len() / self.correlated();
        for place in blocks(n) {
            let (mut first, mut index) = (0, 0);
            for scale in &self.scales {
                for &k in &scale.powers {
                    let mut w = [0; BLOCK];
                    let w = &mut w[..place.len()];
                    for i in 1..k {
                        let [u, v] = [(u, i), (v, k - i)].map(|(m, i)| plane(m, n, first + i - 1, place.clone()));
                        multiply_add(w, binomials(k)[i], u, v);
                    }
                    subtract_from(w, plane_mut(correlated, n, index, place.clone()));
                    index += 1;
                }
                first += scale.top() - 1;
            }
        }
    }

    /// Step 2: `masks` becomes what this party opens, from its share of `y`.
    pub fn mask(&self, y: &[u64], masks: &mut [u64]) {
        let (mut x, mut powers) = ([0; BLOCK], NO_POWERS);
        for place in blocks(y.len()) {
            let x = &mut x[..place.len()];
            self.terms.truncate_input(&y[place.clone()], x);
            let mut index = 0;
            for scale in &self.scales {
                raise(x, scale.floored, scale.top() - 1, &mut powers);
                for power in &powers[..scale.top() - 1] {
                    subtract_from(&power[..x.len()], plane_mut(masks, y.len(), index, place.clone()));
                    index += 1;
                }
            }
        }
    }

    /// Steps 3 and 4: `share`, the party's share of `y`, becomes its share of `P(x)`. `received` is what the peer
    /// opened; `masks` are the client's `v`, and are not read at the server.
    pub fn run(&self, masks: &[u64], received: &[u64], correlated: &[u64], share: &mut [u64]) {
        let n = share.len();
        let (mut x, mut powers) = ([0; BLOCK], NO_POWERS);
        for place in blocks(n) {
            let (x, sum) = (&mut x[..place.len()], &mut share[place.clone()]);
            self.terms.truncate_input(sum, x);
            self.terms.start(x, sum);
            let (mut first, mut index) = (0, 0);
            for scale in &self.scales {
                raise(x, scale.floored, scale.top(), &mut powers);
                for &k in &scale.powers {
                    let mut power = powers[k - 1];
                    let power = &mut power[..sum.len()];
                    multiply_add(power, 1, plane(correlated, n, index, place.clone()), &[1; BLOCK]);
                    for i in 1..k {
                        let opened = plane(received, n, first + k - i - 1, place.clone());
                        multiply_add(power, binomials(k)[i], self.factor(masks, n, first, i, &place, &powers), opened);
                    }
                    self.terms.add(k, power, k as u32 * (self.terms.frac_bits() - scale.floored), sum);
                    index += 1;
                }
                first += scale.top() - 1;
            }
            self.terms.finish(sum);
        }
    }

    /// What a party multiplies the peer's openings by: the server `a^i`, the client `v_i`.
    fn factor<'a>(
        &self,
        masks: &'a [u64],
        n: usize,
        first: usize,
        i: usize,
        place: &std::ops::Range<usize>,
        powers: &'a Powers,
    ) -> &'a [u64] {
        match self.terms.party() {
            Party::Server => &powers[i - 1][..place.len()],
            _ => plane(masks, n, first + i - 1, place.clone()),
        }
    }
}
