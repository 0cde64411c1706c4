//! Random oblivious transfers, made offline from correlated ones and derandomised online.
//!
//! **Functionality.** For N = 2^b, 1 <= b <= 4: offline, the sender gets N pads for every transfer, the receiver a
//! uniform index and the pad there. Online, the receiver's choice among N messages of up to 64 bits.
//!
//! **Source.** Beaver, *Precomputing Oblivious Transfer* (CRYPTO 1995). The pads of b correlated transfers: Roy,
//! *SoftSpokenOT* (CRYPTO 2022, ePrint 2022/192), whose correlation over a larger field the b bits are joined to.
//!
//! 1. Of the b correlated transfers of one random transfer, `q = sum of 2^i q_i` and `t = sum of 2^i t_i`, with `2` the
//!    generator `X` of GF(2^128): `t = q + r delta` for the random index `r = sum of 2^i c_i`.
//! 2. Pad `x` is `H(q + x delta)` under the transfer's own tweak. The receiver knows `t`, the input of pad `r`.
//! 3. Online, the receiver sends `d = choice ^ r`, and the sender message `x` under pad `x ^ d`, for all x.
//!
//! **Security.** Semi-honest. The other pads' inputs differ from `t` by `(x + r) delta`, a nonzero multiple of an
//! offset with 127 bits of entropy, so `H` must be correlation robust for such multiples: it is the re-keyed hash of
//! [`crate::crypto::rekeyed`], an ideal cipher under a key of its own for every transfer. [`PadHash`] counts the tweaks
//! over its lifetime; one serves one `delta` and is advanced alike at both ends. `d` is uniform to the sender. Pads are
//! taken by value, so each is used once.
//!
//! **Cost.** Offline that of `b n` correlated transfers, rounded up to [`transfers`]. Online, for messages of `w` bits,
//! `ceil(b n / 8)` bytes to the sender and `ceil(2^b w n / 8)` back, in two rounds.

use super::{CotReceiver, CotSender, OtError, check_length};
use crate::crypto::Block;
use crate::crypto::rekeyed::{Kernel, KeyRow, LANES, Row, RowHash, WithRowHash};
use crate::protocol::{ProtocolError, Session};

const CORRECTIONS: &str = "corrections of random OTs";
const MESSAGES: &str = "masked messages of random OTs";

/// Most choice bits of one transfer.
pub const MAX_BITS: usize = 4;

/// Transfers hashed at a time: two half gates in every lane.
const GROUP: usize = 2 * LANES;

/// Correlated transfers that `n` random ones of `bits` choice bits take.
pub fn transfers(n: usize, bits: usize) -> usize {
    (n * bits).next_multiple_of(64)
}

/// Bytes of the receiver's corrections.
pub fn correction_bytes(n: usize, bits: usize) -> usize {
    (n * bits).div_ceil(8)
}

/// Bytes of the sender's masked messages of `width` bits.
pub fn message_bytes(n: usize, bits: usize, width: usize) -> usize {
    ((n * width) << bits).div_ceil(8)
}

/// The hash that breaks the correlation, with a tweak that counts over a session.
///
/// Both ends start with the same key, drawn by either and public, and make the same random transfers in the same order.
pub struct PadHash {
    key: [u8; 16],
    /// Groups of [`GROUP`] tweaks that were used.
    next: u64,
}

impl PadHash {
    /// The hash under a fresh public key.
    pub fn new(key: [u8; 16]) -> PadHash {
        PadHash { key, next: 0 }
    }

    /// The pads of the sender's `q` (`bits` choice bits) and the offset, or the one pad of the receiver's `t`.
    fn pads(&mut self, inputs: &[Block], sides: Sides) -> Vec<Block> {
        let pads = Kernel::best().run(Hashing { hash: self, inputs, sides });
        self.next += inputs.len().div_ceil(GROUP) as u64;
        pads
    }
}

/// What is hashed of one transfer.
#[derive(Clone, Copy)]
enum Sides {
    /// The input plus every multiple of the offset.
    All { delta: Block, bits: usize },
    /// The input itself.
    One,
}

struct Hashing<'a> {
    hash: &'a PadHash,
    inputs: &'a [Block],
    sides: Sides,
}

