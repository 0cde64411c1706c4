//! AES-128 in counter mode with VAES on 512-bit registers: keys exist only where the instructions were detected.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

/// Blocks of a stream that are encrypted together; with as many of its neighbour, they hide the latency of a round.
pub(super) const STEP: usize = 16;
pub(super) const REGISTERS: usize = STEP / 4;

pub(super) type Registers = [__m512i; REGISTERS];

/// The round keys of one stream.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
pub(super) struct RoundKeys([[u8; 16]; 11]);

impl RoundKeys {
    /// The key schedule, if this processor has the instructions of this module.
    pub(super) fn new(key: &[u8; 16]) -> Option<RoundKeys> {
        let detected = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("vaes")
            && is_x86_feature_detected!("aes")
            && is_x86_feature_detected!("sse2");
        // SAFETY: the features were just detected.
        detected.then(|| unsafe { expand(key) })
    }

    /// The encryptions of `first`, `first + 1`, ...: whole pairs of [`STEP`] blocks, the rest of `out` is left as it is.
    pub(super) fn fill(&self, first: u64, out: &mut [u8]) {
        // SAFETY: `new` made these keys, so it detected the features.
        unsafe { fill(self, first, out) }
    }
}

/// The key schedule of FIPS-197, section 5.2.
#[target_feature(enable = "aes,sse2")]
fn expand(key: &[u8; 16]) -> RoundKeys {
    let mut keys = [*key; 11];
    macro_rules! round {
        ($($round:literal $constant:literal),*) => {$({
            let [before, assisted] = assist::<$constant>(&keys[$round - 1]);
            let mut words = before;
            for _ in 0..3 {
                // Each word is XORed with all words before it.
                words = _mm_xor_si128(before, _mm_slli_si128::<4>(words));
            }
            keys[$round] = bytes(_mm_xor_si128(words, _mm_shuffle_epi32::<0xff>(assisted)));
        })*};
    }
    round!(1 0x01, 2 0x02, 3 0x04, 4 0x08, 5 0x10, 6 0x20, 7 0x40, 8 0x80, 9 0x1b, 10 0x36);
    RoundKeys(keys)
}

/// The round key, and in its last word `SubWord(RotWord(.)) ^ constant` of the round key's last word.
#[inline]
#[target_feature(enable = "aes,sse2")]
fn assist<const CONSTANT: i32>(key: &[u8; 16]) -> [__m128i; 2] {
    // SAFETY: `key` is 16 readable bytes; the load needs no alignment.
    let key = unsafe { _mm_loadu_si128(key.as_ptr().cast()) };
    [key, _mm_aeskeygenassist_si128::<CONSTANT>(key)]
}

#[inline]
#[target_feature(enable = "sse2")]
fn bytes(register: __m128i) -> [u8; 16] {
    let mut bytes = [0; 16];
    // SAFETY: `bytes` is 16 writable bytes; the store needs no alignment.
    unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), register) };
    bytes
}

#[target_feature(enable = "avx512f,vaes")]
fn fill(keys: &RoundKeys, first: u64, out: &mut [u8]) {
    for (i, [low, high]) in out.as_chunks_mut::<{ 16 * STEP }>().0.as_chunks_mut::<2>().0.iter_mut().enumerate() {
        let start = first.wrapping_add((2 * STEP * i) as u64);
        let [a, b] = encrypt([keys; 2], [&counters(start), &counters(start.wrapping_add(STEP as u64))]);
        store(&a, low);
        store(&b, high);
    }
}

/// Blocks holding `first`, `first + 1`, ...
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn counters(first: u64) -> Registers {
    let mut out = [_mm512_setzero_si512(); REGISTERS];
    for (i, register) in out.iter_mut().enumerate() {
        let counter = |lane: u64| first.wrapping_add(4 * i as u64 + lane) as i64;
        *register = _mm512_setr_epi64(counter(0), 0, counter(1), 0, counter(2), 0, counter(3), 0);
    }
    out
}

/// The counters of two streams under their keys.
#[inline]
#[target_feature(enable = "avx512f,vaes")]
pub(super) fn encrypt(keys: [&RoundKeys; 2], counters: [&Registers; 2]) -> [Registers; 2] {
    let mut state = counters.map(|counters| *counters);
    for (state, keys) in state.iter_mut().zip(keys) {
        *state = xor(*state, [broadcast(&keys.0[0]); REGISTERS]);
    }
    for round in 1..10 {
        for (state, keys) in state.iter_mut().zip(keys) {
            let key = broadcast(&keys.0[round]);
            for register in state {
                *register = _mm512_aesenc_epi128(*register, key);
            }
        }
    }
    for (state, keys) in state.iter_mut().zip(keys) {
        let key = broadcast(&keys.0[10]);
        for register in state {
            *register = _mm512_aesenclast_epi128(*register, key);
        }
    }
    state
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn xor(a: Registers, b: Registers) -> Registers {
    let mut out = a;
    for (out, b) in out.iter_mut().zip(b) {
        *out = _mm512_xor_si512(*out, b);
    }
    out
}

#[inline]
#[target_feature(enable = "avx512f")]
fn broadcast(key: &[u8; 16]) -> __m512i {
    // SAFETY: `key` is 16 readable bytes; the load needs no alignment.
    _mm512_broadcast_i32x4(unsafe { _mm_loadu_si128(key.as_ptr().cast()) })
}

#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn store(registers: &Registers, out: &mut [u8; 16 * STEP]) {
    for (register, out) in registers.iter().zip(out.as_chunks_mut::<64>().0) {
        // SAFETY: `out` is 64 writable bytes; the store needs no alignment.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), *register) };
    }
}
