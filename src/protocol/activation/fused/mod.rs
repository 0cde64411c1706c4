//! `fused`: truncation, ring lift and the whole polynomial from one opening.
//!
//! Functionality: shares of `y` (scale `input_bits`, `|y| < 2^(w-2)`) to shares of `P(y)` (scale
//! `f = output_bits`), `P` of degree `d` with coefficients of `p` fractional bits.
//!
//! Source: longhaul's own. A polynomial of an opened, masked value as in HoneyBadgerMPC (Lu et al., CCS 2019,
//! section 5) and ESPN (Diaa et al., USENIX Security 2024, section 4); new are the exact truncation from the same
//! opening (`masked_open`), the evaluation in a wider ring, so that no power has to be pre-scaled, and that the
//! dealer hands out shares of the shifted polynomial's coefficients instead of the mask's powers.
//!
//! `w` is the setting `wire_bits`: 64, or fewer to send less where the pre-activations are known to be small.
//! `Z_2^R` is the wider ring, `R` = 128, 192 or 256.
//!
//! 1. Open `Y = y + 2^(w-2) + r mod 2^w`; with `X = Y >> t` public, `x = X - z` for `z = rho + 2^(w-2-t)`, or `rho'`.
//! 2. `P(X - z) = sum_k b_k(z) X^k`, scaled to `d f + p`. The dealer knows `z` and shares `b_0..b_(d-1)` over Z_2^R for
//!    both candidates of `rho`; `b_d` is `P`'s own leading coefficient. Horner's rule in the public `X`, on shares.
//! 3. Both truncate their shares locally by `k = (d-1) f + p` and reduce mod 2^64. In SecureML (Mohassel and Zhang 2017,
//!    theorem 1) a sharing that wraps is off by 2^(R-k); `R` is chosen with `R - k >= 64`, so that is zero mod
//!    2^64: this truncation never fails, whatever the size of the result.
//!
//! ```text
//! offline  dealer -> both    keys; the client's share of b_k, both candidates
//!          client -> server  y_c + r_c
//! online   server -> client  y_s + r_s + 2^(w-2)
//! ```
//!
//! Security: semi-honest, non-colluding dealer. The client's half is masked by `r_c`, the server's by `r_s`,
//! each uniform and unknown to the other party; `Y` is masked by `r = r_s + r_c`.
//!
//! Cost for n activations: online 1 round, w n / 8 bytes down; offline w n / 8 bytes up; dealer 16 bytes to the
//! server, 16 + 2 d n R / 8 to the client.

mod evaluator;

pub use evaluator::Evaluator;

use super::{ActivationProtocol, ActivationSpec, Activator, Family, Material, ProtocolEntry, Setting, Settings};
use crate::link::Party;
use crate::protocol::linear::add_into;
use crate::protocol::masked_open::MaskedOpening;
use crate::protocol::pack::packed_bytes;
use crate::protocol::{Cost, Dealer, Function, PhaseCost, Polynomial, ProtocolError, Session};
use evaluator::{subtract_from_coefficients, truncated_bits, with_ring_words};

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

/// The widest ring: a wrap of a sharing in Z_2^R, truncated by k bits, is off by 2^(R-k), nothing mod 2^64 if R - k >= 64.
const MAX_RING_BITS: u32 = 256;

/// Activations of a large layer that are on their way while the next ones are computed: 64 KiB of openings.
const STREAM_CHUNK: usize = 8192;

struct Fused;

