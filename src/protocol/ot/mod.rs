//! Oblivious transfer as state machines that consume and produce byte messages; no channel here.
//!
//! * [`base`]: a few transfers of 16-byte keys, from elliptic curve operations.
//! * [`iknp`]: any number of correlated transfers from 128 base transfers in the other direction.
//! * [`softspoken`]: the same from fewer bytes, for more computing.
//! * [`random`]: random transfers, 1 of up to 16, from correlated ones; derandomised online.
//!
//! [`OtExtension`] joins them to a session. A whole setup of IKNP is two messages, every extension one:
//!
//! ```text
//! extension receiver                                 extension sender
//! BaseSender::new            --- A, 32 B -->         IknpSender::from_base
//! IknpReceiver::from_base    <-- points, 4096 B ---
//! IknpReceiver::extend       --- u, 16 B per OT -->  IknpSender::extend
//! ```

pub mod base;
mod extension;
pub mod ferret;
mod ggm;
#[cfg(test)]
pub(crate) mod ideal;
pub mod iknp;
pub mod random;
pub mod softspoken;

pub use extension::{CotReceiver, CotSender, OtExtension};

/// A key that a base transfer hands out; it seeds a [`crate::crypto::Prg`].
pub type OtKey = [u8; 16];

/// What is wrong with a message of the peer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OtError {
    /// A message of the wrong length.
    #[error("{message}: expected {expected} bytes, got {actual}")]
    Length {
        /// The message.
        message: &'static str,
        /// Its length according to the protocol, in bytes.
        expected: usize,
        /// Its length as received, in bytes.
        actual: usize,
    },
    /// Bytes that are not the encoding of a curve point other than the identity.
    #[error("{message}: point {index} is not a valid ristretto255 point")]
    Point {
        /// The message.
        message: &'static str,
        /// The point's index in the message.
        index: usize,
    },
}

fn check_length(message: &'static str, expected: usize, actual: usize) -> Result<(), OtError> {
    match expected == actual {
        true => Ok(()),
        false => Err(OtError::Length { message, expected, actual }),
    }
}
