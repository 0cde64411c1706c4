//! `longhaul schema`: the JSON Schema of scenario files.

use super::Failure;
use longhaul::run::catalogue;
use longhaul::scenario;

/// Print the JSON Schema (draft 2020-12) of scenario files, for editors
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  longhaul schema > scenario.schema.json\n\nA scenario that begins with the line `#:schema scenario.schema.json` is then completed and checked while you type, in editors with a TOML language server (VS Code: Even Better TOML; others: taplo or tombi)."
)]
pub struct Args {}

pub fn main(_: &Args) -> Result<(), Failure> {
    Ok(super::print(&serde_json::to_string_pretty(&scenario::schema(&catalogue()))?)?)
}
