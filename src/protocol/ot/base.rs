//! Base oblivious transfer of random keys.
//!
//! **Functionality.** The sender gets `n` pairs of keys `(k_i^0, k_i^1)`; the receiver has bits
//! `c_i` and gets `k_i^{c_i}`. The sender learns nothing about `c_i`, the receiver nothing about
//! the other key.
//!
//! **Source.** Chou and Orlandi, *The Simplest Protocol for Oblivious Transfer* (Latincrypt 2015),
//! Fig. 1, over ristretto255. Deviations: one `A` serves all `n` transfers, as in the paper's
//! section 1; keys are the output, not used to encrypt; the hash is BLAKE3 in key derivation mode
//! over `(i, A, B_i, shared point)`.
//!
//! **Security.** Semi-honest parties, 128 bits (computational Diffie-Hellman, BLAKE3 as a random
//! oracle). The known gaps of the protocol against malicious parties in a composable setting are
//! therefore not closed here. Points are validated, the identity is refused. The choice bits are
//! used without branches or secret-dependent addresses.
//!
//! **Cost.** Sender to receiver 32 bytes, receiver to sender `32 n` bytes, two rounds.

use super::{OtError, OtKey, check_length};
use crate::crypto::Prg;
use curve25519_dalek::RistrettoPoint;
use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoBasepointTable};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use subtle::{Choice, ConditionallySelectable};

/// Bytes of an encoded point; the sender's message is one of them.
pub const POINT_BYTES: usize = 32;

const SENDER_MESSAGE: &str = "base OT sender's message A";
const RECEIVER_MESSAGE: &str = "base OT receiver's message B";

/// The sender between its message and the receiver's answer.
pub struct BaseSender {
    /// `a`, with `A = a G`.
    secret: Scalar,
    /// `A` as sent.
    message: [u8; POINT_BYTES],
    /// `a A`.
    correction: RistrettoPoint,
}

impl BaseSender {
    /// Draws the secret; the second value is the message for the receiver.
    pub fn new(prg: &mut Prg) -> (BaseSender, [u8; POINT_BYTES]) {
        let secret = scalar(prg);
        let point = RistrettoPoint::mul_base(&secret);
        let message = point.compress().to_bytes();
        let sender = BaseSender { secret, message, correction: point * secret };
        (sender, message)
    }

    /// Turns the receiver's answer into `n` pairs of keys: `H(a B)` and `H(a B - a A)`.
    ///
    /// # Errors
    ///
    /// If `points` has not `32 n` bytes or holds an invalid point.
    pub fn keys(self, points: &[u8], n: usize) -> Result<Vec<[OtKey; 2]>, OtError> {
        check_length(RECEIVER_MESSAGE, n * POINT_BYTES, points.len())?;
        let points = points.as_chunks::<POINT_BYTES>().0;
        let pair = |(index, encoded): (usize, &[u8; POINT_BYTES])| {
            let shared = decode(RECEIVER_MESSAGE, index, encoded)? * self.secret;
            Ok([shared, shared - self.correction].map(|shared| derive_key(index, &self.message, encoded, &shared)))
        };
        points.iter().enumerate().map(pair).collect()
    }
}

/// The receiver: its answer to the sender (32 bytes per choice) and the chosen keys.
///
/// For each choice, `B = b G + c A` and the key is `H(b A)`.
///
/// # Errors
///
/// If `message` has not 32 bytes or is not a valid point.
pub fn receive(prg: &mut Prg, message: &[u8], choices: &[bool]) -> Result<(Vec<u8>, Vec<OtKey>), OtError> {
    check_length(SENDER_MESSAGE, POINT_BYTES, message.len())?;
    let message: &[u8; POINT_BYTES] = message.try_into().expect("the length was checked");
    let point = decode(SENDER_MESSAGE, 0, message)?;
    // The same point is multiplied n times: a table pays off from a few transfers on.
    let table = RistrettoBasepointTable::create(&point);
    let mut answer = Vec::with_capacity(choices.len() * POINT_BYTES);
    let mut keys = Vec::with_capacity(choices.len());
    for (index, &choice) in choices.iter().enumerate() {
        let secret = scalar(prg);
        let mut blinded = RistrettoPoint::mul_base(&secret);
        blinded.conditional_assign(&(blinded + point), Choice::from(choice as u8));
        let encoded = blinded.compress().to_bytes();
        keys.push(derive_key(index, message, &encoded, &(&table * &secret)));
        answer.extend_from_slice(&encoded);
    }
    Ok((answer, keys))
}

