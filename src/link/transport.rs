//! What carries messages between endpoints: threads of one process (`fabric`), or a real network.

use super::{CriticalPath, LinkError, Party, Phase};
use crate::units::Nanos;
use std::sync::Arc;
use std::time::Instant;

/// A message in flight.
pub(crate) struct Message {
    pub bytes: Vec<u8>,
    pub phase: Phase,
    /// Causal depth.
    pub depth: u32,
    /// On the receiver's clock; over a real network what it shows when the message is there.
    pub arrives_at: Nanos,
    /// What `arrives_at` is made of.
    pub path: Arc<CriticalPath>,
    pub floor_arrives_at: Nanos,
}

/// What a receiver waits for.
#[derive(Clone, Copy)]
pub(crate) struct Expected {
    pub phase: Phase,
    /// Being processed, for messages.
    pub layer: u32,
    pub bytes: usize,
}

/// Carries messages first-in first-out between each pair of parties, in each phase.
pub(crate) trait Transport: Send + Sync {
    /// Takes part: returns when it is `me`'s turn.
    fn start(&self, me: Party) -> Result<(), LinkError>;

    /// Hands a message over; blocks while too much is under way.
    fn send(&self, me: Party, to: Party, message: Message) -> Result<(), LinkError>;

    /// The next message from `from`, which must have the expected length.
    fn recv(&self, me: Party, from: Party, expected: Expected) -> Result<Message, LinkError>;

    /// Under clocks of real time: waits until every party still taking part has entered `phase`; its start.
    fn barrier(&self, me: Party, phase: Phase) -> Result<Instant, LinkError>;

    /// Waits until `deadline`, or less if something failed meanwhile.
    fn pause_until(&self, deadline: Instant) -> Result<(), LinkError>;
}

impl Expected {
    /// # Errors
    /// [`LinkError::WrongLength`] if a message of `actual` bytes is another one.
    pub fn check(&self, from: Party, actual: usize) -> Result<(), LinkError> {
        let Expected { phase, layer, bytes: expected } = *self;
        match actual == expected {
            true => Ok(()),
            false => Err(LinkError::WrongLength { from, phase, layer, expected, actual }),
        }
    }
}
