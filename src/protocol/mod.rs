//! Two-party protocols: straight-line, blocking code over a [`Session`].

pub mod activation;
pub mod boolean;
mod cost;
mod dealer;
mod error;
mod function;
pub mod garble;
pub mod linear;
mod local_truncation;
mod masked_open;
pub mod ot;
mod pack;
mod session;
mod spill;

pub use cost::{Cost, PhaseCost};
pub use dealer::Dealer;
pub use error::ProtocolError;
pub use function::{Function, NamedPolynomial, Polynomial, PolynomialError};
pub use session::{Dealt, Session};
pub use spill::{Kept, MaterialStore};
