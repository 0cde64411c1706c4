//! `fss`: ReLU and truncation from one opening, by function secret sharing.
//!
//! Functionality: shares of `y` (scale `input_bits`, `|y| < 2^(w-2)` for the setting `width` = w) to shares mod 2^64 of
//! `max(y, 0) / 2^t`, rounded down or up (up with the probability of the fraction), and of 0 exactly for
//! `y <= 0`; `t = input_bits - output_bits`.
//!
//! Source: the comparison of an opened value with its mask by function secret sharing is Boyle, Gilboa, Ishai (TCC 2019,
//! ePrint 2019/1095) and Boyle et al. (EUROCRYPT 2021, ePrint 2020/1392, whose ReLU gate needs one opening too);
//! kernel in `crypto::dcf`. Deviations, all to shorten the keys:
//!
//! 1. The truncating opening of `masked_open` gives `X` of `N = w - t` bits with `x = X - 2^(N-2) - rho_h`, `x` the
//!    truncated `y`; `h = msb(Y)` is public and says which of the two candidates `rho_0 = rho'`, `rho_1 = rho` is right. The
//!    sign is taken of `x` instead of `y`. For `y >= 0`, `x >= 0`; for `y < 0`, `x <= 0`: `max(x, 0)` is as stated,
//!    and the tree has `t` levels less.
//! 2. `b = [x >= 0]` is `[X - s mod 2^N < 2^(N-1)]` for `s = rho + 2^(N-2) mod 2^N`, since `|x| <= 2^(N-2)`.
//!    With `m = msb(s)` and `lt = [X < s]` on the lowest N-1 bits: `b = 1 - lt` if `h = m`, else `b = lt`. So N-1
//!    bits are compared (as in the DReLU of SIGMA, Gupta et al., ePrint 2023/1269).
//! 3. Wanted is `b (1, rho_h)`, as `max(x, 0) = b (X - 2^(N-2)) - b rho_h`. The function's payload is
//!    `-(1, rho_m)`: right for `h = m` after adding `(1, rho_m)`. For `h != m` the bound leaves nothing to compare:
//!    `lt` is the constant `L = 1 ^ m ^ msb(r)`, and `L (2, rho_0 + rho_1)` is added. The dealer shares both constants,
//!    indexed by `h`; which of them is which stays secret, and no payload for the other candidate is needed.
//!
//! A one-bit payload would halve the keys (SIGMA: 958 bytes at 64 bits), but its select needs a second opening.
//!
//! ```text
//! offline  dealer -> server  key, key of the hash; by chunk: correction words
//!          dealer -> client  key, key of the hash; by chunk: its shares of the constants, correction words
//!          client -> server  y_c + r_c
//! online   server -> client  y_s + r_s + 2^(w-2)
//! ```
//!
//! Security: semi-honest, non-colluding dealer. `Y` is masked by `r = r_s + r_c`, each half by a mask that the other
//! party does not know. Keys hide threshold and payload computationally: seeds of 126 bits, a fresh hash key for every
//! layer (see `crypto::dcf`).
//!
//! Cost for n activations, `l = w - t - 3` levels: online 1 round, w n / 8 bytes down; offline w n / 8 bytes up;
//! dealer 32 + (32 l + 64) n bytes to the server, 32 + (32 l + 96) n to the client: 1504 and 1536 bytes per
//! activation at w = 64, t = 16; 992 and 1024 at w = 48.

use super::{
    ActivationProtocol, ActivationSpec, Activator, Family, Material, ProtocolEntry, Setting, Settings, relu_only,
};
use crate::crypto::dcf::{Dcf, Holder, Payload};
use crate::crypto::{Block, Prg};
use crate::link::Party;
use crate::protocol::linear::add_into;
use crate::protocol::masked_open::MaskedOpening;
use crate::protocol::pack::packed_bytes;
use crate::protocol::{Cost, Dealer, Kept, PhaseCost, ProtocolError, Session};

pub(super) const ENTRY: ProtocolEntry = ProtocolEntry {
    id: "fss",
    family: Family::Relu,
    summary: "ReLU with truncation from one opening, by a distributed comparison function",
    source: "ePrint 2020/1392 (EUROCRYPT 2021), ePrint 2023/1269; masked opening: longhaul",
    dealer: true,
    exact: true,
    tolerance_ulp: 1.0,
    settings: &[Setting::Width],
    protocol: &Fss,
};

/// Activations per message of the dealer: 1.5 MB.
const CHUNK: usize = 1024;
/// Bits that must remain of a truncated value, so that the compared ones fill a key's table.
const MIN_TRUNCATED_BITS: u32 = 3;
/// Bytes of one party's shares of an activation's two constants.
const CONSTANT_BYTES: usize = size_of::<[Payload; 2]>();

