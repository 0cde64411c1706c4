//! Evaluation: one holder, one public point per key.

use super::{BLOCK_BYTES, Dcf, Hash, Holder, LANES, LEAVES, Payload, Row, TAG, WORDS, hash, tree_bits, word};
use crate::crypto::Block;
use aes::Aes128;
use multiversion::multiversion;

/// Selects the value half of a child's two blocks.
const VALUE: u64 = 2;

/// One holder's position in [`LANES`] trees; every array has two words per lane.
struct Walk {
    seeds: Row,
    /// All ones or all zeros: whether corrections apply, in both words of a lane.
    control: Row,
    sums: Row,
    /// The points, in both words of a lane.
    points: Row,
}

impl Dcf {
    /// `outputs[i]` becomes the holder's share of `beta_i` if `points[i] < alpha_i`, else of zero. Bits of a point
    /// beyond the domain are ignored.
    ///
    /// # Panics
    /// If the slices do not describe the same number of keys.
    pub fn evaluate(
        &self,
        holder: Holder,
        roots: &[Block],
        points: &[u64],
        corrections: &[u8],
        outputs: &mut [Payload],
    ) {
        let key_bytes = Dcf::key_bytes(self.domain_bits);
        assert_eq!(
            (points.len(), corrections.len(), outputs.len()),
            (roots.len(), key_bytes * roots.len(), roots.len()),
            "points, bytes of corrections and outputs of {} keys",
            roots.len()
        );
        let spans = roots.chunks(LANES).zip(points.chunks(LANES)).zip(outputs.chunks_mut(LANES));
        for (((roots, points), outputs), corrections) in spans.zip(corrections.chunks(LANES * key_bytes)) {
            match &self.hash {
                Hash::Portable(cipher) => evaluate_span(cipher, holder, roots, points, corrections, outputs),
                #[cfg(target_arch = "x86_64")]
                Hash::Vaes512(hash) => hash.evaluate(holder, roots, points, corrections, outputs),
            }
            if holder == Holder::Second {
                outputs.as_flattened_mut().iter_mut().for_each(|sum| *sum = sum.wrapping_neg());
            }
        }
    }
}

/// At most [`LANES`] keys; `outputs` becomes the sums.
fn evaluate_span(
    cipher: &Aes128,
    holder: Holder,
    roots: &[Block],
    points: &[u64],
    corrections: &[u8],
    outputs: &mut [Payload],
) {
    let (lanes, mut walk) = (roots.len(), Walk::new(holder, roots, points));
    // Every lane's seed block, then every lane's value block.
    let mut blocks = [0; 2 * WORDS * LANES];
    let mut scratch = [0; 2 * WORDS * LANES];
    let (blocks, scratch) = (&mut blocks[..2 * WORDS * lanes], &mut scratch[..2 * WORDS * lanes]);
    let (tree, tables) = corrections.split_at(corrections.len() - LEAVES * BLOCK_BYTES * lanes);
    let levels = tree.chunks_exact(BLOCK_BYTES * 2 * lanes);
    for (bit, level) in tree_bits(levels.len()).zip(levels) {
        let (seeds, values) = blocks.split_at_mut(WORDS * lanes);
        child_inputs(&walk, bit, seeds, values);
        hash(cipher, blocks, scratch);
        let (seeds, values) = blocks.split_at(WORDS * lanes);
        let (seed_corrections, value_corrections) = level.as_chunks::<8>().0.split_at(WORDS * lanes);
        descend(&mut walk, bit, seeds, values, seed_corrections, value_corrections);
    }
    let (leaves, scratch) = (&mut blocks[..WORDS * lanes], &mut scratch[..WORDS * lanes]);
    leaves.copy_from_slice(&walk.seeds[..WORDS * lanes]);
    for (leaf, point) in leaves.iter_mut().zip(&walk.points).step_by(WORDS) {
        *leaf |= point & TAG;
    }
    hash(cipher, leaves, scratch);
    let tables = tables.as_chunks::<8>().0;
    for (i, (output, leaf)) in outputs.as_flattened_mut().iter_mut().zip(leaves).enumerate() {
        let entry = i / WORDS * LEAVES + (walk.points[i] & TAG) as usize;
        let correction = word(&tables[entry * WORDS + i % WORDS]) & walk.control[i];
        *output = walk.sums[i].wrapping_add(*leaf).wrapping_add(correction);
    }
}

impl Walk {
    fn new(holder: Holder, roots: &[Block], points: &[u64]) -> Walk {
        let control = if holder == Holder::Second { u64::MAX } else { 0 };
        let mut walk = Walk {
            seeds: [0; WORDS * LANES],
            control: [control; WORDS * LANES],
            sums: [0; WORDS * LANES],
            points: [0; WORDS * LANES],
        };
        for (i, (root, &point)) in roots.iter().zip(points).enumerate() {
            walk.seeds[WORDS * i] = root.0 as u64 & !TAG;
            walk.seeds[WORDS * i + 1] = (root.0 >> 64) as u64;
            walk.points[WORDS * i..][..WORDS].fill(point);
        }
        walk
    }
}

/// The hash inputs of the children that the points lead to.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq", "x86_64+avx2", "aarch64+neon"))]
fn child_inputs(walk: &Walk, bit: u32, seeds: &mut [u64], values: &mut [u64]) {
    let parents = walk.seeds.as_chunks::<WORDS>().0.iter().zip(walk.points.as_chunks::<WORDS>().0);
    let children = seeds.as_chunks_mut::<WORDS>().0.iter_mut().zip(values.as_chunks_mut::<WORDS>().0);
    for ((seed, value), (parent, points)) in children.zip(parents) {
        let right = points[0] >> bit & 1;
        *seed = [parent[0] | right, parent[1]];
        *value = [parent[0] | right | VALUE, parent[1]];
    }
}

/// Figure 1, one pass of Eval's loop, in every lane.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq", "x86_64+avx2", "aarch64+neon"))]
fn descend(
    walk: &mut Walk,
    bit: u32,
    seeds: &[u64],
    values: &[u64],
    seed_corrections: &[[u8; 8]],
    value_corrections: &[[u8; 8]],
) {
    let hashed = seeds.as_chunks::<WORDS>().0.iter().zip(values.as_chunks::<WORDS>().0);
    let corrections = seed_corrections.as_chunks::<WORDS>().0.iter().zip(value_corrections.as_chunks::<WORDS>().0);
    let nodes = walk.seeds.as_chunks_mut::<WORDS>().0.iter_mut().zip(walk.control.as_chunks_mut::<WORDS>().0);
    let rest = walk.sums.as_chunks_mut::<WORDS>().0.iter_mut().zip(walk.points.as_chunks::<WORDS>().0);
    for (((node, control), (sum, points)), ((seed, value), (seed_cw, value_cw))) in
        nodes.zip(rest).zip(hashed.zip(corrections))
    {
        sum[0] = sum[0].wrapping_add(value[0]).wrapping_add(word(&value_cw[0]) & control[0]);
        sum[1] = sum[1].wrapping_add(value[1]).wrapping_add(word(&value_cw[1]) & control[1]);
        let low = seed[0] ^ (word(&seed_cw[0]) & control[0]);
        *node = [low & !TAG, seed[1] ^ (word(&seed_cw[1]) & control[1])];
        // A left child's control bit is bit 0, a right child's bit 1, of the block and of the correction.
        let right = points[0] >> bit & 1;
        *control = [(low >> right & 1).wrapping_neg(); WORDS];
    }
}
