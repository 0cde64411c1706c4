//! Silent OT in the manner of Ferret: correlated transfers from a few others, by learning parity with noise.
//!
//! Source: Yang, Weng, Lan, Zhang, Wang, *Ferret*, CCS 2020 (ePrint 2020/924): iterated extension with regular noise and a
//! 10-local code; the trees of Guo et al., *Half-Tree*, EUROCRYPT 2023 (ePrint 2022/1431, section 4).
//!
//! One extension makes `n` transfers of `k + t h`:
//!
//! 1. For each of `t` bins of `2^h` transfers, a correlated tree (`tree`) from `h` transfers: the sender's leaves are `v`, the
//!    receiver's `w = v` but for one position, where `w = v ^ delta`. The position is the complement of the transfers'
//!    random choices, so the receiver says nothing; the sender sends `h` blocks per bin.
//! 2. Both multiply the `k` transfers by a public sparse matrix (`lpn`) and add the leaves.
//! 3. The first `k + t h` outputs serve the next extension.
//!
//! The lowest bit of `delta` is 1; kept transfers have 0 in the sender's lowest bit, so that the receiver's lowest bit is
//! its choice: code and noise act on choices and blocks at once.
//!
//! Made to measure: `Reserve::for_transfers` runs as many extensions as `n` transfers take and forgets what is left of
//! them, so that what a layer costs does not depend on the layers before. For many transfers a large extension is used,
//! which takes its input from a small one.
//!
//! Security: semi-honest; primal LPN with regular noise over `F_2` blocks. The parameters are those of the authors'
//! published implementation (emp-ot, chosen for 128 bits after the estimates of Liu, Wang, Yang, Yu, ePrint 2022/712).
//!
//! Cost: 16 h t bytes to the receiver per extension, and one bit per transfer back, which puts the receiver's choices in
//! place of the random ones. Setup: SoftSpokenOT with k = 8, and its first transfers.

mod lpn;
mod tree;

use super::{CotReceiver, CotSender};
use crate::crypto::Block;
use crate::protocol::{PhaseCost, ProtocolError, Session};

/// One set of parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Transfers that enter the code.
    pub k: usize,
    /// Bins, with one noisy transfer each.
    pub t: usize,
    /// Levels of a bin's tree.
    pub h: usize,
}

/// 470,016 outputs.
pub const SMALL: Parameters = Parameters { k: 32_768, t: 918, h: 9 };
/// 10,268,672 outputs.
pub const LARGE: Parameters = Parameters { k: 238_000, t: 2_507, h: 12 };

impl Parameters {
    /// Transfers that come out.
    pub const fn outputs(self) -> usize {
        self.t << self.h
    }

    /// Transfers that go in.
    pub const fn inputs(self) -> usize {
        self.k + self.t * self.h
    }

    /// Bytes of the sender's message.
    pub const fn message_bytes(self) -> usize {
        16 * self.t * self.h
    }
}

/// Transfers that are kept between layers: the input of a small extension, rounded up to whole words.
const KEPT: usize = SMALL.inputs().next_multiple_of(64);
/// Transfers of a small extension beyond those that are kept.
const SMALL_YIELD: usize = SMALL.outputs() - KEPT;
/// Above so many transfers a large extension is cheaper than small ones.
const LARGE_FROM: usize = 6 * SMALL_YIELD;

/// The extensions that a number of transfers takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reserve {
    large: usize,
    small: usize,
}

impl Reserve {
    /// Each large one comes with the small one that feeds it.
    fn for_transfers(n: usize) -> Reserve {
        let large = (n + LARGE.outputs() - LARGE_FROM) / LARGE.outputs();
        let rest = n.saturating_sub(large * LARGE.outputs());
        Reserve { large, small: rest.div_ceil(SMALL_YIELD) }
    }

    fn message_bytes(self) -> usize {
        self.large * (LARGE.message_bytes() + SMALL.message_bytes()) + self.small * SMALL.message_bytes()
    }
}

/// What [`CotSender::reserve`] and then `n` transfers cost; `up` from the receiver.
pub(super) fn cost(n: u64) -> PhaseCost {
    let down = Reserve::for_transfers(n as usize).message_bytes() as u64;
    PhaseCost { rounds: 2, up: n / 8, down }
}

/// Transfers that the setup takes from another construction.
pub const BOOTSTRAP: usize = KEPT;

/// The sender's end.
pub struct FerretSender {
    delta: Block,
    /// The input of the next extension; lowest bits are 0.
    kept: Vec<Block>,
    /// Transfers for the current layer, taken from the end.
    ready: Vec<Block>,
    matrix: lpn::Matrix,
}

/// The receiver's end.
pub struct FerretReceiver {
    /// As the sender's; the lowest bits are the choices.
    kept: Vec<Block>,
    ready: Vec<Block>,
    matrix: lpn::Matrix,
}

impl FerretSender {
    /// From [`BOOTSTRAP`] transfers.
    ///
    /// # Panics
    /// If `delta` is even or there are more or fewer.
    pub fn new(delta: Block, q: Vec<Block>) -> FerretSender {
        assert!(delta.lsb() && q.len() == KEPT, "the setup made these transfers");
        let kept = q.into_iter().map(|q| Block(q.0 & !1)).collect();
        FerretSender { delta, kept, ready: Vec::new(), matrix: lpn::Matrix::public() }
    }

