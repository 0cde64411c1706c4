//! `millionaire`: ReLU by the millionaires' comparison from oblivious transfer, without a dealer.
//!
//! Functionality: shares of `y` (scale `input_bits`, `|y| < 2^(w-2)` for the setting `width` = w) to shares mod 2^64 of
//! `max(y, 0) / 2^t`, rounded down or one below.
//!
//! Source: Rathee et al., *CrypTFlow2*, CCS 2020 (ePrint 2020/1002): the sign from a comparison of the shares (section 4.1),
//! digits compared by 1-of-16 OTs and combined in a tree of ANDs (section 3), triples and multiplexer from OTs; the
//! known-sign truncation of Huang et al., *Cheetah*, USENIX Security 2022 (ePrint 2022/207, section 4.2). With
//! `m_s`, `m_c` the shares' sign bits and primes for the `w - 1` bits below:
//!
//! 1. `msb(y) = m_s ^ m_c ^ carry`, `carry = [2^(w-1) - 1 - y_c' < y_s']`. The client's side `a` of the comparison is known
//!    offline: its digits *are* the choices of the OTs, which therefore need no correction. Online the server
//!    sends, for each digit, `([x < b_j], [x = b_j])` for all 16 `x`, masked: 32 bits (`leaves`).
//! 2. `lt = lt_high ^ eq_high lt_low`, `eq = eq_high eq_low`, a level of the tree a round (`tree`).
//! 3. For `y >= 0` the truncated value is `Y = A_s + A_c + m_s m_c 2^(w-t)`, `A` the share as a signed `w`-bit number shifted by
//!    `t`. With `b = 1 ^ msb(y)`, wanted is `b Y`. Instead of OTs on `b` the parties open `e = b ^ beta` for a random shared bit
//!    and use `b = e + (1 - 2 e) beta`: products of `beta` with the client's half are made offline, and for the
//!    server's half it reveals `delta = A_s - rho` and products with `rho` are (`products`). One bit each way online.
//! 4. The server's `m_s` is revealed under a mask, `epsilon = m_s ^ mu`, with `mu m_c` shared offline. What that adds is put
//!    into both halves; the client prepares its half for both `epsilon`. Nothing is needed where `2^(w-t) = 0`.
//!
//! ```text
//! offline  client -> server  OT extension: digits, triples, beta_c, m_c
//!          server -> client  corrections of products; OT extension the other way: beta_s
//!          client -> server  corrections of products
//! online   server -> client  masked digits, delta, epsilon
//!          both              a masked level of ANDs, for each level of the tree
//!          both              e
//! ```
//!
//! This harness's gains over the papers: the offline choices of 1, the multiplexer and truncation without a round of their
//! own (they need 8 rounds and 1,168 bytes at w = 64; here 6 rounds and about 86 bytes).
//!
//! Security: semi-honest, kappa = 128, no dealer. Digits, triples and products are masked by pads of random OTs, each
//! used once; `delta`, `epsilon` and `e` by uniform values that the other party does not know.
//!
//! Cost for n activations: `costs` below; at w = 64, t = 16: online 6 rounds, 72.13 + 6.63 bytes down, 6.63 up; offline
//! 3 rounds and 118 transfers one way, one the other.

mod leaves;
mod offline;
mod online;
mod products;
mod tree;

use super::{ActivationProtocol, ActivationSpec, Activator, Family, ProtocolEntry, Setting, Settings, relu_only};
use crate::protocol::ot::random::PadHash;
use crate::protocol::{Cost, Dealer, PhaseCost, ProtocolError, Session};
use offline::{Client, Server};
use tree::Tree;

pub(super) const ENTRY: ProtocolEntry = ProtocolEntry {
    id: "millionaire",
    family: Family::Relu,
    summary: "ReLU by comparing shares digit by digit with oblivious transfers",
    source: "CrypTFlow2 (CCS 2020), Cheetah (USENIX Security 2022)",
    dealer: false,
    exact: true,
    tolerance_ulp: 2.0,
    settings: &[Setting::Width, Setting::Ot],
    protocol: &Millionaire,
};

/// Activations whose transfers are extended and hashed at a time.
const CHUNK: usize = 1024;
/// Bits of a digit.
const DIGIT_BITS: usize = 4;

struct Millionaire;

impl ActivationProtocol for Millionaire {
    fn supports(&self, spec: &ActivationSpec) -> Result<(), String> {
        relu_only(spec)?;
        let (width, shift) = (spec.settings.width(), spec.shift());
        match shift + 3 <= width {
            true => Ok(()),
            false => {
                Err(format!("`millionaire` needs a width of 3 bits more than the {shift} it truncates, here {width}"))
            }
        }
    }

    fn cost(&self, spec: &ActivationSpec) -> Cost {
        let layer = Layer::new(spec);
        let (n, words, ot) = (layer.n as u64, layer.words() as u64, spec.settings.ot());
        let (forth, back) = (ot.cost(layer.transfers_to_client() as u64), ot.cost(64 * words));
        let corrections = if layer.lifts() { 16 * n } else { 8 * n };
        let masks = if layer.lifts() { 8 * words } else { 0 };
        let levels = layer.tree().levels().len() as u32;
        let exchanged = 8 * words * (2 * layer.tree().ands() as u64 + 1);
        let sent = 4 * layer.digits() as u64 * n + 8 * n + masks;
        Cost {
            setup: setup_cost(ot.setup_cost()),
            offline: PhaseCost {
                rounds: forth.rounds + 2,
                up: forth.up + back.down + corrections,
                down: forth.down + back.up + corrections,
            },
            online: PhaseCost { rounds: levels + 2, up: exchanged, down: sent + exchanged },
            ..Cost::default()
        }
    }

