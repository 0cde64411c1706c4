//! `longhaul man`: manual pages.

use super::{Cli, Failure};
use anyhow::{Context, anyhow};
use clap::CommandFactory;
use clap_mangen::Man;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Print a manual page, or write all of them to a folder
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  longhaul man run | man -l -\n  longhaul man --out ~/.local/share/man/man1      then: man longhaul, man longhaul-run"
)]
pub struct Args {
    /// The page of this subcommand instead of longhaul's own
    #[arg(conflicts_with = "out")]
    command: Option<String>,
    /// Folder for longhaul.1 and a page for every subcommand, longhaul-run.1 and so on
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub fn main(args: &Args) -> Result<(), Failure> {
    let mut whole = Cli::command().disable_help_subcommand(true);
    whole.build();
    if let Some(folder) = &args.out {
        return write_all(&whole, folder).map_err(Failure::bad_input);
    }
    let command = match &args.command {
        None => &whole,
        Some(name) => whole.find_subcommand(name).ok_or_else(|| {
            let known: Vec<_> = whole.get_subcommands().map(|command| command.get_name()).collect();
            Failure::bad_input(anyhow!("there is no subcommand \"{name}\"; known: {}", known.join(", ")))
        })?,
    };
    Ok(super::print(page(command)?.trim_end())?)
}

fn page(command: &clap::Command) -> anyhow::Result<String> {
    let mut page = Vec::new();
    Man::new(command.clone()).title(page_name(command)).render(&mut page)?;
    Ok(String::from_utf8(page)?)
}

/// `longhaul-run`
fn page_name(command: &clap::Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn write_all(whole: &clap::Command, folder: &Path) -> anyhow::Result<()> {
    let remedy = || format!("{}: cannot write manual pages there; name another folder by --out", folder.display());
    std::fs::create_dir_all(folder).with_context(remedy)?;
    let commands = std::iter::once(whole).chain(whole.get_subcommands());
    let mut count = 0;
    for command in commands {
        std::fs::write(folder.join(format!("{}.1", page_name(command))), page(command)?).with_context(remedy)?;
        count += 1;
    }
    let _ = writeln!(std::io::stderr(), "{count} pages in {}", folder.display());
    Ok(())
}
