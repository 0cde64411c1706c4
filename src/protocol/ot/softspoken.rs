//! OT extension that trades computing for bytes: SoftSpokenOT.
//!
//! **Functionality.** That of [`iknp`](super::iknp): the sender's odd `delta` is fixed for its lifetime; for packed choice
//! bits `c_j` of the receiver, the receiver gets blocks `t_j`, the sender `q_j = t_j ^ c_j delta`.
//!
//! **Source.** Roy, *SoftSpokenOT: Quieter OT Extension from Small-Field Silent VOLE in the Minicrypt Model* (CRYPTO
//! 2022, ePrint 2022/192): section 3.1 (VOLE over the field of 2^k elements, Fig. 7) with the repetition code, section 6
//! for the base transfers (in `ggm`). `delta` is cut into 128 / k groups of k bits, each an element of the small field:
//!
//! 1. Setup: per group, 2^k leaf keys to the receiver and all but leaf `delta_i` to the sender.
//! 2. With `r_x` the stream of leaf `x`, the receiver has `u_i = sum of r_x` and `v_i = sum of x r_x`, the sender
//!    `w_i = sum of (x + delta_i) r_x = v_i + delta_i u_i`, in which the missing leaf has the coefficient 0. Row `b` of
//!    `v_i` is the sum over the leaves with bit `b` set: [`StreamSums`].
//! 3. The receiver sends `d_i = u_i ^ c` for every group, so that all share the choices `c`; the sender adds
//!    `delta_i d_i`, and `w_i = v_i + delta_i c`. Transposed, the rows are `q_j` and `t_j`.
//!
//! Deviations: the choices are the receiver's input, so all groups are corrected (the paper takes `c = u_0` and sends
//! one column less); no consistency check, as for semi-honest parties; rows are not hashed, the correlation is the output.
//!
//! **Security.** Semi-honest, kappa = 128 (127 bits of entropy in `delta`, whose colour bit is 1): the sender sees `c`
//! under `u_i`, which holds a stream whose key it lacks. As for IKNP, users of the outputs must hash them with a hash
//! that is correlation robust for `delta`.
//!
//! **Cost.** Setup: 32 bytes, 4096 bytes back, then the masked sums of the trees, `4096 (k - 1) / k` bytes; three rounds.
//! Per extension of `m` transfers one message of `16 m / k` bytes, receiver to sender. Computing, for each transfer:
//! 2^k / k AES blocks at both ends (2, 4, 32 for k = 2, 4, 8), which bound the rate from k = 4 on: about 310, 200 and
//! 37 million transfers a second on a core that makes 1.47 G blocks a second (Zen 4, 3.7 GHz). Adding the time on the
//! wire, k = 8 is the fastest up to about 350 Mbit/s, then k = 4.
//!
//! ```text
//! extension receiver                                       extension sender
//! BaseSender::new                --- A, 32 B -->           PendingSender::from_base
//! SoftSpokenReceiver::from_base  <-- points, 4096 B ---
//!                                --- sums of trees -->     PendingSender::finish
//! SoftSpokenReceiver::extend     --- d, 16/k B per OT -->  SoftSpokenSender::extend
//! ```
//!
//! Streams only move forward, by whole steps of [`StreamSums`]: a long sequence may be taken in several calls, of equal
//! lengths at both ends.

use super::base::{self, BaseSender};
use super::iknp::{BASE_OTS, choice_bits, random_delta};
use super::{OtError, OtKey, check_length, ggm};
use crate::crypto::stream_sums::{STEP, StreamSums};
use crate::crypto::{Block, Prg, transpose};

const MESSAGE: &str = "OT extension message d";
const SUMS: &str = "masked sums of the OT extension's trees";

/// Transfers of a tile, the unit in which the matrix is produced and the message is laid out.
const TILE: usize = 8192;
const ROW_BLOCKS: usize = TILE / 128;

/// Bytes of the setup's last message, for groups of `k` bits.
pub fn sums_bytes(k: usize) -> usize {
    BASE_OTS / k * ggm::sums_bytes(k)
}

/// Bytes of the message that extends by `m` transfers, for groups of `k` bits.
pub fn transfer_message_bytes(k: usize, m: usize) -> usize {
    m / 8 * (BASE_OTS / k)
}

/// The streams of all groups, and the matrix of the current tile.
struct Streams {
    /// Bits of a group.
    k: usize,
    groups: Vec<StreamSums>,
    /// The next block of every stream.
    next: u64,
    /// Of one group: `k` rows of its part of the matrix, and the sum of all streams.
    sums: Vec<Block>,
    rows: Vec<u8>,
}

