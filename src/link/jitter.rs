//! Random delays that keep the order of messages, for every model.

use super::model::{LinkModel, LinkParameters};
use crate::units::Nanos;

/// Delays each arrival by a time drawn evenly from zero to the jitter, and never lets a message pass the one before.
pub(super) struct Jittered {
    inner: Box<dyn LinkModel>,
    jitter: Nanos,
    random: Random,
    last: Nanos,
}

impl Jittered {
    pub(super) fn new(inner: Box<dyn LinkModel>, parameters: &LinkParameters) -> Jittered {
        // Not the numbers that decide which segments are lost.
        let random = Random::new(!parameters.seed);
        Jittered { inner, jitter: parameters.jitter, random, last: Nanos(0) }
    }
}

impl Jittered {
    fn delayed(&mut self, arrival: Nanos) -> Nanos {
        let delay = (self.random.unit() * self.jitter.0 as f64) as u64;
        self.last = self.last.max(Nanos(arrival.0 + delay));
        self.last
    }
}

impl LinkModel for Jittered {
    fn arrival(&mut self, sent_at: Nanos, bytes: u64) -> Nanos {
        let arrival = self.inner.arrival(sent_at, bytes);
        self.delayed(arrival)
    }

    fn exchange(&mut self, sent_at: Nanos, bytes: u64) -> Nanos {
        let arrival = self.inner.exchange(sent_at, bytes);
        self.delayed(arrival)
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014): small and fast; nothing here is secret.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// From 0 to below 1.
    pub(super) fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((word ^ (word >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}
