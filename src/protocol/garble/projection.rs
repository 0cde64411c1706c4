//! From a garbled bit to an arithmetic share: a projection gate.
//!
//! Functionality: the garbler knows both labels of a wire and chooses nothing; the evaluator holds the label of the bit
//! `b`. The garbler gets `k`, the evaluator `k + b weight` mod 2^64.
//!
//! Source: Ball, Malkin, Rosulek, *Garbling Gadgets for Boolean and Arithmetic Circuits*, CCS 2016, section 3
//! (projection gates, row reduction): the row of colour 0 is zero, so `k` follows from that row's hash and one
//! word is sent for the row of colour 1. Deviation: the output is an additive share, not a label.
//!
//! Security: as the garbling; the hash is the same with a tweak that no gate of a circuit has.

use crate::crypto::Block;
use crate::crypto::rekeyed::{Kernel, KeyRow, LANES, Row, RowHash, WithRowHash};

/// The gate number whose tweaks hash the projected wire; circuits are far smaller.
const GATE: u32 = (1 << 31) - 1;

/// One wire of consecutive instances, under the key and instance numbers of the circuit's garbling.
#[derive(Clone, Copy, Debug)]
pub struct Projection {
    /// The session key of the hash.
    pub key: [u8; 16],
    /// The number of the first instance.
    pub first_instance: u64,
    /// What a set bit is worth.
    pub weight: u64,
}

impl Projection {
    /// `(k, ciphertext)` of every instance, from the wire's zero labels.
    pub fn garble(&self, delta: Block, zero_labels: &[Block]) -> (Vec<u64>, Vec<u64>) {
        let one_labels: Vec<Block> = zero_labels.iter().map(|&label| label ^ delta).collect();
        let hashes = self.hash(zero_labels).into_iter().zip(self.hash(&one_labels));
        let rows = zero_labels.iter().zip(hashes).map(|(zero, (hash0, hash1))| {
            // By colour: the label of colour 0 stands for the bit `swapped`.
            let swapped = zero.lsb();
            let (plain, other) = if swapped { (hash1, hash0) } else { (hash0, hash1) };
            let value = |bit: bool| if bit { self.weight } else { 0 };
            let k = plain.wrapping_sub(value(swapped));
            (k, k.wrapping_add(value(!swapped)).wrapping_sub(other))
        });
        rows.unzip()
    }

    /// `k + b weight` of every instance, from the labels of the actual bits and the ciphertexts.
    pub fn evaluate(&self, labels: &[Block], ciphertexts: &[u64]) -> Vec<u64> {
        let rows = labels.iter().zip(self.hash(labels)).zip(ciphertexts);
        rows.map(|((label, hash), row)| hash.wrapping_add(row & u64::from(label.lsb()).wrapping_neg())).collect()
    }

    /// The low word of every label's hash.
    fn hash(&self, labels: &[Block]) -> Vec<u64> {
        Kernel::best().run(WireHash { projection: *self, labels })
    }
}

struct WireHash<'a> {
    projection: Projection,
    labels: &'a [Block],
}

impl WithRowHash for WireHash<'_> {
    type Output = Vec<u64>;

    #[inline(always)]
    fn with<H: RowHash>(self, hash: H) -> Vec<u64> {
        let mut out = Vec::with_capacity(self.labels.len());
        for (group, labels) in self.labels.chunks(LANES).enumerate() {
            let first = self.projection.first_instance.wrapping_add((group * LANES) as u64);
            let keys = KeyRow::new(self.projection.key, first);
            let mut row = Row::ZERO;
            row.0[..labels.len()].copy_from_slice(labels);
            let [hashed, _] = hash.hash(&keys, GATE, [&row, &row]);
            out.extend(hashed.0[..labels.len()].iter().map(|block| block.0 as u64));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Seed;

    #[test]
    fn shares_differ_by_the_weighted_bit() {
        let mut prg = Seed::from_u64(5).prg();
        let delta = Block(prg.block().0 | 1);
        for n in [0, 1, 16, 17, 100] {
            let projection = Projection { key: prg.key(), first_instance: 7, weight: 1 << 47 };
            let zero_labels = prg.words::<Block>(n);
            let bits = prg.words::<u8>(n).into_iter().map(|byte| byte & 1 == 1).collect::<Vec<_>>();
            let (k, ciphertexts) = projection.garble(delta, &zero_labels);
            let active = zero_labels.iter().zip(&bits).map(|(&label, &bit)| label ^ delta.if_bit(bit));
            let shares = projection.evaluate(&active.collect::<Vec<_>>(), &ciphertexts);
            for ((share, k), bit) in shares.into_iter().zip(k).zip(bits) {
                assert_eq!(share.wrapping_sub(k), if bit { 1 << 47 } else { 0 });
            }
        }
    }

    #[test]
    fn every_instance_has_its_own_hash() {
        let labels = [Block(77); 40];
        let projection = Projection { key: [1; 16], first_instance: 0, weight: 1 };
        let mut hashes = projection.hash(&labels);
        let later = Projection { first_instance: 40, ..projection };
        hashes.extend(later.hash(&labels));
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), 80);
    }
}
