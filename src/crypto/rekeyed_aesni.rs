//! The re-keyed hash with AES-NI: one block per register, four key schedules at once.
#![allow(unsafe_code)]

use super::Block;
use super::rekeyed::{KeyRow, LANES, Row, RowHash, TRIPLE_OFFSETS, WithRowHash};
use super::row_words::RowWords;
use std::arch::x86_64::*;

/// Instances hashed together.
const QUAD: usize = 4;

/// The round constants of AES-128's key schedule.
const ROUND_CONSTANTS: [i32; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 0x1b, 0x36];

/// Evidence that the machine has AES-NI.
#[derive(Clone, Copy)]
pub(super) struct AesNi(());

impl AesNi {
    pub(super) fn detect() -> Option<AesNi> {
        (is_x86_feature_detected!("aes") && is_x86_feature_detected!("avx")).then_some(AesNi(()))
    }

    /// Runs a computation, compiled with AES-NI.
    pub(super) fn run<W: WithRowHash>(self, work: W) -> W::Output {
        // SAFETY: an `AesNi` exists only where `detect` found the features.
        unsafe { run(self, work) }
    }
}

#[target_feature(enable = "aes,avx")]
fn run<W: WithRowHash>(hash: AesNi, work: W) -> W::Output {
    work.with(hash)
}

impl RowWords for AesNi {}

impl RowHash for AesNi {
    #[inline(always)]
    fn hash(self, keys: &KeyRow, gate: u32, x: [&Row; 2]) -> [Row; 2] {
        // SAFETY: an `AesNi` exists only where `detect` found the features.
        unsafe { hash(keys, gate, x) }
    }

    #[inline(always)]
    fn hash_both(self, keys: &KeyRow, gate: u32, x: [&Row; 2], delta: Block) -> [[Row; 2]; 2] {
        // SAFETY: an `AesNi` exists only where `detect` found the features.
        unsafe { hash_both(keys, gate, x, delta) }
    }

    #[inline(always)]
    fn hash_triple(self, keys: &KeyRow, gate: u32, x: [&Row; 3]) -> [Row; 3] {
        // SAFETY: an `AesNi` exists only where `detect` found the features.
        unsafe { hash_triple(keys, gate, x) }
    }

    #[inline(always)]
    fn hash_triple_both(self, keys: &KeyRow, gate: u32, x: [&Row; 3], delta: Block) -> [[Row; 2]; 3] {
        // SAFETY: an `AesNi` exists only where `detect` found the features.
        unsafe { hash_triple_both(keys, gate, x, delta) }
    }

    #[inline(always)]
    fn if_colour(self, x: &Row, value: &Row) -> Row {
        // SAFETY: an `AesNi` exists only where `detect` found the features.
        unsafe { if_colour(x, value) }
    }

    #[inline(always)]
    fn prefetch<T>(self, at: &T) {
        // SAFETY: a prefetch accesses nothing, and SSE is part of x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>((&raw const *at).cast()) }
    }
}

type Registers = [__m128i; QUAD];

/// The key schedules of four instances: `words[i]` holds the `i`-th word of every round key.
///
/// One substitution then serves four keys; a transposition gives the keys in the layout of the states.
struct Schedule {
    words: [__m128i; 4],
}

impl Schedule {
    /// Those of the instances at `first_lane..first_lane + QUAD`.
    #[inline]
    #[target_feature(enable = "aes,avx")]
    fn new(keys: &KeyRow, first_lane: usize, half_gate: u32) -> Schedule {
        let mut words = [_mm_setzero_si128(); 4];
        for (word, row) in words.iter_mut().zip(&keys.words) {
            *word = from_words(&row[first_lane..first_lane + QUAD]);
        }
        words[0] = _mm_xor_si128(words[0], _mm_set1_epi32(half_gate as i32));
        Schedule { words }
    }

    /// Steps to the next round key.
    #[inline]
    #[target_feature(enable = "aes,avx")]
    fn step(&mut self, round_constant: i32) {
        let [w0, w1, w2, w3] = self.words;
        // `RotWord` on four words, then the inverse of the `ShiftRows` that `aesenclast` is about to do.
        let rotate = _mm_setr_epi8(1, 14, 11, 4, 5, 2, 15, 8, 9, 6, 3, 12, 13, 10, 7, 0);
        let rotated = _mm_shuffle_epi8(w3, rotate);
        let t = _mm_aesenclast_si128(rotated, _mm_set1_epi32(round_constant));
        let w0 = _mm_xor_si128(w0, t);
        let w1 = _mm_xor_si128(w1, w0);
        let w2 = _mm_xor_si128(w2, w1);
        let w3 = _mm_xor_si128(w3, w2);
        self.words = [w0, w1, w2, w3];
    }

