//! `longhaul accuracy`: labelled images through the private protocols, and what the plaintext networks say.

use super::progress::Progress;
use super::run::{manifest, with_ctrl_c};
use super::{Failure, Format, source};
use anyhow::{Context, anyhow};
use longhaul::report::{AccuracyRecord, human_time, plain_table, write_file};
use longhaul::run::{self, AccuracyOptions, Filter, RunError, Selection};
use longhaul::scenario::ImageSource;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Measure accuracy through the protocols: plaintext ReLU, plaintext polynomials, and private
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  longhaul accuracy                                    the built-in quickstart's images\n  longhaul accuracy scenarios/pillar.toml --data DIR --images 1000\n  longhaul accuracy scenarios/pillar.toml --filter fused --images 10000 --batch 32\n\nEvery selected model and protocol, over the first selected link, on the first N labelled images. Writes accuracy.csv (shares with Wilson's 95 % intervals) and predictions.csv (a row per image and protocol) as it goes; Ctrl-C keeps what was evaluated."
)]
pub struct Args {
    /// Scenario file (TOML); without one the built-in quickstart
    file: Option<PathBuf>,
    /// Images, from the data set's first on [default: the scenario's number]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    images: Option<u64>,
    /// Images that travel in one execution and share its rounds; fewer where memory would not do
    #[arg(long, value_name = "B", default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=1024))]
    batch: u64,
    /// Images that also travel alone, for the latency of a single image
    #[arg(long, value_name = "K", default_value_t = 5)]
    singles: usize,
    /// Pre-activations of polynomials beyond this magnitude count as outside
    #[arg(long, value_name = "R", default_value_t = 5.0, value_parser = positive)]
    range: f64,
    /// Evaluate only cells that match MODEL/PROTOCOL/LINK, or one name; * and ? stand for letters; may be repeated
    #[arg(long, value_name = "PATTERN")]
    filter: Vec<Filter>,
    /// Where weights and data sets are looked for, after the scenario's folder and before $LONGHAUL_DATA
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Folder for the results [default: results/<scenario name>/accuracy]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How the result is printed on standard output
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

fn positive(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|x: &f64| x.is_finite() && *x > 0.0).ok_or_else(|| "write a number above 0".to_string())
}

pub fn main(args: &Args) -> Result<(), Failure> {
    let mut loaded = source::load(args.file.as_deref(), args.data.as_deref()).map_err(Failure::bad_input)?;
    if matches!(loaded.scenario.input.source, ImageSource::Random) {
        return Err(Failure::bad_input(loaded.blame(RunError::NoLabels)));
    }
    if let Some(images) = args.images {
        loaded.scenario.input.images = images as usize;
    }
    let out = args.out.clone().unwrap_or_else(|| Path::new("results").join(&loaded.scenario.name).join("accuracy"));
    let records = evaluate(args, &loaded, &out)?;
    super::print(&match args.format {
        Format::Table => table(&records),
        Format::Json => serde_json::to_string_pretty(&super::run::rows(&records)?)?,
    })?;
    let _ = writeln!(std::io::stderr(), "results in {}", out.display());
    Ok(())
}

fn evaluate(args: &Args, loaded: &source::Loaded, out: &Path) -> Result<Vec<AccuracyRecord>, Failure> {
    let scenario = &loaded.scenario;
    let selection = Selection { filters: args.filter.clone(), shard: None };
    let options = AccuracyOptions { batch: args.batch as usize, singles: args.singles, range: args.range };
    let mut manifest = manifest(scenario)?;
    manifest.selection = (!selection.is_whole()).then(|| selection.to_string());
    let mut progress = Progress::new();
    let ended = with_ctrl_c("what was evaluated is kept", |cancel| {
        let prepared = run::prepare(scenario, &selection, run::Part::Whole, cancel)?;
        std::fs::create_dir_all(out)
            .map_err(|source| longhaul::report::ReportError::Folder { path: out.to_owned(), source })?;
        run::accuracy(&prepared, &options, out, &mut progress, cancel)
    });
    progress.clear();
    let records = ended?.map_err(|error| match error.is_bad_input() {
        true => Failure::bad_input(loaded.blame(error)),
        false => Failure::from(anyhow!("{error}; what was evaluated is in {}", out.display())),
    })?;
    manifest.finish(SystemTime::now());
    write_file(&out.join("scenario.toml"), loaded.text.as_bytes())?;
    write_file(&out.join("manifest.json"), manifest.to_json().as_bytes()).context("the manifest")?;
    Ok(records)
}

/// A table for people per model and link.
fn table(records: &[AccuracyRecord]) -> String {
    let place = |record: &AccuracyRecord| (record.model.clone(), record.link.clone());
    let blocks: Vec<String> = records.chunk_by(|a, b| place(a) == place(b)).map(block).collect();
    blocks.join("\n")
}

fn block(records: &[AccuracyRecord]) -> String {
    let header = [
        "protocol",
        "ReLU, plain",
        "same, plain",
        "private",
        "95 %",
        "agree",
        "wrapped",
        "outside",
        "alone",
        "batches",
    ];
    let mut table = plain_table(header);
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    for record in records {
        table.add_row([
            record.protocol.clone(),
            percent(record.relu_accuracy),
            percent(record.plain_accuracy),
            percent(record.private_accuracy),
            format!("{:.1}-{:.1}", 100.0 * record.private_accuracy_low, 100.0 * record.private_accuracy_high),
            percent(record.agreement),
            record.wrapped_activations.map_or("-".into(), |count| count.to_string()),
            record.outside_share.map_or("-".into(), |share| format!("{:.4} %", 100.0 * share)),
            record.online_single_s.map_or("-".into(), human_time),
            format!("{} / {}", human_time(record.online_amortised_s), record.batch),
        ]);
    }
    let AccuracyRecord { scenario, model, link, images, .. } = &records[0];
    let mut text = format!(
        "{scenario}: {model} over {link}, {images} images; online time per image, alone and in batches / of so many\n{}",
        table.trim_fmt()
    );
    for record in records.iter().filter(|record| record.overflowed_activations > 0) {
        text.push_str(&format!(
            "\n{}: {} pre-activations or logits leave the range of the ring in the plaintext network",
            record.protocol, record.overflowed_activations
        ));
    }
    text
}
