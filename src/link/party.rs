//! Who takes part, and the three phases with separate accounts.

use std::fmt;

/// A participant of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// Holds the weights.
    Server,
    /// Holds the image, learns the logits.
    Client,
    /// Hands out correlated randomness before the query is known.
    Dealer,
}

impl Party {
    /// All parties, in index order.
    pub const ALL: [Party; 3] = [Party::Server, Party::Client, Party::Dealer];

    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Party::Server => "server",
            Party::Client => "client",
            Party::Dealer => "dealer",
        })
    }
}

/// A phase; each has its own clocks, link states and meters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Once per model and pair: base OTs, masked weights.
    Setup,
    /// Input-independent work of one query.
    Offline,
    /// What starts when the client has its image.
    Online,
}

impl Phase {
    /// All phases, in time order.
    pub const ALL: [Phase; 3] = [Phase::Setup, Phase::Offline, Phase::Online];

    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Setup => "setup",
            Phase::Offline => "offline",
            Phase::Online => "online",
        })
    }
}
