//! The settings at the top of a scenario file, and its small tables.

use serde::Serialize;

use super::error::ScenarioError;
use super::protocols::Protocol;
use super::sections::{AUTO as AUTO_SECTION, FIXED_POINT, MEMORY, SPEEDUP};
use super::table::{Table, Value};
use crate::units::{Bytes, Nanos};

/// How time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// Each party has its own time, moved by computing and by arrivals; nobody waits.
    Virtual,
    /// The receiver really waits until a message arrives.
    Wall,
    /// The parties are processes on a real network (`longhaul query`); no scenario file says so.
    Real,
}

/// Whether computing takes time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Compute {
    /// As long as it really took.
    Measured,
    /// None: only the link counts, and runs are deterministic bit for bit.
    None,
}

/// How often each cell and image is run and counted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Repetitions {
    /// So often, at least once.
    Fixed(u32),
    /// Until the intervals are narrow.
    Auto(AutoRepetitions),
}

/// When enough has been measured: once the 95 % interval of every protocol's median online time is narrow, the same number
/// of repetitions for all protocols of a model and link, so that they stay pairs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct AutoRepetitions {
    /// Half-width of the interval relative to the median; above zero, below one.
    pub within: f64,
    /// Real time after which a model and link gets no further repetition, in seconds.
    pub budget_s: f64,
    /// Fewest repetitions, at least two.
    pub least: u32,
    /// Most repetitions, at least `least`.
    pub most: u32,
}

impl Repetitions {
    /// The fewest repetitions of a cell.
    pub fn least(&self) -> u32 {
        match self {
            Repetitions::Fixed(count) => *count,
            Repetitions::Auto(auto) => auto.least,
        }
    }

    /// The most repetitions of a cell.
    pub fn most(&self) -> u32 {
        match self {
            Repetitions::Fixed(count) => *count,
            Repetitions::Auto(auto) => auto.most,
        }
    }
}

/// What the speedup table compares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Speedup {
    /// Name of the protocol whose speedup is stated.
    pub subject: String,
    /// Names of the protocols it is compared with; not empty.
    pub baselines: Vec<String>,
}

/// Limits on memory; they change no virtual time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryBudget {
    /// Messages under way, above zero.
    pub in_flight: Bytes,
    /// Correlated randomness kept for later, above zero; what exceeds it spills to a file.
    pub material: Bytes,
}

/// The scalars of a scenario.
pub(super) struct Settings {
    pub name: String,
    pub seed: u64,
    pub repetitions: Repetitions,
    pub warmup: u32,
    pub clock: Clock,
    pub compute: Compute,
    pub compute_scale: f64,
    pub stream: bool,
    pub frac_bits: u32,
}

/// More runs than this are a slip.
const MOST_RUNS: u64 = 1_000_000;

pub(super) fn read(top: &Table<'_>) -> Result<Settings, ScenarioError> {
    let name = top.require("name", "name = \"quickstart\"")?.label()?;
    let clocks = [("virtual", Clock::Virtual), ("wall", Clock::Wall)];
    let clock = top.read("clock", Clock::Virtual, |v| v.word(&clocks))?;
    let choices = [("measured", Compute::Measured), ("none", Compute::None)];
    let compute = top.read("compute", Compute::Measured, |v| v.word(&choices))?;
    if let (Compute::None, Clock::Wall, Some(value)) = (compute, clock, top.get("compute")) {
        return Err(value.error(
            "on the wall clock computing takes the time it takes",
            "write compute = \"measured\", or clock = \"virtual\"",
        ));
    }
    let fixed_point = top.get("fixed_point").map(|v| v.table(&FIXED_POINT)).transpose()?;
    let frac_bits = fixed_point.map_or(Ok(16), |table| table.read("frac_bits", 16, |v| v.integer(8..=20)))?;
    Ok(Settings {
        name: name.to_owned(),
        seed: top.read("seed", 1, |v| v.integer(0..=u64::MAX))?,
        repetitions: repetitions(top)?,
        warmup: top.read("warmup", 1, |v| v.integer(0..=MOST_RUNS))? as u32,
        clock,
        compute,
        compute_scale: compute_scale(top, clock, compute)?,
        stream: top.read("stream", true, |v| v.boolean())?,
        frac_bits: frac_bits as u32,
    })
}

fn repetitions(top: &Table<'_>) -> Result<Repetitions, ScenarioError> {
    let automatic = |value: &Value<'_>| value.as_text() == Some("auto");
    match (top.get("repetitions"), top.get("auto")) {
        (Some(value), auto) if automatic(&value) => {
            auto.map_or(Ok(AUTO), |v| auto_repetitions(&v)).map(Repetitions::Auto)
        }
        (_, Some(auto)) => {
            let message = "the number of repetitions is fixed, so that there is nothing to decide";
            Err(auto.error(message, "write repetitions = \"auto\", or remove [auto]"))
        }
        (Some(value), None) if value.as_text().is_some() => {
            let message = "neither a number nor \"auto\"";
            Err(value.error(message, "write a whole number from 1 to 1000000, or \"auto\""))
        }
        (Some(value), None) => Ok(Repetitions::Fixed(value.integer(1..=MOST_RUNS)? as u32)),
        (None, None) => Ok(Repetitions::Fixed(5)),
    }
}

