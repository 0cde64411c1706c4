//! What the server and the dealer run: they listen, and take part in sessions one after the other.

use super::session::{Gathering, ProbeReady, Ready};
use super::{PreparedCell, Waits, find_cell, plan_digest, probe, real_link, runtime};
use crate::crypto::Seed;
use crate::link::{Endpoint, LinkError, Party, PartyFailure, Phase, run_party};
use crate::net::{Credentials, NetError, Offer, Patience, Wire, WireOptions, encode_ledger, printable};
use crate::nn::secure::{self, Resources};
use crate::protocol::ProtocolError;
use crate::report::human_time;
use crate::run::Prepared;
use crate::run::records::execution_seed;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Bytes of padding that a client may ask for.
const MOST_WARM_UP: u64 = 4 << 30;

/// How a service behaves.
#[derive(Clone, Debug)]
pub struct ServiceOptions {
    /// Where to listen; port 0 takes a free one.
    pub listen: String,
    /// Time-outs.
    pub waits: Waits,
    /// Take part in executions whose randomness follows from the scenario's seed: insecure, for benchmarks.
    pub insecure_seed: bool,
    /// End after so many sessions.
    pub sessions: Option<u64>,
}

/// Is told what a service does, a line at a time.
pub type Log<'a> = &'a (dyn Fn(String) + Sync);

/// Serves the networks of a scenario; the dealer is at `dealer`.
///
/// # Errors
/// [`NetError::Listen`]; sessions that fail are logged, and the next one is waited for.
pub fn serve(
    prepared: &Prepared,
    credentials: &Credentials,
    dealer: &str,
    options: &ServiceOptions,
    log: Log,
    cancel: &CancellationToken,
) -> Result<(), NetError> {
    run(prepared, credentials, Some(dealer.to_string()), options, log, cancel)
}

/// Hands out correlated randomness for the networks of a scenario.
///
/// # Errors
/// [`NetError::Listen`]; sessions that fail are logged, and the next one is waited for.
pub fn deal(
    prepared: &Prepared,
    credentials: &Credentials,
    options: &ServiceOptions,
    log: Log,
    cancel: &CancellationToken,
) -> Result<(), NetError> {
    run(prepared, credentials, None, options, log, cancel)
}

/// What an offer is compared with.
struct Known {
    digest: String,
    name: String,
    /// Model, protocol, link and the plan's digest.
    cells: Vec<[String; 4]>,
    insecure_seed: bool,
}

impl Known {
    fn new(prepared: &Prepared, insecure_seed: bool) -> Known {
        let mut cells = Vec::new();
        for model in &prepared.models {
            for unit in &model.units {
                for protocol in unit.protocols.iter().map(|&index| &model.protocols[index]) {
                    let [model, name, link] =
                        [&model.model.name, &protocol.protocol.name, &unit.link.name].map(String::clone);
                    cells.push([model, name, link, plan_digest(&protocol.plan)]);
                }
            }
        }
        Known { digest: prepared.scenario.digest(), name: prepared.scenario.name.clone(), cells, insecure_seed }
    }

    fn check(&self, offer: &Offer) -> Result<(), String> {
        if offer.scenario != self.digest {
            return Err(format!(
                "this is another scenario than \"{}\" of digest {:.16}..; all parties must have the same file",
                self.name, self.digest
            ));
        }
        let wanted = [&offer.model, &offer.protocol, &offer.link];
        let Some([.., plan]) = self.cells.iter().find(|[model, protocol, link, _]| [model, protocol, link] == wanted)
        else {
            let [model, protocol, link] = wanted;
            return Err(format!("there is no cell {model} / {protocol} / {link}"));
        };
        if *plan != offer.plan {
            return Err(format!("the network \"{}\" has another shape here; use the same model file", offer.model));
        }
        if offer.warm_up > MOST_WARM_UP {
            return Err(format!("a warm-up of {} bytes is too long", offer.warm_up));
        }
        match offer.seeded {
            Some(_) if !self.insecure_seed => Err(
                "randomness from the scenario's seed is insecure; it takes --insecure-seed here, too, for benchmarks"
                    .to_string(),
            ),
            None if self.insecure_seed => {
                Err("this is a benchmark with insecure randomness; the query takes --insecure-seed, too".to_string())
            }
            _ => Ok(()),
        }
    }
}