impl WithRowHash for Hashing<'_> {
    /// The pads of the first transfer, then those of the second, ...
    type Output = Vec<Block>;

    #[inline(always)]
    fn with<H: RowHash>(self, hash: H) -> Vec<Block> {
        let sides = match self.sides {
            Sides::All { bits, .. } => 1 << bits,
            Sides::One => 1,
        };
        let mut pads = vec![Block::ZERO; self.inputs.len() * sides];
        for (i, (inputs, pads)) in self.inputs.chunks(GROUP).zip(pads.chunks_mut(GROUP * sides)).enumerate() {
            let keys = KeyRow::new(self.hash.key, (self.hash.next + i as u64) * LANES as u64);
            let mut rows = [Row::ZERO; 2];
            bytemuck::cast_slice_mut(&mut rows)[..inputs.len()].copy_from_slice(inputs);
            let mut scatter = |x: usize, rows: &[Row; 2]| {
                for (pads, pad) in pads.chunks_exact_mut(sides).zip(bytemuck::cast_slice(rows)) {
                    pads[x] = *pad;
                }
            };
            let Sides::All { delta, .. } = self.sides else {
                scatter(0, &hash.hash(&keys, 0, [&rows[0], &rows[1]]));
                continue;
            };
            for x in (0..sides).step_by(2) {
                let offset = Row::splat(multiple(x, delta));
                let moved = rows.map(|row| row ^ offset);
                let [first, second] = hash.hash_both(&keys, 0, [&moved[0], &moved[1]], delta);
                scatter(x, &[first[0], second[0]]);
                scatter(x + 1, &[first[1], second[1]]);
            }
        }
        pads
    }
}

/// The sender's end of `n` random transfers.
pub struct RandomOtSender {
    bits: usize,
    pads: Vec<Block>,
}

impl RandomOtSender {
    /// `n` random transfers of `bits` choice bits from correlated ones.
    ///
    /// # Errors
    /// A failed channel, or bytes that are not what the peer should have sent.
    ///
    /// # Panics
    /// If `bits` is not 1 to [`MAX_BITS`].
    pub fn prepare(
        session: &mut Session,
        cot: &mut dyn CotSender,
        hash: &mut PadHash,
        n: usize,
        bits: usize,
    ) -> Result<RandomOtSender, ProtocolError> {
        let q = if n == 0 { Vec::new() } else { cot.extend(session, transfers(n, bits))? };
        Ok(RandomOtSender::new(hash, cot.delta(), &q[..n * bits], bits))
    }

    /// From `bits` correlated transfers for each random one.
    ///
    /// # Panics
    /// If `bits` is not 1 to [`MAX_BITS`].
    pub fn new(hash: &mut PadHash, delta: Block, q: &[Block], bits: usize) -> RandomOtSender {
        RandomOtSender { bits, pads: hash.pads(&join(q, bits), Sides::All { delta, bits }) }
    }

    /// The `2^bits` pads of each transfer.
    pub fn pads(&self) -> impl Iterator<Item = &[Block]> {
        self.pads.chunks_exact(1 << self.bits)
    }

    /// Answers the receiver's corrections: the masked messages. Of transfer `j`, message `x` is the low `width` bits of
    /// `messages[(j << bits) + x]`.
    ///
    /// # Errors
    /// If `corrections` has not [`correction_bytes`].
    ///
    /// # Panics
    /// If `messages` are not `2^bits` for each transfer, or `width` is above 64.
    pub fn derandomise(self, corrections: &[u8], messages: &[u64], width: usize) -> Result<Vec<u8>, OtError> {
        assert_eq!(messages.len(), self.pads.len(), "messages");
        let (bits, n) = (self.bits, messages.len() >> self.bits);
        check_length(CORRECTIONS, correction_bytes(n, bits), corrections.len())?;
        let masked = messages.chunks_exact(1 << bits).zip(self.pads()).enumerate().flat_map(|(j, (messages, pads))| {
            let d = read_bits(corrections, j * bits, bits) as usize;
            messages.iter().enumerate().map(move |(x, message)| message ^ pads[x ^ d].0 as u64)
        });
        Ok(pack_bits(masked, width))
    }
}

/// The receiver's end of `n` random transfers.
pub struct RandomOtReceiver {
    bits: usize,
    indices: Vec<u8>,
    pads: Vec<Block>,
}

/// The receiver after its corrections.
pub struct CorrectedOtReceiver {
    bits: usize,
    choices: Vec<u8>,
    pads: Vec<Block>,
}

impl RandomOtReceiver {
    /// `n` random transfers of `bits` choice bits from correlated ones, with fresh indices.
    ///
    /// # Errors
    /// A failed channel.
    ///
    /// # Panics
    /// If `bits` is not 1 to [`MAX_BITS`].
    pub fn prepare(
        session: &mut Session,
        cot: &mut dyn CotReceiver,
        hash: &mut PadHash,
        n: usize,
        bits: usize,
    ) -> Result<RandomOtReceiver, ProtocolError> {
        let choices = session.rng("random OT").words::<u64>(transfers(n, bits) / 64);
        let t = if n == 0 { Vec::new() } else { cot.extend(session, &choices)? };
        Ok(RandomOtReceiver::new(hash, &choices, &t[..n * bits], bits))
    }

