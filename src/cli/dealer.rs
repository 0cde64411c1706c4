//! `longhaul dealer`: the dealer, for a server and clients on other machines.

use super::service::{ListenArgs, PartyArgs, ScenarioArgs, log};
use super::{Failure, run, source};
use longhaul::link::Party;
use longhaul::run::{self as library, Part, Selection, ServiceOptions};

/// Hand out correlated randomness to a server and its clients
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  longhaul dealer\n  longhaul dealer scenarios/pillar.toml --listen 0.0.0.0:7002 --keys /etc/longhaul\n\nThe third party of the protocols: it sees neither images nor weights nor anything that depends on them, but whoever is in league with it sees everything. Run it where neither the server nor the client rules. It needs the scenario, no weights and no images. A line per session goes to standard output. Ctrl-C ends."
)]
pub struct Args {
    #[command(flatten)]
    scenario: ScenarioArgs,
    /// Where to listen
    #[arg(long, value_name = "HOST:PORT", default_value = "0.0.0.0:7002")]
    listen: String,
    #[command(flatten)]
    party: PartyArgs,
    #[command(flatten)]
    options: ListenArgs,
}

pub fn main(args: &Args) -> Result<(), Failure> {
    let loaded = source::load_part(args.scenario.file.as_deref(), args.scenario.data.as_deref());
    let loaded = loaded.map_err(Failure::bad_input)?;
    let credentials = args.party.credentials(Party::Dealer).map_err(Failure::bad_input)?;
    let options = ServiceOptions {
        listen: args.listen.clone(),
        waits: args.party.waits(),
        insecure_seed: args.options.insecure_seed,
        sessions: args.options.sessions,
    };
    let ended = run::with_ctrl_c("sessions under way are ended", |cancel| {
        let prepared = library::prepare(&loaded.scenario, &Selection::default(), Part::Dealer, cancel);
        let prepared = prepared.map_err(|error| Failure::bad_input(loaded.blame(error)))?;
        Ok(library::deal(&prepared, &credentials, &options, &log, cancel)?)
    });
    ended?
}
