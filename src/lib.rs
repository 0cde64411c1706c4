//! longhaul: real two-party private inference over an emulated wide-area link, metered exactly.
//!
//! Dependencies point one way (a test scans the `use crate::` lines):
//!
//! ```text
//! units <- crypto <- ring ─┐
//! units <- link ───────────┴─ protocol <- nn <- run <- cli
//!                              scenario, report, pillar: know only what lies below them; report <- check <- cli
//! ```

pub mod check;
pub mod crypto;
pub mod link;
pub mod net;
pub mod nn;
pub mod pillar;
pub mod protocol;
pub mod report;
pub mod ring;
pub mod run;
pub mod scenario;
pub mod units;
