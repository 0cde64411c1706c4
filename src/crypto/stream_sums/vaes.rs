//! The kernel with VAES on 512-bit registers.
#![allow(unsafe_code)]

use super::STEP;
use crate::crypto::Block;
use crate::crypto::counter_vaes::{REGISTERS, RoundKeys, counters, encrypt, store, xor};
use std::arch::x86_64::*;

/// The round keys of all streams.
pub(super) struct Keys(Vec<RoundKeys>);

impl Keys {
    /// Expands the keys, if this processor has the kernel's instructions.
    pub(super) fn new(keys: &[[u8; 16]]) -> Option<Keys> {
        keys.iter().map(RoundKeys::new).collect::<Option<_>>().map(Keys)
    }

    /// See [`super::StreamSums::fill`]; `n` is a multiple of [`STEP`], and the keys are 4, 16 or 256.
    pub(super) fn fill(&self, first: u64, rows: &mut [Block], n: usize) {
        // SAFETY: there are round keys, which exist only where the features were detected.
        unsafe {
            match self.0.len() {
                4 => fill::<0>(&self.0, first, rows, n),
                16 => fill::<2>(&self.0, first, rows, n),
                256 => fill::<6>(&self.0, first, rows, n),
                others => unreachable!("{others} keys were refused"),
            }
        }
    }
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
            let [a, b] = encrypt([a, b], [&counters; 2]);
            lowest = xor(lowest, b);
            let low = xor(a, b);
            let [c, d] = encrypt([c, d], [&counters; 2]);
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
        store(&lowest, step(rows, start));
        store(&second, step(rows, n + start));
        for (b, sum) in sums.iter().enumerate() {
            store(sum, step(rows, (2 + b) * n + start));
        }
        store(&total, step(rows, (2 + UPPER) * n + start));
    }
}

/// The bytes of a step's blocks.
fn step(rows: &mut [Block], start: usize) -> &mut [u8; 16 * STEP] {
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut rows[start..start + STEP]);
    bytes.try_into().expect("a step of blocks")
}
