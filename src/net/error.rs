//! What can go wrong before parties talk.

use crate::link::Party;
use std::path::PathBuf;

/// Why there is no session with another machine.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// A certificate or key cannot be used.
    #[error("{}: {cause}; `longhaul keys` makes the files of all three parties", path.display())]
    Keys {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// Keys cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// There are keys already.
    #[error("{} exists; keys in use are not replaced: name another folder, or remove this one first", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Nobody answers at an address.
    #[error("cannot reach the {peer} at {address}: {cause}")]
    Unreachable {
        /// Whom.
        peer: Party,
        /// Where.
        address: String,
        /// The system's words.
        cause: String,
    },
    /// An address to listen at cannot be used.
    #[error("cannot listen at {address}: {cause}")]
    Listen {
        /// Where.
        address: String,
        /// The system's words.
        cause: String,
    },
    /// The other side's certificate, or ours, was not accepted.
    #[error(
        "no TLS with the {peer}: {cause}; both sides' certificates must come from one run of `longhaul keys`, and be of the right role"
    )]
    Tls {
        /// With whom.
        peer: String,
        /// The library's words.
        cause: String,
    },
    /// The other side does not want the session.
    #[error("the {peer} refuses: {reason}")]
    Refused {
        /// Who.
        peer: Party,
        /// Its words.
        reason: String,
    },
    /// The other side says nothing, or too slowly.
    #[error("the {peer} did not finish the handshake within {seconds} s")]
    Slow {
        /// Who.
        peer: String,
        /// The limit.
        seconds: u64,
    },
    /// The other side's first words make no sense.
    #[error("no session with the {peer}: {cause}")]
    Nonsense {
        /// Who.
        peer: String,
        /// What was wrong.
        cause: String,
    },
    /// The user asked to stop.
    #[error("interrupted")]
    Cancelled,
}
