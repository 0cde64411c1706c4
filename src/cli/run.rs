//! `longhaul run`: executes a scenario and writes its results.

use super::progress::Progress;
use super::{Failure, Format, dry_run, histograms, source};
use anyhow::{Context, anyhow};
use longhaul::report::{
    Host, LayerRecord, Manifest, Record, ResultsDir, SpeedupRecord, SummaryRecord, profile, read_manifest,
    read_records, table,
};
use longhaul::run::{self, Filter, Outcome, RunError, RunOptions, Selection, Shard, cpu_features};
use longhaul::scenario::Scenario;
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tokio_util::sync::CancellationToken;

/// Run a scenario: every model, protocol and link, executed for real
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  longhaul run\n  longhaul run scenarios/cifar10-resnet20.toml --data ~/datasets --out /tmp/resnet20\n  longhaul run --profile\n  longhaul run scenarios/protocols.toml --filter 'resnet20/gc*/wan' --dry-run\n  longhaul run scenarios/paper/cifar10.toml --resume\n\nWrites runs.csv, layers.csv, messages.csv, summary.csv, speedup.csv, scenario.toml and manifest.json to the output folder; the table goes to standard output, progress to standard error. Ctrl-C stops cleanly and keeps what was measured; --resume goes on from there."
)]
pub struct Args {
    /// Scenario file (TOML); without one the built-in quickstart runs
    file: Option<PathBuf>,
    /// Folder for the results [default: results/<scenario name>]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Where weights and data sets are looked for, after the scenario's folder and before $LONGHAUL_DATA
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How the summary is printed on standard output
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Print where the online time goes, too: computing by kind of layer, latency, bandwidth
    #[arg(long)]
    profile: bool,
    /// Run only cells that match MODEL/PROTOCOL/LINK, or one name; * and ? stand for letters; may be repeated
    #[arg(long, value_name = "PATTERN")]
    filter: Vec<Filter>,
    /// Run only part I of N, as I/N, so that several machines share the work; "auto" (the default) takes it from a Slurm
    /// array task or a Kubernetes Indexed Job, if there is one. `longhaul merge` joins the parts
    #[arg(long, value_name = "I/N", default_value = "auto", value_parser = parse_shard)]
    shard: ShardChoice,
    /// Print the cells with their predicted times, bytes and memory, and run nothing
    #[arg(long)]
    dry_run: bool,
    /// Go on with the interrupted run in the output folder; what it measured is kept
    #[arg(long)]
    resume: bool,
    /// Write histograms of the online times, whole and per layer, as histograms/*.hgrm (HdrHistogram's format)
    #[arg(long)]
    hgrm: bool,
    /// Write what the parties did in the run with the median online time of each cell, as traces/*.trace, for `longhaul replay`
    /// and `longhaul sweep`
    #[arg(long)]
    trace: bool,
}

/// Which part of the work is this process's.
#[derive(Clone, Copy, Debug)]
enum ShardChoice {
    /// What the scheduler says.
    Auto,
    Given(Shard),
}

fn parse_shard(text: &str) -> Result<ShardChoice, String> {
    if text == "auto" { Ok(ShardChoice::Auto) } else { text.parse().map(ShardChoice::Given) }
}

impl ShardChoice {
    fn resolve(self) -> Result<Option<Shard>, String> {
        match self {
            ShardChoice::Given(shard) => Ok(Some(shard)),
            ShardChoice::Auto => Shard::from_environment(|name| std::env::var(name).ok()),
        }
    }
}

/// Parts of one run lie beside each other.
fn default_folder(scenario: &Scenario, shard: Option<Shard>) -> PathBuf {
    let folder = Path::new("results").join(&scenario.name);
    match shard {
        Some(Shard { index, count }) => folder.join(format!("shard-{}-of-{count}", index + 1)),
        None => folder,
    }
}

pub fn main(args: &Args) -> Result<(), Failure> {
    let loaded = source::load(args.file.as_deref(), args.data.as_deref()).map_err(Failure::bad_input)?;
    let scenario = &loaded.scenario;
    let shard = args.shard.resolve().map_err(|text| Failure::bad_input(anyhow!(text)))?;
    let out = args.out.clone().unwrap_or_else(|| default_folder(scenario, shard));
    let selection = Selection { filters: args.filter.clone(), shard };
    if args.dry_run {
        return dry_run::main(&loaded, &selection, args.format);
    }
    if args.resume && is_complete(scenario, &selection, &out) {
        let _ = writeln!(std::io::stderr(), "the run in {} is complete, nothing is left to do", out.display());
        return Ok(print(args.format, args.profile, &read_outcome(&out)?)?);
    }
    warn_of_unfinished(args, &out);
    if let Some(shard) = shard {
        let units = selection.units(scenario).len();
        let _ = writeln!(std::io::stderr(), "shard {shard}: {units} of the pairs of model and link");
    }
    let outcome = execute(&loaded, &selection, &out, RunOptions { resume: args.resume, trace: args.trace })?;
    if args.hgrm {
        histograms::write(&out.join("histograms"), &outcome.times)?;
    }
    print(args.format, args.profile, &outcome)?;
    let _ = writeln!(std::io::stderr(), "results in {}", out.display());
    Ok(())
}

