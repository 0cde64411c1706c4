//! PILLAR (Diaa et al., USENIX Security 2024, section 4): polynomials in place of activation functions, and networks
//! trained to live with them.

pub mod curves;
pub mod fit;
pub mod plot;
pub mod records;
#[cfg(feature = "train")]
pub mod train;
