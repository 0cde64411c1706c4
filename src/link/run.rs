//! Runs the three parties, each on its own thread.

use super::fabric::Fabric;
use super::{
    Captured, ClockMode, ComputeMode, Endpoint, Ledger, LinkError, LinkModel, LinkParameters,
    ModelEntry, Party,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The link and the clock of one execution.
#[derive(Clone)]
pub struct LinkConfig {
    /// Which link model.
    pub model: &'static ModelEntry,
    /// Client to server.
    pub up: LinkParameters,
    /// Server to client; the dealer reaches either party over a link like this one.
    pub down: LinkParameters,
    /// Which clock.
    pub clock: ClockMode,
    /// How computing counts.
    pub compute: ComputeMode,
    /// Bytes a channel holds before its sender really blocks.
    pub in_flight_bytes: u64,
    /// Keep every received message, for tests and traces.
    pub capture: bool,
    /// Stops the execution from outside.
    pub cancel: CancellationToken,
}

impl LinkConfig {
    /// A fresh, idle direction.
    pub(super) fn direction(&self, from: Party, _to: Party) -> Box<dyn LinkModel> {
        (self.model.build)(if from == Party::Client {
            &self.up
        } else {
            &self.down
        })
    }
}

/// What the three parties returned and recorded.
#[derive(Debug)]
pub struct Execution<S, C, D> {
    /// The server's result.
    pub server: S,
    /// The client's result.
    pub client: C,
    /// The dealer's result.
    pub dealer: D,
    /// Ledgers by [`Party`] order: server, client, dealer.
    pub ledgers: [Ledger; 3],
    /// What each party received, if captured.
    pub captured: [Vec<Captured>; 3],
}

/// The first failure of an execution.
#[derive(Debug)]
pub enum PartyFailure<E> {
    /// A party's own code failed.
    Party {
        /// Whose.
        party: Party,
        /// Its error.
        error: E,
    },
    /// The channel failed (deadlock, unread messages, cancellation).
    Link(LinkError),
    /// A party panicked: a broken internal invariant.
    Panic {
        /// Whose code.
        party: Party,
        /// The panic's message.
        message: String,
    },
}

impl<E: std::fmt::Display> std::fmt::Display for PartyFailure<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PartyFailure::Party { party, error } => write!(f, "{party}: {error}"),
            PartyFailure::Link(error) => write!(f, "{error}"),
            PartyFailure::Panic { party, message } => {
                write!(f, "{party}: internal error: {message}")
            }
        }
    }
}

impl<E: std::error::Error> std::error::Error for PartyFailure<E> {}

enum Ended<T, E> {
    Ok(T, Ledger, Vec<Captured>),
    Err(E),
    Link(LinkError),
    Panic(String),
}

/// Runs the parties' code, each on a thread of its own with nothing shared but the channels.
///
/// # Errors
/// The first failure; the other parties are stopped at once.
pub fn run_parties<S: Send, C: Send, D: Send, E: std::fmt::Display + Send>(
    config: &LinkConfig,
    server: impl FnOnce(&mut Endpoint) -> Result<S, E> + Send,
    client: impl FnOnce(&mut Endpoint) -> Result<C, E> + Send,
    dealer: impl FnOnce(&mut Endpoint) -> Result<D, E> + Send,
) -> Result<Execution<S, C, D>, PartyFailure<E>> {
    let fabric = Arc::new(Fabric::new(
        config.clock,
        config.in_flight_bytes,
        config.cancel.clone(),
    ));
    let (server, client, dealer) = std::thread::scope(|scope| {
        let server = spawn(scope, Party::Server, &fabric, config, server);
        let client = spawn(scope, Party::Client, &fabric, config, client);
        let dealer = spawn(scope, Party::Dealer, &fabric, config, dealer);
        (join(server), join(client), join(dealer))
    });
    match (server, client, dealer) {
        (Ended::Ok(server, ls, cs), Ended::Ok(client, lc, cc), Ended::Ok(dealer, ld, cd)) => {
            match fabric.unread() {
                Some(error) => Err(PartyFailure::Link(error)),
                None => Ok(Execution {
                    server,
                    client,
                    dealer,
                    ledgers: [ls, lc, ld],
                    captured: [cs, cc, cd],
                }),
            }
        }
        (server, client, dealer) => Err(first_failure(
            &fabric,
            failure_of(server),
            failure_of(client),
            failure_of(dealer),
        )),
    }
}

fn spawn<'scope, T: Send + 'scope, E: std::fmt::Display + Send + 'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    me: Party,
    fabric: &Arc<Fabric>,
    config: &LinkConfig,
    body: impl FnOnce(&mut Endpoint) -> Result<T, E> + Send + 'scope,
) -> std::thread::ScopedJoinHandle<'scope, Ended<T, E>> {
    let (fabric, config) = (fabric.clone(), config.clone());
    let thread = move || {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut endpoint = match Endpoint::start(me, fabric.clone(), &config) {
                Ok(endpoint) => endpoint,
                Err(error) => return Ended::Link(error),
            };
            match body(&mut endpoint) {
                Ok(value) => {
                    let (ledger, captured) = endpoint.finish();
                    Ended::Ok(value, ledger, captured)
                }
                Err(error) => Ended::Err(error),
            }
        }));
        let ended = outcome.unwrap_or_else(|panic| {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()));
            Ended::Panic(text.unwrap_or_else(|| "panic without a message".into()))
        });
        match &ended {
            Ended::Ok(..) => {}
            Ended::Err(error) => fabric.fail(me, error.to_string()),
            Ended::Link(error) => fabric.fail(me, error.to_string()),
            Ended::Panic(message) => fabric.fail(me, message.clone()),
        }
        fabric.finish(me);
        ended
    };
    std::thread::Builder::new()
        .name(me.to_string())
        .spawn_scoped(scope, thread)
        .expect("the system can start three threads")
}

fn join<T, E>(handle: std::thread::ScopedJoinHandle<'_, Ended<T, E>>) -> Ended<T, E> {
    handle
        .join()
        .expect("the party's thread catches its panics")
}

fn failure_of<T, E>(ended: Ended<T, E>) -> Option<Ended<(), E>> {
    match ended {
        Ended::Ok(..) => None,
        Ended::Err(error) => Some(Ended::Err(error)),
        Ended::Link(error) => Some(Ended::Link(error)),
        Ended::Panic(message) => Some(Ended::Panic(message)),
    }
}

/// Of several failed parties the one whose failure the fabric saw first: the others only followed.
fn first_failure<E>(
    fabric: &Fabric,
    server: Option<Ended<(), E>>,
    client: Option<Ended<(), E>>,
    dealer: Option<Ended<(), E>>,
) -> PartyFailure<E> {
    let failure = fabric.failure().expect("a failed party told the fabric");
    let LinkError::PeerFailed { party, .. } = failure else {
        return PartyFailure::Link(failure);
    };
    let ended = match party {
        Party::Server => server,
        Party::Client => client,
        Party::Dealer => dealer,
    };
    match ended.expect("the party that the fabric names has failed") {
        Ended::Err(error) => PartyFailure::Party { party, error },
        Ended::Panic(message) => PartyFailure::Panic { party, message },
        Ended::Link(error) => PartyFailure::Link(error),
        Ended::Ok(..) => unreachable!("filtered by failure_of"),
    }
}
