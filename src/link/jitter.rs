//! Random delays that keep the order of messages, for every model.

use super::model::{LinkModel, LinkParameters};
use crate::units::Nanos;

/// Delays each arrival by a time drawn evenly from zero to the jitter, and never lets a message pass the one before.
pub(super) struct Jittered {
    inner: Box<dyn LinkModel>,
    delays: Delays,
}

/// The delays of one direction, message after message.
pub(super) struct Delays {
    jitter: Nanos,
    random: Random,
    last: Nanos,
}

impl Delays {
    pub(super) fn new(parameters: &LinkParameters) -> Delays {
        // Not the numbers that decide which segments are lost.
        Delays { jitter: parameters.jitter, random: Random::new(!parameters.seed), last: Nanos(0) }
    }

    /// When the next message arrives that would arrive then.
    pub(super) fn delay(&mut self, arrival: Nanos) -> Nanos {
        if self.jitter != Nanos(0) {
            let delay = (self.random.unit() * self.jitter.0 as f64) as u64;
            self.last = self.last.max(Nanos(arrival.0 + delay));
            return self.last;
        }
        arrival
    }
}

impl Jittered {
    pub(super) fn new(inner: Box<dyn LinkModel>, parameters: &LinkParameters) -> Jittered {
        Jittered { inner, delays: Delays::new(parameters) }
    }
}

impl LinkModel for Jittered {
    fn arrival(&mut self, sent_at: Nanos, bytes: u64) -> Nanos {
        let arrival = self.inner.arrival(sent_at, bytes);
        self.delays.delay(arrival)
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
