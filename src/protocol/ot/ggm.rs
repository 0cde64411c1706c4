//! All leaves of a binary tree of keys to one party, all but one to the other: (2^k - 1)-out-of-2^k OT.
//!
//! **Functionality.** One party grows 2^k leaf keys. The other has a point `p` and gets the leaf `x` for every
//! `x != p`, at the position `x ^ p`: the one it lacks comes first.
//!
//! **Source.** Goldreich, Goldwasser and Micali, *How to Construct Random Functions* (1986), punctured as in Boyle,
//! Gilboa and Ishai (CCS 2016) and used for small-field VOLE by Roy, *SoftSpokenOT* (CRYPTO 2022, ePrint 2022/192),
//! section 6. A node's children are AES-128 under the node's key of the blocks 0 and 1. Deviations: the two keys of
//! the first base transfer *are* the nodes below the root, so that level sends nothing; nothing is checked, as nobody
//! deviates.
//!
//! **Security.** Semi-honest. The leaf at `p` depends on keys that only the base transfers refused. Levels are walked
//! relative to `p`, so no branch and no address depends on it.
//!
//! **Cost.** `k` base transfers, `p`'s owner receiving; then `32 (k - 1)` bytes to it.
//!
//! 1. Base transfer `b` has the complement of bit `b` of `p` as its choice; bit `k - 1` belongs to the level below the root.
//! 2. At each further level, the XOR of all left children is sent under the first base key, that of all right ones
//!    under the second. Its own path aside, `p`'s owner knows every node above, and the sum over the side to which
//!    `p` does *not* turn gives the path's sibling.

use super::OtKey;
use crate::crypto::Block;
use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};

/// Bytes of the masked sums of a tree with 2^k leaves.
pub(super) fn sums_bytes(k: usize) -> usize {
    32 * (k - 1)
}

/// The leaves of the tree over `k` pairs of base keys, and the masked sums for the other party.
pub(super) fn grow(pairs: &[[OtKey; 2]]) -> (Vec<OtKey>, Vec<u8>) {
    let (top, below) = pairs.split_last().expect("a tree has a level");
    let mut nodes = top.to_vec();
    let mut masked = Vec::with_capacity(sums_bytes(pairs.len()));
    for pair in below.iter().rev() {
        nodes = nodes.into_iter().flat_map(children).collect();
        for (side, key) in pair.iter().enumerate() {
            masked.extend_from_slice(&xor(*key, sum(&nodes, side)));
        }
    }
    (nodes, masked)
}

/// The leaves known to the owner of `point`, at the positions `leaf ^ point`; zeros at position 0.
///
/// `keys[b]` is base key `b` under the choice `1 - (bit b of point)`; `masked` has [`sums_bytes`].
pub(super) fn grow_punctured(point: usize, keys: &[OtKey], masked: &[u8]) -> Vec<OtKey> {
    let (top, below) = keys.split_last().expect("a tree has a level");
    // Nodes at the positions `node ^ (the path's node)`: the path is at 0, its sibling at 1.
    let mut nodes = vec![OtKey::default(), *top];
    let levels = masked.as_chunks::<16>().0.as_chunks::<2>().0;
    for ((bit, key), [left, right]) in below.iter().enumerate().rev().zip(levels) {
        let turn = point >> bit & 1;
        nodes = nodes.into_iter().flat_map(|node| swap_if(turn, children(node))).collect();
        // What has grown on the path is of a key that is not the path's.
        nodes[..2].fill(OtKey::default());
        let [sibling_sum, _] = swap_if(1 - turn, [*left, *right]);
        nodes[1] = xor(xor(sibling_sum, *key), sum(&nodes, 1));
    }
    nodes
}

/// The two children of a node.
fn children(node: OtKey) -> [OtKey; 2] {
    let mut blocks: [aes::Block; 2] = [0u128, 1].map(|side| side.to_le_bytes().into());
    Aes128::new(&node.into()).encrypt_blocks(&mut blocks);
    blocks.map(OtKey::from)
}

/// The XOR of every second node, from `side` on.
fn sum(nodes: &[OtKey], side: usize) -> OtKey {
    nodes.iter().skip(side).step_by(2).fold(OtKey::default(), |sum, node| xor(sum, *node))
}

/// Both in the other order if `swap` is 1, without a branch.
fn swap_if(swap: usize, [a, b]: [OtKey; 2]) -> [OtKey; 2] {
    let both = Block(u128::from_le_bytes(xor(a, b))).if_bit(swap == 1).0.to_le_bytes();
    [xor(a, both), xor(b, both)]
}

fn xor(a: OtKey, b: OtKey) -> OtKey {
    (u128::from_le_bytes(a) ^ u128::from_le_bytes(b)).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Seed;
    use crate::protocol::ot::ideal::ideal_base_ots;

    #[test]
    fn every_leaf_but_one_is_known() {
        for k in 1..=8 {
            for point in [0, 1, (1 << k) - 1, 0x5a & ((1 << k) - 1)] {
                let choices: Vec<bool> = (0..k).map(|b| point >> b & 1 == 0).collect();
                let (pairs, keys) = ideal_base_ots(Seed::from_u64(k), &choices);
                let (leaves, masked) = grow(&pairs);
                assert_eq!((leaves.len(), masked.len()), (1 << k, sums_bytes(k as usize)));
                let known = grow_punctured(point, &keys, &masked);
                assert_eq!(known.len(), leaves.len());
                for (x, leaf) in leaves.iter().enumerate() {
                    assert_eq!(known[x ^ point] == *leaf, x != point, "k = {k}, point {point}, leaf {x}");
                }
                let distinct: std::collections::HashSet<&OtKey> = leaves.iter().collect();
                assert_eq!(distinct.len(), leaves.len());
                // Nor is it among what was sent.
                assert!(masked.as_chunks::<16>().0.iter().all(|sum| *sum != leaves[point]));
            }
        }
    }

    #[test]
    fn children_are_the_cipher_of_zero_and_one() {
        // AES-128 under 000102..0f of the zero block.
        let [left, right] = children(std::array::from_fn(|i| i as u8));
        assert_eq!(left[..4], [0xc6, 0xa1, 0x3b, 0x37]);
        assert_ne!(left, right);
    }
}
