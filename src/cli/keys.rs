//! `longhaul keys`: certificates for parties on several machines.

use super::Failure;
use longhaul::link::Party;
use longhaul::net::{NetError, make_keys};
use std::path::PathBuf;

/// Make the certificates with which server, client and dealer know each other
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  longhaul keys\n  longhaul keys --out /etc/longhaul --days 30\n\nEach machine needs ca.pem, and its own party's .pem and .key file; nobody else should have the .key. The authority that signs is not kept, so no party can be added later: make new keys for all."
)]
pub struct Args {
    /// Folder for the files
    #[arg(long, value_name = "DIR", default_value = "keys")]
    out: PathBuf,
    /// How long they are valid
    #[arg(long, value_name = "N", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36500))]
    days: u32,
}

pub fn main(args: &Args) -> Result<(), Failure> {
    let keys = make_keys(&args.out, args.days).map_err(|error| match error {
        NetError::Exists { .. } => Failure::bad_input(error),
        error => error.into(),
    })?;
    let mut text = format!("{}  for every machine", keys.authority().display());
    for party in Party::ALL {
        let (certificate, key) = (keys.certificate(party), keys.private_key(party));
        text.push_str(&format!("\n{}, {}  for the {party}'s", certificate.display(), key.display()));
    }
    Ok(super::print(&text)?)
}
