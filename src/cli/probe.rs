//! `longhaul probe`: measures the link to a server and writes it as a scenario's.

use super::service::PartyArgs;
use super::{Failure, run};
use longhaul::link::Party;
use longhaul::run as library;
use longhaul::run::Probe;
use longhaul::units::{BitRate, Nanos};

/// Measure the link to a server, and print the [[link]] that emulates it
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  longhaul probe server.example:7001\n  longhaul probe server.example:7001 --name office >> scenario.toml\n\nThe server is a `longhaul serve` that has no session under way. Round trips are medians of 20; rates are of the second half of transfers that take at least 2 s each way, measured at the receiver, without the slowest quarter of it."
)]
pub struct Args {
    /// Where the server listens
    #[arg(value_name = "HOST:PORT")]
    server: String,
    /// What the scenario calls the link
    #[arg(long, value_name = "NAME", default_value = "probed")]
    name: String,
    #[command(flatten)]
    party: PartyArgs,
}

pub fn main(args: &Args) -> Result<(), Failure> {
    let credentials = args.party.credentials(Party::Client).map_err(Failure::bad_input)?;
    let ended = run::with_ctrl_c("nothing is kept", |cancel| {
        library::probe(&credentials, &args.server, args.party.waits(), cancel)
    });
    let Probe { rtt, rtt_least, rtt_most, up, down } = ended??;
    // Three digits are more than repeats.
    let rtt = Nanos(rounded(rtt.0));
    let (up, down) = (BitRate(rounded(wire_rate(up))), BitRate(rounded(wire_rate(down))));
    let text = format!(
        "[[link]]\nname = {:?}\nmodel = \"tcp\"\nrtt = \"{rtt}\"  # {} to {}\nup = \"{up}\"\ndown = \"{down}\"",
        args.name,
        Nanos(rounded(rtt_least.0)),
        Nanos(rounded(rtt_most.0)),
    );
    Ok(super::print(&text)?)
}

/// The wire's rate at which a payload of `rate` passes: with the 52 bytes of headers of IP and TCP on every 1448.
fn wire_rate(BitRate(rate): BitRate) -> u64 {
    (rate as f64 * f64::from(1448 + 52) / 1448.0) as u64
}

/// To three significant digits.
fn rounded(value: u64) -> u64 {
    let unit = 10u64.pow(value.checked_ilog10().unwrap_or(0).saturating_sub(2));
    (value + unit / 2) / unit * unit
}

#[cfg(test)]
mod tests {
    #[test]
    fn three_digits() {
        for (value, expected) in [(0, 0), (7, 7), (123, 123), (1234, 1230), (99_950, 100_000), (20_348_777, 20_300_000)]
        {
            assert_eq!(super::rounded(value), expected);
        }
    }
}
