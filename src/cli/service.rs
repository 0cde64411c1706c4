//! What `serve`, `dealer` and `query` have in common.

use super::{Failure, run, source};
use longhaul::link::Party;
use longhaul::net::{Credentials, Keys, NetError};
use longhaul::run::{self as library, Part, Prepared, Selection, ServiceOptions, Waits};
use longhaul::units::Quantity;
use std::path::PathBuf;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Keys and patience.
#[derive(clap::Args)]
pub struct PartyArgs {
    /// Folder with the files of `longhaul keys`
    #[arg(long, value_name = "DIR", default_value = "keys")]
    keys: PathBuf,
    /// A peer of which nothing is heard for so long is gone
    #[arg(long, value_name = "TIME", default_value = "60 s", value_parser = parse_time)]
    timeout: Duration,
    /// No session takes longer
    #[arg(long, value_name = "TIME", default_value = "3600 s", value_parser = parse_time)]
    limit: Duration,
}

/// Scenario of one party.
#[derive(clap::Args)]
pub struct ScenarioArgs {
    /// Scenario file (TOML), the same for all parties; without one the built-in quickstart
    pub file: Option<PathBuf>,
    /// Where weights and data sets are looked for, after the scenario's folder and before $LONGHAUL_DATA
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

impl PartyArgs {
    pub fn credentials(&self, party: Party) -> Result<Credentials, NetError> {
        Credentials::load(&Keys::new(&self.keys), party)
    }

    pub fn waits(&self) -> Waits {
        Waits { silence: self.timeout, limit: self.limit }
    }
}

fn parse_time(text: &str) -> Result<Duration, String> {
    match parse::<longhaul::units::Nanos>(text)? {
        longhaul::units::Nanos(nanos) if nanos >= 1_000_000_000 => Ok(Duration::from_nanos(nanos)),
        _ => Err("at least 1 s is needed".to_string()),
    }
}

/// A quantity with its unit.
pub fn parse<Q: Quantity>(text: &str) -> Result<Q, String> {
    text.parse().map_err(|error: longhaul::units::QuantityError| error.to_string())
}

/// What the server and the dealer have in common.
#[derive(clap::Args)]
pub struct ServiceArgs {
    #[command(flatten)]
    scenario: ScenarioArgs,
    #[command(flatten)]
    party: PartyArgs,
    /// Take part in benchmarks whose randomness follows from the scenario's seed, and in nothing else: INSECURE, everybody
    /// who has the scenario can compute all masks
    #[arg(long)]
    insecure_seed: bool,
    /// End after so many sessions (executions)
    #[arg(long, value_name = "N")]
    sessions: Option<u64>,
}

/// Prepares the part of `party` and does `work` until it ends or Ctrl-C comes.
pub fn main(
    args: &ServiceArgs,
    listen: &str,
    (party, part): (Party, Part),
    work: impl FnOnce(&Prepared, &Credentials, &ServiceOptions, &CancellationToken) -> Result<(), NetError> + Send,
) -> Result<(), Failure> {
    let loaded = source::load_part(args.scenario.file.as_deref(), args.scenario.data.as_deref());
    let loaded = loaded.map_err(Failure::bad_input)?;
    let credentials = args.party.credentials(party).map_err(Failure::bad_input)?;
    let options = ServiceOptions {
        listen: listen.to_owned(),
        waits: args.party.waits(),
        insecure_seed: args.insecure_seed,
        sessions: args.sessions,
    };
    let ended = run::with_ctrl_c("sessions under way are ended", |cancel| {
        let prepared = library::prepare(&loaded.scenario, &Selection::default(), part, cancel);
        let prepared = prepared.map_err(|error| Failure::bad_input(loaded.blame(error)))?;
        Ok(work(&prepared, &credentials, &options, cancel)?)
    });
    ended?
}

/// A line of a service's log.
pub fn log(text: String) {
    use std::io::Write;
    // Whoever started the service may have stopped to read.
    let _ = writeln!(std::io::stdout(), "{text}");
    let _ = std::io::stdout().flush();
}
