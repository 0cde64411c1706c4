//! Two-party protocols.

mod function;

pub use function::{Function, NamedPolynomial, Polynomial, PolynomialError};