impl ActivationProtocol for Fused {
    fn supports(&self, spec: &ActivationSpec) -> Result<(), String> {
        let Function::Polynomial(polynomial) = &spec.function else {
            return Err("`fused` computes polynomials, not ReLU".into());
        };
        if polynomial.degree() == 0 {
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
        let bits = truncated_bits(spec) + 64;
        if bits > MAX_RING_BITS {
            return Err(format!(
                "`fused` needs (degree - 1) x frac_bits + precision_bits + 64 <= {MAX_RING_BITS}, here {bits}; lower one of them"
            ));
        }
        Ok(())
    }

    fn cost(&self, spec: &ActivationSpec) -> Cost {
        let n = spec.elements as u64;
        let opened = packed_bytes(spec.elements, spec.settings.width()) as u64;
        Cost {
            offline: PhaseCost { rounds: 2, up: opened, down: 0 },
            online: PhaseCost { rounds: 1, up: 0, down: opened },
            dealer_server: 16,
            dealer_client: 16 + 8 * coefficient_words(spec) as u64 * n,
            ..Cost::default()
        }
    }

    fn chunk(&self) -> Option<usize> {
        Some(STREAM_CHUNK)
    }

    fn setup(&self, _session: &mut Session, _settings: &Settings) -> Result<Box<dyn Activator>, ProtocolError> {
        Ok(Box::new(Fused))
    }

    fn deal(&self, dealer: &mut Dealer, spec: &ActivationSpec) -> Result<(), ProtocolError> {
        let n = spec.elements;
        let (server_key, mut server) = dealer.key();
        let (client_key, mut client) = dealer.key();
        let mut r = server.words::<u64>(n);
        add_into(&mut r, &client.words(n));
        let mut shares = server.words::<u64>(n * coefficient_words(spec));
        with_ring_words!(spec, subtract_from_coefficients(spec, &r, &mut shares));
        dealer.send::<u64>(Party::Server, Some(server_key), &[])?;
        dealer.send(Party::Client, Some(client_key), &shares)?;
        Ok(())
    }
}

fn opening(spec: &ActivationSpec) -> MaskedOpening {
    MaskedOpening { width: spec.settings.width(), shift: spec.shift() }
}

/// 64-bit words of the ring in which nothing that the final truncation loses matters.
fn ring_words(spec: &ActivationSpec) -> usize {
    (truncated_bits(spec) + 64).div_ceil(64).max(2) as usize
}

/// Words of shared coefficients per activation: `d` for each candidate.
fn coefficient_words(spec: &ActivationSpec) -> usize {
    2 * polynomial(spec).degree() * ring_words(spec)
}

fn polynomial(spec: &ActivationSpec) -> &Polynomial {
    match &spec.function {
        Function::Polynomial(polynomial) => polynomial,
        Function::Relu | Function::Relu6 => unreachable!("`supports` admits polynomials only"),
    }
}

struct FusedMaterial {
    spec: ActivationSpec,
    /// What this party contributes to the opening: client `y_c + r_c`, server `r_s + 2^(w-2)` (`y_s` comes online).
    half: Vec<u64>,
    /// What the peer contributed offline: the client's half at the server, nothing at the client.
    received: Vec<u64>,
    /// Shares of `b_0..b_(d-1)` per element, for `rho` and for `rho'`.
    coefficients: Vec<u64>,
}

impl Activator for Fused {
    fn preprocess(
        &mut self,
        session: &mut Session,
        spec: &ActivationSpec,
        client_share: &[u64],
    ) -> Result<Box<dyn Material>, ProtocolError> {
        let (n, width) = (spec.elements, spec.settings.width());
        let words = n * coefficient_words(spec);
        let (half, received, coefficients);
        if session.is_server() {
            let mut own = session.recv_dealt(16)?.prg();
            half = own.words::<u64>(n).into_iter().map(|r| r.wrapping_add(opening(spec).offset())).collect();
            coefficients = own.words(words);
            received = session.recv_packed(n, width)?;
        } else {
            let mut dealt = session.recv_dealt(16 + words * 8)?;
            let mut own = dealt.prg().words::<u64>(n);
            add_into(&mut own, client_share);
            session.send_packed(&own, width)?;
            (half, received, coefficients) = (own, Vec::new(), dealt.words(words));
        }
        Ok(Box::new(FusedMaterial { spec: spec.clone(), half, received, coefficients }))
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
        Evaluator::new(&self.spec, session.role()).run(&opened, &self.coefficients, &mut share);
        Ok(share)
    }
}
