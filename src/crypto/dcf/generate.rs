//! Key generation: the dealer, who knows both holders' roots.

use super::{BLOCK_BYTES, Dcf, Hash, LANES, LEAVES, Payload, Row, TAG, WORDS, hash, tree_bits};
use crate::crypto::Block;
use aes::Aes128;
use multiversion::multiversion;

/// Which of a node's four blocks: the input's tag.
const LEFT: usize = 0;
const RIGHT: usize = 1;
const LEFT_VALUE: usize = 2;
const RIGHT_VALUE: usize = 3;

/// The four blocks of both holders' nodes on the paths, `[holder][tag]`.
type Expanded = [[Row; LEAVES]; 2];

/// Both holders on the path to `alpha`, in [`LANES`] trees.
struct Path {
    seeds: [Row; 2],
    /// All ones or all zeros, in both words of a lane; the holders' differ.
    control: [Row; 2],
    /// `V`: what the values so far open to.
    opened: Row,
    beta: Row,
}

impl Dcf {
    /// `corrections` becomes the correction words of both holders' keys with these `roots`, for thresholds `alpha` (bits
    /// beyond the domain are ignored) and payloads `beta`.
    ///
    /// # Panics
    /// If the slices do not describe the same number of keys.
    pub fn generate(&self, roots: [&[Block]; 2], alpha: &[u64], beta: &[Payload], corrections: &mut [u8]) {
        let key_bytes = Dcf::key_bytes(self.domain_bits);
        let n = alpha.len();
        assert_eq!(
            (roots[0].len(), roots[1].len(), beta.len(), corrections.len()),
            (n, n, n, key_bytes * n),
            "roots, payloads and bytes of corrections of {n} keys"
        );
        let roots = roots[0].chunks(LANES).zip(roots[1].chunks(LANES));
        let secrets = alpha.chunks(LANES).zip(beta.chunks(LANES));
        for ((roots, (alpha, beta)), corrections) in roots.zip(secrets).zip(corrections.chunks_mut(LANES * key_bytes)) {
            let roots = [roots.0, roots.1];
            match &self.hash {
                Hash::Portable(cipher) => generate_span(cipher, self.levels(), roots, alpha, beta, corrections),
                #[cfg(target_arch = "x86_64")]
                Hash::Vaes512(hash) => hash.generate(self.levels(), roots, alpha, beta, corrections),
            }
        }
    }
}

/// At most [`LANES`] keys.
fn generate_span(
    cipher: &Aes128,
    levels: usize,
    roots: [&[Block]; 2],
    alpha: &[u64],
    beta: &[Payload],
    corrections: &mut [u8],
) {
    let mut path = Path::new(roots, beta);
    let mut expanded = [[[0; WORDS * LANES]; LEAVES]; 2];
    let (mut seed_cw, mut value_cw) = ([0; WORDS * LANES], [0; WORDS * LANES]);
    let level_bytes = BLOCK_BYTES * 2 * alpha.len();
    let (tree, tables) = corrections.split_at_mut(level_bytes * levels);
    for (bit, level) in tree_bits(levels).zip(tree.chunks_exact_mut(level_bytes)) {
        path.expand(cipher, alpha.len(), &mut expanded);
        descend(&mut path, &expanded, alpha, bit, &mut seed_cw, &mut value_cw);
        let (seeds, values) = level.split_at_mut(level_bytes / 2);
        seeds.copy_from_slice(&bytemuck::cast_slice(&seed_cw)[..level_bytes / 2]);
        values.copy_from_slice(&bytemuck::cast_slice(&value_cw)[..level_bytes / 2]);
    }
    path.expand(cipher, alpha.len(), &mut expanded);
    for (lane, (table, alpha)) in tables.chunks_exact_mut(LEAVES * BLOCK_BYTES).zip(alpha).enumerate() {
        for (i, entry) in table.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let (leaf, word) = (i / WORDS, lane * WORDS + i % WORDS);
            let target = if (leaf as u64) < alpha & TAG { path.beta[word] } else { 0 };
            *entry = path.correction(word, target, expanded[0][leaf][word], expanded[1][leaf][word]).to_le_bytes();
        }
    }
}