fn run(
    prepared: &Prepared,
    credentials: &Credentials,
    dealer: Option<String>,
    options: &ServiceOptions,
    log: Log,
    cancel: &CancellationToken,
) -> Result<(), NetError> {
    let runtime = runtime();
    let failed = |cause: String| NetError::Listen { address: options.listen.clone(), cause };
    let listener = runtime.block_on(tokio::net::TcpListener::bind(&options.listen));
    let listener = listener.map_err(|error| failed(error.to_string()))?;
    let address: SocketAddr = listener.local_addr().map_err(|error| failed(error.to_string()))?;
    log(format!("the {} listens at {address}", credentials.party()));
    let (ready, mut sessions) = mpsc::channel::<Ready>(1);
    let (probes, mut to_probe) = mpsc::channel::<ProbeReady>(1);
    let (refused, mut refusals) = mpsc::channel::<String>(16);
    let known = Known::new(prepared, options.insecure_seed);
    let check = move |offer: &Offer| known.check(offer);
    let gathering = Gathering::new(credentials.clone(), dealer, check, ready, probes, refused);
    let accepting = runtime.spawn(Arc::new(gathering).listen(listener));
    let mut left = options.sessions.unwrap_or(u64::MAX);
    while left > 0 {
        let next = runtime.block_on(async {
            tokio::select! {
                () = cancel.cancelled() => Next::Stop,
                Some(ready) = sessions.recv() => Next::Session(Box::new(ready)),
                Some(probe) = to_probe.recv() => Next::Probe(Box::new(probe)),
                Some(text) = refusals.recv() => Next::Refused(text),
            }
        });
        match next {
            Next::Stop => break,
            Next::Refused(text) => log(format!("refused {text}")),
            Next::Probe(probing) => {
                let ProbeReady { connection, slot } = *probing;
                let answered = runtime.block_on(async {
                    tokio::select! {
                        answered = probe::answer(connection, options.waits) => answered,
                        () = cancel.cancelled() => Err("it was stopped".to_string()),
                    }
                });
                match answered {
                    Ok(()) => log("a link was measured".to_string()),
                    Err(cause) => log(format!("measuring a link failed: {}", printable(&cause))),
                }
                drop(slot);
            }
            Next::Session(ready) => {
                left -= 1;
                let (what, from) = (describe(&ready.offer), ready.from.clone());
                match session(prepared, credentials.party(), *ready, options, &runtime, cancel) {
                    Ok(done) => log(format!("{what}, for {from}: {done}")),
                    Err(failure) => log(format!("{what}, for {from}: failed: {failure}")),
                }
            }
        }
    }
    accepting.abort();
    // Tasks of connections that nobody finished must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(())
}

enum Next {
    Stop,
    Refused(String),
    Probe(Box<ProbeReady>),
    Session(Box<Ready>),
}

fn describe(offer: &Offer) -> String {
    let Offer { model, protocol, link, .. } = offer;
    format!("{model} / {protocol} / {link}")
}

/// One execution; what to log of it.
fn session(
    prepared: &Prepared,
    me: Party,
    ready: Ready,
    options: &ServiceOptions,
    runtime: &tokio::runtime::Runtime,
    cancel: &CancellationToken,
) -> Result<String, PartyFailure<ProtocolError>> {
    let Ready { offer, connections, slot, .. } = ready;
    let PreparedCell { model, prepared: protocol, link } = find_cell(prepared, &offer).expect("the offer was checked");
    let of_client = Duration::from_millis(offer.silence_ms.max(1000));
    let patience = Patience::new(options.waits.silence, of_client.min(options.waits.limit), options.waits.limit);
    let (capacity, warm_up) = (prepared.scenario.memory.in_flight.0, offer.warm_up);
    let wire_options = WireOptions { me, capacity, patience, warm_up, cancel: cancel.clone() };
    let wire = Arc::new(Wire::new(runtime.handle(), wire_options, connections));
    let seed = match offer.seeded {
        Some((round, image)) => execution_seed(prepared.scenario.seed, describe(&offer), round, image),
        None => Seed::from_system(),
    };
    let resources = Resources { seed, material_bytes: prepared.scenario.memory.material.0 };
    let weights = &model.variants[protocol.variant].weights;
    let part = |endpoint: &mut Endpoint| match me {
        Party::Dealer => secure::deal(endpoint, resources.seed, &protocol.plan),
        _ => secure::serve(endpoint, &protocol.plan, resources, None, weights),
    };
    let config = real_link(prepared, link, cancel);
    let ended = run_party(me, wire.clone(), &config, part);
    let ended = ended.and_then(|((), ledger)| {
        let sent = wire.send_ledger(Party::Client, encode_ledger(&ledger));
        sent.map(|()| ledger).map_err(PartyFailure::Link)
    });
    let wire = Arc::into_inner(wire).expect("the endpoint is gone");
    let afterwards = wire.end(ended.as_ref().err().map(said));
    drop(slot);
    let ended = ended.and_then(|ledger| match afterwards {
        None => Ok(ledger),
        Some(cause) => Err(PartyFailure::Link(cause)),
    });
    ended.map(|ledger| {
        let time = |phase| format!("{phase} {}", human_time(ledger.account(phase).now));
        // The dealer has no part in the online phase.
        let phases = Phase::ALL.into_iter().filter(|phase| me != Party::Dealer || *phase != Phase::Online);
        phases.map(time).collect::<Vec<_>>().join(", ")
    })
}

/// What the peers are told of a failure: what concerns them, not the inside of this party.
pub(super) fn said(failure: &PartyFailure<ProtocolError>) -> String {
    match failure {
        PartyFailure::Link(error) | PartyFailure::Party { error: ProtocolError::Link(error), .. } => match error {
            LinkError::Cancelled => "it was stopped by its user".to_string(),
            error => error.to_string(),
        },
        PartyFailure::Party { .. } => "an error of its own; its log says more".to_string(),
        PartyFailure::Panic { .. } => "an internal error; its log says more".to_string(),
    }
}
