//! Why a protocol stopped.

use crate::link::LinkError;

/// A failed protocol.
#[derive(Debug, thiserror::Error)]
pub enum ProtocolError {
    /// The channel failed.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Material could not be spilled to, or read back from, its temporary file.
    #[error("material beyond the memory budget could not be kept in a temporary file: {0}")]
    Spill(#[from] std::io::Error),
    /// The image does not fit the network or the ring.
    #[error("input: {0}")]
    Input(String),
}
