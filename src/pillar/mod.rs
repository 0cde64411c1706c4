//! PILLAR (Diaa et al., USENIX Security 2024, section 4): polynomials in place of activation functions, and networks
//! trained to live with them.

pub mod fit;
pub mod plot;
#[cfg(feature = "train")]
pub mod train;
