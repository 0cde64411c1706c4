//! Declared costs: what a protocol promises to send, held to the meter by tests.

use std::ops::Add;

/// Cost of one phase between server and client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhaseCost {
    /// Causal depth when run alone (the dealer's messages have depth 1).
    pub rounds: u32,
    /// Client to server, bytes.
    pub up: u64,
    /// Server to client, bytes.
    pub down: u64,
}

/// Cost of one activation layer, or of a setup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Once per model and pair.
    pub setup: PhaseCost,
    /// Before the query.
    pub offline: PhaseCost,
    /// On the query's critical path.
    pub online: PhaseCost,
    /// Dealer to server, bytes.
    pub dealer_server: u64,
    /// Dealer to client, bytes.
    pub dealer_client: u64,
}

impl Cost {
    /// Both at the same time: bytes add up, rounds are shared. Setup is paid once.
    pub fn beside(self, other: Cost) -> Cost {
        let beside = |a: PhaseCost, b: PhaseCost| PhaseCost { rounds: a.rounds.max(b.rounds), ..a + b };
        Cost {
            setup: other.setup,
            offline: beside(self.offline, other.offline),
            online: beside(self.online, other.online),
            dealer_server: self.dealer_server + other.dealer_server,
            dealer_client: self.dealer_client + other.dealer_client,
        }
    }
}

impl Add for PhaseCost {
    type Output = PhaseCost;
    /// One after the other.
    fn add(self, other: PhaseCost) -> PhaseCost {
        PhaseCost { rounds: self.rounds + other.rounds, up: self.up + other.up, down: self.down + other.down }
    }
}
