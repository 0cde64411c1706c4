//! `longhaul dealer`: the dealer, for a server and clients on other machines.

use super::Failure;
use super::service::{self, ServiceArgs, log};
use longhaul::link::Party;
use longhaul::run::{Part, deal};

/// Hand out correlated randomness to a server and its clients
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  longhaul dealer\n  longhaul dealer scenarios/pillar.toml --listen 0.0.0.0:7002 --keys /etc/longhaul\n\nThe third party of the protocols: it sees neither images nor weights nor anything that depends on them, but whoever is in league with it sees everything. Run it where neither the server nor the client rules. It needs the scenario, no weights and no images. A line per session goes to standard output. Ctrl-C or SIGTERM ends."
)]
pub struct Args {
    /// Where to listen
    #[arg(long, value_name = "HOST:PORT", default_value = "0.0.0.0:7002")]
    listen: String,
    #[command(flatten)]
    service: ServiceArgs,
}

pub fn main(args: &Args) -> Result<(), Failure> {
    service::main(
        &args.service,
        &args.listen,
        (Party::Dealer, Part::Dealer),
        |prepared, credentials, options, cancel| deal(prepared, credentials, options, &log, cancel),
    )
}
