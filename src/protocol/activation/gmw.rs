//! `gmw`: ReLU by a Boolean adder and a multiplication, as CrypTen and CryptGPU compute it.
//!
//! Functionality: shares of `y` (scale `input_bits`, `|y| < 2^62`) to shares of `max(y, 0)` (scale `output_bits`).
//!
//! Source: Knott et al., *CrypTen*, NeurIPS 2021, section 5 and appendix; Tan et al., *CryptGPU*, S&P 2021.
//! The rounds and bytes are theirs: nine rounds, 29 words (232 bytes) each way per activation.
//!
//! 1. A2B: each party's arithmetic share is an XOR sharing with zeros; a Sklansky adder gives shared bits of
//!    `y = y_c + y_s` (7 rounds, 13 AND words).
//! 2. The sign bit; `b = 1 - sign` (local).
//! 3. B2A: open `b ^ beta` for a dealt bit `beta`; `[b] = z + (1 - 2 z) [beta]` (1 round, 1 word).
//! 4. Multiply `b` by the truncated `y` with one Beaver opening (1 round, 2 words).
//!
//! Deviation: CrypTen multiplies the untruncated `y` and truncates after the next product, locally and with a
//! failure that grows with the value. Here the opening of `y` in step 4 is the truncating one of
//! `masked_open`, with the dealt product adapted: same messages, no failure.
//!
//! Security: semi-honest, non-colluding dealer; every opened word is masked by a fresh dealt word.
//!
//! Cost for n activations: online 9 rounds, 232 n bytes each way; offline no message between the parties;
//! dealer 16 bytes to the server, 16 + 144 n to the client.

use super::{ActivationProtocol, ActivationSpec, Activator, Family, Material, ProtocolEntry, Settings, relu_only};
use crate::link::Party;
use crate::protocol::boolean::{ADDER_ANDS, Triples, add};
use crate::protocol::linear::add_into;
use crate::protocol::masked_open::MaskedOpening;
use crate::protocol::{Cost, Dealer, PhaseCost, ProtocolError, Session};
use crate::{crypto::Prg, protocol::boolean::xor_into};

pub(super) const ENTRY: ProtocolEntry = ProtocolEntry {
    id: "gmw",
    family: Family::Relu,
    summary: "ReLU by a shared Boolean adder, bit conversion and a multiplication",
    source: "CrypTen (NeurIPS 2021), CryptGPU (S&P 2021)",
    dealer: true,
    exact: true,
    tolerance_ulp: 2.0,
    settings: &[],
    protocol: &Gmw,
};

struct Gmw;

impl ActivationProtocol for Gmw {
    fn supports(&self, spec: &ActivationSpec) -> Result<(), String> {
        relu_only(spec)
    }

    fn cost(&self, spec: &ActivationSpec) -> Cost {
        let n = spec.elements as u64;
        let words = 2 * ADDER_ANDS as u64 + 1 + 2;
        Cost {
            offline: PhaseCost { rounds: 1, up: 0, down: 0 },
            online: PhaseCost { rounds: 9, up: 8 * words * n, down: 8 * words * n },
            dealer_server: 16,
            dealer_client: 16 + 8 * (ADDER_ANDS as u64 + DEALT_WORDS as u64) * n,
            ..Cost::default()
        }
    }

    fn setup(&self, _session: &mut Session, _settings: &Settings) -> Result<Box<dyn Activator>, ProtocolError> {
        Ok(Box::new(Gmw))
    }

    fn deal(&self, dealer: &mut Dealer, spec: &ActivationSpec) -> Result<(), ProtocolError> {
        let n = spec.elements;
        let (server_key, mut server) = dealer.key();
        let (client_key, mut client) = dealer.key();
        let mut dealt = Triples::deal(&mut server, &mut client, n * ADDER_ANDS);
        let mut masks = Masks::draw(&mut server, n);
        let theirs = Masks::draw(&mut client, n);
        xor_into(&mut masks.beta, &theirs.beta);
        add_into(&mut masks.r, &theirs.r);
        add_into(&mut masks.c, &theirs.c);
        let shares = server.words::<u64>(n * DEALT_WORDS);
        for (i, share) in shares.chunks_exact(DEALT_WORDS).enumerate() {
            let (rho, rho_wrapped) = opening(spec).shifted_mask(masks.r[i]);
            let (rho, rho_wrapped, c) = (rho as u64, rho_wrapped as u64, masks.c[i]);
            let values = [masks.beta[i] & 1, rho, rho_wrapped, c.wrapping_mul(rho), c.wrapping_mul(rho_wrapped)];
            dealt.extend(values.iter().zip(share).map(|(value, share)| value.wrapping_sub(*share)));
        }
        dealer.send::<u64>(Party::Server, Some(server_key), &[])?;
        dealer.send(Party::Client, Some(client_key), &dealt)?;
        Ok(())
    }
}

