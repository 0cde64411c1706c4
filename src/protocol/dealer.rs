//! The trusted third role: draws correlated randomness and hands it out before the query is known.
//!
//! What one party can expand itself goes to it as a 16-byte key; only the correction of the other
//! party's share is sent in full. The dealer never receives anything.

use crate::crypto::{Prg, Seed};
use crate::link::{Endpoint, LinkError, Party, Phase};

/// The dealer's channel and randomness.
pub struct Dealer<'a> {
    endpoint: &'a mut Endpoint,
    prg: Prg,
}

impl<'a> Dealer<'a> {
    /// A dealer.
    pub fn new(endpoint: &'a mut Endpoint, seed: Seed) -> Dealer<'a> {
        Dealer { endpoint, prg: seed.derive("dealer").prg() }
    }

    /// Goes on in `phase` at `layer`.
    ///
    /// # Errors
    /// See [`Endpoint::enter`].
    pub fn enter(&mut self, phase: Phase, layer: u32) -> Result<(), LinkError> {
        self.endpoint.enter(phase, layer)
    }

    /// A fresh key, and its stream.
    pub fn key(&mut self) -> ([u8; 16], Prg) {
        let key = self.prg.key();
        (key, Prg::from_key(key))
    }

    /// Sends one message made of a key and of words.
    ///
    /// # Errors
    /// See [`Endpoint::send`].
    pub fn send<T: bytemuck::Pod>(&mut self, to: Party, key: Option<[u8; 16]>, words: &[T]) -> Result<(), LinkError> {
        let words: &[u8] = bytemuck::cast_slice(words);
        let mut bytes = Vec::with_capacity(16 + words.len());
        bytes.extend(key.into_iter().flatten());
        bytes.extend_from_slice(words);
        self.endpoint.send(to, bytes)
    }
}
