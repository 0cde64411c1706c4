//! Where a party's time went: its clock, split along the critical path by layer and by cause.
//!
//! A party's time is moved by its own computing and by the arrivals it waits for. When it waits, its past is not what
//! decided the time of arrival, the message's is: so every message carries the path of its sender, lengthened by the
//! time under way, and a receiver that waited goes on with the message's path instead of its own. A message that queues
//! behind an earlier one on a busy link goes on with that one's path. The parts of a path therefore add up to the clock
//! exactly, and each is time that, had it been shorter, would have made the clock show less until something else decided.

use super::Party;
use crate::units::Nanos;

/// What one layer contributes to a clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Computing, by [`Party`]; under the wall clock also lateness of the machine.
    pub compute: [Nanos; 3],
    /// Propagation of messages.
    pub latency: Nanos,
    /// Messages passing at the link's rate, waiting for earlier ones included.
    pub bandwidth: Nanos,
}

/// A clock's reading in parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CriticalPath {
    /// By layer.
    layers: Vec<Spent>,
}

impl Spent {
    /// All parts together.
    pub fn total(&self) -> Nanos {
        Nanos(self.compute.iter().map(|part| part.0).sum::<u64>() + self.latency.0 + self.bandwidth.0)
    }
}

impl CriticalPath {
    /// What `layer` contributes.
    pub fn layer(&self, layer: u32) -> Spent {
        self.layers.get(layer as usize).copied().unwrap_or_default()
    }

    /// All layers together: the clock's reading.
    pub fn total(&self) -> Nanos {
        Nanos(self.layers.iter().map(|spent| spent.total().0).sum())
    }

    pub(super) fn compute(&mut self, party: Party, layer: u32, time: Nanos) {
        self.at(layer).compute[party.index()].0 += time.0;
    }

    /// Time spent waiting for a message whose own past is not known: nobody can tell propagation from anything else, so
    /// all of it counts as that.
    pub(super) fn waited(&mut self, layer: u32, time: Nanos) {
        self.at(layer).latency.0 += time.0;
    }

    /// The path of a message that took `under_way` from being sent to arriving.
    pub(super) fn sent(&self, layer: u32, under_way: Nanos, latency: Nanos) -> CriticalPath {
        let mut path = self.clone();
        let spent = path.at(layer);
        spent.latency.0 += latency.0;
        spent.bandwidth.0 += under_way.0 - latency.0;
        path
    }

    /// The path of a message that had to wait for the one with this path, and arrives `later` than it.
    pub(super) fn queued(&self, layer: u32, later: Nanos) -> CriticalPath {
        let mut path = self.clone();
        path.at(layer).bandwidth.0 += later.0;
        path
    }

    fn at(&mut self, layer: u32) -> &mut Spent {
        let index = layer as usize;
        if self.layers.len() <= index {
            self.layers.resize(index + 1, Spent::default());
        }
        &mut self.layers[index]
    }
}
