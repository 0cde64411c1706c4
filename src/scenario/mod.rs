//! Scenario files: TOML in, a [`Scenario`] that is valid by construction out.
//!
//! [`load`] fills every default, resolves every path and checks every combination, so whoever has a
//! [`Scenario`] can run it. What is wrong with a file is a [`ScenarioError`], which names the line
//! and the key and says what would be right. Ids are checked against the caller's [`Catalogue`].
//!
//! | file | reads |
//! |---|---|
//! | `settings.rs` | the top of the file, `[fixed_point]`, `[speedup]`, `[memory]` |
//! | `input.rs`, `models.rs`, `protocols.rs`, `links.rs` | the section of that name |
//! | `presets.rs` | nothing; lists links that have a name |
//! | `sections.rs` | nothing; lists the tables and their keys |
//! | `table.rs` | typed access to TOML that knows where everything stands |
//! | `blame.rs` | nothing; finds the place of a key whose fault showed later |
//! | `schema/` | nothing; describes the file to editors |
//! | `search.rs` | where data files are looked for |

mod blame;
mod catalogue;
mod error;
mod input;
mod links;
mod models;
mod presets;
mod protocols;
mod schema;
mod search;
mod sections;
mod settings;
mod table;

#[cfg(test)]
mod tests;

use std::fs;
use std::path::Path;

use serde::Serialize;

pub use blame::blame;
pub use catalogue::{Catalogue, Family, KnownArch, KnownLinkModel, KnownProtocol, Pool, Shortcut};
pub use error::ScenarioError;
pub use input::{ImageSource, Input, Split};
pub use links::{Link, Transport, parse_link};
pub use models::{Model, Network, Normalize, PoolChoice, Weights};
pub use presets::{LINK_PRESETS, LinkPreset};
pub use protocols::{At, Choice, Protocol, SlotChoice};
pub use schema::schema;
pub use search::{DataPath, SearchPath};
pub use settings::{AutoRepetitions, Clock, Compute, MemoryBudget, Repetitions, Speedup};

use error::Source;
use table::Table;

/// Everything one call of `longhaul run` measures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scenario {
    /// Names the results.
    pub name: String,
    /// All randomness follows from it.
    pub seed: u64,
    /// Counted runs of each cell and image.
    pub repetitions: Repetitions,
    /// Runs before those, not counted.
    pub warmup: u32,
    /// How time passes.
    pub clock: Clock,
    /// Whether computing takes time.
    pub compute: Compute,
    /// Factor on computing time; finite and above zero.
    pub compute_scale: f64,
    /// Whether large layers are computed and sent in chunks where the protocol allows.
    pub stream: bool,
    /// `f`, the fractional bits of fixed-point numbers, 8 to 20.
    pub frac_bits: u32,
    /// The images.
    pub input: Input,
    /// The networks, at least one.
    pub models: Vec<Model>,
    /// The activation protocols, at least one.
    pub protocols: Vec<Protocol>,
    /// The links, at least one.
    pub links: Vec<Link>,
    /// What the speedup table compares; `None` if there is only one protocol.
    pub speedup: Option<Speedup>,
    /// Limits on memory.
    pub memory: MemoryBudget,
}

/// One combination of a scenario.
#[derive(Clone, Copy, Debug)]
pub struct Cell<'a> {
    /// The network.
    pub model: &'a Model,
    /// The activation protocol.
    pub protocol: &'a Protocol,
    /// The link.
    pub link: &'a Link,
}

/// Reads the scenario in the file `path`.
///
/// # Errors
///
/// The first fault found: the file cannot be read, is no TOML, has an unknown key, a value that is
/// out of range, a combination that cannot be run, or names a data file that is nowhere in `search`.
pub fn load(path: &Path, search: &SearchPath, catalogue: &Catalogue) -> Result<Scenario, ScenarioError> {
    parse(&read(path)?, path, search, catalogue)
}

/// The text of the scenario file `path`.
///
/// # Errors
///
/// If it cannot be read.
pub fn read(path: &Path) -> Result<String, ScenarioError> {
    fs::read_to_string(path).map_err(|error| {
        let message = format!("cannot be read: {error}");
        ScenarioError::unreadable(path, message, "name a scenario file (TOML, UTF-8)")
    })
}

/// Reads a scenario from `text`; `file` names it in messages, and data is looked for beside it.
///
/// # Errors
///
/// As [`load`].
pub fn parse(text: &str, file: &Path, search: &SearchPath, catalogue: &Catalogue) -> Result<Scenario, ScenarioError> {
    let source = Source { file, text };
    let document = source.document()?;
    let top = Table::document(source, &document)?;
    let settings = settings::read(&top)?;
    let input = input::read(&top, file, search)?;
    let models = models::read(&top, file, search, catalogue)?;
    let protocols = protocols::read(&top, catalogue)?;
    models::check_protocols(&top, &protocols)?;
    Ok(Scenario {
        name: settings.name,
        seed: settings.seed,
        repetitions: settings.repetitions,
        warmup: settings.warmup,
        clock: settings.clock,
        compute: settings.compute,
        compute_scale: settings.compute_scale,
        stream: settings.stream,
        frac_bits: settings.frac_bits,
        input,
        models,
        links: links::read(&top, catalogue)?,
        speedup: settings::speedup(&top, &protocols)?,
        memory: settings::memory(&top)?,
        protocols,
    })
}

impl Scenario {
    /// Every combination: by model, then protocol, then link, each in the order of the file.
    pub fn cells(&self) -> impl Iterator<Item = Cell<'_>> {
        self.models.iter().flat_map(move |model| {
            self.protocols.iter().flat_map(move |protocol| {
                let cell = move |link| Cell { model, protocol, link };
                self.links.iter().map(cell)
            })
        })
    }

    /// BLAKE3, in hexadecimal, of the resolved scenario as JSON.
    ///
    /// Comments, order of keys, spelled-out defaults and the places where a machine keeps its data
    /// do not change it; anything that changes what is measured does (but it does not look into
    /// data files).
    pub fn digest(&self) -> String {
        let json = serde_json::to_vec(self).expect("no maps, no non-string keys");
        blake3::hash(&json).to_hex().to_string()
    }
}
