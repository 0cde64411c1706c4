//! Correlated oblivious transfer extension.
//!
//! **Functionality.** The sender holds one odd `delta` for its lifetime. For packed choice bits
//! `c_j` of the receiver, the receiver gets blocks `t_j`, the sender `q_j = t_j ^ c_j delta`. As
//! wire labels: label zero of wire `j` is `q_j`, the free-XOR offset is `delta`, and `t_j` is the
//! active label for the value `c_j`.
//!
//! **Source.** Ishai, Kilian, Nissim and Petrank, *Extending Oblivious Transfers Efficiently*
//! (CRYPTO 2003), section 3, with the seed expansion of Asharov, Lindell, Schneider and Zohner
//! (CCS 2013), Protocol 4.2: `u_i = G(k_i^0) ^ G(k_i^1) ^ c`, so that one message of 128 bits per
//! transfer is all that is sent. Deviation: the last step, hashing the rows, is left out; the
//! correlation itself is the output.
//!
//! **Security.** Semi-honest parties, 128 base transfers; one bit of `delta` is fixed to 1 (the
//! colour bit), so it has 127 bits of entropy. The sender sees each `c` masked by streams of whose
//! two keys it knows one. To the receiver, `q_j` is one of `t_j` and `t_j ^ delta` with `delta`
//! unknown; as the outputs are not hashed, whoever uses them must use a hash that is circular
//! correlation robust for `delta`, which half-gates garbling demands anyway (Zahur, Rosulek and
//! Evans, EUROCRYPT 2015). As messages for general use, `t_j` must be hashed with `j` first.
//!
//! **Cost.** Per extension of `m` transfers one message of `16 m` bytes, receiver to sender; after
//! a setup of 128 base transfers in the other direction.
//!
//! Streams only move forward: a call consumes the next `m` bits of each, so calls can take
//! consecutive chunks of a long sequence, of equal lengths on both sides.

use super::base::{self, BaseSender};
use super::{OtError, OtKey, check_length};
use crate::crypto::{Block, Prg, transpose};

/// Security parameter: base transfers, columns of the matrix, bits of `delta`.
pub const BASE_OTS: usize = 128;

const MESSAGE: &str = "OT extension message u";

/// Transfers of a tile, the unit in which the matrix is produced and the message is laid out: 128
/// rows of 1 KiB, which is what [`Prg`] makes at a time, stay in the second cache.
const TILE: usize = 8192;

/// Bytes of the message that extends by `m` transfers.
pub fn transfer_message_bytes(m: usize) -> usize {
    m * BASE_OTS / 8
}

/// A uniform offset with the least significant bit set.
pub fn random_delta(prg: &mut Prg) -> Block {
    Block(prg.block().0 | 1)
}

/// The bits of `delta`, least significant first: the extension sender's base choices.
pub fn choice_bits(delta: Block) -> [bool; BASE_OTS] {
    std::array::from_fn(|i| delta.0 >> i & 1 == 1)
}

/// The sender of the extension; receiver of the base transfers.
pub struct IknpSender {
    delta: Block,
    /// Stream `i` is that of the base key chosen by bit `i` of `delta`.
    streams: Vec<Prg>,
    rows: Vec<u8>,
}

/// The receiver of the extension; sender of the base transfers.
pub struct IknpReceiver {
    streams: Vec<[Prg; 2]>,
    rows: Vec<u8>,
}

impl IknpSender {
    /// From the base keys chosen by [`choice_bits`]`(delta)`.
    ///
    /// # Panics
    ///
    /// If `delta` is even or `keys` are not [`BASE_OTS`].
    pub fn new(delta: Block, keys: &[OtKey]) -> IknpSender {
        assert!(delta.lsb(), "the offset carries the colour bit");
        assert_eq!(keys.len(), BASE_OTS, "base keys");
        IknpSender {
            delta,
            streams: keys.iter().map(|&key| Prg::from_key(key)).collect(),
            rows: vec![0; transfer_message_bytes(TILE)],
        }
    }

    /// Draws `delta` and answers the base sender's message.
    ///
    /// # Errors
    ///
    /// As [`base::receive`].
    pub fn from_base(prg: &mut Prg, message: &[u8]) -> Result<(IknpSender, Vec<u8>), OtError> {
        let delta = random_delta(prg);
        let (answer, keys) = base::receive(prg, message, &choice_bits(delta))?;
        Ok((IknpSender::new(delta, &keys), answer))
    }

    /// The offset between the two values of every transfer.
    pub fn delta(&self) -> Block {
        self.delta
    }

