//! One thing that moved.

use super::pair::CellName;
use crate::units::Nanos;
use serde::{Serialize, Serializer};
use std::fmt;

/// What kind of change a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The two sides did not run the same scenario.
    Scenario,
    /// The candidate lacks a cell, a layer, images or repetitions.
    Missing,
    /// The candidate has what the baseline lacks.
    Added,
    /// A value that the seed fixes is another.
    Changed,
    /// The logits are farther from the plaintext network's.
    Accuracy,
    /// A time grew beyond noise and tolerance.
    Slower,
    /// A time shrank beyond noise and tolerance: information, not a failure.
    Faster,
}

impl Kind {
    /// Whether it makes a regression.
    pub fn fails(self) -> bool {
        self != Kind::Faster
    }

    /// The word in tables and reports; that of JSON.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Scenario => "scenario",
            Kind::Missing => "missing",
            Kind::Added => "added",
            Kind::Changed => "changed",
            Kind::Accuracy => "accuracy",
            Kind::Slower => "slower",
            Kind::Faster => "faster",
        }
    }
}

/// One value of either side.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// There is none.
    Empty,
    /// A count.
    Count(u64),
    /// A number.
    Number(f64),
    /// An exact time.
    Time(Nanos),
    /// A measured time, of which only three digits mean something.
    Measured(Nanos),
    /// A digest.
    Digest(blake3::Hash),
    /// Anything else.
    Text(String),
}

/// For people: digests and measured times shortened.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Empty => f.pad("-"),
            Value::Count(count) => write!(f, "{count}"),
            Value::Number(number) => write!(f, "{number:.6e}"),
            Value::Time(time) => write!(f, "{}.{:09} s", time.0 / 1_000_000_000, time.0 % 1_000_000_000),
            Value::Measured(time) => f.pad(&crate::report::human_time(*time)),
            Value::Digest(digest) => write!(f, "{}…", &digest.to_hex()[..12]),
            Value::Text(text) => f.pad(text),
        }
    }
}

/// For programs: times are seconds, digests complete, nothing is null.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Empty => serializer.serialize_none(),
            Value::Count(count) => serializer.serialize_u64(*count),
            Value::Number(number) => serializer.serialize_f64(*number),
            Value::Time(time) | Value::Measured(time) => serializer.serialize_f64(time.0 as f64 / 1e9),
            Value::Digest(digest) => serializer.serialize_str(&digest.to_hex()),
            Value::Text(text) => serializer.serialize_str(text),
        }
    }
}

/// One thing that moved.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The cell; `None`, written "all cells", if it concerns all of them.
    #[serde(serialize_with = "cell_or_all")]
    pub cell: Option<CellName>,
    /// The column of `runs.csv`; `layers.csv: COLUMN`; or the scenario's key.
    pub column: String,
    /// The baseline's value, the first of several.
    pub baseline: Value,
    /// The candidate's.
    pub candidate: Value,
    /// Of times: candidate / baseline, both relative to their calibration.
    pub ratio: Option<f64>,
    /// What kind of change.
    pub kind: Kind,
    /// Where, or how certain: a few words; may be empty.
    pub detail: String,
}

/// What [`Finding::cell`] is called where a finding concerns every cell.
const ALL_CELLS: &str = "all cells";

fn cell_or_all<S: Serializer>(cell: &Option<CellName>, serializer: S) -> Result<S::Ok, S::Error> {
    match cell {
        Some(cell) => cell.serialize(serializer),
        None => serializer.serialize_str(ALL_CELLS),
    }
}

impl Finding {
    /// The cell in words.
    pub fn place(&self) -> String {
        self.cell.as_ref().map_or_else(|| ALL_CELLS.to_string(), CellName::to_string)
    }

    /// The ratio for a table, empty if there is none.
    pub(super) fn ratio_text(&self) -> String {
        self.ratio.map_or(String::new(), |ratio| format!("{ratio:.3}"))
    }

    /// Kind and detail.
    pub(super) fn verdict_text(&self) -> String {
        match self.detail.is_empty() {
            true => self.kind.word().to_string(),
            false => format!("{}: {}", self.kind.word(), self.detail),
        }
    }

    /// One line that stands alone.
    pub(super) fn sentence(&self) -> String {
        let Finding { column, baseline, candidate, .. } = self;
        let ratio = self.ratio.map_or(String::new(), |ratio| format!(" (ratio {ratio:.3})"));
        format!("{column}: baseline {baseline}, candidate {candidate}{ratio}; {}", self.verdict_text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_short_for_people_and_complete_for_programs() {
        let digest = blake3::hash(b"x");
        for (value, text, json) in [
            (Value::Empty, "-".to_string(), serde_json::Value::Null),
            (Value::Count(7), "7".into(), 7.into()),
            (Value::Time(Nanos(1_500_000_001)), "1.500000001 s".into(), 1.500000001.into()),
            (Value::Measured(Nanos(1_500_000_001)), "1.50 s".into(), 1.500000001.into()),
            (Value::Digest(digest), format!("{}…", &digest.to_hex()[..12]), digest.to_hex().as_str().into()),
        ] {
            assert_eq!(value.to_string(), text);
            assert_eq!(serde_json::to_value(&value).unwrap(), json);
        }
    }

    #[test]
    fn the_words_are_those_of_json() {
        for kind in
            [Kind::Scenario, Kind::Missing, Kind::Added, Kind::Changed, Kind::Accuracy, Kind::Slower, Kind::Faster]
        {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.word());
        }
    }
}