impl Path {
    fn new(roots: [&[Block]; 2], beta: &[Payload]) -> Path {
        let zero = [0; WORDS * LANES];
        let mut path = Path { seeds: [zero; 2], control: [zero, [u64::MAX; WORDS * LANES]], opened: zero, beta: zero };
        for (seeds, roots) in path.seeds.iter_mut().zip(roots) {
            seeds[..WORDS * roots.len()].copy_from_slice(bytemuck::cast_slice(roots));
            seeds.iter_mut().step_by(WORDS).for_each(|low| *low &= !TAG);
        }
        path.beta[..WORDS * beta.len()].copy_from_slice(beta.as_flattened());
        path
    }

    fn expand(&self, cipher: &Aes128, lanes: usize, expanded: &mut Expanded) {
        let mut scratch = [0; WORDS * LANES];
        for (seeds, blocks) in self.seeds.iter().zip(expanded) {
            for (tag, row) in blocks.iter_mut().enumerate() {
                *row = *seeds;
                row.iter_mut().step_by(WORDS).for_each(|low| *low |= tag as u64);
                hash(cipher, &mut row[..WORDS * lanes], &mut scratch[..WORDS * lanes]);
            }
        }
    }

    /// What makes the values of a node off the path, or of a leaf, open to `target`: the sum so far and the holders'
    /// blocks taken away, signed so that whoever has the control bit adds it with its own sign.
    #[inline(always)]
    fn correction(&self, word: usize, target: u64, first: u64, second: u64) -> u64 {
        let value = second.wrapping_sub(first).wrapping_sub(self.opened[word]).wrapping_add(target);
        negate_if(self.control[1][word], value)
    }
}

/// `-value` where `mask` is all ones, `value` where it is zero.
#[inline(always)]
fn negate_if(mask: u64, value: u64) -> u64 {
    (value ^ mask).wrapping_sub(mask)
}

/// Figure 1, one pass of Gen's loop, in every lane: the level's correction words, and one step down the path.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq", "x86_64+avx2", "aarch64+neon"))]
fn descend(path: &mut Path, g: &Expanded, alpha: &[u64], bit: u32, seed_cw: &mut Row, value_cw: &mut Row) {
    for (lane, alpha) in alpha.iter().enumerate() {
        let right = alpha >> bit & 1;
        let go_right = right.wrapping_neg();
        let select = |if_right: u64, if_left: u64| (if_right & go_right) | (if_left & !go_right);
        for i in [WORDS * lane, WORDS * lane + 1] {
            // The path loses the child it does not take: there both holders get the same seed.
            seed_cw[i] = select(g[0][LEFT][i] ^ g[1][LEFT][i], g[0][RIGHT][i] ^ g[1][RIGHT][i]);
        }
        let low = WORDS * lane;
        // Off the path the control bits agree, on it they differ.
        let left_control = (g[0][LEFT][low] ^ g[1][LEFT][low] ^ right ^ 1) & 1;
        let right_control = (g[0][RIGHT][low] ^ g[1][RIGHT][low] ^ right << 1) & 2;
        seed_cw[low] = seed_cw[low] & !TAG | left_control | right_control;
        for i in [low, low + 1] {
            let lost = [0, 1].map(|holder| select(g[holder][LEFT_VALUE][i], g[holder][RIGHT_VALUE][i]));
            let kept = [0, 1].map(|holder| select(g[holder][RIGHT_VALUE][i], g[holder][LEFT_VALUE][i]));
            // Whoever leaves the path to the left is below the threshold.
            value_cw[i] = path.correction(i, path.beta[i] & go_right, lost[0], lost[1]);
            path.opened[i] = path.opened[i]
                .wrapping_add(kept[0])
                .wrapping_sub(kept[1])
                .wrapping_add(negate_if(path.control[1][i], value_cw[i]));
        }
        for holder in [0, 1] {
            let control = path.control[holder][low];
            for i in [low, low + 1] {
                let kept = select(g[holder][RIGHT][i], g[holder][LEFT][i]);
                path.seeds[holder][i] = kept ^ (seed_cw[i] & control);
            }
            let next = (path.seeds[holder][low] >> right & 1).wrapping_neg();
            path.control[holder][low..low + WORDS].fill(next);
            path.seeds[holder][low] &= !TAG;
        }
    }
}
