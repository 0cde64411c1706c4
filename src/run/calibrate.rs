//! How fast the machine is right now: the processor time of a fixed piece of work.
//!
//! The work is none of this project's own kernels, so that a change of those shows against it: a BLAKE3 digest
//! (vector units), multiplications (scalar units) and a walk over memory that no cache near the core holds.

use crate::units::Nanos;
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;

/// Bytes that are digested, and eight times as many that are walked over.
const DIGESTED: usize = 1 << 20;
const MULTIPLICATIONS: u64 = 600_000;
/// So many of them do not wait for each other: the protocols' kernels keep all units of the core busy, so the calibration
/// must, too, or it would not notice who else uses them.
const CHAINS: usize = 8;
/// Of so many passes the median counts.
const PASSES: usize = 3;

/// The fixed work with its memory, made once per process.
pub struct Calibration {
    memory: Vec<u64>,
}

impl Default for Calibration {
    fn default() -> Self {
        Calibration { memory: (0..DIGESTED as u64).collect() }
    }
}

impl Calibration {
    /// Processor time of one pass, the median of three; about a millisecond each.
    pub fn measure(&self) -> Nanos {
        let mut times = [0; PASSES].map(|_| self.pass());
        times.sort_unstable();
        times[PASSES / 2]
    }

    fn pass(&self) -> Nanos {
        let start = clock_gettime(ClockId::ThreadCPUTime);
        let bytes: &[u8] = bytemuck::cast_slice(&self.memory);
        black_box(blake3::hash(&bytes[..DIGESTED]));
        let mut products = black_box([3_u64; CHAINS]);
        for factor in 0..MULTIPLICATIONS / CHAINS as u64 {
            products.iter_mut().for_each(|product| *product = product.wrapping_mul(factor | 1).rotate_left(7));
        }
        black_box(products);
        black_box(self.memory.iter().fold(0_u64, |sum, word| sum.wrapping_add(*word)));
        let end = clock_gettime(ClockId::ThreadCPUTime);
        let nanos = |time: rustix::time::Timespec| time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64;
        Nanos(nanos(end) - nanos(start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_is_really_done() {
        // A million bytes, words and hundreds of thousands of multiplications cannot be faster than this on any machine.
        assert!(Calibration::default().measure() > Nanos(50_000));
    }
}