    fn setup(&self, session: &mut Session, settings: &Settings) -> Result<Box<dyn Activator>, ProtocolError> {
        let ot = settings.ot();
        if session.is_server() {
            let hashes = pad_hashes(session.recv(32)?);
            let (sender, receiver) = (ot.sender(session)?, ot.receiver(session)?);
            return Ok(Box::new(Server { sender, receiver, hashes }));
        }
        let mut rng = session.rng("pad hashes");
        let keys = [rng.key(), rng.key()].concat();
        session.send(keys.clone())?;
        let (receiver, sender) = (ot.receiver(session)?, ot.sender(session)?);
        Ok(Box::new(Client { receiver, sender, hashes: pad_hashes(keys) }))
    }

    fn deal(&self, _dealer: &mut Dealer, _spec: &ActivationSpec) -> Result<(), ProtocolError> {
        Ok(())
    }
}

/// Hashes of the transfers to the client and to the server: a public key for each offset.
type PadHashes = [PadHash; 2];

fn pad_hashes(keys: Vec<u8>) -> PadHashes {
    let key = |half: usize| keys[16 * half..][..16].try_into().expect("two keys of 16 bytes");
    [PadHash::new(key(0)), PadHash::new(key(1))]
}

/// One setup in each direction, and two keys. The second starts with the party that received the first one's last
/// message, or sent it: then both share a round.
fn setup_cost(one: PhaseCost) -> PhaseCost {
    let rounds = if one.rounds.is_multiple_of(2) { 2 * one.rounds - 1 } else { 2 * one.rounds };
    PhaseCost { rounds, up: 32 + one.up + one.down, down: one.up + one.down }
}

/// One layer's measures.
#[derive(Clone, Copy)]
struct Layer {
    n: usize,
    width: u32,
    shift: u32,
}

impl Layer {
    fn new(spec: &ActivationSpec) -> Layer {
        Layer { n: spec.elements, width: spec.settings.width(), shift: spec.shift() }
    }

    /// Words of a bit per activation.
    fn words(self) -> usize {
        self.n.div_ceil(64)
    }

    /// Digits of the `width - 1` compared bits.
    fn digits(self) -> usize {
        (self.width as usize - 1).div_ceil(DIGIT_BITS)
    }

    fn tree(self) -> Tree {
        Tree::new(self.digits())
    }

    /// Words of AND triples.
    fn triples(self) -> usize {
        self.words() * self.tree().ands()
    }

    /// Whether `2^(w-t)` is anything in the ring.
    fn lifts(self) -> bool {
        self.width - self.shift < 64
    }

    /// `2^(w-t)`.
    fn lift(self) -> u64 {
        1u64.checked_shl(self.width - self.shift).unwrap_or(0)
    }

    /// The share as a signed number of `width` bits, truncated.
    fn truncated(self, share: u64) -> u64 {
        (((share << (64 - self.width)) as i64) >> (64 - self.width + self.shift)) as u64
    }

    /// The share's sign bit.
    fn sign(self, share: u64) -> u64 {
        share >> (self.width - 1) & 1
    }

    /// Digit `j` of a compared number, from the most significant one.
    fn digit(self, number: u64, j: usize) -> usize {
        let number = number & (u64::MAX >> (65 - self.width));
        (number >> (DIGIT_BITS * (self.digits() - 1 - j))) as usize & 15
    }

    /// Correlated transfers with the client as receiver: digits by chunk, two per triple, `beta_c`, `m_c`.
    fn transfers_to_client(self) -> usize {
        let digits: usize =
            self.chunks().map(|(_, size)| (size * self.digits() * DIGIT_BITS).next_multiple_of(64)).sum();
        let single = if self.lifts() { 2 } else { 1 };
        digits + 64 * (2 * self.triples() + single * self.words())
    }

    /// Where chunks of activations start, and how many they are.
    fn chunks(self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.n).step_by(CHUNK).map(move |start| (start, CHUNK.min(self.n - start)))
    }
}

/// Bit `i` of packed bits.
fn bit(words: &[u64], i: usize) -> u64 {
    words[i / 64] >> (i % 64) & 1
}

/// One bit of each value, packed.
fn pack(bits: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut words = Vec::new();
    for (i, bit) in bits.enumerate() {
        match words.last_mut() {
            Some(word) if i % 64 > 0 => *word |= bit << (i % 64),
            _ => words.push(bit),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_from_the_most_significant() {
        let layer = Layer { n: 1, width: 64, shift: 16 };
        let digits = |layer: Layer, number| (0..layer.digits()).map(|j| layer.digit(number, j)).collect::<Vec<_>>();
        assert_eq!(digits(layer, 0xf123_4567_89ab_cdef), [7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        assert_eq!(digits(Layer { width: 10, ..layer }, 0xffff), [1, 15, 15]);
    }

    #[test]
    fn truncated_signed_shares_add_up_for_values_that_are_not_negative() {
        let layer = Layer { n: 1, width: 20, shift: 3 };
        for y in [0u64, 1, 7, 8, 1000, (1 << 18) - 1] {
            for server in (0..1 << 20).step_by(997) {
                let client = y.wrapping_sub(server);
                let both = layer.sign(server) & layer.sign(client);
                let sum =
                    layer.truncated(server).wrapping_add(layer.truncated(client)).wrapping_add(both * layer.lift());
                let error = (y >> 3).wrapping_sub(sum);
                assert!(error <= 1, "{y} = {server} + {client}: {error}");
            }
        }
    }
}
