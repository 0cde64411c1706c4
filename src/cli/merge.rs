//! `longhaul merge`: joins the results of the parts of a run.

use super::Failure;
use anyhow::{Context, anyhow};
use longhaul::report::{ResultsDir, merge, read_parts, table};
use longhaul::run;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Join the results of shards, or of runs of some cells each, into those of one run
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  longhaul merge results/paper/shard-*-of-8 --out results/paper\n  longhaul merge results/fused results/gc --out results/both --allow-missing\n\nAll must be of one scenario and finished, no cell may be there twice, and none may be missing. What was measured on different machines or by different versions is told on standard error and in manifest.json. The parts stay as they are."
)]
pub struct Args {
    /// Results folders that `longhaul run` wrote
    #[arg(required = true, value_name = "DIR")]
    parts: Vec<PathBuf>,
    /// Folder for the joined results; what earlier results it holds is replaced
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Join what is there even if shards or cells are missing
    #[arg(long)]
    allow_missing: bool,
}

pub fn main(args: &Args) -> Result<(), Failure> {
    let Args { parts, out, allow_missing } = args;
    refuse_overwriting(parts, out).map_err(Failure::bad_input)?;
    let merged = read_parts(parts).and_then(|parts| merge(parts, *allow_missing)).map_err(Failure::bad_input)?;
    for warning in &merged.warnings {
        let _ = writeln!(std::io::stderr(), "warning: {warning}");
    }
    merged.write(&mut ResultsDir::create(out)?)?;
    copy_histograms(parts, out)?;
    super::print(table(&merged.summaries, &merged.speedups).trim_end())?;
    let (folders, cells) = (parts.len(), merged.summaries.len());
    let _ = writeln!(std::io::stderr(), "{cells} cells of {folders} folders in {}", out.display());
    Ok(())
}

/// The folder for the results must hold nothing that would be lost.
fn refuse_overwriting(parts: &[PathBuf], out: &Path) -> anyhow::Result<()> {
    let target = out.canonicalize().ok();
    if let Some(part) = parts.iter().find(|part| target.is_some() && part.canonicalize().ok() == target) {
        return Err(anyhow!("--out {} is one of the folders to merge; name another one", part.display()));
    }
    match run::unfinished(out) {
        Some(executions @ 1..) => Err(anyhow!(
            "--out {} holds an unfinished run of {executions} executions; name another folder, or finish it with \
             `longhaul run ... --resume`",
            out.display()
        )),
        _ => Ok(()),
    }
}

/// Histograms have a folder per cell, and every cell is in one of the parts.
fn copy_histograms(parts: &[PathBuf], out: &Path) -> anyhow::Result<()> {
    let target = out.join("histograms");
    for folder in parts.iter().map(|part| part.join("histograms")).filter(|folder| folder.is_dir()) {
        copy_folder(&folder, &target)
            .with_context(|| format!("cannot copy {} to {}", folder.display(), target.display()))?;
    }
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let (from, to) = entry.map(|entry| (entry.path(), to.join(entry.file_name())))?;
        if from.is_dir() { copy_folder(&from, &to)? } else { std::fs::copy(&from, &to).map(drop)? }
    }
    Ok(())
}
