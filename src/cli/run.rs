//! `longhaul run`: executes a scenario and writes its results.

use super::progress::Progress;
use super::{Failure, Format};
use anyhow::{Context, anyhow};
use longhaul::report::{Host, Manifest, Record, ResultsDir, profile, table};
use longhaul::run::{self, Outcome, RunError, catalogue, cpu_features};
use longhaul::scenario::{self, Scenario, SearchPath};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tokio_util::sync::CancellationToken;

/// The scenario of `longhaul run` without a file.
const QUICKSTART: &str = include_str!("../../scenarios/quickstart.toml");

/// Run a scenario: every model, protocol and link, executed for real
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  longhaul run\n  longhaul run scenarios/cifar10-resnet20.toml --data ~/datasets --out /tmp/resnet20\n  longhaul run --profile\n\nWrites runs.csv, layers.csv, summary.csv, speedup.csv and manifest.json to the output folder; the table goes to standard output, progress to standard error. Ctrl-C stops cleanly and keeps what was measured."
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
}

pub fn main(args: &Args) -> Result<(), Failure> {
    let scenario = load(args).map_err(Failure::bad_input)?;
    let scenario = &scenario;
    let out = args.out.clone().unwrap_or_else(|| Path::new("results").join(&scenario.name));
    let mut manifest = manifest(scenario)?;
    let mut progress = Progress::new();
    let mut rows = 0;
    let ended = with_ctrl_c(|cancel| {
        let prepared = run::prepare(scenario, cancel)?;
        let mut results = ResultsDir::create(&out)?;
        let ended = run::run(&prepared, &mut results, &mut manifest, &mut progress, cancel);
        rows = results.runs().len();
        ended
    });
    progress.clear();
    let outcome = ended?.map_err(|error| match error.is_bad_input() {
        true => Failure::bad_input(blame(error, scenario, args)),
        false => Failure::from(stopped(error, rows, &out)),
    })?;
    print(args, &outcome)?;
    let _ = writeln!(std::io::stderr(), "results in {}", out.display());
    Ok(())
}

fn load(args: &Args) -> Result<Scenario, scenario::ScenarioError> {
    let search =
        SearchPath { data: args.data.clone(), environment: std::env::var_os("LONGHAUL_DATA").map(PathBuf::from) };
    match &args.file {
        Some(file) => scenario::load(file, &search, &catalogue()),
        None => scenario::parse(QUICKSTART, file_name(args), &search, &catalogue()),
    }
}

/// What messages call the scenario's file.
fn file_name(args: &Args) -> &Path {
    args.file.as_deref().unwrap_or(Path::new("quickstart (built in)"))
}

fn manifest(scenario: &Scenario) -> anyhow::Result<Manifest> {
    let digest = blake3::Hash::from_hex(scenario.digest()).context("a scenario's digest is a BLAKE3 hash")?;
    let host = Host::this_machine(cpu_features());
    Ok(Manifest::begin(SystemTime::now(), host, scenario.seed, digest, serde_json::to_value(scenario)?))
}

/// Runs `work` while listening for Ctrl-C, which cancels it; a second one ends the process at once.
fn with_ctrl_c<T: Send>(work: impl FnOnce(&CancellationToken) -> T + Send) -> anyhow::Result<T> {
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
                signal = tokio::signal::ctrl_c() => if signal.is_err() { return },
            }
            let _ = writeln!(std::io::stderr(), "stopping; what was measured is kept (Ctrl-C again to stop at once)");
            cancel.cancel();
            tokio::select! {
                _ = done.cancelled() => {}
                _ = tokio::signal::ctrl_c() => std::process::exit(130),
            }
        });
        worker.join().map_err(|_| anyhow!("internal error: the run panicked"))
    })
}

/// A fault that showed when the scenario's files were read, at the scenario's line that names them.
fn blame(error: RunError, scenario: &Scenario, args: &Args) -> anyhow::Error {
    let text = match &args.file {
        Some(file) => std::fs::read_to_string(file).ok(),
        None => Some(QUICKSTART.to_string()),
    };
    match text.zip(error.key(scenario)) {
        Some((text, key)) => scenario::blame(&text, file_name(args), &key, error.to_string()).into(),
        None => error.into(),
    }
}

/// What stopped the run, and what it leaves behind.
fn stopped(error: RunError, rows: usize, out: &Path) -> anyhow::Error {
    let kept = match rows {
        0 => format!("nothing was measured, nothing was written to {}", out.display()),
        1 => format!("1 row was kept in {}", out.join("runs.csv").display()),
        _ => format!("{rows} rows were kept in {}", out.join("runs.csv").display()),
    };
    anyhow!("{error}; {kept}")
}

fn print(args: &Args, outcome: &Outcome) -> anyhow::Result<()> {
    let Outcome { summaries, speedups, layers } = outcome;
    let text = match args.format {
        Format::Table if args.profile => format!("{}\n{}", table(summaries, speedups), profile(layers)),
        Format::Table => table(summaries, speedups),
        Format::Json => {
            let mut json = serde_json::json!({ "summary": rows(summaries)?, "speedup": rows(speedups)? });
            if args.profile {
                json["layers"] = rows(layers)?;
            }
            serde_json::to_string_pretty(&json)?
        }
    };
    super::print(text.trim_end())
}

/// The rows for JSON: cells that CSV writes as digits are numbers, those it leaves empty are null.
fn rows<R: Record>(records: &[R]) -> anyhow::Result<Value> {
    const NAMES: [&str; 8] = ["scenario", "model", "protocol", "link", "subject", "baseline", "name", "kind"];
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
