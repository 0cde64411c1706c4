//! Two machines: what a transport between processes needs, without knowing any protocol.
//!
//! * `keys`: certificates for the three roles.
//! * `tls`: mutual TLS; each side knows the other's role from its certificate.
//! * `frame`: what is on the wire.
//! * `hello`: the first words, in which both sides find out whether they mean the same execution.
//! * `lane`: one connection: its tasks, its bounded queues, its time-outs.
//! * `wire`: the lanes of one party as the transport of its endpoint.
//! * `ledgers`: what a party recorded, for the client.

mod error;
mod frame;
mod hello;
mod keys;
mod lane;
mod ledgers;
#[cfg(test)]
mod tests;
mod tls;
mod wire;

pub use error::NetError;
pub use keys::{Keys, make_keys};
pub use tls::Credentials;

pub(crate) use frame::{Codec, Frame};
pub(crate) use hello::{Answer, Hello, Offer, Purpose, Session};
pub(crate) use lane::Patience;
pub(crate) use ledgers::{Bounds, decode as decode_ledger, encode as encode_ledger, match_arrivals};
pub(crate) use tls::{Connection, Handshaken, printable};
pub(crate) use wire::{Wire, WireOptions};