    /// One extension of `inputs`, whose lowest bits are 0: all outputs, and the message.
    ///
    /// # Panics
    /// If the inputs are too few.
    pub fn extend_by(
        &self,
        rng: &mut crate::crypto::Prg,
        parameters: Parameters,
        inputs: &[Block],
    ) -> (Vec<Block>, Vec<u8>) {
        let (seeds, trees) = inputs[..parameters.inputs()].split_at(parameters.k);
        let mut outputs = vec![Block::ZERO; parameters.outputs()];
        let mut message = Vec::with_capacity(parameters.message_bytes());
        for (leaves, q) in outputs.chunks_exact_mut(1 << parameters.h).zip(trees.chunks_exact(parameters.h)) {
            let sums = tree::grow(self.delta, rng.block(), leaves);
            sums.iter().zip(q).for_each(|(sum, q)| message.extend_from_slice(&(*sum ^ *q).0.to_le_bytes()));
        }
        outputs.iter_mut().for_each(|leaf| leaf.0 &= !1);
        self.matrix.multiply_add(seeds, &mut outputs);
        (outputs, message)
    }
}

impl CotSender for FerretSender {
    fn delta(&self) -> Block {
        self.delta
    }

    fn reserve(&mut self, session: &mut Session, n: usize) -> Result<(), ProtocolError> {
        let mut rng = session.rng("silent OT");
        self.ready.clear();
        let reserve = Reserve::for_transfers(n);
        for extension in 0..reserve.large + reserve.small {
            let (outputs, message) = self.extend_by(&mut rng, SMALL, &self.kept);
            session.send(message)?;
            let (kept, rest) = outputs.split_at(KEPT);
            if extension < reserve.large {
                let (outputs, message) = self.extend_by(&mut rng, LARGE, rest);
                session.send(message)?;
                self.ready.extend(outputs);
            } else {
                self.ready.extend_from_slice(rest);
            }
            self.kept = kept.to_vec();
        }
        Ok(())
    }

    fn extend(&mut self, session: &mut Session, n: usize) -> Result<Vec<Block>, ProtocolError> {
        let corrections = session.recv_words(n / 64)?;
        let mut q = self.ready.split_off(self.ready.len().checked_sub(n).expect("transfers are reserved before"));
        for (j, q) in q.iter_mut().enumerate() {
            *q ^= self.delta.if_bit(corrections[j / 64] >> (j % 64) & 1 == 1);
        }
        Ok(q)
    }
}

impl FerretReceiver {
    /// From [`BOOTSTRAP`] transfers and their choices.
    ///
    /// # Panics
    /// If there are more or fewer.
    pub fn new(choices: &[u64], t: Vec<Block>) -> FerretReceiver {
        assert_eq!(t.len(), KEPT, "the setup made these transfers");
        let choice = |j: usize| u128::from(choices[j / 64] >> (j % 64) & 1);
        let kept = t.into_iter().enumerate().map(|(j, t)| Block(t.0 & !1 | choice(j))).collect();
        FerretReceiver { kept, ready: Vec::new(), matrix: lpn::Matrix::public() }
    }

    /// One extension of `inputs`, whose lowest bits are the choices, by the sender's message of
    /// [`Parameters::message_bytes`]: all outputs.
    ///
    /// # Panics
    /// If inputs or message are too short.
    pub fn extend_by(&self, parameters: Parameters, inputs: &[Block], message: &[u8]) -> Vec<Block> {
        let (seeds, trees) = inputs[..parameters.inputs()].split_at(parameters.k);
        let sums: Vec<Block> = bytemuck::allocation::pod_collect_to_vec(message);
        let mut outputs = vec![Block::ZERO; parameters.outputs()];
        let bins = outputs.chunks_exact_mut(1 << parameters.h).zip(trees.chunks_exact(parameters.h));
        for ((leaves, t), sums) in bins.zip(sums.chunks_exact(parameters.h)) {
            // Each sum that the transfer opens is that of the side away from the noisy leaf.
            let sides: Vec<(bool, Block)> = t.iter().zip(sums).map(|(t, sum)| (t.lsb(), *sum ^ *t)).collect();
            let noisy = tree::regrow(&sides, leaves);
            leaves.iter_mut().for_each(|leaf| leaf.0 &= !1);
            leaves[noisy].0 |= 1;
        }
        self.matrix.multiply_add(seeds, &mut outputs);
        outputs
    }
}

impl CotReceiver for FerretReceiver {
    fn reserve(&mut self, session: &mut Session, n: usize) -> Result<(), ProtocolError> {
        self.ready.clear();
        let reserve = Reserve::for_transfers(n);
        for extension in 0..reserve.large + reserve.small {
            let message = session.recv(SMALL.message_bytes())?;
            let outputs = self.extend_by(SMALL, &self.kept, &message);
            let (kept, rest) = outputs.split_at(KEPT);
            if extension < reserve.large {
                let message = session.recv(LARGE.message_bytes())?;
                let outputs = self.extend_by(LARGE, rest, &message);
                self.ready.extend(outputs);
            } else {
                self.ready.extend_from_slice(rest);
            }
            self.kept = kept.to_vec();
        }
        Ok(())
    }

    fn extend(&mut self, session: &mut Session, choices: &[u64]) -> Result<Vec<Block>, ProtocolError> {
        let n = 64 * choices.len();
        let t = self.ready.split_off(self.ready.len().checked_sub(n).expect("transfers are reserved before"));
        let random =
            t.chunks_exact(64).map(|t| t.iter().enumerate().fold(0, |word, (j, t)| word | u64::from(t.lsb()) << j));
        let corrections: Vec<u64> = random.zip(choices).map(|(random, choice)| random ^ choice).collect();
        session.send_words(&corrections)?;
        Ok(t)
    }
}

#[cfg(test)]
mod tests;
