//! What `serve`, `dealer` and `query` have in common.

use longhaul::link::Party;
use longhaul::net::{Credentials, Keys, NetError};
use longhaul::run::Waits;
use longhaul::units::Quantity;
use std::path::PathBuf;
use std::time::Duration;

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

/// What listening and taking part needs, of the server and the dealer.
#[derive(clap::Args)]
pub struct ListenArgs {
    /// Take part in benchmarks whose randomness follows from the scenario's seed, and in nothing else: INSECURE, everybody
    /// who has the scenario can compute all masks
    #[arg(long)]
    pub insecure_seed: bool,
    /// End after so many sessions (executions)
    #[arg(long, value_name = "N")]
    pub sessions: Option<u64>,
}

/// A line of a service's log.
pub fn log(text: String) {
    use std::io::Write;
    // Whoever started the service may have stopped to read.
    let _ = writeln!(std::io::stdout(), "{text}");
    let _ = std::io::stdout().flush();
}
