//! Both walks with VAES on 512-bit registers: a register holds one block in each of four trees.
#![allow(unsafe_code)]

use super::{BLOCK_BYTES, Holder, LANES, LEAVES, Payload, TAG, WORDS, tree_bits};
use crate::crypto::Block;
use std::arch::x86_64::*;

/// Trees per register.
const TREES: usize = 4;
/// Registers of a row.
const GROUPS: usize = LANES / TREES;
/// Words of a register.
const REGISTER_WORDS: usize = TREES * WORDS;

/// The low words of a register's blocks.
const LOW: __mmask8 = 0b0101_0101;

/// AES-128's round keys, in every block of a register.
type RoundKeys = [__m512i; 11];

/// Evidence that the machine has VAES on 512-bit registers, and the expanded key.
#[derive(Clone, Copy)]
pub(super) struct Vaes512 {
    round_keys: [__m128i; 11],
}

impl Vaes512 {
    /// With a key of zeros.
    pub(super) fn detect() -> Option<Vaes512> {
        let found =
            is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("vaes") && is_x86_feature_detected!("aes");
        // SAFETY: the feature was found.
        found.then(|| Vaes512 { round_keys: unsafe { expand_key([0; 16]) } })
    }

    pub(super) fn with_key(self, key: [u8; 16]) -> Vaes512 {
        // SAFETY: a `Vaes512` exists only where `detect` found the features.
        Vaes512 { round_keys: unsafe { expand_key(key) } }
    }

    /// At most [`LANES`] keys; `outputs` becomes the sums.
    pub(super) fn evaluate(
        &self,
        holder: Holder,
        roots: &[Block],
        points: &[u64],
        corrections: &[u8],
        outputs: &mut [Payload],
    ) {
        // SAFETY: a `Vaes512` exists only where `detect` found the features.
        unsafe { evaluate(&self.round_keys, holder, roots, points, corrections, outputs) }
    }

    /// At most [`LANES`] keys.
    pub(super) fn generate(
        &self,
        levels: usize,
        roots: [&[Block]; 2],
        alpha: &[u64],
        beta: &[Payload],
        corrections: &mut [u8],
    ) {
        // SAFETY: a `Vaes512` exists only where `detect` found the features.
        unsafe { generate(&self.round_keys, levels, roots, alpha, beta, corrections) }
    }
}

#[target_feature(enable = "aes")]
fn expand_key(key: [u8; 16]) -> [__m128i; 11] {
    let mut keys = [bytemuck::cast(u128::from_le_bytes(key)); 11];
    keys[1] = next_key::<0x01>(keys[0]);
    keys[2] = next_key::<0x02>(keys[1]);
    keys[3] = next_key::<0x04>(keys[2]);
    keys[4] = next_key::<0x08>(keys[3]);
    keys[5] = next_key::<0x10>(keys[4]);
    keys[6] = next_key::<0x20>(keys[5]);
    keys[7] = next_key::<0x40>(keys[6]);
    keys[8] = next_key::<0x80>(keys[7]);
    keys[9] = next_key::<0x1b>(keys[8]);
    keys[10] = next_key::<0x36>(keys[9]);
    keys
}

#[inline]
#[target_feature(enable = "aes")]
fn next_key<const ROUND_CONSTANT: i32>(key: __m128i) -> __m128i {
    let substituted = _mm_shuffle_epi32::<0xff>(_mm_aeskeygenassist_si128::<ROUND_CONSTANT>(key));
    // Every word takes in all words before it.
    let key = _mm_xor_si128(key, _mm_slli_si128::<4>(key));
    _mm_xor_si128(_mm_xor_si128(key, _mm_slli_si128::<8>(key)), substituted)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn broadcast(keys: &[__m128i; 11]) -> RoundKeys {
    let mut wide = [_mm512_setzero_si512(); 11];
    for (wide, &key) in wide.iter_mut().zip(keys) {
        *wide = _mm512_broadcast_i32x4(key);
    }
    wide
}

/// `pi(x) ^ x` in every block of all registers, round by round so that they overlap.
#[inline]
#[target_feature(enable = "avx512f,vaes")]
fn hash<const N: usize>(keys: &RoundKeys, x: [[__m512i; N]; 2]) -> [[__m512i; N]; 2] {
    let mut state = x;
    for state in state.as_flattened_mut() {
        *state = _mm512_xor_si512(*state, keys[0]);
    }
    for key in &keys[1..10] {
        for state in state.as_flattened_mut() {
            *state = _mm512_aesenc_epi128(*state, *key);
        }
    }
    for (state, x) in state.as_flattened_mut().iter_mut().zip(x.as_flattened()) {
        *state = _mm512_aesenclast_epi128(*state, _mm512_xor_si512(keys[10], *x));
    }
    state
}

/// Eight words at most, zeros after the last.
#[inline]
#[target_feature(enable = "avx512f")]
fn load(bytes: &[u8]) -> __m512i {
    // SAFETY: the mask admits the words that lie in the slice, and only those are accessed; no alignment is asked for.
    unsafe { _mm512_maskz_loadu_epi64(whole_words(bytes.len()), bytes.as_ptr().cast()) }
}

/// As many words as there is room for.
#[inline]
#[target_feature(enable = "avx512f")]
fn store(bytes: &mut [u8], value: __m512i) {
    // SAFETY: the mask admits the words that lie in the slice, and only those are accessed; no alignment is asked for.
    unsafe { _mm512_mask_storeu_epi64(bytes.as_mut_ptr().cast(), whole_words(bytes.len()), value) }
}

/// The words of a register that lie in so many bytes.
#[inline(always)]
fn whole_words(bytes: usize) -> __mmask8 {
    if bytes >= 64 { u8::MAX } else { (1 << (bytes / 8)) - 1 }
}

/// Group `g` of a row.
#[inline(always)]
fn group(row: &[u8], g: usize) -> &[u8] {
    &row[g * TREES * BLOCK_BYTES..]
}

/// A row with each word of `points` in the low word of its block, and in the high word as well if `both`.
fn spread(points: &[u64], both: bool) -> [[u64; REGISTER_WORDS]; GROUPS] {
    let mut row = [[0; REGISTER_WORDS]; GROUPS];
    for (block, &point) in row.as_flattened_mut().as_chunks_mut::<WORDS>().0.iter_mut().zip(points) {
        *block = [point, if both { point } else { 0 }];
    }
    row
}

/// Both words of the blocks whose low word is selected.
#[inline(always)]
fn whole_blocks(low: __mmask8) -> __mmask8 {
    low | low << 1
}

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

#[target_feature(enable = "avx512f,vaes")]
fn evaluate(
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
            let at = |row, i| load(group(row, quad * ABREAST + i));
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

#[target_feature(enable = "avx512f,vaes")]
fn generate(
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
