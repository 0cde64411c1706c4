//! `longhaul replay`: recorded executions, timed over other links.

use super::{Failure, Format};
use anyhow::{Context, anyhow};
use longhaul::link::{Party, Phase, ReplayLink, Schedule, Trace};
use longhaul::report::{human_bytes, human_time, plain_table};
use longhaul::run::{catalogue, directions};
use longhaul::scenario::{Link, parse_link};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Time recorded executions over other links; nothing is executed again
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  longhaul run --trace\n  longhaul replay results/quickstart/traces/*.trace --link intercontinental\n  longhaul replay FILE --link 'rtt=80 ms, bandwidth=50 Mbit/s' --link 'rtt=80 ms, bandwidth=50 Mbit/s, model=tcp'\n  longhaul replay FILE --link satellite,model=tcp,warm=true --format json\n\nA link is a preset or the keys of a scenario's [[link]] without quotes. Computing takes as long as it did on the machine\nwhere it was recorded, times --compute-scale; the times are those that a run with the same computing would show, to the\nnanosecond."
)]
pub struct Args {
    /// Traces that `longhaul run --trace` wrote
    #[arg(required = true, value_name = "TRACE")]
    traces: Vec<PathBuf>,
    /// A link to time them over; may be repeated
    #[arg(long, required = true, value_name = "LINK")]
    link: Vec<String>,
    /// Computing takes so many times as long; 0: it is free
    #[arg(long, value_name = "X", default_value = "1", value_parser = scale)]
    compute_scale: f64,
    /// Jitter and losses follow from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How the result is printed on standard output
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// A factor for computing times.
pub(super) fn scale(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(scale) if (0.0..=1e6).contains(&scale) => Ok(scale),
        _ => Err("write a number from 0 to 1000000".to_owned()),
    }
}

/// A trace and the order in which it can be timed.
pub(super) struct Recorded {
    pub trace: Trace,
    pub schedule: Schedule,
}

pub(super) fn read(path: &Path) -> anyhow::Result<Recorded> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let named = || path.display().to_string();
    let trace = Trace::decode(&bytes).with_context(named)?;
    let schedule = Schedule::new(trace.events.each_ref().map(Vec::as_slice)).with_context(named)?;
    Ok(Recorded { trace, schedule })
}

pub fn main(args: &Args) -> Result<(), Failure> {
    let recorded = args.traces.iter().map(|path| read(path)).collect::<anyhow::Result<Vec<_>>>();
    let recorded = recorded.map_err(Failure::bad_input)?;
    let catalogue = catalogue();
    let links =
        args.link.iter().map(|line| parse_link(line, &catalogue).map_err(|error| anyhow!("--link {line}: {error}")));
    let links = links.collect::<anyhow::Result<Vec<_>>>().map_err(Failure::bad_input)?;
    let rows = recorded.iter().flat_map(|recorded| links.iter().map(|link| Row::new(recorded, link, args)));
    let text = match args.format {
        Format::Json => serde_json::to_string_pretty(&rows.map(|row| row.json()).collect::<Vec<_>>())?,
        Format::Table => {
            let mut table = plain_table([
                "execution",
                "link",
                "online",
                "computing free",
                "rounds",
                "up",
                "down",
                "offline",
                "setup",
            ]);
            for row in rows {
                table.add_row(row.cells());
            }
            table.trim_fmt()
        }
    };
    Ok(super::print(text.trim_end())?)
}

/// One trace over one link.
struct Row<'a> {
    recorded: &'a Recorded,
    link: &'a Link,
    /// By phase.
    times: [u64; 3],
    floor: u64,
}

impl<'a> Row<'a> {
    fn new(recorded: &'a Recorded, link: &'a Link, args: &Args) -> Row<'a> {
        let (model, up, down) = directions(link, args.seed);
        let at = ReplayLink { model, up, down, compute_scale: args.compute_scale };
        let mut arrivals = Vec::new();
        let mut time = |phase, link: &ReplayLink| recorded.schedule.time(phase, link, &mut arrivals).0;
        let free = ReplayLink { compute_scale: 0.0, ..at };
        Row { recorded, link, times: Phase::ALL.map(|phase| time(phase, &at)), floor: time(Phase::Online, &free) }
    }

    fn online_bytes(&self) -> (u64, u64) {
        let bytes = |from, to| self.recorded.schedule.bytes(Phase::Online, from, to);
        (bytes(Party::Client, Party::Server), bytes(Party::Server, Party::Client))
    }

    fn cells(&self) -> [String; 9] {
        let header = &self.recorded.trace.header;
        let (up, down) = self.online_bytes();
        let time = |nanos: u64| human_time(longhaul::units::Nanos(nanos));
        let [setup, offline, online] = self.times.map(time);
        [
            format!("{} / {}", header.model, header.protocol),
            self.link.name.clone(),
            online,
            time(self.floor),
            self.recorded.schedule.rounds(Phase::Online).to_string(),
            human_bytes(up),
            human_bytes(down),
            offline,
            setup,
        ]
    }

    fn json(&self) -> Value {
        let header = &self.recorded.trace.header;
        let (up, down) = self.online_bytes();
        let [setup, offline, online] = self.times.map(|nanos| nanos as f64 * 1e-9);
        json!({
            "model": header.model,
            "protocol": header.protocol,
            "recorded_over": header.link,
            "link": self.link.name,
            "online_s": online,
            "online_floor_s": self.floor as f64 * 1e-9,
            "online_rounds": self.recorded.schedule.rounds(Phase::Online),
            "online_bytes_up": up,
            "online_bytes_down": down,
            "offline_s": offline,
            "setup_s": setup,
        })
    }
}
