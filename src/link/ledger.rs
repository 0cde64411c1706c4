//! What one party recorded: traffic, clocks and transcript digests.

use super::{CriticalPath, Party, Phase};
use crate::units::Nanos;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;

/// Longest lateness that is told apart.
const HOUR_NS: u64 = 3_600_000_000_000;

/// Messages of one kind: same phase, layer and direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Payload bytes.
    pub bytes: u64,
    /// Messages.
    pub messages: u64,
    /// Largest causal depth.
    pub depth: u32,
}

/// One message, as its sender saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The phase, on whose clock the times are.
    pub phase: Phase,
    /// The sender's layer.
    pub layer: u32,
    /// The receiver.
    pub to: Party,
    /// Payload bytes.
    pub bytes: u64,
    /// Causal depth.
    pub depth: u32,
    /// When the sender let go of it.
    pub sent_at: Nanos,
    /// When its last byte reaches the receiver.
    pub arrives_at: Nanos,
}

/// A party's clock when it left a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The phase.
    pub phase: Phase,
    /// The layer it left.
    pub layer: u32,
    /// Its time in that phase.
    pub now: Nanos,
    /// How many events it had recorded.
    pub events: usize,
}

/// What a party did at one call of its endpoint, and what it computed since the call before: all that its clock depends on
/// besides the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// On whose account.
    pub phase: Phase,
    /// Its layer.
    pub layer: u32,
    /// What it computed before.
    pub compute: Nanos,
    /// The call.
    pub act: Act,
}

/// One call of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The phase or the layer ends.
    Leave,
    /// A message to another party.
    Send {
        /// The receiver.
        to: Party,
        /// Payload.
        bytes: u64,
    },
    /// The next message from another party.
    Receive {
        /// The sender.
        from: Party,
    },
}

/// A party's totals of one phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountTotals {
    /// Its clock at the end.
    pub now: Nanos,
    /// Its clock had computing been free.
    pub floor: Nanos,
    /// Processor time it used.
    pub compute: Nanos,
}

/// BLAKE3 digests of everything sent, by phase and receiver.
pub type Digests = BTreeMap<(Phase, Party), blake3::Hash>;

/// Everything one party recorded during an execution.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// What it sent.
    pub sent: BTreeMap<(Phase, u32, Party), Traffic>,
    /// The same message by message, in the order of sending.
    pub messages: Vec<Sent>,
    /// When it left each layer, in order.
    pub marks: Vec<Mark>,
    /// Everything it did, in order.
    pub events: Vec<Event>,
    /// Totals by [`Phase`] index.
    pub accounts: [AccountTotals; 3],
    /// What its clocks at the end are made of, by [`Phase`] index.
    pub paths: [CriticalPath; 3],
    /// Digests of what it sent.
    pub digests: Digests,
    /// Over a real network: what its clock showed when it had each message, by phase and sender.
    pub received: BTreeMap<(Phase, Party), Vec<Nanos>>,
    /// Under the wall clock: how late deliveries were that the party was waiting for, in ns.
    pub lateness: Histogram<u64>,
}

impl Default for Ledger {
    /// Nothing happened yet.
    fn default() -> Ledger {
        Ledger {
            sent: BTreeMap::new(),
            messages: Vec::new(),
            marks: Vec::new(),
            events: Vec::new(),
            accounts: Default::default(),
            paths: Default::default(),
            digests: BTreeMap::new(),
            received: BTreeMap::new(),
            lateness: Histogram::new_with_max(HOUR_NS, 3)
                .expect("an hour to three significant digits fits a histogram"),
        }
    }
}

impl Ledger {
    /// Bytes sent to `to` in `phase`.
    pub fn bytes(&self, phase: Phase, to: Party) -> u64 {
        self.sent.iter().filter(|((p, _, t), _)| *p == phase && *t == to).map(|(_, traffic)| traffic.bytes).sum()
    }

    /// Messages sent to `to` in `phase`.
    pub fn messages(&self, phase: Phase, to: Party) -> u64 {
        self.sent.iter().filter(|((p, _, t), _)| *p == phase && *t == to).map(|(_, traffic)| traffic.messages).sum()
    }

    /// Largest causal depth of what was sent in `phase`.
    pub fn depth(&self, phase: Phase) -> u32 {
        self.sent.iter().filter(|((p, ..), _)| *p == phase).map(|(_, traffic)| traffic.depth).max().unwrap_or(0)
    }

    /// What its clock at the end of `phase` is made of.
    pub fn path(&self, phase: Phase) -> &CriticalPath {
        &self.paths[phase.index()]
    }

    /// The totals of `phase`.
    pub fn account(&self, phase: Phase) -> AccountTotals {
        self.accounts[phase.index()]
    }
}
