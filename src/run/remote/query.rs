//! The client's side: every execution of a scenario's cells with a server and a dealer elsewhere.

use super::service::said;
use super::{Waits, plan_digest, real_link, runtime};
use crate::crypto::Seed;
use crate::link::{Ledger, LinkConfig, LinkError, Party, PartyFailure, Phase, ReplayLink, Schedule, run_party};
use crate::net::{
    Bounds, Connection, Credentials, Hello, NetError, Offer, Patience, Purpose, Session, Wire, WireOptions,
    decode_ledger, match_arrivals,
};
use crate::nn::secure::{self, Inference, Query, Resources};
use crate::protocol::ProtocolError;
use crate::report::{Manifest, ResultsDir};
use crate::run::engine::run_with;
use crate::run::executor::{Executor, Place};
use crate::run::{Observer, Outcome, Prepared, RunError, RunOptions};
use crate::units::Nanos;
use std::sync::Arc;
use std::time::Instant;
use tokio_util::sync::CancellationToken;

/// How the client asks.
#[derive(Clone, Debug)]
pub struct QueryOptions {
    /// Where the server is.
    pub server: String,
    /// Where the dealer is.
    pub dealer: String,
    /// Time-outs.
    pub waits: Waits,
    /// The online phase gets a connection of its own, on which nothing was sent before, to this address of the server.
    pub online: Option<String>,
    /// Bytes of padding that server and client send each other before the online phase, so that the connection's window opens.
    pub warm_up: u64,
    /// Randomness from the scenario's seed: insecure, for benchmarks.
    pub insecure_seed: bool,
    /// Digest of the scenario as its file says it, by which the parties compare it.
    pub digest: String,
}

/// Runs what of a scenario was prepared for the client, and writes results as [`crate::run::run`] does.
///
/// # Errors
/// The first failure; rows measured before it are on disk.
#[expect(clippy::too_many_arguments, reason = "those of `run`, and whom to ask")]
pub fn query(
    prepared: &Prepared<'_>,
    credentials: &Credentials,
    query: &QueryOptions,
    results: &mut ResultsDir,
    manifest: &mut Manifest,
    options: RunOptions,
    observer: &mut dyn Observer,
    cancel: &CancellationToken,
) -> Result<Outcome, RunError> {
    let remote = Remote { prepared, credentials, query, runtime: runtime(), cancel };
    run_with(&remote, prepared, results, manifest, options, observer, cancel)
}

struct Remote<'a> {
    prepared: &'a Prepared<'a>,
    credentials: &'a Credentials,
    query: &'a QueryOptions,
    runtime: tokio::runtime::Runtime,
    cancel: &'a CancellationToken,
}

impl Remote<'_> {
    /// The session's connections: to the server, to the dealer, and perhaps a second one to the server.
    fn connect(&self, offer: Offer) -> Result<Vec<Connection>, NetError> {
        let QueryOptions { server, dealer, online, .. } = self.query;
        let hello = Hello::new(Session::random(), Purpose::Query(offer));
        let all = async {
            // The server first: it tells the dealer of the session.
            let mut connections = vec![self.credentials.connect(server, Party::Server, &hello).await?];
            if let Some(address) = online {
                let hello = Hello { purpose: Purpose::Online, ..hello.clone() };
                connections.push(self.credentials.connect(address, Party::Server, &hello).await?);
            }
            connections.push(self.credentials.connect(dealer, Party::Dealer, &hello).await?);
            Ok(connections)
        };
        self.runtime.block_on(async {
            tokio::select! {
                connections = all => connections,
                () = self.cancel.cancelled() => Err(NetError::Cancelled),
            }
        })
    }

    /// The client's part, and the others' ledgers.
    fn take_part(
        &self,
        query: &Query,
        wire: &Arc<Wire>,
        config: &LinkConfig,
        seed: Seed,
    ) -> Result<(Vec<f64>, [Ledger; 3]), PartyFailure<ProtocolError>> {
        let resources = Resources { seed, material_bytes: query.material_bytes };
        let started = Instant::now();
        let cost = query.plan.predicted_cost();
        let of_server = cost.setup.down + cost.offline.down + cost.online.down;
        let of_dealer = cost.dealer_server + cost.dealer_client;
        let (logits, client) = run_party(Party::Client, wire.clone(), config, |endpoint| {
            secure::ask(endpoint, query.plan, resources, None, query.image)
        })?;
        let theirs = |peer: Party| {
            let json = wire.recv_ledger(peer).map_err(PartyFailure::Link)?;
            let broken =
                |what: String| PartyFailure::Link(LinkError::Malformed { peer, what: format!("a ledger: {what}") });
            let bounds = Bounds {
                layers: query.plan.layers.len(),
                bytes: if peer == Party::Server { of_server } else { of_dealer },
                time: Nanos(started.elapsed().as_nanos() as u64),
            };
            decode_ledger(&json, peer, bounds).map_err(broken)
        };
        let ledgers = [theirs(Party::Server)?, client, theirs(Party::Dealer)?];
        Ok((logits, ledgers))
    }
}

