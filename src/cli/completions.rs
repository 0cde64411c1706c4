//! `longhaul completions`: what makes a shell complete the command line.

use super::{Cli, Failure};
use clap::CommandFactory;
use clap_complete::Shell;

/// Print the completions for a shell
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  source <(longhaul completions bash)                                 this bash\n  longhaul completions bash > ~/.local/share/bash-completion/completions/longhaul\n  longhaul completions zsh > ~/.zfunc/_longhaul                       (~/.zfunc in $fpath)\n  longhaul completions fish > ~/.config/fish/completions/longhaul.fish"
)]
pub struct Args {
    /// The shell
    shell: Shell,
}

pub fn main(args: &Args) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "longhaul", &mut text);
    Ok(super::print(String::from_utf8(text)?.trim_end())?)
}