/// Activations of a large layer that are on their way while the next ones are computed: 64 KiB of openings.
const STREAM_CHUNK: usize = 8192;

struct Fss;

impl ActivationProtocol for Fss {
    fn supports(&self, spec: &ActivationSpec) -> Result<(), String> {
        relu_only(spec)?;
        let (width, shift) = (spec.settings.width(), spec.shift());
        if width < shift + MIN_TRUNCATED_BITS {
            return Err(format!(
                "`fss` needs a width of {MIN_TRUNCATED_BITS} bits more than the {shift} it truncates, here {width}; raise width"
            ));
        }
        Ok(())
    }

    fn cost(&self, spec: &ActivationSpec) -> Cost {
        let n = spec.elements as u64;
        let half = packed_bytes(spec.elements, spec.settings.width()) as u64;
        let keys = 32 + Dcf::key_bytes(compared_bits(spec)) as u64 * n;
        Cost {
            offline: PhaseCost { rounds: 2, up: half, down: 0 },
            online: PhaseCost { rounds: 1, up: 0, down: half },
            dealer_server: keys,
            dealer_client: keys + CONSTANT_BYTES as u64 * n,
            ..Cost::default()
        }
    }

    fn chunk(&self) -> Option<usize> {
        Some(STREAM_CHUNK)
    }

    fn setup(&self, _session: &mut Session, _settings: &Settings) -> Result<Box<dyn Activator>, ProtocolError> {
        Ok(Box::new(Fss))
    }

    fn deal(&self, dealer: &mut Dealer, spec: &ActivationSpec) -> Result<(), ProtocolError> {
        let (server_key, mut server) = dealer.key();
        let (client_key, mut client) = dealer.key();
        let (hash_key, _) = dealer.key();
        dealer.send(Party::Server, Some(server_key), &hash_key)?;
        dealer.send(Party::Client, Some(client_key), &hash_key)?;
        let mut masks = server.words::<u64>(spec.elements);
        add_into(&mut masks, &client.words(spec.elements));
        let (opening, dcf) = (opening(spec), Dcf::new(hash_key, compared_bits(spec)));
        for masks in masks.chunks(CHUNK) {
            let own = Own::server(&mut server, masks.len());
            let client_roots = client.words::<Block>(masks.len());
            let secrets: Vec<Secrets> = masks.iter().map(|&r| Secrets::new(opening, r)).collect();
            let thresholds: Vec<u64> = secrets.iter().map(|secrets| secrets.threshold).collect();
            let payloads: Vec<Payload> = secrets.iter().map(|secrets| secrets.payload).collect();
            let mut keys = vec![0; masks.len() * Dcf::key_bytes(compared_bits(spec))];
            dcf.generate([&own.roots, &client_roots], &thresholds, &payloads, &mut keys);
            dealer.send(Party::Server, None, &keys)?;
            let shares = secrets.iter().zip(own.constants).map(|(secrets, own)| subtract(secrets.constants, own));
            let constants: Vec<Constants> = shares.collect();
            dealer.send(Party::Client, None, &[bytemuck::cast_slice(&constants), &keys].concat())?;
        }
        Ok(())
    }
}

fn opening(spec: &ActivationSpec) -> MaskedOpening {
    MaskedOpening { width: spec.settings.width(), shift: spec.shift() }
}

/// Bits of the comparison: all of a truncated opening but the highest.
fn compared_bits(spec: &ActivationSpec) -> u32 {
    opening(spec).truncated_bits() - 1
}

/// What the dealer derives from a mask.
struct Secrets {
    /// `s`, of which the lowest `N - 1` bits are compared.
    threshold: u64,
    /// `-(1, rho_m)`.
    payload: Payload,
    /// What is added for `h = 0` and `h = 1`.
    constants: Constants,
}

/// By the highest bit of the opened value.
type Constants = [Payload; 2];

impl Secrets {
    fn new(opening: MaskedOpening, r: u64) -> Secrets {
        let (rho, rho_wrapped) = opening.shifted_mask(r);
        let (rho, rho_wrapped) = (rho as u64, rho_wrapped as u64);
        let threshold = rho.wrapping_add(opening.offset() >> opening.shift);
        let top = |value: u64| (value >> (opening.truncated_bits() - 1) & 1) as usize;
        let m = top(threshold);
        let compared = if m == 1 { rho } else { rho_wrapped };
        // L: the comparison's result where the bound leaves only one.
        let forced = (1 ^ m ^ top(rho)) as u64;
        let mut constants = [[2 * forced, rho.wrapping_add(rho_wrapped).wrapping_mul(forced)]; 2];
        constants[m] = [1, compared];
        Secrets { threshold, payload: [u64::MAX, compared.wrapping_neg()], constants }
    }
}