/// A uniform scalar from 64 bytes of the stream.
fn scalar(prg: &mut Prg) -> Scalar {
    let mut bytes = [0; 64];
    prg.fill_bytes(&mut bytes);
    Scalar::from_bytes_mod_order_wide(&bytes)
}

fn decode(message: &'static str, index: usize, encoded: &[u8; POINT_BYTES]) -> Result<RistrettoPoint, OtError> {
    CompressedRistretto(*encoded)
        .decompress()
        .filter(|point| !point.is_identity())
        .ok_or(OtError::Point { message, index })
}

/// `H(i, A, B_i, shared point)`.
fn derive_key(
    index: usize,
    sender_point: &[u8; POINT_BYTES],
    receiver_point: &[u8; POINT_BYTES],
    shared: &RistrettoPoint,
) -> OtKey {
    let mut hasher = blake3::Hasher::new_derive_key("longhaul 2026 base oblivious transfer key");
    hasher
        .update(&(index as u64).to_le_bytes())
        .update(sender_point)
        .update(receiver_point)
        .update(shared.compress().as_bytes());
    let mut key = OtKey::default();
    hasher.finalize_xof().fill(&mut key);
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Seed;

    fn prgs() -> (Prg, Prg) {
        let seed = Seed::from_u64(3);
        (seed.derive("sender").prg(), seed.derive("receiver").prg())
    }

    #[test]
    fn the_receiver_holds_the_chosen_key_and_not_the_other() {
        let (mut ours, mut theirs) = prgs();
        let choices: Vec<bool> = (0..20).map(|i| i % 3 == 0).collect();
        let (sender, message) = BaseSender::new(&mut ours);
        let (answer, chosen) = receive(&mut theirs, &message, &choices).unwrap();
        assert_eq!(answer.len(), 32 * 20);
        let pairs = sender.keys(&answer, 20).unwrap();
        for ((pair, key), &choice) in pairs.iter().zip(&chosen).zip(&choices) {
            assert_eq!(*key, pair[choice as usize]);
            assert_ne!(*key, pair[!choice as usize]);
        }
        let all: std::collections::HashSet<&OtKey> = pairs.iter().flatten().collect();
        assert_eq!(all.len(), 40, "keys repeat");
    }

    #[test]
    fn no_transfers_are_none() {
        let (mut ours, mut theirs) = prgs();
        let (sender, message) = BaseSender::new(&mut ours);
        let (answer, chosen) = receive(&mut theirs, &message, &[]).unwrap();
        assert!(answer.is_empty() && chosen.is_empty());
        assert!(sender.keys(&answer, 0).unwrap().is_empty());
    }

    #[test]
    fn the_receivers_message_is_validated() {
        let wrong_length = |n: usize, actual| OtError::Length { message: RECEIVER_MESSAGE, expected: 32 * n, actual };
        let (mut ours, mut theirs) = prgs();
        let (_, message) = BaseSender::new(&mut ours);
        let (answer, _) = receive(&mut theirs, &message, &[false, true, true]).unwrap();
        for length in [0, 64, 95] {
            let (sender, _) = BaseSender::new(&mut ours);
            assert_eq!(sender.keys(&answer[..length], 3), Err(wrong_length(3, length)));
        }
        for point in [[0xff; 32], [0; 32]] {
            let mut bad = answer.clone();
            bad[64..].copy_from_slice(&point);
            let (sender, _) = BaseSender::new(&mut ours);
            let error = sender.keys(&bad, 3).unwrap_err();
            assert_eq!(error.to_string(), "base OT receiver's message B: point 2 is not a valid ristretto255 point");
        }
    }

    #[test]
    fn the_senders_message_is_validated() {
        let (mut ours, mut theirs) = prgs();
        let (_, message) = BaseSender::new(&mut ours);
        let error = receive(&mut theirs, &message[..31], &[true]).unwrap_err();
        assert_eq!(error.to_string(), "base OT sender's message A: expected 32 bytes, got 31");
        for bad in [[0xff; 32], [0; 32]] {
            let expected = OtError::Point { message: SENDER_MESSAGE, index: 0 };
            assert_eq!(receive(&mut theirs, &bad, &[true]), Err(expected));
        }
    }
}
