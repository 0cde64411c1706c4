//! `longhaul serve`: the server, for clients on other machines.

use super::Failure;
use super::service::{self, ServiceArgs, log};
use longhaul::link::Party;
use longhaul::run::{Part, serve};

/// Serve a scenario's networks to clients on other machines
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  longhaul serve --dealer dealer.example:7002\n  longhaul serve scenarios/pillar.toml --listen 0.0.0.0:7001 --dealer 10.0.0.3:7002 --keys /etc/longhaul\n\nTalks mutual TLS with certificates of `longhaul keys`; a client must have the same version and scenario. It gets predictions, never weights; the server never sees an image. One session at a time, each with fresh randomness of the operating system. A line per session goes to standard output. Ctrl-C or SIGTERM ends."
)]
pub struct Args {
    /// Where to listen
    #[arg(long, value_name = "HOST:PORT", default_value = "0.0.0.0:7001")]
    listen: String,
    /// Where the dealer listens
    #[arg(long, value_name = "HOST:PORT")]
    dealer: String,
    #[command(flatten)]
    service: ServiceArgs,
}

pub fn main(args: &Args) -> Result<(), Failure> {
    service::main(
        &args.service,
        &args.listen,
        (Party::Server, Part::Server),
        |prepared, credentials, options, cancel| serve(prepared, credentials, &args.dealer, options, &log, cancel),
    )
}
