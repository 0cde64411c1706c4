//! What can go wrong on a channel.

use super::{Party, Phase};

/// A failed channel operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The peer ended without sending what was awaited.
    #[error("the {peer} closed its channel while the {me} was waiting for a message in the {phase} phase")]
    Closed {
        /// Who waited.
        me: Party,
        /// Who ended.
        peer: Party,
        /// In which phase.
        phase: Phase,
    },
    /// Another party failed first; its error is the cause to read.
    #[error("stopped because the {party} failed: {cause}")]
    PeerFailed {
        /// Who failed first.
        party: Party,
        /// Its error.
        cause: String,
    },
    /// Every party waits for a message that nobody will send.
    #[error("deadlock: {waiting}")]
    Deadlock {
        /// Who waits for whom.
        waiting: String,
    },
    /// A message of the wrong length.
    #[error("message from the {from} in the {phase} phase, layer {layer}: expected {expected} bytes, got {actual}")]
    WrongLength {
        /// Sender.
        from: Party,
        /// Phase of the message.
        phase: Phase,
        /// Layer being processed.
        layer: u32,
        /// Bytes that the protocol prescribes.
        expected: usize,
        /// Bytes that came.
        actual: usize,
    },
    /// A party finished although messages for it were left unread.
    #[error("the {to} finished without reading {bytes} bytes from the {from}")]
    Unread {
        /// Sender.
        from: Party,
        /// Receiver.
        to: Party,
        /// Bytes left over.
        bytes: u64,
    },
    /// Nothing was heard of a peer on another machine.
    #[error(
        "nothing was heard from the {peer} for {seconds} s; is it still running, and the network up? (--timeout waits longer)"
    )]
    Silent {
        /// Who.
        peer: Party,
        /// For how long.
        seconds: u64,
    },
    /// A session on a real network took too long.
    #[error("the session took longer than its limit of {seconds} s; allow more with --limit")]
    TooLong {
        /// The limit.
        seconds: u64,
    },
    /// A connection to another machine failed.
    #[error("the connection to the {peer} failed: {cause}")]
    Connection {
        /// To whom.
        peer: Party,
        /// The system's words.
        cause: String,
    },
    /// A peer sent something that the protocol does not have here.
    #[error("the {peer} sent what it must not: {what}")]
    Malformed {
        /// Who.
        peer: Party,
        /// What.
        what: String,
    },
    /// The user asked to stop.
    #[error("cancelled")]
    Cancelled,
}
