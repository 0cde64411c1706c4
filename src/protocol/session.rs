//! Everything that protocol code of the server and the client is given.

use super::pack::{pack, packed_bytes, unpack};
use super::{MaterialStore, ProtocolError};
use crate::crypto::{Prg, Seed};
use crate::link::{Endpoint, LinkError, Party, Phase};

/// One party's role, channel, accounts and seeded randomness.
pub struct Session<'a> {
    endpoint: &'a mut Endpoint,
    peer: Party,
    seed: Seed,
    draws: u64,
    store: MaterialStore,
}

impl<'a> Session<'a> {
    /// A session of the server or the client.
    ///
    /// # Panics
    /// If the endpoint is the dealer's.
    pub fn new(endpoint: &'a mut Endpoint, seed: Seed, store: MaterialStore) -> Session<'a> {
        let peer = match endpoint.party() {
            Party::Server => Party::Client,
            Party::Client => Party::Server,
            Party::Dealer => panic!("the dealer has no session; it runs as a Dealer"),
        };
        let seed = seed.derive(&endpoint.party().to_string());
        Session { endpoint, peer, seed, draws: 0, store }
    }

    /// [`Party::Server`] or [`Party::Client`].
    pub fn role(&self) -> Party {
        self.endpoint.party()
    }

    /// Whether this is the server.
    pub fn is_server(&self) -> bool {
        self.role() == Party::Server
    }

    /// `value` at the server and zero at the client: how a public constant enters a sharing.
    pub fn if_server(&self, value: u64) -> u64 {
        if self.is_server() { value } else { 0 }
    }

    /// Where large material is kept until it is used.
    pub fn store(&self) -> &MaterialStore {
        &self.store
    }

    /// Fresh randomness that only this party knows; every call gives another stream.
    pub fn rng(&mut self, label: &str) -> Prg {
        self.draws += 1;
        self.seed.derive_indexed(label, self.draws).prg()
    }

    /// Does what no party would do, such as comparing with plaintext, without charging its time to the virtual clock.
    pub fn off_the_clock<T>(&mut self, work: impl FnOnce() -> T) -> T {
        self.endpoint.off_the_clock(work)
    }

    /// Goes on in `phase` at `layer`.
    ///
    /// # Errors
    /// See [`Endpoint::enter`].
    pub fn enter(&mut self, phase: Phase, layer: u32) -> Result<(), LinkError> {
        self.endpoint.enter(phase, layer)
    }

    /// See [`Endpoint::close`].
    pub fn close(&mut self) {
        self.endpoint.close();
    }

    /// Books the following computing and messages on `layer`, without leaving the layer that was entered.
    pub fn book(&mut self, layer: u32) {
        self.endpoint.book(layer);
    }

    /// Sends bytes to the peer as one message.
    ///
    /// # Errors
    /// See [`Endpoint::send`].
    pub fn send(&mut self, bytes: Vec<u8>) -> Result<(), LinkError> {
        self.endpoint.send(self.peer, bytes)
    }

    /// Receives the peer's next message, which must have `length` bytes.
    ///
    /// # Errors
    /// See [`Endpoint::recv`].
    pub fn recv(&mut self, length: usize) -> Result<Vec<u8>, LinkError> {
        self.endpoint.recv(self.peer, length)
    }

    /// Sends words to the peer as one message, 8 bytes each; nothing for no words.
    ///
    /// # Errors
    /// See [`Endpoint::send`].
    pub fn send_words(&mut self, words: &[u64]) -> Result<(), LinkError> {
        if words.is_empty() {
            return Ok(());
        }
        self.send(bytemuck::cast_slice(words).to_vec())
    }

    /// Receives `n` words; nothing for no words.
    ///
    /// # Errors
    /// See [`Endpoint::recv`].
    pub fn recv_words(&mut self, n: usize) -> Result<Vec<u64>, LinkError> {
        if n == 0 {
            return Ok(Vec::new());
        }
        let bytes = self.recv(n * 8)?;
        Ok(bytemuck::allocation::pod_collect_to_vec(&bytes))
    }

    /// Sends the low `width` bits of each word as one message without gaps; nothing for no words.
    ///
    /// # Errors
    /// See [`Endpoint::send`].
    pub fn send_packed(&mut self, words: &[u64], width: u32) -> Result<(), LinkError> {
        match words {
            [] => Ok(()),
            words => self.send(pack(words, width)),
        }
    }

    /// Receives `n` words of `width` bits; nothing for no words.
    ///
    /// # Errors
    /// See [`Endpoint::recv`].
    pub fn recv_packed(&mut self, n: usize, width: u32) -> Result<Vec<u64>, LinkError> {
        match n {
            0 => Ok(Vec::new()),
            n => Ok(unpack(&self.recv(packed_bytes(n, width))?, width, n)),
        }
    }

    /// Both parties send words at the same time: one round.
    ///
    /// # Errors
    /// See [`Endpoint::recv`].
    pub fn exchange_words(&mut self, words: &[u64]) -> Result<Vec<u64>, LinkError> {
        self.send_words(words)?;
        self.recv_words(words.len())
    }

    /// Receives the dealer's next message, which must have `length` bytes.
    ///
    /// # Errors
    /// See [`Endpoint::recv`].
    pub fn recv_dealt(&mut self, length: usize) -> Result<Dealt, ProtocolError> {
        Ok(Dealt { bytes: self.endpoint.recv(Party::Dealer, length)?, read: 0 })
    }
}

/// A message from the dealer, read from front to back.
pub struct Dealt {
    bytes: Vec<u8>,
    read: usize,
}

impl Dealt {
    fn take(&mut self, n: usize) -> &[u8] {
        self.read += n;
        &self.bytes[self.read - n..self.read]
    }

    /// The stream of the next 16-byte key.
    ///
    /// # Panics
    /// Like the other readers, if the message is shorter than the length it was received with promised.
    pub fn prg(&mut self) -> Prg {
        Prg::from_key(self.take(16).try_into().expect("sixteen bytes were taken"))
    }

    /// The next `n` plain words.
    pub fn words<T: bytemuck::Pod>(&mut self, n: usize) -> Vec<T> {
        bytemuck::allocation::pod_collect_to_vec(self.take(n * size_of::<T>()))
    }
}
