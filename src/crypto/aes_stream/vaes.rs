//! The kernel with VAES on 512-bit registers, handed out only after its instructions were detected.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

/// Registers in flight: a round takes a few cycles, and one can start every cycle.
const REGISTERS: usize = 8;
/// Blocks in flight.
const STEP: usize = 4 * REGISTERS;

/// The eleven round keys; exists only where the kernel can run.
#[derive(Clone)]
pub(in crate::crypto) struct Key([[u8; 16]; 11]);

impl Key {
    /// Expands a key, if this processor has the kernel's instructions.
    pub fn new(key: &[u8; 16]) -> Option<Key> {
        let detected =
            is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("vaes") && is_x86_feature_detected!("aes");
        // SAFETY: the features were just detected.
        detected.then(|| unsafe { expand(key) })
    }

    /// The blocks from `first` on.
    pub fn fill(&self, first: u64, out: &mut [[u8; 16]]) {
        // SAFETY: a `Key` exists only where `new` found the features.
        unsafe { fill(self, first, out) }
    }
}

/// The key schedule of FIPS-197, section 5.2.
#[target_feature(enable = "aes,sse2")]
fn expand(key: &[u8; 16]) -> Key {
    let mut keys = [*key; 11];
    macro_rules! round {
        ($($round:literal $constant:literal),*) => {$({
            let before = load(&keys[$round - 1]);
            let assisted = _mm_aeskeygenassist_si128::<$constant>(before);
            let mut words = before;
            for _ in 0..3 {
                // Each word is XORed with all words before it.
                words = _mm_xor_si128(before, _mm_slli_si128::<4>(words));
            }
            words = _mm_xor_si128(words, _mm_shuffle_epi32::<0xff>(assisted));
            // SAFETY: a round key is 16 writable bytes; the store needs no alignment.
            unsafe { _mm_storeu_si128(keys[$round].as_mut_ptr().cast(), words) };
        })*};
    }
    round!(1 0x01, 2 0x02, 3 0x04, 4 0x08, 5 0x10, 6 0x20, 7 0x40, 8 0x80, 9 0x1b, 10 0x36);
    Key(keys)
}

#[inline]
#[target_feature(enable = "sse2")]
fn load(key: &[u8; 16]) -> __m128i {
    // SAFETY: `key` is 16 readable bytes; the load needs no alignment.
    unsafe { _mm_loadu_si128(key.as_ptr().cast()) }
}

/// A round key for each of four blocks.
#[inline]
#[target_feature(enable = "avx512f")]
fn broadcast(key: &[u8; 16]) -> __m512i {
    _mm512_broadcast_i32x4(load(key))
}

#[target_feature(enable = "avx512f,vaes")]
fn fill(key: &Key, first: u64, out: &mut [[u8; 16]]) {
    let mut counter = first;
    let (steps, rest) = out.as_chunks_mut::<STEP>();
    for step in steps {
        encrypt(key, counter, step);
        counter = counter.wrapping_add(STEP as u64);
    }
    if !rest.is_empty() {
        let mut last = [[0; 16]; STEP];
        encrypt(key, counter, &mut last);
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

#[inline]
#[target_feature(enable = "avx512f,vaes")]
fn encrypt(key: &Key, first: u64, out: &mut [[u8; 16]; STEP]) {
    let mut state = counters::<REGISTERS>(first);
    let whitening = broadcast(&key.0[0]);
    state.iter_mut().for_each(|register| *register = _mm512_xor_si512(*register, whitening));
    for round in &key.0[1..10] {
        let round = broadcast(round);
        state.iter_mut().for_each(|register| *register = _mm512_aesenc_epi128(*register, round));
    }
    let last = broadcast(&key.0[10]);
    for (register, out) in state.iter().zip(out.as_chunks_mut::<4>().0) {
        // SAFETY: `out` is 64 writable bytes; the store needs no alignment.
        unsafe { _mm512_storeu_si512(out.as_mut_ptr().cast(), _mm512_aesenclast_epi128(*register, last)) };
    }
}

/// Blocks holding `first`, `first + 1`, ...
#[inline]
#[target_feature(enable = "avx512f")]
fn counters<const N: usize>(first: u64) -> [__m512i; N] {
    let mut out = [_mm512_setzero_si512(); N];
    for (i, register) in out.iter_mut().enumerate() {
        let counter = |lane: u64| first.wrapping_add(4 * i as u64 + lane) as i64;
        *register = _mm512_setr_epi64(counter(0), 0, counter(1), 0, counter(2), 0, counter(3), 0);
    }
    out
}
