//! `longhaul query`: the client, with a server and a dealer on other machines.

use super::progress::Progress;
use super::run::{self, manifest, stopped};
use super::service::{self, PartyArgs, ScenarioArgs};
use super::{Failure, Format, source};
use anyhow::anyhow;
use longhaul::link::Party;
use longhaul::report::ResultsDir;
use longhaul::run::{self as library, Filter, Part, QueryOptions, RunOptions, Selection};
use longhaul::scenario::{Clock, Compute};
use longhaul::units::Bytes;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Run a scenario's cells with a server and a dealer on other machines
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  longhaul query server.example:7001 --dealer dealer.example:7002\n  longhaul query 10.0.0.2:7001 scenarios/pillar.toml --dealer 10.0.0.3:7002 --filter 'resnet20/*/wan' --trace\n\nThe results are those of `longhaul run`, with times of the real network (clock = \"real\" in manifest.json); floors are those of the scenario's link, which should describe the network, see `longhaul probe`. Results are compared with plaintext if the weights are at hand. Ctrl-C stops cleanly and keeps what was measured; --resume goes on from there."
)]
pub struct Args {
    /// Where the server listens
    #[arg(value_name = "HOST:PORT")]
    server: String,
    #[command(flatten)]
    scenario: ScenarioArgs,
    /// Where the dealer listens
    #[arg(long, value_name = "HOST:PORT")]
    dealer: String,
    /// Folder for the results [default: results/<scenario name>-real]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How the summary is printed on standard output
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Run only cells that match MODEL/PROTOCOL/LINK, or one name; * and ? stand for letters; may be repeated
    #[arg(long, value_name = "PATTERN")]
    filter: Vec<Filter>,
    /// Give the online phase a connection of its own, on which nothing was sent before: a cold start
    #[arg(long)]
    fresh: bool,
    /// The same, to another address of the server: the online phase over the network in question, the rest over a faster one
    #[arg(long, value_name = "HOST:PORT")]
    online: Option<String>,
    /// Before the online phase fill the connection with so much padding each way, so that its window is open: a warm start
    #[arg(long, value_name = "SIZE", default_value = "0 B", value_parser = service::parse::<Bytes>)]
    warm_up: Bytes,
    /// Randomness from the scenario's seed, as `longhaul run` has it, so that both send the same bytes: INSECURE, for benchmarks
    #[arg(long)]
    insecure_seed: bool,
    /// Go on with the interrupted run in the output folder; what it measured is kept
    #[arg(long)]
    resume: bool,
    /// Write what the parties did in the run with the median online time of each cell, as traces/*.trace
    #[arg(long)]
    trace: bool,
    #[command(flatten)]
    party: PartyArgs,
}

pub fn main(args: &Args) -> Result<(), Failure> {
    let loaded = source::load_part(args.scenario.file.as_deref(), args.scenario.data.as_deref());
    let mut loaded = loaded.map_err(Failure::bad_input)?;
    let credentials = args.party.credentials(Party::Client).map_err(Failure::bad_input)?;
    let selection = Selection { filters: args.filter.clone(), shard: None };
    let links: BTreeSet<usize> = selection.units(&loaded.scenario).iter().map(|unit| unit.link).collect();
    if links.len() > 1 {
        let names: Vec<&str> = links.iter().map(|&link| &*loaded.scenario.links[link].name).collect();
        return Err(Failure::bad_input(anyhow!(
            "there is one network and the scenario has several links ({}); say which one describes it, \
             for example --filter '*/*/{}'",
            names.join(", "),
            names[0]
        )));
    }
    let query = QueryOptions {
        server: args.server.clone(),
        dealer: args.dealer.clone(),
        waits: args.party.waits(),
        online: args.online.clone().or_else(|| args.fresh.then(|| args.server.clone())),
        warm_up: args.warm_up.0,
        insecure_seed: args.insecure_seed,
        digest: loaded.scenario.digest(),
    };
    let scenario = &mut loaded.scenario;
    (scenario.clock, scenario.compute, scenario.compute_scale) = (Clock::Real, Compute::Measured, 1.0);
    let scenario = &loaded.scenario;
    let out = args.out.clone().unwrap_or_else(|| Path::new("results").join(format!("{}-real", scenario.name)));
    let (mut manifest, mut progress, mut rows) = (manifest(scenario)?, Progress::new(), 0);
    let options = RunOptions { resume: args.resume, trace: args.trace };
    let ended = run::with_ctrl_c("what was measured is kept", |cancel| {
        let prepared = library::prepare(scenario, &selection, Part::Client, cancel)?;
        let mut results = if options.resume { ResultsDir::resume(&out)? } else { ResultsDir::create(&out)? };
        results.keep_scenario(&*loaded.text);
        let ended = library::query(
            &prepared,
            &credentials,
            &query,
            &mut results,
            &mut manifest,
            options,
            &mut progress,
            cancel,
        );
        rows = results.runs().len();
        ended
    });
    progress.clear();
    let outcome = ended?.map_err(|error| match error.is_bad_input() {
        true => Failure::bad_input(loaded.blame(error)),
        false => Failure::from(stopped(error, rows, &out)),
    })?;
    run::print(args.format, false, &outcome)?;
    let _ = writeln!(std::io::stderr(), "results in {}", out.display());
    Ok(())
}
