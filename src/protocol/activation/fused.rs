//! `fused`: truncation, ring lift and the whole polynomial from one opening.
//!
//! Functionality: shares of `y` (scale `input_bits`, `|y| < 2^(w-2)`) to shares of `P(y)` (scale
//! `f = output_bits`), `P` of degree `d` with coefficients of `p` fractional bits.
//!
//! Source: longhaul's own. Powers of a dealer's mask as in HoneyBadgerMPC (Lu et al., CCS 2019, section 5) and
//! ESPN (Diaa et al., USENIX Security 2024, section 4); new are the exact truncation from the same opening
//! (`masked_open`) and the evaluation in Z_2^128, so that no power has to be pre-scaled.
//!
//! `w` is the setting `wire_bits`: 64, or fewer to send less where the pre-activations are known to be small.
//!
//! 1. Open `Y = y + 2^(w-2) + r mod 2^w`; it gives `X` with `x = X - rho` (`x` at scale `f`).
//! 2. `P(X - rho) = sum_j a_j(X) rho^j`: the `a_j` are public (a Taylor shift of `P` to `X`), the powers of
//!    `rho` are shared over Z_2^128, for both candidates of `rho`. The sum has scale `d f + p`.
//! 3. Both truncate their 128-bit shares locally by `k = (d-1) f + p` and reduce mod 2^64. In SecureML (Mohassel and
//!    Zhang 2017, theorem 1) a sharing that wraps is off by 2^(128-k); for `k <= 64`, which [`Fused::supports`]
//!    demands, that is zero mod 2^64: this truncation never fails, whatever the size of the result.
//!
//! ```text
//! offline  dealer -> both    keys; the client's share of rho^k, rho'^k, k = 1..d
//!          client -> server  y_c + r_c
//! online   server -> client  y_s + r_s + 2^(w-2)
//! ```
//!
//! Security: semi-honest, non-colluding dealer. The client's half is masked by `r_c`, the server's by `r_s`,
//! each uniform and unknown to the other party; `Y` is masked by `r = r_s + r_c`.
//!
//! Cost for n activations: online 1 round, w n / 8 bytes down; offline w n / 8 bytes up; dealer 16 bytes to the
//! server, 16 + 32 d n to the client.

use super::{ActivationProtocol, ActivationSpec, Activator, Family, Material, ProtocolEntry, Setting, Settings};
use crate::link::Party;
use crate::protocol::linear::add_into;
use crate::protocol::masked_open::MaskedOpening;
use crate::protocol::pack::packed_bytes;
use crate::protocol::{Cost, Dealer, Function, PhaseCost, Polynomial, ProtocolError, Session};

pub(super) const ENTRY: ProtocolEntry = ProtocolEntry {
    id: "fused",
    family: Family::Polynomial,
    summary: "polynomial of any degree with truncation from one opening",
    source: "longhaul; after HoneyBadgerMPC 2019 and ESPN 2024",
    dealer: true,
    exact: true,
    // One unit of stochastic rounding in x times the slope of P (4 for `relu-d4` at 8), one of the last truncation.
    tolerance_ulp: 6.0,
    settings: &[Setting::WireBits],
    protocol: &Fused,
};

/// A wrap of the 128-bit sharing, truncated by k bits, is off by 2^(128-k): nothing mod 2^64 while k is at most 64.
const MAX_TRUNCATED_BITS: u32 = 64;

struct Fused;

impl ActivationProtocol for Fused {
    fn supports(&self, spec: &ActivationSpec) -> Result<(), String> {
        let Function::Polynomial(polynomial) = &spec.function else {
            return Err("`fused` computes polynomials, not ReLU".into());
        };
        let degree = polynomial.degree() as u32;
        if degree == 0 {
            return Err("`fused` needs a polynomial of degree 1 or more".into());
        }
        if spec.shift() == 0 {
            return Err("`fused` needs something to truncate: an activation after a linear layer".into());
        }
        if spec.settings.width() < spec.shift() + 3 {
            return Err(format!(
                "{} wire bits leave nothing after the truncation of {}",
                spec.settings.width(),
                spec.shift()
            ));
        }
        let bits = (degree - 1) * spec.output_bits + polynomial.precision_bits;
        if bits > MAX_TRUNCATED_BITS {
            return Err(format!(
                "`fused` needs (degree - 1) x frac_bits + precision_bits <= {MAX_TRUNCATED_BITS}, here {} x {} + {} = {bits}; lower one of them",
                degree - 1,
                spec.output_bits,
                polynomial.precision_bits
            ));
        }
        Ok(())
    }