/// A party's share of `max(x, 0)`, from the sum of the opening's halves and its shares of the comparison.
fn relu_share(opening: MaskedOpening, sum: u64, compared: Payload, constants: Constants) -> u64 {
    let (x, wrapped) = opening.truncated(sum);
    let constant = constants[usize::from(!wrapped)];
    let [b, b_rho] = [0, 1].map(|word| compared[word].wrapping_add(constant[word]));
    b.wrapping_mul(x as u64).wrapping_sub(b_rho)
}

fn subtract(from: Constants, subtrahend: Constants) -> Constants {
    let word = |half: usize, word: usize| from[half][word].wrapping_sub(subtrahend[half][word]);
    [[word(0, 0), word(0, 1)], [word(1, 0), word(1, 1)]]
}

/// What a party has of a chunk of keys besides the correction words.
struct Own {
    roots: Vec<Block>,
    constants: Vec<Constants>,
}

impl Own {
    /// The server's, all from its stream.
    fn server(stream: &mut Prg, n: usize) -> Own {
        Own { roots: stream.words(n), constants: stream.words(n) }
    }

    /// The client's: its constants begin the dealer's message, of which the keys are left over.
    fn client<'a>(stream: &mut Prg, n: usize, message: &'a [u8]) -> (Own, &'a [u8]) {
        let (constants, keys) = message.split_at(CONSTANT_BYTES * n);
        (Own { roots: stream.words(n), constants: bytemuck::allocation::pod_collect_to_vec(constants) }, keys)
    }
}

struct FssMaterial {
    opening: MaskedOpening,
    dcf: Dcf,
    /// What this party contributes to the opening: client `y_c + r_c`, server `r_s + 2^(w-2)` (`y_s` comes online).
    half: Vec<u64>,
    /// What the peer contributed offline: the client's half at the server, nothing at the client.
    received: Vec<u64>,
    /// This party's stream, behind its masks.
    stream: Prg,
    /// The dealer's messages, by chunk.
    chunks: Vec<Kept>,
}

impl Activator for Fss {
    fn preprocess(
        &mut self,
        session: &mut Session,
        spec: &ActivationSpec,
        client_share: &[u64],
    ) -> Result<Box<dyn Material>, ProtocolError> {
        let (n, opening) = (spec.elements, opening(spec));
        let mut dealt = session.recv_dealt(32)?;
        let (mut stream, hash_key) = (dealt.prg(), dealt.words::<[u8; 16]>(1)[0]);
        let constant_bytes = if session.is_server() { 0 } else { CONSTANT_BYTES };
        let mut chunks = Vec::new();
        for first in (0..n).step_by(CHUNK) {
            let bytes = CHUNK.min(n - first) * (Dcf::key_bytes(compared_bits(spec)) + constant_bytes);
            let message = session.recv_dealt(bytes)?.words(bytes);
            chunks.push(session.store().keep(message)?);
        }
        let mut half = stream.words::<u64>(n);
        let received = if session.is_server() {
            half.iter_mut().for_each(|r| *r = r.wrapping_add(opening.offset()));
            session.recv_packed(n, opening.width)?
        } else {
            add_into(&mut half, client_share);
            session.send_packed(&half, opening.width)?;
            Vec::new()
        };
        let dcf = Dcf::new(hash_key, compared_bits(spec));
        Ok(Box::new(FssMaterial { opening, dcf, half, received, stream, chunks }))
    }
}

impl Material for FssMaterial {
    fn online(mut self: Box<Self>, session: &mut Session, mut share: Vec<u64>) -> Result<Vec<u64>, ProtocolError> {
        let mut sums = std::mem::take(&mut self.half);
        if session.is_server() {
            add_into(&mut sums, &share);
            session.send_packed(&sums, self.opening.width)?;
            add_into(&mut sums, &self.received);
        } else {
            add_into(&mut sums, &session.recv_packed(share.len(), self.opening.width)?);
        }
        for ((output, sums), kept) in share.chunks_mut(CHUNK).zip(sums.chunks(CHUNK)).zip(self.chunks) {
            let message = kept.take()?;
            let (holder, (own, keys)) = if session.is_server() {
                (Holder::First, (Own::server(&mut self.stream, sums.len()), &message[..]))
            } else {
                (Holder::Second, Own::client(&mut self.stream, sums.len(), &message))
            };
            let points: Vec<u64> = sums.iter().map(|sum| sum >> self.opening.shift).collect();
            let mut compared = vec![[0; 2]; sums.len()];
            self.dcf.evaluate(holder, &own.roots, &points, keys, &mut compared);
            for (((output, &sum), compared), constants) in output.iter_mut().zip(sums).zip(compared).zip(own.constants)
            {
                *output = relu_share(self.opening, sum, compared, constants);
            }
        }
        Ok(share)
    }
}

#[cfg(test)]
mod tests;
