//! `longhaul serve`: the server, for clients on other machines.

use super::service::{ListenArgs, PartyArgs, ScenarioArgs, log};
use super::{Failure, run, source};
use longhaul::link::Party;
use longhaul::run::{self as library, Part, Selection, ServiceOptions};

/// Serve a scenario's networks to clients on other machines
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  longhaul serve --dealer dealer.example:7002\n  longhaul serve scenarios/pillar.toml --listen 0.0.0.0:7001 --dealer 10.0.0.3:7002 --keys /etc/longhaul\n\nTalks mutual TLS with certificates of `longhaul keys`; a client must have the same version and scenario. It gets predictions, never weights; the server never sees an image. One session at a time, each with fresh randomness of the operating system. A line per session goes to standard output. Ctrl-C ends."
)]
pub struct Args {
    #[command(flatten)]
    scenario: ScenarioArgs,
    /// Where to listen
    #[arg(long, value_name = "HOST:PORT", default_value = "0.0.0.0:7001")]
    listen: String,
    /// Where the dealer listens
    #[arg(long, value_name = "HOST:PORT")]
    dealer: String,
    #[command(flatten)]
    party: PartyArgs,
    #[command(flatten)]
    options: ListenArgs,
}

pub fn main(args: &Args) -> Result<(), Failure> {
    let loaded = source::load_part(args.scenario.file.as_deref(), args.scenario.data.as_deref());
    let loaded = loaded.map_err(Failure::bad_input)?;
    let credentials = args.party.credentials(Party::Server).map_err(Failure::bad_input)?;
    let options = ServiceOptions {
        listen: args.listen.clone(),
        waits: args.party.waits(),
        insecure_seed: args.options.insecure_seed,
        sessions: args.options.sessions,
    };
    let ended = run::with_ctrl_c("sessions under way are ended", |cancel| {
        let prepared = library::prepare(&loaded.scenario, &Selection::default(), Part::Server, cancel);
        let prepared = prepared.map_err(|error| Failure::bad_input(loaded.blame(error)))?;
        Ok(library::serve(&prepared, &credentials, &args.dealer, &options, &log, cancel)?)
    });
    ended?
}