    /// From `bits` correlated transfers for each random one; the choice of transfer `j` is bit `j % 64` of word `j / 64`.
    ///
    /// # Panics
    /// If `bits` is not 1 to [`MAX_BITS`], or the choices are fewer than `t`.
    pub fn new(hash: &mut PadHash, choices: &[u64], t: &[Block], bits: usize) -> RandomOtReceiver {
        let choices: &[u8] = bytemuck::cast_slice(choices);
        let pads = hash.pads(&join(t, bits), Sides::One);
        let indices = (0..pads.len()).map(|j| read_bits(choices, j * bits, bits) as u8);
        RandomOtReceiver { bits, indices: indices.collect(), pads }
    }

    /// The random index of each transfer, and the pad there.
    pub fn pads(&self) -> impl Iterator<Item = (u8, Block)> {
        self.indices.iter().copied().zip(self.pads.iter().copied())
    }

    /// The choices for which messages are wanted, and the corrections for the sender.
    ///
    /// # Panics
    /// If there is not one choice for each transfer, or one is not below `2^bits`.
    pub fn choose(self, choices: Vec<u8>) -> (CorrectedOtReceiver, Vec<u8>) {
        assert_eq!(choices.len(), self.indices.len(), "choices");
        assert!(choices.iter().all(|choice| choice >> self.bits == 0), "choices have {} bits", self.bits);
        let d = choices.iter().zip(&self.indices).map(|(choice, index)| u64::from(choice ^ index));
        let corrections = pack_bits(d, self.bits);
        (CorrectedOtReceiver { bits: self.bits, choices, pads: self.pads }, corrections)
    }
}

impl CorrectedOtReceiver {
    /// The chosen messages of `width` bits.
    ///
    /// # Errors
    /// If `masked` has not [`message_bytes`].
    pub fn open(self, masked: &[u8], width: usize) -> Result<Vec<u64>, OtError> {
        check_length(MESSAGES, message_bytes(self.pads.len(), self.bits, width), masked.len())?;
        let chosen = self.choices.iter().zip(&self.pads).enumerate().map(|(j, (choice, pad))| {
            let at = (j << self.bits) + usize::from(*choice);
            read_bits(masked, at * width, width) ^ low_bits(pad.0 as u64, width)
        });
        Ok(chosen.collect())
    }
}

/// Step 1: each `bits` blocks as the coefficients of one polynomial in `X`.
fn join(blocks: &[Block], bits: usize) -> Vec<Block> {
    assert!((1..=MAX_BITS).contains(&bits), "{bits} choice bits");
    let whole = blocks.chunks_exact(bits);
    whole.map(|blocks| blocks.iter().rev().fold(Block::ZERO, |sum, block| double(sum) ^ *block)).collect()
}

/// Times `X` in GF(2^128) = GF(2)[X] / (X^128 + X^7 + X^2 + X + 1).
fn double(block: Block) -> Block {
    Block(block.0 << 1) ^ Block(0x87).if_bit(block.0 >> 127 == 1)
}

/// `x delta`, the bits of `x` being the coefficients of a polynomial.
fn multiple(x: usize, delta: Block) -> Block {
    (0..MAX_BITS).rev().fold(Block::ZERO, |sum, i| double(sum) ^ delta.if_bit(x >> i & 1 == 1))
}

fn low_bits(value: u64, width: usize) -> u64 {
    match width {
        64 => value,
        _ => value & ((1 << width) - 1),
    }
}

/// The low `width` bits of every value, without gaps.
fn pack_bits(values: impl Iterator<Item = u64>, width: usize) -> Vec<u8> {
    assert!(width <= 64, "messages of {width} bits");
    let mut bytes = Vec::with_capacity((values.size_hint().0 * width).div_ceil(8) + 8);
    let (mut pending, mut filled) = (0u128, 0);
    for value in values {
        pending |= u128::from(low_bits(value, width)) << filled;
        filled += width;
        if filled >= 64 {
            bytes.extend_from_slice(&(pending as u64).to_le_bytes());
            pending >>= 64;
            filled -= 64;
        }
    }
    bytes.extend_from_slice(&pending.to_le_bytes()[..filled.div_ceil(8)]);
    bytes
}

/// `width` bits from bit `at` on.
fn read_bits(bytes: &[u8], at: usize, width: usize) -> u64 {
    let bytes = &bytes[at / 8..(at + width).div_ceil(8)];
    let value = bytes.iter().rev().fold(0u128, |value, byte| value << 8 | u128::from(*byte));
    low_bits((value >> (at % 8)) as u64, width)
}

#[cfg(test)]
mod tests;
