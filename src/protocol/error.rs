//! Why a protocol stopped.

use super::ot::OtError;
use crate::link::LinkError;

/// A failed protocol.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// The channel failed.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The peer sent bytes that are not a valid message of the oblivious transfer.
    #[error("oblivious transfer: {0}")]
    Ot(#[from] OtError),
    /// Material could not be spilled to, or read back from, its temporary file.
    #[error("material beyond the memory budget could not be kept in a temporary file: {0}")]
    Spill(#[from] std::io::Error),
    /// The image does not fit the network or the ring.
    #[error("input: {0}")]
    Input(String),
}