impl Streams {
    /// From the leaf keys of all groups, one group after the other.
    fn new(k: usize, leaves: &[OtKey]) -> Streams {
        Streams {
            k,
            groups: leaves.chunks_exact(1 << k).map(StreamSums::new).collect(),
            next: 0,
            sums: vec![Block::ZERO; (k + 1) * ROW_BLOCKS],
            rows: vec![0; BASE_OTS * TILE / 8],
        }
    }

    /// One tile: `finish(i, d_i, u_i, rows)` turns the `k` rows of group `i` from its plain sums into the final ones,
    /// or makes `d_i`, the group's part of the message; then the matrix is transposed into `out`.
    fn tile<'a, D>(
        &mut self,
        message: impl Iterator<Item = D> + 'a,
        out: &mut [Block],
        mut finish: impl FnMut(usize, D, &[u8], &mut [u8]),
    ) {
        let row_bytes = out.len() / 8;
        let row_blocks = row_bytes.div_ceil(16).next_multiple_of(STEP);
        let sums = &mut self.sums[..(self.k + 1) * row_blocks];
        let rows = &mut self.rows[..BASE_OTS * row_bytes];
        let of_groups = rows.chunks_exact_mut(self.k * row_bytes).zip(message).zip(&self.groups);
        for (i, ((rows, d), streams)) in of_groups.enumerate() {
            streams.fill(self.next, sums);
            let sums: &[u8] = bytemuck::cast_slice(sums);
            let (v, u) = sums.split_at(16 * row_blocks * self.k);
            for (row, v) in rows.chunks_exact_mut(row_bytes).zip(v.chunks_exact(16 * row_blocks)) {
                row.copy_from_slice(&v[..row_bytes]);
            }
            finish(i, d, &u[..row_bytes], rows);
        }
        self.next += row_blocks as u64;
        transpose(rows, out);
    }
}

/// The sender between its answer to the base sender and the sums of the trees.
pub struct PendingSender {
    k: usize,
    delta: Block,
    keys: Vec<OtKey>,
}

impl PendingSender {
    /// Draws `delta` and answers the base sender's message.
    ///
    /// # Errors
    ///
    /// As [`base::receive`].
    ///
    /// # Panics
    ///
    /// If `k` is not 2, 4 or 8.
    pub fn from_base(k: usize, prg: &mut Prg, message: &[u8]) -> Result<(PendingSender, Vec<u8>), OtError> {
        check_group_bits(k);
        let delta = random_delta(prg);
        let (answer, keys) = base::receive(prg, message, &base_choices(delta))?;
        Ok((PendingSender { k, delta, keys }, answer))
    }

    /// The sender, from the receiver's masked sums.
    ///
    /// # Errors
    ///
    /// If `sums` has not [`sums_bytes`].
    pub fn finish(self, sums: &[u8]) -> Result<SoftSpokenSender, OtError> {
        let PendingSender { k, delta, keys } = self;
        check_length(SUMS, sums_bytes(k), sums.len())?;
        let leaves = keys.chunks_exact(k).enumerate().flat_map(|(i, keys)| {
            let sums = &sums[i * ggm::sums_bytes(k)..][..ggm::sums_bytes(k)];
            ggm::grow_punctured(group(delta, k, i), keys, sums)
        });
        Ok(SoftSpokenSender { delta, streams: Streams::new(k, &leaves.collect::<Vec<_>>()) })
    }
}

/// The sender of the extension; receiver of the base transfers.
pub struct SoftSpokenSender {
    delta: Block,
    /// In every group, stream `x ^ delta_i` is that of leaf `x`: its index is the leaf's coefficient in `w_i`.
    streams: Streams,
}

impl SoftSpokenSender {
    /// The offset between the two values of every transfer.
    pub fn delta(&self) -> Block {
        self.delta
    }

    /// `k`: bits of a group.
    pub fn group_bits(&self) -> usize {
        self.streams.k
    }

    /// The next `m` transfers: `q_j` from the receiver's message.
    ///
    /// # Errors
    ///
    /// If `message` has not [`transfer_message_bytes`]; no stream has moved then.
    ///
    /// # Panics
    ///
    /// If `m` is not a multiple of 64.
    pub fn extend(&mut self, m: usize, message: &[u8]) -> Result<Vec<Block>, OtError> {
        check_length(MESSAGE, transfer_message_bytes(self.streams.k, m), message.len())?;
        let mut q = vec![Block::ZERO; m];
        self.extend_into(message, &mut q)?;
        Ok(q)
    }