    /// The next `m` transfers: `q_j` from the receiver's message. For bulk work
    /// [`extend_into`](IknpSender::extend_into) saves the cost of fresh memory.
    ///
    /// # Errors
    ///
    /// If `message` has not `16 m` bytes; no stream has moved then.
    ///
    /// # Panics
    ///
    /// If `m` is not a multiple of 64.
    pub fn extend(&mut self, m: usize, message: &[u8]) -> Result<Vec<Block>, OtError> {
        check_length(MESSAGE, transfer_message_bytes(m), message.len())?;
        let mut q = vec![Block::ZERO; m];
        self.extend_into(message, &mut q)?;
        Ok(q)
    }

    /// [`extend`](IknpSender::extend) into memory of the caller, one block per transfer.
    ///
    /// # Errors
    ///
    /// If `message` has not 16 bytes per block of `q`; no stream has moved then.
    ///
    /// # Panics
    ///
    /// If the length of `q` is not a multiple of 64.
    pub fn extend_into(&mut self, message: &[u8], q: &mut [Block]) -> Result<(), OtError> {
        assert_eq!(q.len() % 64, 0, "transfers come in words of 64");
        check_length(MESSAGE, transfer_message_bytes(q.len()), message.len())?;
        let message = message.chunks(transfer_message_bytes(TILE));
        for (q, message) in q.chunks_mut(TILE).zip(message) {
            let row_bytes = q.len() / 8;
            let rows = &mut self.rows[..message.len()];
            for (i, ((row, u), stream)) in
                rows.chunks_exact_mut(row_bytes).zip(message.chunks_exact(row_bytes)).zip(&mut self.streams).enumerate()
            {
                stream.fill_bytes(row);
                let chosen = ((self.delta.0 >> i) as u8 & 1).wrapping_neg();
                for (row, u) in row.iter_mut().zip(u) {
                    *row ^= u & chosen;
                }
            }
            transpose(rows, q);
        }
        Ok(())
    }
}

impl IknpReceiver {
    /// From pairs of base keys.
    ///
    /// # Panics
    ///
    /// If `keys` are not [`BASE_OTS`] pairs.
    pub fn new(keys: &[[OtKey; 2]]) -> IknpReceiver {
        assert_eq!(keys.len(), BASE_OTS, "base keys");
        IknpReceiver {
            streams: keys.iter().map(|pair| pair.map(Prg::from_key)).collect(),
            rows: vec![0; transfer_message_bytes(TILE)],
        }
    }

    /// From the base sender and the answer to its message.
    ///
    /// # Errors
    ///
    /// As [`BaseSender::keys`].
    pub fn from_base(base: BaseSender, answer: &[u8]) -> Result<IknpReceiver, OtError> {
        Ok(IknpReceiver::new(&base.keys(answer, BASE_OTS)?))
    }

    /// The next `m = 64 * choices.len()` transfers: the message for the sender (`16 m` bytes) and
    /// `t_j`. The choice of transfer `j` is bit `j % 64` of word `j / 64`. For bulk work
    /// [`extend_into`](IknpReceiver::extend_into) saves the cost of fresh memory: the kernel's, which
    /// clears 32 bytes of new pages per transfer, and several times that of the extension.
    pub fn extend(&mut self, choices: &[u64]) -> (Vec<u8>, Vec<Block>) {
        let m = 64 * choices.len();
        let mut message = vec![0; transfer_message_bytes(m)];
        let mut t = vec![Block::ZERO; m];
        self.extend_into(choices, &mut message, &mut t);
        (message, t)
    }

