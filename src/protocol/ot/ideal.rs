//! For tests: the ideal functionalities of this layer, and what its outputs must satisfy.

use super::OtKey;
use super::iknp::{IknpReceiver, IknpSender, choice_bits, random_delta};
use crate::crypto::{Block, Seed};

/// `n` consistent pairs of keys and, for every choice, the chosen key; no curve operations.
pub(crate) fn ideal_base_ots(seed: Seed, choices: &[bool]) -> (Vec<[OtKey; 2]>, Vec<OtKey>) {
    let mut prg = seed.derive("ideal base OTs").prg();
    let pairs: Vec<[OtKey; 2]> = choices.iter().map(|_| [prg.key(), prg.key()]).collect();
    let chosen = pairs.iter().zip(choices);
    let chosen = chosen.map(|(pair, &choice)| pair[choice as usize]);
    (pairs.clone(), chosen.collect())
}

/// Both ends of an extension over [`ideal_base_ots`].
pub(crate) fn ideal_iknp(seed: Seed) -> (IknpSender, IknpReceiver) {
    let delta = random_delta(&mut seed.derive("delta").prg());
    let (pairs, chosen) = ideal_base_ots(seed, &choice_bits(delta));
    (IknpSender::new(delta, &chosen), IknpReceiver::new(&pairs))
}

/// Asserts that `q_j = t_j ^ choice_j * delta` for every `j`; `choices` are packed bits.
#[track_caller]
pub(crate) fn assert_cot(delta: Block, q: &[Block], t: &[Block], choices: &[u64]) {
    assert!(delta.lsb(), "delta is odd");
    assert_eq!(q.len(), 64 * choices.len(), "sender's outputs");
    assert_eq!(t.len(), 64 * choices.len(), "receiver's outputs");
    for (j, (&q, &t)) in q.iter().zip(t).enumerate() {
        let choice = choices[j / 64] >> (j % 64) & 1 == 1;
        assert_eq!(q, t ^ delta.if_bit(choice), "transfer {j}");
    }
}
