//! The re-keyed hash with VAES on 512-bit registers: four blocks per register, sixteen key schedules at once.
#![allow(unsafe_code)]

use super::Block;
use super::rekeyed::{KeyRow, LANES, Row, RowHash, TRIPLE_OFFSETS, WithRowHash};
use super::row_words::RowWords;
use std::arch::x86_64::*;

/// Registers that hold a row.
const REGISTERS: usize = LANES / 4;

/// The round constants of AES-128's key schedule.
const ROUND_CONSTANTS: [i32; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 0x1b, 0x36];

/// `RotWord` on four words, then the inverse of the `ShiftRows` that `vaesenclast` is about to do.
const ROTATE_WORDS: i128 = i128::from_le_bytes([1, 14, 11, 4, 5, 2, 15, 8, 9, 6, 3, 12, 13, 10, 7, 0]);

/// Evidence that the machine has VAES on 512-bit registers.
#[derive(Clone, Copy)]
pub(super) struct Vaes512(());

impl Vaes512 {
    pub(super) fn detect() -> Option<Vaes512> {
        (is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("vaes"))
        .then_some(Vaes512(()))
    }

    /// Runs a computation, compiled with VAES.
    pub(super) fn run<W: WithRowHash>(self, work: W) -> W::Output {
        // SAFETY: a `Vaes512` exists only where `detect` found the features.
        unsafe { run(self, work) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,vaes")]
fn run<W: WithRowHash>(hash: Vaes512, work: W) -> W::Output {
    work.with(hash)
}

impl RowHash for Vaes512 {
    #[inline(always)]
    fn hash(self, keys: &KeyRow, gate: u32, x: [&Row; 2]) -> [Row; 2] {
        // SAFETY: a `Vaes512` exists only where `detect` found the features.
        unsafe { hash(keys, gate, x) }
    }

    #[inline(always)]
    fn hash_both(self, keys: &KeyRow, gate: u32, x: [&Row; 2], delta: Block) -> [[Row; 2]; 2] {
        // SAFETY: a `Vaes512` exists only where `detect` found the features.
        unsafe { hash_both(keys, gate, x, delta) }
    }

    #[inline(always)]
    fn hash_triple(self, keys: &KeyRow, gate: u32, x: [&Row; 3]) -> [Row; 3] {
        // SAFETY: a `Vaes512` exists only where `detect` found the features.
        unsafe { hash_triple(keys, gate, x) }
    }

    #[inline(always)]
    fn hash_triple_both(self, keys: &KeyRow, gate: u32, x: [&Row; 3], delta: Block) -> [[Row; 2]; 3] {
        // SAFETY: a `Vaes512` exists only where `detect` found the features.
        unsafe { hash_triple_both(keys, gate, x, delta) }
    }

    #[inline(always)]
    fn if_colour(self, x: &Row, value: &Row) -> Row {
        // SAFETY: a `Vaes512` exists only where `detect` found the features.
        unsafe { if_colour(x, value) }
    }

    #[inline(always)]
    fn prefetch<T>(self, at: &T) {
        // SAFETY: a prefetch accesses nothing, and SSE is part of x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>((&raw const *at).cast()) }
    }
}

impl RowWords for Vaes512 {
    #[inline(always)]
    fn lsbs(self, x: &Row) -> u32 {
        // SAFETY: a `Vaes512` exists only where `detect` found the features.
        unsafe { lsbs(x) }
    }

    #[inline(always)]
    fn select(self, mask: u32, x: &Row) -> Row {
        // SAFETY: a `Vaes512` exists only where `detect` found the features.
        unsafe { select(mask, x) }
    }

    #[inline(always)]
    fn swap(self, x: &Row) -> Row {
        // SAFETY: a `Vaes512` exists only where `detect` found the features.
        unsafe { swap(x) }
    }

    #[inline(always)]
    fn low_halves(self, low: &Row, high: &Row) -> Row {
        // SAFETY: a `Vaes512` exists only where `detect` found the features.
        unsafe { low_halves(low, high) }
    }

    #[inline(always)]
    fn high_halves(self, low: &Row, high: &Row) -> Row {
        // SAFETY: a `Vaes512` exists only where `detect` found the features.
        unsafe { high_halves(low, high) }
    }

    #[inline(always)]
    fn pack(self, x: &Row) -> [u64; LANES] {
        // SAFETY: a `Vaes512` exists only where `detect` found the features.
        unsafe { pack(x) }
    }

    #[inline(always)]
    fn spread(self, words: &[u64; LANES]) -> Row {
        // SAFETY: a `Vaes512` exists only where `detect` found the features.
        unsafe { spread(words) }
    }
}

type Registers = [__m512i; REGISTERS];

/// The key schedules of sixteen instances: `words[i]` holds the `i`-th word of every round key.
///
/// One substitution then serves sixteen keys; a transposition gives the keys in the layout of the
/// states. Word `4 q + r` belongs to the block at position `q` of register `r`.
struct Schedule {
    words: [__m512i; 4],
}

impl Schedule {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn new(keys: &KeyRow, half_gate: u32) -> Schedule {
        let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        let mut words = [_mm512_setzero_si512(); 4];
        for (word, row) in words.iter_mut().zip(&keys.words) {
            *word = _mm512_permutexvar_epi32(order, load_words(row));
        }
        words[0] = _mm512_xor_si512(words[0], _mm512_set1_epi32(half_gate as i32));
        Schedule { words }
    }

    /// Steps to the next round key.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,vaes")]
    fn step(&mut self, round_constant: i32) {
        let [w0, w1, w2, w3] = self.words;
        let rotate = _mm512_broadcast_i32x4(from_bits(ROTATE_WORDS));
        let rotated = _mm512_shuffle_epi8(w3, rotate);
        let t = _mm512_aesenclast_epi128(rotated, _mm512_set1_epi32(round_constant));
        // Each word from the old ones: a chain through the new ones would be the bottleneck.
        let w01 = _mm512_xor_si512(w0, w1);
        let w012 = _mm512_xor_si512(w01, w2);
        let w0123 = _mm512_xor_si512(w012, w3);
        let w0 = _mm512_xor_si512(w0, t);
        let w1 = _mm512_xor_si512(w01, t);
        let w2 = _mm512_xor_si512(w012, t);
        let w3 = _mm512_xor_si512(w0123, t);
        self.words = [w0, w1, w2, w3];
    }

    /// The current round keys, one per block.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn round_keys(&self) -> Registers {
        let [w0, w1, w2, w3] = self.words;
        let low01 = _mm512_unpacklo_epi32(w0, w1);
        let high01 = _mm512_unpackhi_epi32(w0, w1);
        let low23 = _mm512_unpacklo_epi32(w2, w3);
        let high23 = _mm512_unpackhi_epi32(w2, w3);
        [
            _mm512_unpacklo_epi64(low01, low23),
            _mm512_unpackhi_epi64(low01, low23),
            _mm512_unpacklo_epi64(high01, high23),
            _mm512_unpackhi_epi64(high01, high23),
        ]
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,vaes")]
fn hash(keys: &KeyRow, gate: u32, x: [&Row; 2]) -> [Row; 2] {
    let [[first], [second]] = hash_rows([[load(x[0])], [load(x[1])]], keys, gate);
    [store(first), store(second)]
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,vaes")]
fn hash_both(keys: &KeyRow, gate: u32, x: [&Row; 2], delta: Block) -> [[Row; 2]; 2] {
    let delta = from_block(delta);
    let mut rows = [[load(x[0]); 2], [load(x[1]); 2]];
    for [_, other] in &mut rows {
        for register in other {
            *register = _mm512_xor_si512(*register, delta);
        }
    }
    let [first, second] = hash_rows(rows, keys, gate);
    [[store(first[0]), store(first[1])], [store(second[0]), store(second[1])]]
}

/// Hashes `N` blocks under each key of the two half gates.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,vaes")]
fn hash_rows<const N: usize>(x: [[Registers; N]; 2], keys: &KeyRow, gate: u32) -> [[Registers; N]; 2] {
    let mut schedules = [Schedule::new(keys, 2 * gate), Schedule::new(keys, 2 * gate + 1)];
    let mut state = x;
    for half in 0..2 {
        let whitening = schedules[half].round_keys();
        for row in &mut state[half] {
            for r in 0..REGISTERS {
                row[r] = _mm512_xor_si512(row[r], whitening[r]);
            }
        }
    }
    for constant in &ROUND_CONSTANTS[..9] {
        for half in 0..2 {
            schedules[half].step(*constant);
            let round = schedules[half].round_keys();
            for row in &mut state[half] {
                for r in 0..REGISTERS {
                    row[r] = _mm512_aesenc_epi128(row[r], round[r]);
                }
            }
        }
    }
    for half in 0..2 {
        schedules[half].step(ROUND_CONSTANTS[9]);
        let last = schedules[half].round_keys();
        for (row, x) in state[half].iter_mut().zip(&x[half]) {
            for r in 0..REGISTERS {
                // The feed-forward joins the last round key.
                row[r] = _mm512_aesenclast_epi128(row[r], _mm512_xor_si512(last[r], feed_forward(x[r])));
            }
        }
    }
    state
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,vaes")]
fn hash_triple(keys: &KeyRow, gate: u32, x: [&Row; 3]) -> [Row; 3] {
    let [[a], [b], [c]] = hash_rows_triple([[load(x[0])], [load(x[1])], [load(x[2])]], keys, gate);
    [store(a), store(b), store(c)]
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,vaes")]
fn hash_triple_both(keys: &KeyRow, gate: u32, x: [&Row; 3], delta: Block) -> [[Row; 2]; 3] {
    let delta = from_block(delta);
    let mut rows = [[load(x[0]); 2], [load(x[1]); 2], [load(x[2]); 2]];
    for [_, other] in &mut rows {
        for register in other {
            *register = _mm512_xor_si512(*register, delta);
        }
    }
    let [a, b, c] = hash_rows_triple(rows, keys, gate);
    [[store(a[0]), store(a[1])], [store(b[0]), store(b[1])], [store(c[0]), store(c[1])]]
}

/// Hashes `N` blocks at each offset under one key.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,vaes")]
fn hash_rows_triple<const N: usize>(x: [[Registers; N]; 3], keys: &KeyRow, gate: u32) -> [[Registers; N]; 3] {
    let mut schedule = Schedule::new(keys, gate);
    let mut state = x;
    let whitening = schedule.round_keys();
    for wire in 0..3 {
        let offset = from_block(TRIPLE_OFFSETS[wire]);
        for row in &mut state[wire] {
            for r in 0..REGISTERS {
                row[r] = _mm512_xor_si512(row[r], _mm512_xor_si512(whitening[r], offset));
            }
        }
    }
    for constant in &ROUND_CONSTANTS[..9] {
        schedule.step(*constant);
        let round = schedule.round_keys();
        for rows in &mut state {
            for row in rows {
                for r in 0..REGISTERS {
                    row[r] = _mm512_aesenc_epi128(row[r], round[r]);
                }
            }
        }
    }
    schedule.step(ROUND_CONSTANTS[9]);
    let last = schedule.round_keys();
    for wire in 0..3 {
        for (row, x) in state[wire].iter_mut().zip(&x[wire]) {
            for r in 0..REGISTERS {
                row[r] = _mm512_aesenclast_epi128(row[r], _mm512_xor_si512(last[r], feed_forward(x[r])));
            }
        }
    }
    state
}

/// [`super::rekeyed::feed_forward`] of four blocks.
#[inline]
#[target_feature(enable = "avx512f")]
fn feed_forward(x: __m512i) -> __m512i {
    let swapped = _mm512_shuffle_epi32::<0b10_11_00_01>(x);
    _mm512_mask_xor_epi32(swapped, 0x5555, swapped, x)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn lsbs(x: &Row) -> u32 {
    let mut mask = 0;
    for (r, x) in load(x).into_iter().enumerate() {
        mask |= u32::from(_mm512_test_epi64_mask(x, _mm512_set1_epi64(1))) << (8 * r);
    }
    mask
}

#[inline]
#[target_feature(enable = "avx512f")]
fn select(mask: u32, x: &Row) -> Row {
    let mut out = load(x);
    for (mask, out) in mask.to_le_bytes().into_iter().zip(&mut out) {
        *out = _mm512_maskz_mov_epi64(mask, *out);
    }
    store(out)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn swap(x: &Row) -> Row {
    let mut out = load(x);
    for out in &mut out {
        *out = _mm512_shuffle_epi32::<0b01_00_11_10>(*out);
    }
    store(out)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn low_halves(low: &Row, high: &Row) -> Row {
    let (mut out, high) = (load(low), load(high));
    for r in 0..REGISTERS {
        out[r] = _mm512_unpacklo_epi64(out[r], high[r]);
    }
    store(out)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn high_halves(low: &Row, high: &Row) -> Row {
    let (mut out, high) = (load(low), load(high));
    for r in 0..REGISTERS {
        out[r] = _mm512_unpackhi_epi64(out[r], high[r]);
    }
    store(out)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn pack(x: &Row) -> [u64; LANES] {
    let [x0, x1, x2, x3] = load(x);
    let even = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
    let low = _mm512_permutex2var_epi64(x0, even, x1);
    let high = _mm512_permutex2var_epi64(x2, even, x3);
    let mut words = [0; LANES];
    // SAFETY: `words` is 128 writable bytes.
    unsafe {
        _mm512_storeu_epi64(words.as_mut_ptr().cast(), low);
        _mm512_storeu_epi64(words.as_mut_ptr().add(LANES / 2).cast(), high);
    }
    words
}

#[inline]
#[target_feature(enable = "avx512f")]
fn spread(words: &[u64; LANES]) -> Row {
    let first = _mm512_setr_epi64(0, 0, 1, 1, 2, 2, 3, 3);
    let second = _mm512_setr_epi64(4, 4, 5, 5, 6, 6, 7, 7);
    // SAFETY: `words` is 128 readable bytes.
    let [low, high] = unsafe {
        [_mm512_loadu_epi64(words.as_ptr().cast()), _mm512_loadu_epi64(words.as_ptr().add(LANES / 2).cast())]
    };
    store([
        _mm512_permutexvar_epi64(first, low),
        _mm512_permutexvar_epi64(second, low),
        _mm512_permutexvar_epi64(first, high),
        _mm512_permutexvar_epi64(second, high),
    ])
}

#[inline]
#[target_feature(enable = "avx512f")]
fn if_colour(x: &Row, value: &Row) -> Row {
    let (x, mut out) = (load(x), load(value));
    for r in 0..REGISTERS {
        // Both words of a block see its lowest word.
        let colour = _mm512_shuffle_epi32::<0b01_00_01_00>(x[r]);
        let mask = _mm512_test_epi64_mask(colour, _mm512_set1_epi64(1));
        out[r] = _mm512_maskz_mov_epi64(mask, out[r]);
    }
    store(out)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(row: &Row) -> Registers {
    let words: &[[i64; 8]; REGISTERS] = bytemuck::cast_ref(row);
    let mut out = [_mm512_setzero_si512(); REGISTERS];
    for (register, words) in out.iter_mut().zip(words) {
        // SAFETY: `words` is 64 readable bytes.
        *register = unsafe { _mm512_loadu_epi64(words.as_ptr()) };
    }
    out
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(registers: Registers) -> Row {
    let mut out = Row::ZERO;
    let words: &mut [[i64; 8]; REGISTERS] = bytemuck::cast_mut(&mut out);
    for (register, words) in registers.iter().zip(words) {
        // SAFETY: `words` is 64 writable bytes.
        unsafe { _mm512_storeu_epi64(words.as_mut_ptr(), *register) };
    }
    out
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_words(words: &[u32; LANES]) -> __m512i {
    // SAFETY: `words` is 64 readable bytes.
    unsafe { _mm512_loadu_epi32(words.as_ptr().cast()) }
}

/// The same block four times.
#[inline]
#[target_feature(enable = "avx512f")]
fn from_block(block: Block) -> __m512i {
    _mm512_broadcast_i32x4(from_bits(block.0 as i128))
}

#[inline]
#[target_feature(enable = "sse2")]
fn from_bits(bits: i128) -> __m128i {
    _mm_set_epi64x((bits >> 64) as i64, bits as i64)
}
