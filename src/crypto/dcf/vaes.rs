//! Both walks with VAES on 512-bit registers: a register holds one block in each of four trees.
#![allow(unsafe_code)]

mod evaluate;
mod generate;

use super::{BLOCK_BYTES, Holder, LANES, Payload, WORDS};
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
    pub(super) fn is_available() -> bool {
        is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("vaes") && is_x86_feature_detected!("aes")
    }

    /// The permutation of a key, if the machine has the features.
    pub(super) fn new(key: [u8; 16]) -> Option<Vaes512> {
        // SAFETY: expanded only where the features are found.
        Vaes512::is_available().then(|| Vaes512 { round_keys: unsafe { expand_key(key) } })
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
        // SAFETY: a `Vaes512` exists only where `new` found the features.
        unsafe { evaluate::span(&self.round_keys, holder, roots, points, corrections, outputs) }
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
        // SAFETY: a `Vaes512` exists only where `new` found the features.
        unsafe { generate::span(&self.round_keys, levels, roots, alpha, beta, corrections) }
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

/// How far ahead of their use keys are fetched from memory: a level.
const AHEAD_BYTES: usize = 2 * LANES * BLOCK_BYTES;

/// Fetches what follows at a distance: the processor's own prefetching stops at every page.
#[inline(always)]
fn prefetch(bytes: &[u8]) {
    // SAFETY: a prefetch accesses nothing, and SSE is part of x86-64.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(bytes.as_ptr().wrapping_add(AHEAD_BYTES).cast()) }
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