fn opening(spec: &ActivationSpec) -> MaskedOpening {
    MaskedOpening { width: 64, shift: spec.shift() }
}

/// Dealt words per element besides the triples: `beta`, `rho`, `rho'`, `c rho`, `c rho'` as additive shares.
const DEALT_WORDS: usize = 5;

/// One party's masks, all from its own stream.
struct Masks {
    /// XOR share of the bit that hides `b` (bit 0 counts; the others mask nothing).
    beta: Vec<u64>,
    /// Additive share of the mask of `y`.
    r: Vec<u64>,
    /// Additive share of the mask of the arithmetic `b`.
    c: Vec<u64>,
}

impl Masks {
    fn draw(own: &mut Prg, n: usize) -> Masks {
        Masks { beta: own.words(n), r: own.words(n), c: own.words(n) }
    }
}

struct GmwMaterial {
    opening: MaskedOpening,
    triples: Triples,
    masks: Masks,
    /// Shares of the [`DEALT_WORDS`] per element.
    dealt: Vec<u64>,
}

impl Activator for Gmw {
    fn preprocess(
        &mut self,
        session: &mut Session,
        spec: &ActivationSpec,
        _client_share: &[u64],
    ) -> Result<Box<dyn Material>, ProtocolError> {
        let n = spec.elements;
        let (triples, masks, dealt);
        if session.is_server() {
            let mut own = session.recv_dealt(16)?.prg();
            triples = Triples::new(&mut own, n * ADDER_ANDS, None);
            masks = Masks::draw(&mut own, n);
            dealt = own.words(n * DEALT_WORDS);
        } else {
            let mut message = session.recv_dealt(16 + 8 * n * (ADDER_ANDS + DEALT_WORDS))?;
            let mut own = message.prg();
            triples = Triples::new(&mut own, n * ADDER_ANDS, Some(message.words(n * ADDER_ANDS)));
            masks = Masks::draw(&mut own, n);
            dealt = message.words(n * DEALT_WORDS);
        }
        Ok(Box::new(GmwMaterial { opening: opening(spec), triples, masks, dealt }))
    }
}

impl Material for GmwMaterial {
    fn online(mut self: Box<Self>, session: &mut Session, share: Vec<u64>) -> Result<Vec<u64>, ProtocolError> {
        let zeros = vec![0; share.len()];
        let (x, y) = if session.is_server() { (&share, &zeros) } else { (&zeros, &share) };
        let sum = add(session, x, y, &mut self.triples)?;
        let not_negative: Vec<u64> = sum.iter().map(|word| (word >> 63) ^ session.if_server(1)).collect();
        let bit = self.to_arithmetic(session, &not_negative)?;
        self.multiply_truncated(session, &bit, &share)
    }
}

impl GmwMaterial {
    /// B2A of one bit per element.
    fn to_arithmetic(&self, session: &mut Session, bits: &[u64]) -> Result<Vec<u64>, ProtocolError> {
        let mut opened: Vec<u64> = bits.iter().zip(&self.masks.beta).map(|(bit, beta)| bit ^ beta).collect();
        let theirs = session.exchange_words(&opened)?;
        xor_into(&mut opened, &theirs);
        let share = |(z, dealt): (&u64, &[u64])| {
            let (z, beta) = (z & 1, dealt[0]);
            session.if_server(z).wrapping_add(if z == 1 { beta.wrapping_neg() } else { beta })
        };
        Ok(opened.iter().zip(self.dealt.chunks_exact(DEALT_WORDS)).map(share).collect())
    }

    /// `b (X - rho)` with `b = e + c`, `e` and the value behind `X` opened.
    fn multiply_truncated(&self, session: &mut Session, bit: &[u64], y: &[u64]) -> Result<Vec<u64>, ProtocolError> {
        let n = y.len();
        let offset = session.if_server(self.opening.offset());
        let masked_y = y.iter().zip(&self.masks.r).map(|(y, r)| y.wrapping_add(*r).wrapping_add(offset));
        let mut opened: Vec<u64> =
            masked_y.chain(bit.iter().zip(&self.masks.c).map(|(b, c)| b.wrapping_sub(*c))).collect();
        let theirs = session.exchange_words(&opened)?;
        add_into(&mut opened, &theirs);
        let product = |i: usize| {
            let (x, wrapped) = self.opening.truncated(opened[i]);
            let (x, e) = (x as u64, opened[n + i]);
            let dealt = &self.dealt[i * DEALT_WORDS..][..DEALT_WORDS];
            let (rho, c_rho) = (dealt[1 + wrapped as usize], dealt[3 + wrapped as usize]);
            let public = session.if_server(e.wrapping_mul(x));
            public.wrapping_sub(e.wrapping_mul(rho)).wrapping_add(x.wrapping_mul(self.masks.c[i])).wrapping_sub(c_rho)
        };
        Ok((0..n).map(product).collect())
    }
}