/// Runs a scenario as `longhaul run` does, progress included, and leaves its results in `out`.
pub(super) fn execute(
    loaded: &source::Loaded,
    selection: &Selection,
    out: &Path,
    options: RunOptions,
) -> Result<Outcome, Failure> {
    let scenario = &loaded.scenario;
    let mut manifest = manifest(scenario)?;
    let mut progress = Progress::new();
    let mut rows = 0;
    let ended = with_ctrl_c("what was measured is kept", |cancel| {
        let prepared = run::prepare(scenario, selection, run::Part::Whole, cancel)?;
        let mut results = if options.resume { ResultsDir::resume(out)? } else { ResultsDir::create(out)? };
        results.keep_scenario(&*loaded.text);
        let ended = run::run(&prepared, &mut results, &mut manifest, options, &mut progress, cancel);
        rows = results.runs().len();
        ended
    });
    progress.clear();
    ended?.map_err(|error| match error.is_bad_input() {
        true => Failure::bad_input(loaded.blame(error)),
        false => Failure::from(stopped(error, rows, out)),
    })
}

pub(super) fn manifest(scenario: &Scenario) -> anyhow::Result<Manifest> {
    let digest = blake3::Hash::from_hex(scenario.digest()).context("a scenario's digest is a BLAKE3 hash")?;
    let host = Host::this_machine(cpu_features());
    let mut manifest = Manifest::begin(SystemTime::now(), host, scenario.seed, digest, serde_json::to_value(scenario)?);
    manifest.allocator = super::allocator::settings();
    Ok(manifest)
}

/// Whether `out` holds the complete results of the same run.
fn is_complete(scenario: &Scenario, selection: &Selection, out: &Path) -> bool {
    let selection = (!selection.is_whole()).then(|| selection.to_string());
    read_manifest(out.join("manifest.json")).is_ok_and(|manifest| {
        manifest.finished_at.is_some()
            && manifest.scenario_digest.to_hex().as_str() == scenario.digest()
            && manifest.selection == selection
    })
}

/// What a complete run printed, from its files.
fn read_outcome(out: &Path) -> anyhow::Result<Outcome> {
    let summaries = read_records::<SummaryRecord>(out.join(SummaryRecord::FILE))?;
    let speedups = read_records::<SpeedupRecord>(out.join(SpeedupRecord::FILE))?;
    let layers = read_records::<LayerRecord>(out.join(LayerRecord::FILE))?;
    Ok(Outcome { summaries, speedups, layers, times: Vec::new() })
}

/// Results of many hours should not be replaced by a slip.
fn warn_of_unfinished(args: &Args, out: &Path) {
    if let Some(executions @ 1..) = run::unfinished(out).filter(|_| !args.resume) {
        let _ = writeln!(
            std::io::stderr(),
            "warning: {} holds an unfinished run of {executions} executions, which this run replaces; to go on with it, \
             press Ctrl-C and add --resume",
            out.display()
        );
    }
}

/// Runs `work` while listening for Ctrl-C and SIGTERM, which say `kept` and cancel it; a second one ends the process at once.
pub(super) fn with_ctrl_c<T: Send>(kept: &str, work: impl FnOnce(&CancellationToken) -> T + Send) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the signal handler")?;
    let (cancel, done) = (CancellationToken::new(), CancellationToken::new());
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            // Dropped on a panic, too: the handler below must not wait for ever.
            let _done = done.clone().drop_guard();
            work(&cancel)
        });
        runtime.block_on(async {
            tokio::select! {
                _ = done.cancelled() => return,
                signal = told_to_stop() => if signal.is_err() { return },
            }
            let _ = writeln!(std::io::stderr(), "stopping; {kept} (Ctrl-C again to stop at once)");
            cancel.cancel();
            tokio::select! {
                _ = done.cancelled() => {}
                _ = told_to_stop() => std::process::exit(130),
            }
        });
        worker.join().map_err(|_| anyhow!("internal error: the run panicked"))
    })
}

/// Ctrl-C, or what a service manager or CI sends.
async fn told_to_stop() -> std::io::Result<()> {
    #[cfg(unix)]
    {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            signal = tokio::signal::ctrl_c() => signal,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

/// What stopped the run, and what it leaves behind.
pub(super) fn stopped(error: RunError, rows: usize, out: &Path) -> anyhow::Error {
    let kept = match rows {
        0 => format!("nothing was measured, nothing was written to {}", out.display()),
        1 => format!("1 row was kept in {}", out.join("runs.csv").display()),
        _ => format!("{rows} rows were kept in {}", out.join("runs.csv").display()),
    };
    anyhow!("{error}; {kept}")
}

pub(super) fn print(format: Format, with_profile: bool, outcome: &Outcome) -> anyhow::Result<()> {
    let Outcome { summaries, speedups, layers, .. } = outcome;
    let text = match format {
        Format::Table if with_profile => format!("{}\n{}", table(summaries, speedups), profile(layers)),
        Format::Table => table(summaries, speedups),
        Format::Json => {
            let mut json = serde_json::json!({ "summary": rows(summaries)?, "speedup": rows(speedups)? });
            if with_profile {
                json["layers"] = rows(layers)?;
            }
            serde_json::to_string_pretty(&json)?
        }
    };
    super::print(text.trim_end())
}

/// The rows for JSON: cells that CSV writes as digits are numbers, those it leaves empty are null.
pub(super) fn rows<R: Record>(records: &[R]) -> anyhow::Result<Value> {
    const NAMES: [&str; 14] = [
        "scenario",
        "model",
        "protocol",
        "link",
        "link_model",
        "subject",
        "baseline",
        "faster_below",
        "faster_above",
        "name",
        "kind",
        "phase",
        "from",
        "to",
    ];
    let mut rows = serde_json::to_value(records)?;
    let cells = rows.as_array_mut().into_iter().flatten();
    let cells = cells.filter_map(Value::as_object_mut).flatten();
    for (column, cell) in cells {
        if let Value::String(text) = cell
            && !NAMES.contains(&column.as_str())
        {
            *cell = text.parse::<f64>().map_or(Value::Null, Value::from);
        }
    }
    Ok(rows)
}
