//! One party's end of every channel, with its clocks and its meter.

use super::clock::Stopwatch;
use super::ledger::{AccountTotals, Act, Event, Ledger, Mark, Sent};
use super::run::LinkConfig;
use super::transport::{Expected, Message, Transport};
use super::{ClockMode, ComputeMode, CriticalPath, LinkError, LinkModel, Party, Phase};
use crate::units::Nanos;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A received message, kept when [`LinkConfig::capture`] is set.
#[derive(Clone, Debug)]
pub struct Captured {
    /// Phase.
    pub phase: Phase,
    /// The receiver's layer.
    pub layer: u32,
    /// Sender.
    pub from: Party,
    /// Payload.
    pub bytes: Vec<u8>,
}

/// One direction of one phase: the link as it is, and as it would be if computing were free.
struct Direction {
    actual: Box<dyn LinkModel>,
    floor: Box<dyn LinkModel>,
    latency: Nanos,
    /// Arrival and path of the last message.
    last: (Nanos, Arc<CriticalPath>),
    digest: blake3::Hasher,
}

#[derive(Default)]
struct Account {
    totals: AccountTotals,
    /// What `totals.now` is made of.
    path: CriticalPath,
    /// Depth of the deepest message received.
    depth: u32,
    /// Wall clock: the common start.
    epoch: Option<Instant>,
}

/// What a party's thread is given: blocking, first-in first-out (in each phase) `send` and `recv`, nothing else.
pub struct Endpoint {
    me: Party,
    transport: Arc<dyn Transport>,
    mode: ClockMode,
    compute: ComputeMode,
    stopwatch: Stopwatch,
    accounts: [Account; 3],
    directions: BTreeMap<(Phase, Party), Direction>,
    phase: Phase,
    layer: u32,
    ledger: Ledger,
    captured: Option<Vec<Captured>>,
    /// Charged since the last event.
    computed: Nanos,
    /// The party's work is over; what it frees after it is not charged.
    closed: bool,
}

impl Account {
    /// Time passes by what `me` does for `layer`.
    fn advance(&mut self, me: Party, layer: u32, now: Nanos) {
        self.path.compute(me, layer, Nanos(now.0 - self.totals.now.0));
        self.totals.now = now;
    }
}

impl Direction {
    /// The path of a message sent now: its sender's, or that of the message before if it had to wait for that one.
    fn path(&mut self, layer: u32, sender: &Account, arrives_at: Nanos) -> Arc<CriticalPath> {
        let sent_at = sender.totals.now;
        let (before, path) = &self.last;
        let path = match before.0 > sent_at.0 + self.latency.0 {
            true => path.queued(layer, Nanos(arrives_at.0 - before.0)),
            false => sender.path.sent(layer, Nanos(arrives_at.0 - sent_at.0), self.latency),
        };
        self.last = (arrives_at, Arc::new(path));
        self.last.1.clone()
    }
}

impl Endpoint {
    /// To be called on the party's own thread: waits for its first turn.
    pub(super) fn start(me: Party, transport: Arc<dyn Transport>, config: &LinkConfig) -> Result<Endpoint, LinkError> {
        let directions = Phase::ALL
            .into_iter()
            .flat_map(|phase| Party::ALL.into_iter().filter(|to| *to != me).map(move |to| (phase, to)))
            .map(|(phase, to)| {
                let direction = Direction {
                    actual: config.direction(me),
                    floor: config.direction(me),
                    latency: config.parameters(me).latency,
                    last: Default::default(),
                    digest: blake3::Hasher::new(),
                };
                ((phase, to), direction)
            })
            .collect();
        transport.start(me)?;
        let mut endpoint = Endpoint {
            me,
            transport,
            mode: config.clock,
            compute: config.compute,
            stopwatch: Stopwatch::start(),
            accounts: Default::default(),
            directions,
            phase: Phase::Setup,
            layer: 0,
            ledger: Ledger::default(),
            captured: config.capture.then(Vec::new),
            computed: Nanos(0),
            closed: false,
        };
        endpoint.open_phase(Phase::Setup)?;
        Ok(endpoint)
    }

    /// Who this is.
    pub fn party(&self) -> Party {
        self.me
    }

    /// The phase under way.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Which clock runs.
    pub fn clock(&self) -> ClockMode {
        self.mode
    }

    /// Goes on in `phase` at `layer`; both are what the meter books the following messages on.
    ///
    /// # Errors
    /// Under the wall clock the first entry of a phase waits for the other parties, who may have failed.
    pub fn enter(&mut self, phase: Phase, layer: u32) -> Result<(), LinkError> {
        self.leave();
        (self.phase, self.layer) = (phase, layer);
        self.open_phase(phase)?;
        self.stopwatch.resume();
        Ok(())
    }

    /// Books the following computing and messages on `layer`, without leaving the layer that was entered.
    pub fn book(&mut self, layer: u32) {
        self.charge();
        self.record(Act::Leave);
        self.layer = layer;
        self.stopwatch.resume();
    }

    fn open_phase(&mut self, phase: Phase) -> Result<(), LinkError> {
        if self.mode != ClockMode::Virtual && self.accounts[phase.index()].epoch.is_none() {
            self.accounts[phase.index()].epoch = Some(self.transport.barrier(self.me, phase)?);
        }
        Ok(())
    }