/// What only the three ledgers together say: when messages arrived, and how long everything takes over the scenario's link if
/// computing is free.
fn complete(ledgers: &mut [Ledger; 3], link: &LinkConfig) -> Result<(), LinkError> {
    let broken = |error: crate::link::ScheduleError| LinkError::Malformed {
        peer: Party::Server,
        what: format!("a ledger that does not fit the others: {error}"),
    };
    let schedule = Schedule::new(ledgers.each_ref().map(|ledger| &ledger.events[..])).map_err(broken)?;
    let free = ReplayLink { model: link.model, up: link.up, down: link.down, compute_scale: 0.0 };
    let mut arrivals = Vec::new();
    for phase in Phase::ALL {
        let clocks = schedule.clocks(phase, &free, &mut arrivals);
        for (ledger, floor) in ledgers.iter_mut().zip(clocks.parties) {
            ledger.accounts[phase as usize].floor = floor;
        }
    }
    match_arrivals(ledgers);
    Ok(())
}

impl Executor for Remote<'_> {
    fn execute(&self, place: &Place, query: &Query) -> Result<Inference, RunError> {
        let Place { names, round, image } = *place;
        let QueryOptions { waits, online, warm_up, insecure_seed, digest, .. } = self.query;
        let offer = Offer {
            scenario: digest.clone(),
            plan: plan_digest(query.plan),
            model: names.model.clone(),
            protocol: names.protocol.clone(),
            link: names.link.clone(),
            fresh: online.is_some(),
            silence_ms: waits.silence.as_millis() as u64,
            warm_up: *warm_up,
            seeded: insecure_seed.then_some((round, image)),
        };
        let connections = self.connect(offer).map_err(|error| RunError::net(names, error))?;
        let patience = Patience::new(waits.silence, waits.silence, waits.limit);
        let capacity = self.prepared.scenario.memory.in_flight.0;
        let (me, cancel) = (Party::Client, self.cancel.clone());
        let options = WireOptions { me, capacity, patience, warm_up: *warm_up, cancel };
        let wire = Arc::new(Wire::new(self.runtime.handle(), options, connections));
        let link =
            self.prepared.scenario.links.iter().find(|link| link.name == names.link).expect("one of the scenario's");
        let config = real_link(self.prepared, link, self.cancel);
        let seed = if *insecure_seed { query.seed } else { Seed::from_system() };
        let ended = self.take_part(query, &wire, &config, seed).and_then(|(client, mut ledgers)| {
            complete(&mut ledgers, &config).map_err(PartyFailure::Link)?;
            Ok(Inference { server: (), client, dealer: (), ledgers, captured: Default::default() })
        });
        let wire = Arc::into_inner(wire).expect("the endpoint is gone");
        wire.end(ended.as_ref().err().map(said));
        ended.map_err(|failure| RunError::cell(names.to_string(), failure))
    }
}
