//! Key generation in four trees per register.

use super::{BLOCK_BYTES, LOW, RoundKeys, TREES, broadcast, group, hash, load, spread, store, whole_blocks};
use crate::crypto::Block;
use crate::crypto::dcf::{LEAVES, Payload, TAG, tree_bits};
use std::arch::x86_64::*;

/// Both holders on the paths of four trees.
struct Path {
    seeds: [__m512i; 2],
    /// The trees in which the second holder has the control bit; the first has it in the others.
    second: __mmask8,
    opened: __m512i,
    beta: __m512i,
    /// The thresholds, in both words.
    alpha: __m512i,
}

/// At most [`LANES`](super::LANES) keys.
#[target_feature(enable = "avx512f,vaes")]
pub(super) fn span(
    keys: &[__m128i; 11],
    levels: usize,
    roots: [&[Block]; 2],
    alpha: &[u64],
    beta: &[Payload],
    corrections: &mut [u8],
) {
    let (keys, lanes) = (broadcast(keys), alpha.len());
    let tag = _mm512_maskz_set1_epi64(LOW, TAG as i64);
    let spread = spread(alpha, true);
    let (tree, tables) = corrections.split_at_mut(2 * BLOCK_BYTES * lanes * levels);
    // Every group by itself from the root to the leaves: its two times four blocks fill the AES units.
    for g in 0..lanes.div_ceil(TREES) {
        let mut path = Path {
            seeds: roots.map(|roots| _mm512_andnot_si512(tag, load(group(bytemuck::cast_slice(roots), g)))),
            second: u8::MAX,
            opened: _mm512_setzero_si512(),
            beta: load(group(bytemuck::cast_slice(beta), g)),
            alpha: load(bytemuck::cast_slice(&spread[g])),
        };
        let room = (lanes * BLOCK_BYTES - g * TREES * BLOCK_BYTES).min(TREES * BLOCK_BYTES);
        for (bit, level) in tree_bits(levels).zip(tree.chunks_exact_mut(2 * BLOCK_BYTES * lanes)) {
            let (seed_cw, value_cw) = path.descend(&keys, bit);
            let (seeds, values) = level.split_at_mut(BLOCK_BYTES * lanes);
            store(&mut seeds[g * TREES * BLOCK_BYTES..][..room], seed_cw);
            store(&mut values[g * TREES * BLOCK_BYTES..][..room], value_cw);
        }
        let rows = path.leaves(&keys);
        let entries: &mut [[u8; BLOCK_BYTES]] = tables.as_chunks_mut().0;
        for (leaf, row) in rows.into_iter().enumerate() {
            let mut blocks = [[0; BLOCK_BYTES]; TREES];
            store(blocks.as_flattened_mut(), row);
            let own = entries[g * TREES * LEAVES + leaf..].iter_mut().step_by(LEAVES);
            for (entry, block) in own.zip(blocks) {
                *entry = block;
            }
        }
    }
}

impl Path {
    /// The four blocks of both holders' nodes.
    #[inline]
    #[target_feature(enable = "avx512f,vaes")]
    fn expand(&self, keys: &RoundKeys) -> [[__m512i; LEAVES]; 2] {
        let mut inputs = [[self.seeds[0]; LEAVES], [self.seeds[1]; LEAVES]];
        for inputs in &mut inputs {
            for (tag, input) in inputs.iter_mut().enumerate() {
                *input = _mm512_or_si512(*input, _mm512_maskz_set1_epi64(LOW, tag as i64));
            }
        }
        hash(keys, inputs)
    }

    /// See the portable twin.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn correction(&self, target: __m512i, first: __m512i, second: __m512i) -> __m512i {
        let value = _mm512_add_epi64(_mm512_sub_epi64(_mm512_sub_epi64(second, first), self.opened), target);
        _mm512_mask_sub_epi64(value, self.second, _mm512_setzero_si512(), value)
    }

    /// Figure 1, one pass of Gen's loop: the corrections of seed and value, and one step down.
    #[inline]
    #[target_feature(enable = "avx512f,vaes")]
    fn descend(&mut self, keys: &RoundKeys, bit: u32) -> (__m512i, __m512i) {
        let one = _mm512_maskz_set1_epi64(LOW, 1);
        let two = _mm512_maskz_set1_epi64(LOW, 2);
        let right = _mm512_test_epi64_mask(self.alpha, _mm512_set1_epi64(1i64 << bit));
        let [[l0, r0, vl0, vr0], [l1, r1, vl1, vr1]] = self.expand(keys);
        let (l, r) = (_mm512_xor_si512(l0, l1), _mm512_xor_si512(r0, r1));
        let own_bit = _mm512_mask_mov_epi64(one, right, two);
        let own_bit = _mm512_maskz_mov_epi64(LOW, own_bit);
        // Off the path the control bits agree, on it they differ.
        let controls = _mm512_or_si512(_mm512_and_si512(l, one), _mm512_and_si512(r, two));
        let controls = _mm512_xor_si512(controls, own_bit);
        // The path loses the child it does not take: there both holders get the same seed.
        let lost = _mm512_mask_mov_epi64(r, right, l);
        let seed_cw = _mm512_or_si512(_mm512_andnot_si512(_mm512_or_si512(one, two), lost), controls);
        // Whoever leaves the path to the left is below the threshold.
        let target = _mm512_maskz_mov_epi64(right, self.beta);
        let lost = [_mm512_mask_mov_epi64(vr0, right, vl0), _mm512_mask_mov_epi64(vr1, right, vl1)];
        let kept = [_mm512_mask_mov_epi64(vl0, right, vr0), _mm512_mask_mov_epi64(vl1, right, vr1)];
        let value_cw = self.correction(target, lost[0], lost[1]);
        let opened = _mm512_sub_epi64(_mm512_add_epi64(self.opened, kept[0]), kept[1]);
        let added = _mm512_add_epi64(opened, value_cw);
        self.opened = _mm512_mask_sub_epi64(added, self.second, opened, value_cw);
        let first = _mm512_mask_mov_epi64(l0, right, r0);
        let first = _mm512_mask_xor_epi64(first, !self.second, first, seed_cw);
        let second = _mm512_mask_mov_epi64(l1, right, r1);
        let second = _mm512_mask_xor_epi64(second, self.second, second, seed_cw);
        self.second = whole_blocks(_mm512_test_epi64_mask(second, own_bit));
        self.seeds = [first, second].map(|seed| _mm512_andnot_si512(_mm512_or_si512(one, two), seed));
        (seed_cw, value_cw)
    }

    /// The tables' rows, by leaf.
    #[inline]
    #[target_feature(enable = "avx512f,vaes")]
    fn leaves(&self, keys: &RoundKeys) -> [__m512i; LEAVES] {
        let [first, second] = self.expand(keys);
        let last = _mm512_and_si512(self.alpha, _mm512_set1_epi64(TAG as i64));
        let mut rows = first;
        for (leaf, row) in rows.iter_mut().enumerate() {
            let below = _mm512_cmplt_epu64_mask(_mm512_set1_epi64(leaf as i64), last);
            *row = self.correction(_mm512_maskz_mov_epi64(below, self.beta), first[leaf], second[leaf]);
        }
        rows
    }
}
