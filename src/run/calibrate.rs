//! How fast the machine is right now: the processor time of fixed pieces of work.
//!
//! None of it is this project's own kernels, so that a change of those shows against it. Work that stays near the core (a
//! BLAKE3 digest for the vector units, multiplications for the scalar ones, a walk over memory that the farther caches
//! hold) and reading from memory are timed apart: they do not become slow together. Neighbours on the machine may
//! leave the core alone and take half of the memory's bandwidth.

use crate::units::Nanos;
use rustix::time::{ClockId, clock_gettime};
use std::cell::Cell;
use std::hint::black_box;

/// Bytes that are digested, and eight times as many that are walked over.
const DIGESTED: usize = 1 << 20;
const MULTIPLICATIONS: u64 = 200_000;
/// Of so many passes the median counts.
const PASSES: usize = 3;
/// Words of the memory, 64 MiB, and how many are read at a time: when their turn comes again, no cache holds them.
const WORDS: usize = 8 << 20;
const READ: usize = WORDS / 8;

/// The fixed work with its memory, made once per process.
pub struct Calibration {
    memory: Vec<u64>,
    /// The part whose turn it is.
    turn: Cell<usize>,
}

/// What the fixed work took.
#[derive(Clone, Copy, Debug)]
pub struct Calibrated {
    /// Work near the core.
    pub work: Nanos,
    /// Reading from memory.
    pub memory: Nanos,
}

impl Default for Calibration {
    fn default() -> Self {
        Calibration { memory: (0..WORDS as u64).collect(), turn: Cell::new(0) }
    }
}

impl Calibration {
    /// Processor time of each work, the median of three; about a millisecond in all.
    pub fn measure(&self) -> Calibrated {
        Calibrated { work: median(|| self.work()), memory: median(|| self.read()) }
    }

    fn work(&self) {
        let bytes: &[u8] = bytemuck::cast_slice(&self.memory[..DIGESTED]);
        black_box(blake3::hash(&bytes[..DIGESTED]));
        let mut product = black_box(3_u64);
        for factor in 0..MULTIPLICATIONS {
            product = product.wrapping_mul(factor | 1).rotate_left(7);
        }
        black_box(product);
        black_box(sum(&self.memory[..DIGESTED]));
    }

    fn read(&self) {
        let turn = self.turn.replace((self.turn.get() + 1) % (WORDS / READ));
        black_box(sum(&self.memory[turn * READ..][..READ]));
    }
}

fn sum(words: &[u64]) -> u64 {
    words.iter().fold(0, |sum, word| sum.wrapping_add(*word))
}

fn median(work: impl Fn()) -> Nanos {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    };
    let mut times = [(); PASSES].map(|()| {
        let start = now();
        work();
        now() - start
    });
    times.sort_unstable();
    Nanos(times[PASSES / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_is_really_done() {
        // A million bytes, words and hundreds of thousands of multiplications cannot be faster than this on any machine,
        // and no memory delivers 8 MiB faster than in 20 us (400 GB/s).
        let Calibrated { work, memory } = Calibration::default().measure();
        assert!(work > Nanos(50_000) && memory > Nanos(20_000), "{work} {memory}");
    }
}
