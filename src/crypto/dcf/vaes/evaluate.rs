//! Evaluation in four trees per register.

use super::{
    BLOCK_BYTES, GROUPS, LOW, RoundKeys, TREES, broadcast, group, hash, load, prefetch, spread, store, whole_blocks,
};
use crate::crypto::Block;
use crate::crypto::dcf::{Holder, LEAVES, Payload, TAG, tree_bits};
use std::arch::x86_64::*;

/// One holder's position in four trees.
#[derive(Clone, Copy)]
struct Node {
    seeds: __m512i,
    sums: __m512i,
    points: __m512i,
    /// Whether corrections apply, for both words of a tree.
    control: __mmask8,
}

/// Nodes that descend together, so that enough AES chains are in flight.
const ABREAST: usize = 4;

/// At most [`LANES`](super::LANES) keys; `outputs` becomes the sums.
#[target_feature(enable = "avx512f,vaes")]
pub(super) fn span(
    keys: &[__m128i; 11],
    holder: Holder,
    roots: &[Block],
    points: &[u64],
    corrections: &[u8],
    outputs: &mut [Payload],
) {
    let (keys, lanes) = (broadcast(keys), roots.len());
    let control = if holder == Holder::Second { u8::MAX } else { 0 };
    let tag = _mm512_maskz_set1_epi64(LOW, TAG as i64);
    let spread = spread(points, false);
    let mut nodes = [Node { seeds: tag, sums: _mm512_setzero_si512(), points: tag, control }; GROUPS];
    let groups = lanes.div_ceil(TREES);
    for (g, node) in nodes[..groups].iter_mut().enumerate() {
        node.seeds = _mm512_andnot_si512(tag, load(group(bytemuck::cast_slice(roots), g)));
        node.points = load(bytemuck::cast_slice(&spread[g]));
    }
    let (tree, tables) = corrections.split_at(corrections.len() - LEAVES * BLOCK_BYTES * lanes);
    let levels = tree.chunks_exact(2 * BLOCK_BYTES * lanes);
    for (bit, level) in tree_bits(levels.len()).zip(levels) {
        let (seeds, values) = level.split_at(BLOCK_BYTES * lanes);
        for (quad, nodes) in nodes[..groups].chunks_mut(ABREAST).enumerate() {
            let at = |row, i| {
                let words = group(row, quad * ABREAST + i);
                prefetch(words);
                load(words)
            };
            match nodes.as_mut_array::<ABREAST>() {
                Some(nodes) => descend(&keys, bit, nodes, |i| (at(seeds, i), at(values, i))),
                None => {
                    for (i, node) in nodes.iter_mut().enumerate() {
                        descend(&keys, bit, std::array::from_mut(node), |_| (at(seeds, i), at(values, i)));
                    }
                }
            }
        }
    }
    let entries: &[[u8; BLOCK_BYTES]] = tables.as_chunks().0;
    for (g, (node, points)) in nodes[..groups].iter().zip(points.chunks(TREES)).enumerate() {
        let leaf = _mm512_or_si512(node.seeds, _mm512_and_si512(node.points, tag));
        let [[leaf], _] = hash(&keys, [[leaf]; 2]);
        let mut chosen = [[0; BLOCK_BYTES]; TREES];
        for (i, (chosen, point)) in chosen.iter_mut().zip(points).enumerate() {
            *chosen = entries[(g * TREES + i) * LEAVES + (point & TAG) as usize];
        }
        let correction = load(chosen.as_flattened());
        let sums = _mm512_add_epi64(node.sums, leaf);
        let sums = _mm512_mask_add_epi64(sums, node.control, sums, correction);
        store(&mut bytemuck::cast_slice_mut(outputs)[g * TREES * BLOCK_BYTES..], sums);
    }
}

/// Figure 1, one pass of Eval's loop; `corrections(i)` are node `i`'s for seed and value.
#[inline]
#[target_feature(enable = "avx512f,vaes")]
fn descend<const N: usize>(
    keys: &RoundKeys,
    bit: u32,
    nodes: &mut [Node; N],
    corrections: impl Fn(usize) -> (__m512i, __m512i),
) {
    let one = _mm512_maskz_set1_epi64(LOW, 1);
    let two = _mm512_maskz_set1_epi64(LOW, 2);
    let wanted = _mm512_set1_epi64(1i64 << bit);
    let mut right = [0; N];
    let mut inputs = [[one; N]; 2];
    for (i, node) in nodes.iter().enumerate() {
        right[i] = _mm512_test_epi64_mask(node.points, wanted);
        inputs[0][i] = _mm512_mask_or_epi64(node.seeds, right[i], node.seeds, one);
        inputs[1][i] = _mm512_or_si512(inputs[0][i], two);
    }
    let [seeds, values] = hash(keys, inputs);
    for (i, node) in nodes.iter_mut().enumerate() {
        let (seed_cw, value_cw) = corrections(i);
        let sums = _mm512_add_epi64(node.sums, values[i]);
        node.sums = _mm512_mask_add_epi64(sums, node.control, sums, value_cw);
        let seed = _mm512_mask_xor_epi64(seeds[i], node.control, seeds[i], seed_cw);
        // A left child's control bit is bit 0, a right child's bit 1, of the block and of the correction.
        let probe = _mm512_mask_mov_epi64(one, right[i], two);
        node.control = whole_blocks(_mm512_test_epi64_mask(seed, probe));
        node.seeds = _mm512_andnot_si512(_mm512_or_si512(one, two), seed);
    }
}
