//! `longhaul report`: results as a page with charts, or as tables for a paper.

use super::Failure;
use anyhow::{Context, anyhow};
use clap::ValueEnum;
use longhaul::report::{Document, REPORT_FILE, find_folders, html, latex, markdown, read_sources, write_file};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Make a report of results: one HTML file with charts, or tables in Markdown or LaTeX
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  longhaul report results/quickstart --open\n  longhaul report results/paper                 of all folders in it\n  longhaul report results/before results/after --out compare.html\n  longhaul report results/quickstart --format latex --out table.tex\n  longhaul report results/quickstart --format markdown | gh pr comment --body-file -\n\nThe HTML file needs no network and no other file. Markdown and LaTeX go to standard output unless --out is given."
)]
pub struct Args {
    /// Results folders that `longhaul run` or `merge` wrote, or folders of such folders
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// What to write
    #[arg(long, value_enum, default_value = "html")]
    format: ReportFormat,
    /// File to write [default: report.html in DIR; other formats: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Show the page in the browser
    #[arg(long)]
    open: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ReportFormat {
    /// A page with charts, complete in one file
    Html,
    /// Tables for issues, wikis and READMEs
    Markdown,
    /// Tables for papers (booktabs)
    Latex,
}

pub fn main(args: &Args) -> Result<(), Failure> {
    if args.open && args.format != ReportFormat::Html {
        return Err(Failure::bad_input(anyhow!("--open shows a page in the browser; leave out --format or --open")));
    }
    let out = output(args).map_err(Failure::bad_input)?;
    let mut folders = Vec::new();
    for folder in &args.folders {
        folders.extend(find_folders(folder).map_err(Failure::bad_input)?);
    }
    let sources = read_sources(&folders).map_err(Failure::bad_input)?;
    if sources.iter().all(|source| source.summaries.is_empty()) {
        let name = args.folders[0].display();
        return Err(Failure::bad_input(anyhow!(
            "{name}: no cell is complete yet; run it again, or go on with --resume"
        )));
    }
    let document = Document::new(sources).map_err(Failure::bad_input)?;
    let text = match args.format {
        ReportFormat::Html => html(&document),
        ReportFormat::Markdown => markdown(&document),
        ReportFormat::Latex => latex(&document),
    };
    let Some(out) = out else {
        return Ok(super::print(text.trim_end())?);
    };
    write_file(&out, text.as_bytes())?;
    let _ = writeln!(std::io::stderr(), "report in {}", out.display());
    if args.open {
        open(&out)?;
    }
    Ok(())
}

/// The file to write, `None` for standard output.
fn output(args: &Args) -> anyhow::Result<Option<PathBuf>> {
    match (&args.out, args.format, &args.folders[..]) {
        (Some(out), ..) => {
            if out.is_dir() {
                return Err(anyhow!("--out {} is a folder; name a file in it", out.display()));
            }
            Ok(Some(out.clone()))
        }
        (None, ReportFormat::Html, [folder]) => Ok(Some(folder.join(REPORT_FILE))),
        (None, ReportFormat::Html, _) => {
            Err(anyhow!("name the file for a report of several folders: --out report.html"))
        }
        (None, ..) => Ok(None),
    }
}

fn open(file: &Path) -> anyhow::Result<()> {
    let file = file.canonicalize().with_context(|| format!("{} is gone", file.display()))?;
    open::that_detached(&file)
        .map_err(|error| anyhow!("no browser could be started ({error}); open {} yourself", file.display()))
}