    /// The current round keys, one per instance.
    #[inline]
    #[target_feature(enable = "aes,avx")]
    fn round_keys(&self) -> Registers {
        let [w0, w1, w2, w3] = self.words;
        let low01 = _mm_unpacklo_epi32(w0, w1);
        let high01 = _mm_unpackhi_epi32(w0, w1);
        let low23 = _mm_unpacklo_epi32(w2, w3);
        let high23 = _mm_unpackhi_epi32(w2, w3);
        [
            _mm_unpacklo_epi64(low01, low23),
            _mm_unpackhi_epi64(low01, low23),
            _mm_unpacklo_epi64(high01, high23),
            _mm_unpackhi_epi64(high01, high23),
        ]
    }
}

#[inline]
#[target_feature(enable = "aes,avx")]
fn hash(keys: &KeyRow, gate: u32, x: [&Row; 2]) -> [Row; 2] {
    let mut out = [Row::ZERO; 2];
    for lane in (0..LANES).step_by(QUAD) {
        for half in 0..2 {
            let schedule = Schedule::new(keys, lane, 2 * gate + half as u32);
            let [hashes] = hash_quads([load(x[half], lane)], schedule);
            store(hashes, &mut out[half], lane);
        }
    }
    out
}

#[inline]
#[target_feature(enable = "aes,avx")]
fn hash_both(keys: &KeyRow, gate: u32, x: [&Row; 2], delta: Block) -> [[Row; 2]; 2] {
    let delta = from_block(delta);
    let mut out = [[Row::ZERO; 2]; 2];
    for lane in (0..LANES).step_by(QUAD) {
        for half in 0..2 {
            let first = load(x[half], lane);
            let mut second = first;
            for register in &mut second {
                *register = _mm_xor_si128(*register, delta);
            }
            let schedule = Schedule::new(keys, lane, 2 * gate + half as u32);
            let hashes = hash_quads([first, second], schedule);
            store(hashes[0], &mut out[half][0], lane);
            store(hashes[1], &mut out[half][1], lane);
        }
    }
    out
}

/// Hashes `N` blocks under each key.
#[inline]
#[target_feature(enable = "aes,avx")]
fn hash_quads<const N: usize>(x: [Registers; N], mut schedule: Schedule) -> [Registers; N] {
    let mut state = x;
    let whitening = schedule.round_keys();
    for quad in &mut state {
        for i in 0..QUAD {
            quad[i] = _mm_xor_si128(quad[i], whitening[i]);
        }
    }
    for constant in &ROUND_CONSTANTS[..9] {
        schedule.step(*constant);
        let round = schedule.round_keys();
        for quad in &mut state {
            for i in 0..QUAD {
                quad[i] = _mm_aesenc_si128(quad[i], round[i]);
            }
        }
    }
    schedule.step(ROUND_CONSTANTS[9]);
    let last = schedule.round_keys();
    for (quad, x) in state.iter_mut().zip(&x) {
        for i in 0..QUAD {
            // The feed-forward joins the last round key.
            quad[i] = _mm_aesenclast_si128(quad[i], _mm_xor_si128(last[i], feed_forward(x[i])));
        }
    }
    state
}

#[inline]
#[target_feature(enable = "aes,avx")]
fn hash_triple(keys: &KeyRow, gate: u32, x: [&Row; 3]) -> [Row; 3] {
    let mut out = [Row::ZERO; 3];
    for lane in (0..LANES).step_by(QUAD) {
        let quads = [[load(x[0], lane)], [load(x[1], lane)], [load(x[2], lane)]];
        let hashes = hash_quads_triple(quads, Schedule::new(keys, lane, gate));
        for wire in 0..3 {
            store(hashes[wire][0], &mut out[wire], lane);
        }
    }
    out
}