    fn cost(&self, spec: &ActivationSpec) -> Cost {
        let n = spec.elements as u64;
        let degree = polynomial(spec).degree() as u64;
        let opened = packed_bytes(spec.elements, spec.settings.width()) as u64;
        Cost {
            offline: PhaseCost { rounds: 2, up: opened, down: 0 },
            online: PhaseCost { rounds: 1, up: 0, down: opened },
            dealer_server: 16,
            dealer_client: 16 + 32 * degree * n,
            ..Cost::default()
        }
    }

    fn setup(&self, _session: &mut Session, _settings: &Settings) -> Result<Box<dyn Activator>, ProtocolError> {
        Ok(Box::new(Fused))
    }

    fn deal(&self, dealer: &mut Dealer, spec: &ActivationSpec) -> Result<(), ProtocolError> {
        let (n, degree) = (spec.elements, polynomial(spec).degree());
        let (server_key, mut server) = dealer.key();
        let (client_key, mut client) = dealer.key();
        let mut r = server.words::<u64>(n);
        add_into(&mut r, &client.words(n));
        let mut powers = server.words::<u128>(n * 2 * degree);
        for (share, r) in powers.chunks_exact_mut(2 * degree).zip(r) {
            let (rho, rho_wrapped) = opening(spec).shifted_mask(r);
            subtract_from_powers(rho, &mut share[..degree]);
            subtract_from_powers(rho_wrapped, &mut share[degree..]);
        }
        dealer.send::<u128>(Party::Server, Some(server_key), &[])?;
        dealer.send(Party::Client, Some(client_key), &powers)?;
        Ok(())
    }
}

/// `share[k-1] = rho^k - share[k-1]`: the other party's share.
fn subtract_from_powers(rho: i64, share: &mut [u128]) {
    let rho = rho as i128 as u128;
    let mut power = 1u128;
    for share in share {
        power = power.wrapping_mul(rho);
        *share = power.wrapping_sub(*share);
    }
}

fn opening(spec: &ActivationSpec) -> MaskedOpening {
    MaskedOpening { width: spec.settings.width(), shift: spec.shift() }
}

fn polynomial(spec: &ActivationSpec) -> &Polynomial {
    match &spec.function {
        Function::Polynomial(polynomial) => polynomial,
        Function::Relu => unreachable!("`supports` admits polynomials only"),
    }
}

struct FusedMaterial {
    spec: ActivationSpec,
    /// What this party contributes to the opening: client `y_c + r_c`, server `r_s + 2^(w-2)` (`y_s` comes online).
    half: Vec<u64>,
    /// What the peer contributed offline: the client's half at the server, nothing at the client.
    received: Vec<u64>,
    /// Shares of `rho^1..rho^d, rho'^1..rho'^d` per element.
    powers: Vec<u128>,
}

impl Activator for Fused {
    fn preprocess(
        &mut self,
        session: &mut Session,
        spec: &ActivationSpec,
        client_share: &[u64],
    ) -> Result<Box<dyn Material>, ProtocolError> {
        let (n, width) = (spec.elements, spec.settings.width());
        let words = n * 2 * polynomial(spec).degree();
        let (half, received, powers);
        if session.is_server() {
            let mut own = session.recv_dealt(16)?.prg();
            half = own.words::<u64>(n).into_iter().map(|r| r.wrapping_add(opening(spec).offset())).collect();
            powers = own.words(words);
            received = session.recv_packed(n, width)?;
        } else {
            let mut dealt = session.recv_dealt(16 + words * 16)?;
            let mut own = dealt.prg().words::<u64>(n);
            add_into(&mut own, client_share);
            session.send_packed(&own, width)?;
            (half, received, powers) = (own, Vec::new(), dealt.words(words));
        }
        Ok(Box::new(FusedMaterial { spec: spec.clone(), half, received, powers }))
    }
}

