//! The command line: one file per subcommand.

mod accuracy;
mod allocator;
mod check;
mod completions;
mod curves;
mod dealer;
mod dry_run;
mod explain;
mod fit;
mod histograms;
mod init;
mod inspect;
mod keys;
mod list;
mod man;
mod merge;
mod probe;
mod progress;
mod query;
mod replay;
mod report;
mod run;
mod schema;
mod serve;
mod service;
mod source;
mod sweep;
mod train;

use anyhow::Context;
use clap::{Parser, Subcommand, ValueEnum};
use std::io::Write;
use std::process::ExitCode;

/// Bad input: the user's files or words, not the machine.
const BAD_INPUT: u8 = 2;

#[derive(Parser)]
#[command(
    name = "longhaul",
    version,
    about = "Measures real two-party private inference over an emulated wide-area link",
    after_help = "Examples:\n  longhaul run                                  the built-in quickstart\n  longhaul run scenarios/quickstart.toml        the same, from its file\n  longhaul report results/quickstart --open     charts and tables, in the browser\n  longhaul init                                 a scenario of your own to start from\n  longhaul list protocols                       what can be compared\n  longhaul inspect resnet50                     a network, and what each protocol will cost on it\n  longhaul sweep results/quickstart/traces/*    where on the plane of links which protocol wins\n  longhaul keys, serve, dealer, query, probe    the same between real machines\n  longhaul explain resnet20/gc/wan              what one cell does, and why it takes its time\n  longhaul check results/baseline               is it as fast, and byte for byte the same?\n  longhaul fit --function gelu --degree 6       the best polynomial with few bits\n  longhaul train resnet20 --data DIR            a network that lives with one\n  longhaul accuracy --data DIR                  what it gets right, in plaintext and in private\n\nExit status: 0 ok, 1 the run failed or was interrupted or check found a regression, 2 bad input."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Init(init::Args),
    Run(run::Args),
    Check(check::Args),
    List(list::Args),
    Inspect(inspect::Args),
    Explain(explain::Args),
    Merge(merge::Args),
    Report(report::Args),
    Replay(replay::Args),
    Sweep(sweep::Args),
    Keys(keys::Args),
    Serve(serve::Args),
    Dealer(dealer::Args),
    Query(query::Args),
    Probe(probe::Args),
    Fit(fit::Args),
    Train(Box<train::Args>),
    Curves(curves::Args),
    Accuracy(accuracy::Args),
    Schema(schema::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// How results are printed on standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// What a subcommand failed with.
struct Failure {
    code: u8,
    error: anyhow::Error,
}

impl Failure {
    fn bad_input(error: impl Into<anyhow::Error>) -> Failure {
        Failure { code: BAD_INPUT, error: error.into() }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure { code: 1, error: error.into() }
    }
}

/// Parses the arguments, runs the subcommand, prints its error.
pub fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_env("LONGHAUL_LOG").unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let result = match Cli::parse().command {
        Command::Init(args) => init::main(&args),
        Command::Run(args) => run::main(&args),
        Command::Check(args) => check::main(&args),
        Command::List(args) => list::main(&args),
        Command::Inspect(args) => inspect::main(&args),
        Command::Explain(args) => explain::main(&args),
        Command::Merge(args) => merge::main(&args),
        Command::Report(args) => report::main(&args),
        Command::Replay(args) => replay::main(&args),
        Command::Sweep(args) => sweep::main(&args),
        Command::Keys(args) => keys::main(&args),
        Command::Serve(args) => serve::main(&args),
        Command::Dealer(args) => dealer::main(&args),
        Command::Query(args) => query::main(&args),
        Command::Probe(args) => probe::main(&args),
        Command::Fit(args) => fit::main(&args),
        Command::Train(args) => train::main(&args),
        Command::Curves(args) => curves::main(&args),
        Command::Accuracy(args) => accuracy::main(&args),
        Command::Schema(args) => schema::main(&args),
        Command::Completions(args) => completions::main(&args),
        Command::Man(args) => man::main(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { error, .. }) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(Failure { code, error }) => {
            let _ = writeln!(std::io::stderr(), "error: {}", causes(&error));
            ExitCode::from(code)
        }
    }
}

/// Writes `text` and a newline to standard output.
fn print(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{text}").context("standard output")
}

/// The error and its causes, each said once: some messages already end with their cause.
fn causes(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(|cause| cause.to_string()) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Whoever read our output has seen enough, as in `longhaul list | head -1`.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}
