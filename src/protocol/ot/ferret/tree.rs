//! Correlated GGM trees (Half-Tree): the nodes of every level add up to `delta`.
//!
//! A node `x` has the children `H(x)` and `x ^ H(x)`; the two nodes below the root are `r` and `r ^ delta` for a random
//! `r`. The receiver knows, of each level, the sum of the nodes on one side (left or right children), and so every node
//! but one path's.

use crate::crypto::Block;
use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use std::sync::LazyLock;

/// A public permutation.
static PERMUTATION: LazyLock<Aes128> = LazyLock::new(|| Aes128::new(b"longhaul GGM key".into()));

/// Fills `leaves` (`2^h` of them) from `r`; the sums of the left children of every level, from the root down.
pub(super) fn grow(delta: Block, r: Block, leaves: &mut [Block]) -> Vec<Block> {
    let levels = leaves.len().ilog2() as usize;
    (leaves[0], leaves[1]) = (r, r ^ delta);
    let mut sums = vec![r];
    for level in 1..levels {
        expand(leaves, 1 << level);
        sums.push(leaves[..2 << level].iter().step_by(2).fold(Block::ZERO, |sum, node| sum ^ *node));
    }
    sums
}

/// Fills `leaves` from, for every level, a side (right?) and the sum of its nodes. The path to the noisy leaf, whose index
/// is returned, turns to the other side at every level.
pub(super) fn regrow(sides: &[(bool, Block)], leaves: &mut [Block]) -> usize {
    let (right, sum) = sides[0];
    leaves[usize::from(right)] = sum;
    leaves[usize::from(!right)] = Block::ZERO;
    let mut noisy = usize::from(!right);
    for (level, &(right, sum)) in sides.iter().enumerate().skip(1) {
        expand(leaves, 1 << level);
        let nodes = &mut leaves[..2 << level];
        // The unknown node's children are wrong; the sum gives the one on its side.
        nodes[2 * noisy] = Block::ZERO;
        nodes[2 * noisy + 1] = Block::ZERO;
        let known = nodes.iter().skip(usize::from(right)).step_by(2).fold(sum, |sum, node| sum ^ *node);
        nodes[2 * noisy + usize::from(right)] = known;
        noisy = 2 * noisy + usize::from(!right);
    }
    // All leaves add up to delta, so all others add up to the sender's leaf and delta.
    leaves[noisy] = leaves.iter().fold(Block::ZERO, |sum, leaf| sum ^ *leaf);
    noisy
}

/// The children of the first `n` nodes, in place.
fn expand(nodes: &mut [Block], n: usize) {
    const BATCH: usize = 64;
    // From the back, so that no parent is overwritten before it was read.
    for start in (0..n).step_by(BATCH).rev() {
        let size = BATCH.min(n - start);
        let mut inputs = [Block::ZERO; BATCH];
        let mut states: [aes::Block; BATCH] = [[0; 16].into(); BATCH];
        for ((input, state), node) in inputs.iter_mut().zip(&mut states).zip(&nodes[start..start + size]) {
            *input = orthomorphism(*node);
            *state = input.0.to_le_bytes().into();
        }
        PERMUTATION.encrypt_blocks(&mut states[..size]);
        for i in (0..size).rev() {
            let parent = nodes[start + i];
            let left = Block(u128::from_le_bytes(states[i].into())) ^ inputs[i];
            nodes[2 * (start + i)] = left;
            nodes[2 * (start + i) + 1] = parent ^ left;
        }
    }
}

/// `(a | b) -> (a ^ b | a)`: linear, and as bijective as its sum with the identity, so that `delta` never cancels.
fn orthomorphism(x: Block) -> Block {
    let (low, high) = (x.0 as u64, (x.0 >> 64) as u64);
    Block(u128::from(high) | u128::from(low ^ high) << 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Seed;

    #[test]
    fn the_receiver_knows_all_leaves_but_one() {
        let mut prg = Seed::from_u64(1).prg();
        let delta = Block(prg.block().0 | 1);
        for levels in [1usize, 2, 5, 9] {
            for path in 0..(1usize << levels).min(40) {
                let mut leaves = vec![Block::ZERO; 1 << levels];
                let sums = grow(delta, prg.block(), &mut leaves);
                assert_eq!(leaves.iter().fold(Block::ZERO, |sum, leaf| sum ^ *leaf), delta);
                let side = |level: usize| path >> (levels - 1 - level) & 1 == 0;
                let sides: Vec<_> = (0..levels)
                    .map(|level| (side(level), if side(level) { sums[level] ^ delta } else { sums[level] }))
                    .collect();
                let mut regrown = vec![Block::ZERO; 1 << levels];
                assert_eq!(regrow(&sides, &mut regrown), path);
                for (j, (sender, receiver)) in leaves.iter().zip(&regrown).enumerate() {
                    assert_eq!(*receiver, *sender ^ delta.if_bit(j == path), "leaf {j}");
                }
            }
        }
    }
}
