//! The scenario that a command was given: read, with its text for messages.

use longhaul::run::{RunError, catalogue};
use longhaul::scenario::{self, Scenario, ScenarioError, SearchPath};
use std::path::{Path, PathBuf};

/// The scenario of a command without a file.
const QUICKSTART: &str = include_str!("../../scenarios/quickstart.toml");

/// A scenario and where it came from.
pub struct Loaded {
    pub scenario: Scenario,
    pub text: String,
    /// What messages call the file.
    file: PathBuf,
}

/// Reads `file`, or the built-in quickstart.
pub fn load(file: Option<&Path>, data: Option<&Path>) -> Result<Loaded, ScenarioError> {
    load_from(file, data, false)
}

/// The same for one party of several: files that are not here are another's.
pub fn load_part(file: Option<&Path>, data: Option<&Path>) -> Result<Loaded, ScenarioError> {
    load_from(file, data, true)
}

fn load_from(file: Option<&Path>, data: Option<&Path>, others: bool) -> Result<Loaded, ScenarioError> {
    let environment = std::env::var_os("LONGHAUL_DATA").map(PathBuf::from);
    let search = SearchPath { data: data.map(Path::to_owned), environment, others };
    let (text, file) = match file {
        Some(file) => (scenario::read(file)?, file.to_owned()),
        None => (QUICKSTART.to_string(), PathBuf::from("quickstart (built in)")),
    };
    let scenario = scenario::parse(&text, &file, &search, &catalogue())?;
    Ok(Loaded { scenario, text, file })
}

impl Loaded {
    /// A fault that showed when the scenario's files were read, at the scenario's line that names them.
    pub fn blame(&self, error: RunError) -> anyhow::Error {
        match error.key(&self.scenario) {
            Some(key) => scenario::blame(&self.text, &self.file, &key, error.to_string()).into(),
            None => error.into(),
        }
    }
}