/// What `repetitions = "auto"` means without an `[auto]`.
const AUTO: AutoRepetitions = AutoRepetitions { within: 0.02, budget_s: 120.0, least: 5, most: 1000 };

fn auto_repetitions(section: &Value<'_>) -> Result<AutoRepetitions, ScenarioError> {
    let table = section.table(&AUTO_SECTION)?;
    let within = table.read("within", AUTO.within, |value| {
        let within = value.float()?;
        match within > 0.0 && within < 1.0 {
            true => Ok(within),
            false => Err(value.error(format!("{within} is not between 0 and 1"), "write for example 0.02 for 2 %")),
        }
    })?;
    let budget_s = match table.get("budget") {
        Some(value) => value.quantity::<Nanos>()?.0 as f64 * 1e-9,
        None => AUTO.budget_s,
    };
    let least = table.read("least", u64::from(AUTO.least), |v| v.integer(2..=MOST_RUNS))?;
    let most = table.read("most", u64::from(AUTO.most).max(least), |v| v.integer(least..=MOST_RUNS))?;
    Ok(AutoRepetitions { within, budget_s, least: least as u32, most: most as u32 })
}

fn compute_scale(top: &Table<'_>, clock: Clock, compute: Compute) -> Result<f64, ScenarioError> {
    let Some(value) = top.get("compute_scale") else {
        return Ok(1.0);
    };
    let scale = value.float()?;
    if !(scale.is_finite() && scale > 0.0) {
        return Err(value.error(
            format!("{scale} is not a finite number above 0"),
            "write for example 2.0 for a machine half as fast",
        ));
    }
    if scale != 1.0 && (clock, compute) != (Clock::Virtual, Compute::Measured) {
        return Err(value.error(
            "only measured computing on the virtual clock can be scaled",
            "remove it, or write clock = \"virtual\" and compute = \"measured\"",
        ));
    }
    Ok(scale)
}

pub(super) fn speedup(top: &Table<'_>, protocols: &[Protocol]) -> Result<Option<Speedup>, ScenarioError> {
    let names: Vec<_> = protocols.iter().map(|p| p.name.as_str()).collect();
    let others = |subject: &str| {
        let others = names.iter().filter(|name| **name != subject);
        others.map(|name| (*name).to_owned()).collect()
    };
    let Some(section) = top.get("speedup") else {
        return Ok((names.len() > 1).then(|| Speedup { subject: names[0].to_owned(), baselines: others(names[0]) }));
    };
    let table = section.table(&SPEEDUP)?;
    if names.len() == 1 {
        return Err(section.error(
            "there is only one protocol, and nothing to compare it with",
            "remove [speedup], or add a [[protocol]]",
        ));
    }
    let subject = table.read("subject", names[0], |value| {
        let name = value.text()?;
        let known = names.contains(&name);
        known.then_some(name).ok_or_else(|| value.unknown_word(name, &names))
    })?;
    let baselines = table.read("baselines", others(subject), |value| {
        let mut baselines: Vec<String> = Vec::new();
        for element in value.list()? {
            let name = element.text()?;
            if !names.contains(&name) {
                return Err(element.unknown_word(name, &names));
            }
            if name == subject {
                return Err(element
                    .error(format!("\"{name}\" is the subject"), "remove it: a protocol is not compared with itself"));
            }
            if baselines.iter().any(|listed| listed == name) {
                return Err(element.error(format!("\"{name}\" is listed twice"), "remove one"));
            }
            baselines.push(name.to_owned());
        }
        if baselines.is_empty() {
            return Err(value.error("the list is empty", "remove it to compare with all others"));
        }
        Ok(baselines)
    })?;
    Ok(Some(Speedup { subject: subject.to_owned(), baselines }))
}

pub(super) fn memory(top: &Table<'_>) -> Result<MemoryBudget, ScenarioError> {
    let mut budget = MemoryBudget { in_flight: Bytes(64 << 20), material: Bytes(1 << 30) };
    let Some(section) = top.get("memory") else {
        return Ok(budget);
    };
    let table = section.table(&MEMORY)?;
    for (key, limit) in [("in_flight", &mut budget.in_flight), ("material", &mut budget.material)] {
        if let Some(value) = table.get(key) {
            *limit = value.quantity()?;
            if *limit == Bytes(0) {
                return Err(value.error("a limit of 0 stops everything", "write a size above 0"));
            }
        }
    }
    Ok(budget)
}
