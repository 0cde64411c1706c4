//! `longhaul check`: results against a baseline, for people, programs and CI.

use super::{Failure, Format, allocator, run, source};
use anyhow::{Context, anyhow};
use longhaul::check::{self, Options, Report, Results, Verdict};
use longhaul::report::{LayerRecord, MessageRecord, Record, RunRecord, SpeedupRecord, SummaryRecord};
use longhaul::report::{read_manifest, read_records, read_runs, summarize};
use longhaul::run::{RunOptions, Selection};
use serde::Serialize;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A time that is slower in one run may be a disturbance of the machine; one that is slower in three is not.
const RUNS: usize = 3;
const MANIFEST: &str = "manifest.json";
const SCENARIO: &str = "scenario.toml";

/// Compare results with a baseline: exact columns must be equal, times within tolerance and noise
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  longhaul check results/baseline                       run the baseline's scenario again and compare\n  longhaul check results/baseline results/mine          compare two folders\n  longhaul check results/baseline --junit check.xml --markdown check.md\n  longhaul check results/baseline --update              keep the new results as the baseline\n\nRounds, messages, bytes, floors, predictions and transcripts must be the same. Times are compared as multiples of a calibration kernel that runs beside them; a cell is slower if the ratio is beyond the tolerance and its 95 % interval beyond half of it. Where check runs the scenario itself, a time must be slower in three runs. Under GitHub Actions findings are annotations, and the step summary has the table.\n\nExit status: 0 ok, 1 regression, 2 bad input."
)]
pub struct Args {
    /// Folder with the results to compare with, and the scenario.toml they came from
    baseline: PathBuf,
    /// Folder with the results to check; without one the baseline's scenario is run
    candidate: Option<PathBuf>,
    /// How the findings are printed on standard output
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Also write the findings as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Also write the findings as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Print GitHub annotations even outside of GitHub Actions
    #[arg(long)]
    github: bool,
    /// Slowdown that is let pass
    #[arg(long, value_name = "PERCENT", default_value = "10", value_parser = percent, allow_negative_numbers = true)]
    tolerance: f64,
    /// Print what moved, then keep the candidate as the new baseline; exit 0
    #[arg(long)]
    update: bool,
    /// Where weights and data sets are looked for, after the baseline's folder and before $LONGHAUL_DATA
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Folder for the results of the run [default: a temporary one, kept if there are findings]
    #[arg(long, value_name = "DIR", conflicts_with = "candidate")]
    out: Option<PathBuf>,
}

fn percent(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().ok().filter(|value| (0.0..=1000.0).contains(value));
    value.ok_or_else(|| "a number from 0 to 1000, for example 10, is expected".to_string())
}

pub fn main(args: &Args) -> Result<(), Failure> {
    if args.candidate.is_none() {
        allocator::keep_memory();
    }
    let baseline = read(&args.baseline).map_err(Failure::bad_input)?;
    let options = Options { tolerance: args.tolerance / 100.0 };
    let (report, candidate) = match &args.candidate {
        Some(folder) => {
            let candidate = read(folder).map_err(Failure::bad_input)?;
            (check::check(&baseline, &candidate, &options), folder.clone())
        }
        None => run_and_check(args, &baseline, &options)?,
    };
    write(args, &report, &candidate)?;
    if args.update {
        let files = update(&args.baseline, &candidate)?;
        let _ = writeln!(std::io::stderr(), "{} is now the baseline: {}", args.baseline.display(), files.join(", "));
    }
    if args.candidate.is_none() && args.out.is_none() {
        discard_or_name(&report, &candidate);
    }
    match report.verdict() {
        Verdict::Regression if !args.update => {
            Err(Failure::from(anyhow!("the results differ from {}", args.baseline.display())))
        }
        _ => Ok(()),
    }
}

/// Reads a results folder and makes sure that its rows make sense together.
fn read(folder: &Path) -> anyhow::Result<Results> {
    if !folder.is_dir() {
        let remedy = format!("make it with `longhaul run SCENARIO.toml --out {}`", folder.display());
        return Err(anyhow!("{}: there is no such folder; {remedy}", folder.display()));
    }
    if !folder.join(MANIFEST).is_file() {
        let remedy = "name a folder that `longhaul run` wrote";
        return Err(anyhow!("{}: holds no results (there is no {MANIFEST}); {remedy}", folder.display()));
    }
    let manifest = read_manifest(folder.join(MANIFEST))?;
    let runs = read_runs(folder.join(RunRecord::FILE))?;
    summarize(&runs).with_context(|| folder.join(RunRecord::FILE).display().to_string())?;
    if runs.is_empty() {
        return Err(anyhow!("{}: there are no runs to compare", folder.join(RunRecord::FILE).display()));
    }
    let layers = folder.join(LayerRecord::FILE);
    let layers = layers.exists().then(|| read_records(layers)).transpose()?;
    Ok(Results { manifest, runs, layers })
}