    /// [`extend`](IknpReceiver::extend) into memory of the caller.
    ///
    /// # Panics
    ///
    /// If `message` has not `16 m` bytes or `t` not `m` blocks.
    pub fn extend_into(&mut self, choices: &[u64], message: &mut [u8], t: &mut [Block]) {
        assert_eq!(t.len(), 64 * choices.len(), "one block per choice");
        assert_eq!(message.len(), transfer_message_bytes(t.len()), "message");
        let choices = choices.chunks(TILE / 64);
        let message = message.chunks_mut(transfer_message_bytes(TILE));
        for ((t, u), choices) in t.chunks_mut(TILE).zip(message).zip(choices) {
            let choices: &[u8] = bytemuck::cast_slice(choices);
            let row_bytes = t.len() / 8;
            let rows = &mut self.rows[..u.len()];
            for ((row, u), [zero, one]) in
                rows.chunks_exact_mut(row_bytes).zip(u.chunks_exact_mut(row_bytes)).zip(&mut self.streams)
            {
                zero.fill_bytes(row);
                one.fill_bytes(u);
                for ((u, row), choice) in u.iter_mut().zip(row).zip(choices) {
                    *u ^= *row ^ choice;
                }
            }
            transpose(rows, t);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Seed;
    use crate::protocol::ot::ideal::{assert_cot, ideal_base_ots, ideal_iknp};

    /// Both ends over real base transfers.
    fn real_iknp(seed: Seed) -> (IknpSender, IknpReceiver) {
        let (base, message) = BaseSender::new(&mut seed.derive("receiver").prg());
        let (sender, answer) = IknpSender::from_base(&mut seed.derive("sender").prg(), &message).unwrap();
        (sender, IknpReceiver::from_base(base, &answer).unwrap())
    }

    fn choices(seed: Seed, words: usize) -> Vec<u64> {
        seed.derive("choices").prg().words(words)
    }

    #[test]
    fn outputs_are_correlated_over_real_and_ideal_base_transfers() {
        let seed = Seed::from_u64(11);
        for (mut sender, mut receiver) in [real_iknp(seed), ideal_iknp(seed)] {
            // Repeated calls on the same streams; the last spans three tiles, one of them short.
            for m in [64, 128, 192, 4096 + 64, 0, 2 * TILE + 64] {
                let choices = choices(seed, m / 64);
                let (u, t) = receiver.extend(&choices);
                assert_eq!(u.len(), transfer_message_bytes(m));
                let q = sender.extend(m, &u).unwrap();
                assert_cot(sender.delta(), &q, &t, &choices);
            }
        }
    }

    #[test]
    fn chunks_continue_the_streams() {
        let seed = Seed::from_u64(12);
        let choices = choices(seed, 40);
        let (_, mut whole) = ideal_iknp(seed);
        let (_, mut chunked) = ideal_iknp(seed);
        let (_, expected) = whole.extend(&choices);
        let mut t = Vec::new();
        for chunk in [&choices[..3], &choices[3..4], &choices[4..]] {
            t.extend(chunked.extend(chunk).1);
        }
        assert_eq!(t, expected);
        assert!((1..t.len()).all(|j| t[j] != t[0]), "stream bits repeat");
    }

    #[test]
    #[should_panic(expected = "transfer ")]
    fn a_corrupt_message_breaks_the_correlation() {
        let (mut sender, mut receiver) = ideal_iknp(Seed::from_u64(13));
        let (mut u, t) = receiver.extend(&[0, 0]);
        // Row 0, which bit 0 of delta, always set, takes into account.
        u[5] ^= 4;
        let q = sender.extend(128, &u).unwrap();
        assert_cot(sender.delta(), &q, &t, &[0, 0]);
    }

    #[test]
    fn a_message_of_the_wrong_length_is_refused_and_moves_nothing() {
        let (mut sender, mut receiver) = ideal_iknp(Seed::from_u64(14));
        let choices = [7, 8, 9];
        let (u, t) = receiver.extend(&choices);
        for actual in [0, 2048, 3071] {
            let expected = OtError::Length { message: MESSAGE, expected: 3072, actual };
            assert_eq!(sender.extend(192, &u[..actual]), Err(expected));
        }
        let q = sender.extend(192, &u).unwrap();
        assert_cot(sender.delta(), &q, &t, &choices);
    }

    /// Whatever the choices, every row of `u` has balanced bits, also to a sender who takes off the
    /// stream of the one key that it knows: over 64 seeds, the sum over the 128 rows of
    /// (ones - zeros)^2 / bits is chi-square with 8192 degrees of freedom.
    #[test]
    fn the_message_hides_the_choices() {
        for (choices, known) in [(0, 0), (0, 1), (u64::MAX, 0), (u64::MAX, 1)] {
            let mut statistic = [0.0; 2];
            for seed in 0..64 {
                let (pairs, _) = ideal_base_ots(Seed::from_u64(seed), &[false; BASE_OTS]);
                let (u, _) = IknpReceiver::new(&pairs).extend(&[choices; 16]);
                for (u, pair) in u.chunks_exact(128).zip(pairs) {
                    let stream: Vec<u8> = Prg::from_key(pair[known]).words(128);
                    let rest: Vec<u8> = u.iter().zip(stream).map(|(u, s)| u ^ s).collect();
                    for (statistic, row) in statistic.iter_mut().zip([u, &rest]) {
                        let ones: u32 = row.iter().map(|byte| byte.count_ones()).sum();
                        *statistic += (2.0 * ones as f64 - 1024.0).powi(2) / 1024.0;
                    }
                }
            }
            // Mean 8192, standard deviation 128; five of them on either side.
            for statistic in statistic {
                assert!((statistic - 8192.0).abs() < 640.0, "{statistic}");
            }
        }
    }

    #[test]
    fn the_offset_is_odd_and_fresh() {
        let deltas: Vec<Block> = (0..50).map(|seed| ideal_iknp(Seed::from_u64(seed)).0.delta()).collect();
        assert!(deltas.iter().all(|delta| delta.lsb()));
        assert!((1..50).all(|i| deltas[i] != deltas[0]));
    }

    #[test]
    #[should_panic(expected = "colour bit")]
    fn an_even_offset_is_refused() {
        IknpSender::new(Block(2), &[[0; 16]; BASE_OTS]);
    }
}
