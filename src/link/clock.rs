//! What time is: virtual or wall, and how computing is charged.

use crate::units::Nanos;

/// Which clock the parties live on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockMode {
    /// Each party has its own time, advanced by its computing and by arrivals; nobody sleeps.
    Virtual,
    /// Real time; a receiver really waits until its message arrives.
    Wall,
    /// Real time over a real network: each party is a process of its own, and messages arrive when they do.
    Real,
}

/// How computing between channel calls counts under the virtual clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ComputeMode {
    /// The processor time that the party's thread really used, times `scale`.
    Measured {
        /// 1 for this machine; 2 for one half as fast.
        scale: f64,
    },
    /// Computing is free and a run is bit-for-bit deterministic.
    None,
}

/// Processor time of the calling thread since the last lap.
#[derive(Debug)]
pub(super) struct Stopwatch {
    last: u64,
}

impl Stopwatch {
    pub(super) fn start() -> Stopwatch {
        Stopwatch { last: thread_cpu_ns() }
    }

    /// Time since the last lap or resume.
    pub(super) fn lap(&mut self) -> Nanos {
        let now = thread_cpu_ns();
        let elapsed = now.saturating_sub(self.last);
        self.last = now;
        Nanos(elapsed)
    }

    /// Forgets what was used since the last lap: the channel's own work is not the party's.
    pub(super) fn resume(&mut self) {
        self.last = thread_cpu_ns();
    }
}

/// The thread's processor clock: unlike wall time it does not count what other programs on the
/// machine take away.
fn thread_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

impl ComputeMode {
    /// What `elapsed` of real computing counts for.
    pub(super) fn charge(self, elapsed: Nanos) -> Nanos {
        match self {
            ComputeMode::Measured { scale: 1.0 } => elapsed,
            ComputeMode::Measured { scale } => Nanos((elapsed.0 as f64 * scale).round() as u64),
            ComputeMode::None => Nanos(0),
        }
    }
}