/// Runs the baseline's scenario, again if only times differ; the report, and where the first run's results are.
fn run_and_check(args: &Args, baseline: &Results, options: &Options) -> Result<(Report, PathBuf), Failure> {
    let loaded = load(args, baseline)?;
    let out = match &args.out {
        Some(out) if same_folder(out, &args.baseline) => {
            let error = anyhow!("--out {} would replace the baseline; for that there is --update", out.display());
            return Err(Failure::bad_input(error));
        }
        Some(out) => out.clone(),
        None => tempfile::Builder::new().prefix("longhaul-check-").tempdir().context("a temporary folder")?.keep(),
    };
    let compare = |folder: &Path| -> Result<Report, Failure> {
        run::execute(&loaded, &Selection::default(), folder, RunOptions::default())?;
        Ok(check::check(baseline, &read(folder)?, options))
    };
    let mut report = compare(&out)?;
    for again in 2..=RUNS {
        if !report.only_times_fail() || args.update {
            break;
        }
        let _ = writeln!(std::io::stderr(), "only times differ: running again to confirm ({again} of {RUNS})");
        report.confirm(&compare(&out.join(format!("run-{again}")))?);
    }
    Ok((report, out))
}

/// The scenario beside the baseline; it must be the one that the baseline was made with.
fn load(args: &Args, baseline: &Results) -> Result<source::Loaded, Failure> {
    let file = args.baseline.join(SCENARIO);
    if !file.exists() {
        let error = anyhow!(
            "{}: there is no such file, so the scenario cannot be run again; copy the scenario file there, or name the \
             folder of a finished run as CANDIDATE_DIR",
            file.display()
        );
        return Err(Failure::bad_input(error));
    }
    if let Some(selection) = &baseline.manifest.selection {
        let error = anyhow!(
            "{}: the baseline holds only the cells {selection}; run them and name the folder as CANDIDATE_DIR",
            args.baseline.join(MANIFEST).display()
        );
        return Err(Failure::bad_input(error));
    }
    let loaded = source::load(Some(&file), args.data.as_deref()).map_err(Failure::bad_input)?;
    if loaded.scenario.digest() == baseline.manifest.scenario_digest.to_hex().as_str() || args.update {
        return Ok(loaded);
    }
    let now = serde_json::to_value(&loaded.scenario)?;
    let keys = check::differing_keys(&baseline.manifest.scenario, &now).into_iter().map(|(key, ..)| key);
    let keys: Vec<String> = keys.collect();
    let differs = if keys.is_empty() { "its digest".to_string() } else { keys.join(", ") };
    Err(Failure::bad_input(anyhow!(
        "{}: this is not the scenario that {} was made with (different: {differs}); put the right file there, or \
         make the baseline again with --update",
        file.display(),
        args.baseline.join(MANIFEST).display()
    )))
}

fn same_folder(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    real(one).is_some() && real(one) == real(other)
}

/// What `--format json` prints.
#[derive(Serialize)]
struct Json<'a> {
    verdict: Verdict,
    baseline: &'a Path,
    candidate: &'a Path,
    #[serde(flatten)]
    report: &'a Report,
}

/// Prints the findings and writes every file that was asked for.
fn write(args: &Args, report: &Report, candidate: &Path) -> anyhow::Result<()> {
    let on_github = args.github || std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true");
    let annotations = if on_github { check::annotations(report) } else { String::new() };
    match args.format {
        Format::Table => super::print(&format!("{annotations}{}", check::table(report).trim_end()))?,
        Format::Json => {
            // GitHub reads both streams; programs read this one.
            let _ = write!(std::io::stderr(), "{annotations}");
            let json = Json { verdict: report.verdict(), baseline: &args.baseline, candidate, report };
            super::print(&serde_json::to_string_pretty(&json)?)?;
        }
    }
    for (path, text) in [(&args.markdown, check::markdown(report)), (&args.junit, check::junit(report))] {
        if let Some(path) = path {
            fs::write(path, text).with_context(|| format!("{}: cannot be written", path.display()))?;
        }
    }
    if let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) {
        let mut summary = fs::File::options().create(true).append(true).open(&path).context("$GITHUB_STEP_SUMMARY")?;
        summary.write_all(check::markdown(report).as_bytes()).context("$GITHUB_STEP_SUMMARY")?;
    }
    Ok(())
}

/// Replaces the baseline's files by the candidate's; large ones only if the baseline keeps them. The names of those.
fn update(baseline: &Path, candidate: &Path) -> anyhow::Result<Vec<&'static str>> {
    let optional = [LayerRecord::FILE, MessageRecord::FILE].into_iter().filter(|file| baseline.join(file).exists());
    // The manifest last: whatever stops this halfway shows as another digest or other figures, not as a good baseline.
    let files = optional.chain([SCENARIO, SummaryRecord::FILE, SpeedupRecord::FILE, RunRecord::FILE, MANIFEST]);
    let mut replaced = Vec::new();
    for file in files {
        let (from, to) = (candidate.join(file), baseline.join(file));
        // Results of an older version may lack one.
        if from.exists() && !same_folder(&from, &to) {
            let copied = stage(&from, &to);
            copied.with_context(|| format!("{}: cannot be replaced", to.display()))?;
            replaced.push(file);
        }
    }
    Ok(replaced)
}

/// Copies beside the target first: a reader never sees half a file.
fn stage(from: &Path, to: &Path) -> anyhow::Result<()> {
    let folder = to.parent().context("a file in a folder")?;
    let staged = tempfile::Builder::new().prefix(".longhaul-").tempfile_in(folder)?;
    fs::copy(from, staged.path())?;
    staged.persist(to)?;
    Ok(())
}

/// The temporary folder is worth keeping if somebody will want to look at it.
fn discard_or_name(report: &Report, folder: &Path) {
    if report.findings.is_empty() {
        let _ = fs::remove_dir_all(folder);
    } else {
        let _ = writeln!(std::io::stderr(), "the candidate's results are in {}", folder.display());
    }
}