impl Material for FusedMaterial {
    fn online(self: Box<Self>, session: &mut Session, mut share: Vec<u64>) -> Result<Vec<u64>, ProtocolError> {
        let (width, mut opened) = (self.spec.settings.width(), self.half);
        if session.is_server() {
            add_into(&mut opened, &share);
            session.send_packed(&opened, width)?;
            add_into(&mut opened, &self.received);
        } else {
            add_into(&mut opened, &session.recv_packed(share.len(), width)?);
        }
        Evaluator::new(&self.spec, session.role()).run(&opened, &self.powers, &mut share);
        Ok(share)
    }
}

/// The kernel: a party's share of `P(X - rho)`, truncated, from opened values and shared powers.
pub struct Evaluator {
    /// Coefficients scaled so that every term of `P` has scale `d f + p`.
    scaled: Vec<u128>,
    opening: MaskedOpening,
    final_shift: u32,
    party: Party,
}

impl Evaluator {
    /// The kernel of `party` for a layer that [`ActivationProtocol::supports`] admits.
    pub fn new(spec: &ActivationSpec, party: Party) -> Evaluator {
        let polynomial = polynomial(spec);
        let degree = polynomial.degree() as u32;
        let scaled = polynomial
            .coefficients
            .iter()
            .enumerate()
            .map(|(k, &c)| ((c as i128) << ((degree - k as u32) * spec.output_bits)) as u128);
        let total_bits = degree * spec.output_bits + polynomial.precision_bits;
        Evaluator {
            scaled: scaled.collect(),
            opening: opening(spec),
            final_shift: total_bits - spec.output_bits,
            party,
        }
    }

    /// `output[i]` becomes the party's share for `opened[i]`, with `2 d` shared powers per element.
    pub fn run(&self, opened: &[u64], powers: &[u128], output: &mut [u64]) {
        match self.scaled.len() - 1 {
            0 => self.run_degree::<0, 1>(opened, powers, output),
            1 => self.run_degree::<1, 2>(opened, powers, output),
            2 => self.run_degree::<2, 3>(opened, powers, output),
            3 => self.run_degree::<3, 4>(opened, powers, output),
            4 => self.run_degree::<4, 5>(opened, powers, output),
            5 => self.run_degree::<5, 6>(opened, powers, output),
            6 => self.run_degree::<6, 7>(opened, powers, output),
            7 => self.run_degree::<7, 8>(opened, powers, output),
            8 => self.run_degree::<8, 9>(opened, powers, output),
            other => unreachable!("a scenario's polynomials have degree 8 at most, not {other}"),
        }
    }

    /// `N = D + 1` coefficients; constants so that the loops unroll.
    fn run_degree<const D: usize, const N: usize>(&self, opened: &[u64], powers: &[u128], output: &mut [u64]) {
        let scaled: [u128; N] = self.scaled.as_slice().try_into().expect("chosen by the number of coefficients");
        for (i, (&opened, output)) in opened.iter().zip(output).enumerate() {
            let (x, wrapped) = self.opening.truncated(opened);
            let start = (2 * i + wrapped as usize) * D;
            let a = taylor_shift(scaled, x as i128 as u128);
            // P(X - rho) = sum_j (-1)^j a_j rho^j; the constant is public and the server's.
            let mut sum = if self.party == Party::Server { a[0] } else { 0 };
            for (j, &share) in powers[start..start + D].iter().enumerate() {
                let term = a[j + 1].wrapping_mul(share);
                sum = if j % 2 == 0 { sum.wrapping_sub(term) } else { sum.wrapping_add(term) };
            }
            *output = self.truncate(sum);
        }
    }

    /// Local truncation of a 128-bit share: the server rounds down, the client's negated share does.
    fn truncate(&self, share: u128) -> u64 {
        match self.party {
            Party::Server => (share >> self.final_shift) as u64,
            _ => ((share.wrapping_neg() >> self.final_shift) as u64).wrapping_neg(),
        }
    }
}

/// The coefficients of `P(x + z)` in `z`, by repeated synthetic division, mod 2^128.
fn taylor_shift<const N: usize>(mut coefficients: [u128; N], x: u128) -> [u128; N] {
    for first in 0..N.saturating_sub(1) {
        for k in (first..N - 1).rev() {
            coefficients[k] = coefficients[k].wrapping_add(coefficients[k + 1].wrapping_mul(x));
        }
    }
    coefficients
}