    /// Sends one message.
    ///
    /// # Errors
    /// [`LinkError::PeerFailed`], [`LinkError::Cancelled`].
    pub fn send(&mut self, to: Party, bytes: Vec<u8>) -> Result<(), LinkError> {
        self.charge();
        self.record(Act::Send { to, bytes: bytes.len() as u64 });
        let account = &self.accounts[self.phase.index()];
        let direction =
            self.directions.get_mut(&(self.phase, to)).expect("a party has a direction to every other party");
        let length = bytes.len() as u64;
        direction.digest.update(&length.to_le_bytes()).update(&bytes);
        // When a real network delivers is only known there.
        let emulated = self.mode != ClockMode::Real;
        let arrives_at = match emulated {
            true => direction.actual.arrival(account.totals.now, length),
            false => account.totals.now,
        };
        let message = Message {
            phase: self.phase,
            depth: account.depth + 1,
            arrives_at,
            path: if emulated { direction.path(self.layer, account, arrives_at) } else { Arc::default() },
            floor_arrives_at: match emulated {
                true => direction.floor.arrival(account.totals.floor, length),
                false => Nanos(0),
            },
            bytes,
        };
        let traffic = self.ledger.sent.entry((self.phase, self.layer, to)).or_default();
        traffic.bytes += length;
        traffic.messages += 1;
        traffic.depth = traffic.depth.max(message.depth);
        self.ledger.messages.push(Sent {
            phase: self.phase,
            layer: self.layer,
            to,
            bytes: length,
            depth: message.depth,
            sent_at: account.totals.now,
            arrives_at,
        });
        self.transport.send(self.me, to, message)?;
        self.stopwatch.resume();
        Ok(())
    }

    /// Receives the next message that `from` sent in this phase, which must have `expected` bytes.
    ///
    /// # Errors
    /// [`LinkError::WrongLength`], and whatever ended the peer.
    pub fn recv(&mut self, from: Party, expected: usize) -> Result<Vec<u8>, LinkError> {
        self.charge();
        self.record(Act::Receive { from });
        let expected = Expected { phase: self.phase, layer: self.layer, bytes: expected };
        let message = self.transport.recv(self.me, from, expected)?;
        match self.mode {
            ClockMode::Virtual | ClockMode::Wall => self.arrive(&message)?,
            ClockMode::Real => self.arrived(from, message.depth),
        }
        if let Some(captured) = &mut self.captured {
            captured.push(Captured { phase: self.phase, layer: self.layer, from, bytes: message.bytes.clone() });
        }
        self.stopwatch.resume();
        Ok(message.bytes)
    }

    /// Moves this party's clocks to the message's arrival; under the wall clock by really waiting.
    fn arrive(&mut self, message: &Message) -> Result<(), LinkError> {
        let account = &mut self.accounts[self.phase.index()];
        account.depth = account.depth.max(message.depth);
        account.totals.floor = account.totals.floor.max(message.floor_arrives_at);
        let was_waiting = account.totals.now < message.arrives_at;
        if was_waiting {
            account.totals.now = message.arrives_at;
            account.path.clone_from(&message.path);
        }
        if let Some(epoch) = account.epoch {
            self.transport.pause_until(epoch + Duration::from_nanos(message.arrives_at.0))?;
            account.advance(self.me, self.layer, Nanos(epoch.elapsed().as_nanos() as u64));
            if was_waiting {
                self.ledger.lateness.saturating_record(account.totals.now.0 - message.arrives_at.0);
            }
        }
        Ok(())
    }

    /// A message came over a real network: its receiver's clock shows when, and how long it had to wait.
    fn arrived(&mut self, from: Party, depth: u32) {
        let account = &mut self.accounts[self.phase.index()];
        account.depth = account.depth.max(depth);
        let epoch = account.epoch.expect("a phase on a real clock has a start");
        let now = Nanos(epoch.elapsed().as_nanos() as u64);
        account.path.waited(self.layer, Nanos(now.0 - account.totals.now.0));
        account.totals.now = now;
        self.ledger.received.entry((self.phase, from)).or_default().push(now);
    }

    /// Runs something that is no part of the party's work: the virtual clock does not see it.
    pub fn off_the_clock<T>(&mut self, work: impl FnOnce() -> T) -> T {
        self.charge();
        let result = work();
        self.stopwatch.lap();
        result
    }

    /// Books what the party computed since the last channel call.
    fn charge(&mut self) {
        let elapsed = self.stopwatch.lap();
        let charged = self.compute.charge(elapsed);
        let account = &mut self.accounts[self.phase.index()];
        account.totals.compute.0 += charged.0;
        let now = match account.epoch {
            None => Nanos(account.totals.now.0 + charged.0),
            Some(epoch) => Nanos(epoch.elapsed().as_nanos() as u64),
        };
        account.advance(self.me, self.layer, now);
        self.computed.0 += charged.0;
    }

    /// Notes what was computed since the last event, and `act`.
    fn record(&mut self, act: Act) {
        let compute = std::mem::take(&mut self.computed);
        if act != Act::Leave || compute != Nanos(0) {
            self.ledger.events.push(Event { phase: self.phase, layer: self.layer, compute, act });
        }
    }

    fn leave(&mut self) {
        self.charge();
        self.record(Act::Leave);
        let now = self.accounts[self.phase.index()].totals.now;
        let events = self.ledger.events.len();
        self.ledger.marks.push(Mark { phase: self.phase, layer: self.layer, now, events });
    }

    /// Ends the party's work: its clocks stand still from here on, while it frees what it held.
    pub fn close(&mut self) {
        self.leave();
        self.closed = true;
    }

    /// What the party recorded; closes the endpoint if the party has not.
    pub(super) fn finish(mut self) -> (Ledger, Vec<Captured>) {
        if !self.closed {
            self.close();
        }
        self.ledger.accounts = self.accounts.each_ref().map(|account| account.totals);
        self.ledger.paths = self.accounts.map(|account| account.path);
        self.ledger.digests =
            self.directions.iter().map(|(key, direction)| (*key, direction.digest.finalize())).collect();
        (self.ledger, self.captured.unwrap_or_default())
    }
}