    /// [`extend`](SoftSpokenSender::extend) into memory of the caller, one block per transfer.
    ///
    /// # Errors
    ///
    /// If `message` has not the bytes of as many transfers as `q` has blocks; no stream has moved then.
    ///
    /// # Panics
    ///
    /// If the length of `q` is not a multiple of 64.
    pub fn extend_into(&mut self, message: &[u8], q: &mut [Block]) -> Result<(), OtError> {
        assert_eq!(q.len() % 64, 0, "transfers come in words of 64");
        let (k, delta) = (self.streams.k, self.delta);
        check_length(MESSAGE, transfer_message_bytes(k, q.len()), message.len())?;
        for (q, message) in q.chunks_mut(TILE).zip(message.chunks(transfer_message_bytes(k, TILE))) {
            let row_bytes = q.len() / 8;
            self.streams.tile(message.chunks_exact(row_bytes), q, |i, d, _, rows| {
                for (b, row) in rows.chunks_exact_mut(row_bytes).enumerate() {
                    let chosen = ((delta.0 >> (k * i + b)) as u8 & 1).wrapping_neg();
                    for (row, d) in row.iter_mut().zip(d) {
                        *row ^= d & chosen;
                    }
                }
            });
        }
        Ok(())
    }
}

/// The receiver of the extension; sender of the base transfers.
pub struct SoftSpokenReceiver {
    streams: Streams,
}

impl SoftSpokenReceiver {
    /// From the base sender and the answer to its message; the second value is the message that ends the setup.
    ///
    /// # Errors
    ///
    /// As [`BaseSender::keys`].
    ///
    /// # Panics
    ///
    /// If `k` is not 2, 4 or 8.
    pub fn from_base(k: usize, base: BaseSender, answer: &[u8]) -> Result<(SoftSpokenReceiver, Vec<u8>), OtError> {
        Ok(SoftSpokenReceiver::new(k, &base.keys(answer, BASE_OTS)?))
    }

    fn new(k: usize, pairs: &[[OtKey; 2]]) -> (SoftSpokenReceiver, Vec<u8>) {
        check_group_bits(k);
        let (leaves, sums): (Vec<_>, Vec<_>) = pairs.chunks_exact(k).map(ggm::grow).unzip();
        (SoftSpokenReceiver { streams: Streams::new(k, &leaves.concat()) }, sums.concat())
    }

    /// The next `m = 64 * choices.len()` transfers: the message for the sender and `t_j`. The choice of transfer `j` is
    /// bit `j % 64` of word `j / 64`.
    pub fn extend(&mut self, choices: &[u64]) -> (Vec<u8>, Vec<Block>) {
        let m = 64 * choices.len();
        let mut message = vec![0; transfer_message_bytes(self.streams.k, m)];
        let mut t = vec![Block::ZERO; m];
        self.extend_into(choices, &mut message, &mut t);
        (message, t)
    }

    /// [`extend`](SoftSpokenReceiver::extend) into memory of the caller.
    ///
    /// # Panics
    ///
    /// If `message` has not [`transfer_message_bytes`] or `t` not `m` blocks.
    pub fn extend_into(&mut self, choices: &[u64], message: &mut [u8], t: &mut [Block]) {
        let k = self.streams.k;
        assert_eq!(t.len(), 64 * choices.len(), "one block per choice");
        assert_eq!(message.len(), transfer_message_bytes(k, t.len()), "message");
        let message = message.chunks_mut(transfer_message_bytes(k, TILE));
        for ((t, message), choices) in t.chunks_mut(TILE).zip(message).zip(choices.chunks(TILE / 64)) {
            let choices: &[u8] = bytemuck::cast_slice(choices);
            self.streams.tile(message.chunks_exact_mut(t.len() / 8), t, |_, d, u, _| {
                for ((d, u), choice) in d.iter_mut().zip(u).zip(choices) {
                    *d = u ^ choice;
                }
            });
        }
    }
}

fn check_group_bits(k: usize) {
    assert!(matches!(k, 2 | 4 | 8), "groups of {k} bits");
}

/// `delta_i`: bits `k i` to `k (i + 1) - 1`.
fn group(delta: Block, k: usize, i: usize) -> usize {
    (delta.0 >> (k * i)) as usize & ((1 << k) - 1)
}

/// A tree's owner of the point asks for the other side of the path at every level.
fn base_choices(delta: Block) -> [bool; BASE_OTS] {
    choice_bits(Block(!delta.0))
}

#[cfg(test)]
mod tests;
