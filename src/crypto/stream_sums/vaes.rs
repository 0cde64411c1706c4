//! The kernel with VAES on 512-bit registers, handed out only after its instructions were detected.
#![allow(unsafe_code)]

use super::STEP;
use crate::crypto::Block;
use std::arch::x86_64::*;

/// Registers of a stream that are in flight: with those of its neighbour, enough to hide the latency of a round.
const REGISTERS: usize = STEP / 4;

type Registers = [__m512i; REGISTERS];

/// The round keys of one stream.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct RoundKeys([[u8; 16]; 11]);

/// The round keys of all streams; exists only where the kernel can run.
pub(super) struct Keys(Vec<RoundKeys>);

impl Keys {
    /// Expands the keys, if this processor has the kernel's instructions.
    pub(super) fn new(keys: &[[u8; 16]]) -> Option<Keys> {
        let detected = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("vaes")
            && is_x86_feature_detected!("aes")
            && is_x86_feature_detected!("sse2");
        // SAFETY: the features were just detected.
        detected.then(|| Keys(keys.iter().map(|key| unsafe { expand(key) }).collect()))
    }

    /// See [`super::StreamSums::fill`]; `n` is a multiple of [`STEP`], and the keys are 4, 16 or 256.
    pub(super) fn fill(&self, first: u64, rows: &mut [Block], n: usize) {
        // SAFETY: `new` returned these keys, so it detected the features.
        unsafe {
            match self.0.len() {
                4 => fill::<0>(&self.0, first, rows, n),
                16 => fill::<2>(&self.0, first, rows, n),
                _ => fill::<6>(&self.0, first, rows, n),
            }
        }
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

/// Indices of `UPPER` bits above the lowest two.
#[target_feature(enable = "avx512f,vaes")]
fn fill<const UPPER: usize>(keys: &[RoundKeys], first: u64, rows: &mut [Block], n: usize) {
    let zero = [_mm512_setzero_si512(); REGISTERS];
    for start in (0..n).step_by(STEP) {
        let counters = counters(first + start as u64);
        // Four streams at a time stay in registers, and the sums of the two lowest bits always.
        let (mut lowest, mut second, mut total) = (zero, zero, zero);
        let (mut sums, mut partial) = ([zero; UPPER], [zero; UPPER]);
        for (y, [a, b, c, d]) in keys.as_chunks::<4>().0.iter().enumerate() {
            let [a, b] = encrypt([a, b], &counters);
            lowest = xor(lowest, b);
            let low = xor(a, b);
            let [c, d] = encrypt([c, d], &counters);
            lowest = xor(lowest, d);
            let high = xor(c, d);
            second = xor(second, high);
            let mut sum = xor(low, high);
            let mut level = 0;
            while level < UPPER && y >> level & 1 == 1 {
                sums[level] = xor(sums[level], sum);
                sum = xor(sum, partial[level]);
                level += 1;
            }
            match partial.get_mut(level) {
                Some(partial) => *partial = sum,
                None => total = sum,
            }
        }
        store(&lowest, &mut rows[start..][..STEP]);
        store(&second, &mut rows[n + start..][..STEP]);
        for (b, sum) in sums.iter().enumerate() {
            store(sum, &mut rows[(2 + b) * n + start..][..STEP]);
        }
        store(&total, &mut rows[(2 + UPPER) * n + start..][..STEP]);
    }
}

/// Blocks holding `first`, `first + 1`, ...
#[inline]
#[target_feature(enable = "avx512f")]
fn counters(first: u64) -> Registers {
    let mut out = [_mm512_setzero_si512(); REGISTERS];
    for (i, register) in out.iter_mut().enumerate() {
        let counter = |lane: u64| first.wrapping_add(4 * i as u64 + lane) as i64;
        *register = _mm512_setr_epi64(counter(0), 0, counter(1), 0, counter(2), 0, counter(3), 0);
    }
    out
}

/// The same counters under two keys.
#[inline]
#[target_feature(enable = "avx512f,vaes")]
fn encrypt(keys: [&RoundKeys; 2], counters: &Registers) -> [Registers; 2] {
    let mut state = [*counters; 2];
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
fn xor(a: Registers, b: Registers) -> Registers {
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
fn store(registers: &Registers, out: &mut [Block]) {
    for (register, out) in registers.iter().zip(out.as_chunks_mut::<4>().0) {
        // SAFETY: `out` is 64 writable bytes; the store needs no alignment.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), *register) };
    }
}