#[inline]
#[target_feature(enable = "aes,avx")]
fn hash_triple_both(keys: &KeyRow, gate: u32, x: [&Row; 3], delta: Block) -> [[Row; 2]; 3] {
    let delta = from_block(delta);
    let mut out = [[Row::ZERO; 2]; 3];
    for lane in (0..LANES).step_by(QUAD) {
        let mut quads = [[load(x[0], lane); 2], [load(x[1], lane); 2], [load(x[2], lane); 2]];
        for [_, other] in &mut quads {
            for register in other {
                *register = _mm_xor_si128(*register, delta);
            }
        }
        let hashes = hash_quads_triple(quads, Schedule::new(keys, lane, gate));
        for wire in 0..3 {
            store(hashes[wire][0], &mut out[wire][0], lane);
            store(hashes[wire][1], &mut out[wire][1], lane);
        }
    }
    out
}

/// Hashes `N` blocks at each offset under one key.
#[inline]
#[target_feature(enable = "aes,avx")]
fn hash_quads_triple<const N: usize>(x: [[Registers; N]; 3], mut schedule: Schedule) -> [[Registers; N]; 3] {
    let mut state = x;
    let whitening = schedule.round_keys();
    for (quads, offset) in state.iter_mut().zip(TRIPLE_OFFSETS) {
        for quad in quads {
            for i in 0..QUAD {
                quad[i] = _mm_xor_si128(quad[i], _mm_xor_si128(whitening[i], from_block(offset)));
            }
        }
    }
    for constant in &ROUND_CONSTANTS[..9] {
        schedule.step(*constant);
        let round = schedule.round_keys();
        for quads in &mut state {
            for quad in quads {
                for i in 0..QUAD {
                    quad[i] = _mm_aesenc_si128(quad[i], round[i]);
                }
            }
        }
    }
    schedule.step(ROUND_CONSTANTS[9]);
    let last = schedule.round_keys();
    for (quads, x) in state.iter_mut().zip(&x) {
        for (quad, x) in quads.iter_mut().zip(x) {
            for i in 0..QUAD {
                quad[i] = _mm_aesenclast_si128(quad[i], _mm_xor_si128(last[i], feed_forward(x[i])));
            }
        }
    }
    state
}

/// [`super::rekeyed::feed_forward`] of a block.
#[inline]
#[target_feature(enable = "aes,avx")]
fn feed_forward(x: __m128i) -> __m128i {
    let low = _mm_and_si128(x, _mm_set1_epi64x(0xffff_ffff));
    _mm_xor_si128(_mm_shuffle_epi32::<0b10_11_00_01>(x), low)
}

#[inline]
#[target_feature(enable = "aes,avx")]
fn if_colour(x: &Row, value: &Row) -> Row {
    let mut out = Row::ZERO;
    for (out, (x, value)) in out.0.iter_mut().zip(x.0.iter().zip(&value.0)) {
        // The lowest bit of the block, moved to the sign and spread over all four words.
        let low = _mm_shuffle_epi32::<0>(_mm_slli_epi32::<31>(from_block(*x)));
        let mask = _mm_srai_epi32::<31>(low);
        *out = to_block(_mm_and_si128(mask, from_block(*value)));
    }
    out
}

#[inline]
#[target_feature(enable = "aes,avx")]
fn load(row: &Row, first_lane: usize) -> Registers {
    let mut out = [_mm_setzero_si128(); QUAD];
    for (register, block) in out.iter_mut().zip(&row.0[first_lane..first_lane + QUAD]) {
        *register = from_block(*block);
    }
    out
}

#[inline]
#[target_feature(enable = "aes,avx")]
fn store(registers: Registers, row: &mut Row, first_lane: usize) {
    for (register, block) in registers.iter().zip(&mut row.0[first_lane..]) {
        *block = to_block(*register);
    }
}

#[inline]
#[target_feature(enable = "aes,avx")]
fn from_words(words: &[u32]) -> __m128i {
    assert_eq!(words.len(), 4);
    // SAFETY: `words` is 16 readable bytes.
    unsafe { _mm_loadu_si128(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "aes,avx")]
fn from_block(block: Block) -> __m128i {
    // SAFETY: `block` is 16 readable bytes.
    unsafe { _mm_loadu_si128((&raw const block).cast()) }
}

#[inline]
#[target_feature(enable = "aes,avx")]
fn to_block(register: __m128i) -> Block {
    let mut block = Block::ZERO;
    // SAFETY: `block` is 16 writable bytes.
    unsafe { _mm_storeu_si128((&raw mut block).cast(), register) };
    block
}
