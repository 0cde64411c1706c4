//! The parties on machines of their own: the same plan, the same protocols, the same results, over a real network.
//!
//! * `service`: what the server and the dealer run: sessions, one at a time.
//! * `session`: one execution's connections, made and waited for.
//! * `turns`: how many may be in a handshake.
//! * `query`: the client's side of an execution, for the engine.
//! * `probe`: measures a link.

mod probe;
mod query;
mod service;
mod session;
mod turns;

pub use probe::{Probe, probe};
pub use query::{QueryOptions, query};
pub use service::{ServiceOptions, deal, serve};

use super::RunError;
use super::links::link_config;
use super::prepare::{Prepared, PreparedModel, PreparedProtocol};
use crate::link::{ClockMode, ComputeMode, LinkConfig};
use crate::net::Offer;
use crate::nn::secure::Plan;
use crate::scenario::Link;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long parties wait for each other.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// A peer of which nothing is heard for so long is gone.
    pub silence: Duration,
    /// No session takes longer.
    pub limit: Duration,
}

/// Digest of what all parties must agree on: every shape, scale and step. Both sides have the same version of the program.
fn plan_digest(plan: &Plan) -> String {
    blake3::hash(format!("{plan:?}").as_bytes()).to_hex().to_string()
}

/// One cell of what a party has prepared.
struct PreparedCell<'p, 'a> {
    model: &'p PreparedModel<'a>,
    prepared: &'p PreparedProtocol<'a>,
    link: &'a Link,
}

/// The cell of an offer, if it is one of ours.
fn find_cell<'p, 'a>(models: &'p Prepared<'a>, offer: &Offer) -> Option<PreparedCell<'p, 'a>> {
    let model = models.models.iter().find(|model| model.model.name == offer.model)?;
    let prepared = model.protocols.iter().find(|prepared| prepared.protocol.name == offer.protocol)?;
    let unit = model.units.iter().find(|unit| unit.link.name == offer.link)?;
    Some(PreparedCell { model, prepared, link: unit.link })
}

/// What a party's endpoint needs: the real clock, and no emulation.
fn real_link(models: &Prepared, link: &Link, cancel: &CancellationToken) -> LinkConfig {
    LinkConfig {
        clock: ClockMode::Real,
        compute: ComputeMode::Measured { scale: 1.0 },
        ..link_config(models.scenario, link, cancel)
    }
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().expect("the system can start two threads")
}

impl RunError {
    fn net(cell: &impl ToString, source: crate::net::NetError) -> RunError {
        match source {
            crate::net::NetError::Cancelled => RunError::Cancelled,
            source => RunError::Net { cell: cell.to_string(), source },
        }
    }
}
