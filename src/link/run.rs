//! Runs the three parties, each on its own thread.

use super::fabric::Fabric;
use super::retime::retime;
use super::transport::Transport;
use super::{
    Captured, ClockMode, ComputeMode, Endpoint, Ledger, LinkError, LinkModel, LinkParameters, ModelEntry, Party,
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
    pub(super) fn direction(&self, from: Party) -> Box<dyn LinkModel> {
        self.model.direction(self.parameters(from))
    }

    /// What every direction away from `from` is like.
    pub(super) fn parameters(&self, from: Party) -> &LinkParameters {
        if from == Party::Client { &self.up } else { &self.down }
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

/// What a party's thread ends with: its value and what it recorded, or why it failed.
type Ended<T, E> = Result<(T, Box<Recorded>), Cause<E>>;

struct Recorded {
    ledger: Ledger,
    captured: Vec<Captured>,
}

enum Cause<E> {
    Own(E),
    Link(LinkError),
    Panic(String),
}

impl<E: std::fmt::Display> Cause<E> {
    fn text(&self) -> String {
        match self {
            Cause::Own(error) => error.to_string(),
            Cause::Link(error) => error.to_string(),
            Cause::Panic(message) => message.clone(),
        }
    }
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
    let fabric = Arc::new(Fabric::new(config.clock, config.in_flight_bytes, config.cancel.clone()));
    let (server, client, dealer) = std::thread::scope(|scope| {
        let server = spawn(scope, Party::Server, &fabric, config, server);
        let client = spawn(scope, Party::Client, &fabric, config, client);
        let dealer = spawn(scope, Party::Dealer, &fabric, config, dealer);
        (join(server), join(client), join(dealer))
    });
    match (server, client, dealer) {
        (Ok((server, s)), Ok((client, c)), Ok((dealer, d))) => match fabric.unread() {
            Some(error) => Err(PartyFailure::Link(error)),
            None => Ok(Execution {
                server,
                client,
                dealer,
                ledgers: timed([s.ledger, c.ledger, d.ledger], config),
                captured: [s.captured, c.captured, d.captured],
            }),
        },
        (server, client, dealer) => Err(first_failure(&fabric, [server.err(), client.err(), dealer.err()])),
    }
}

/// The ledgers with their times; some link models give them only now.
fn timed(mut ledgers: [Ledger; 3], config: &LinkConfig) -> [Ledger; 3] {
    if config.clock == ClockMode::Virtual && config.model.connect.is_some() {
        retime(&mut ledgers, config);
    }
    ledgers
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
        let ended = take_part(me, fabric.clone(), &config, body);
        if let Err(cause) = &ended {
            fabric.fail(me, cause.text());
        }
        fabric.finish(me);
        ended
    };
    std::thread::Builder::new()
        .name(me.to_string())
        .spawn_scoped(scope, thread)
        .expect("the system can start three threads")
}

/// One party's part, on its own thread.
fn take_part<T, E>(
    me: Party,
    transport: Arc<dyn Transport>,
    config: &LinkConfig,
    body: impl FnOnce(&mut Endpoint) -> Result<T, E>,
) -> Ended<T, E> {
    let part = || {
        let mut endpoint = Endpoint::start(me, transport, config).map_err(Cause::Link)?;
        let value = body(&mut endpoint).map_err(Cause::Own)?;
        let (ledger, captured) = endpoint.finish();
        Ok((value, Box::new(Recorded { ledger, captured })))
    };
    catch_unwind(AssertUnwindSafe(part)).unwrap_or_else(|panic| Err(Cause::Panic(panic_text(&*panic))))
}

/// Runs one party's code on this thread, the others being elsewhere.
///
/// # Errors
/// Its failure.
pub(crate) fn run_party<T, E>(
    me: Party,
    transport: Arc<dyn Transport>,
    config: &LinkConfig,
    body: impl FnOnce(&mut Endpoint) -> Result<T, E>,
) -> Result<(T, Ledger), PartyFailure<E>> {
    match take_part(me, transport, config, body) {
        Ok((value, recorded)) => Ok((value, recorded.ledger)),
        Err(Cause::Own(error)) => Err(PartyFailure::Party { party: me, error }),
        Err(Cause::Link(error)) => Err(PartyFailure::Link(error)),
        Err(Cause::Panic(message)) => Err(PartyFailure::Panic { party: me, message }),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text =
        panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
    text.unwrap_or_else(|| "panic without a message".into())
}

fn join<T, E>(handle: std::thread::ScopedJoinHandle<'_, Ended<T, E>>) -> Ended<T, E> {
    handle.join().expect("the party's thread catches its panics")
}

/// Of several failed parties the one whose failure the fabric saw first: the others only followed.
fn first_failure<E>(fabric: &Fabric, causes: [Option<Cause<E>>; 3]) -> PartyFailure<E> {
    let failure = fabric.failure().expect("a failed party told the fabric");
    let LinkError::PeerFailed { party, .. } = failure else {
        return PartyFailure::Link(failure);
    };
    let [server, client, dealer] = causes;
    let cause = match party {
        Party::Server => server,
        Party::Client => client,
        Party::Dealer => dealer,
    };
    match cause.expect("the party that the fabric names has failed") {
        Cause::Own(error) => PartyFailure::Party { party, error },
        Cause::Panic(message) => PartyFailure::Panic { party, message },
        Cause::Link(error) => PartyFailure::Link(error),
    }
}
