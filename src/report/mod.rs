//! Results: the schema of every output file, the statistics behind it, and the writers.
//!
//! This module knows only records. It never measures, and it knows no protocol and no scenario.
//!
//! ```text
//! runs -> summary (medians, intervals, speedups; statistics) -> table;  layers -> profile
//!   └──────────────┴─> write (CSV files, manifest.json, all replaced atomically)
//! ```

mod encoding;
mod error;
#[cfg(test)]
mod fixture;
mod human;
mod manifest;
mod profile;
mod record;
mod statistics;
mod summary;
mod table;
mod timestamp;
mod write;

pub use error::ReportError;
pub use human::bytes as human_bytes;
pub use manifest::{Host, Manifest, SCHEMA_VERSION, peak_rss_bytes};
pub use profile::profile;
pub use record::{CellKey, LayerRecord, Record, RunRecord, SpeedupRecord, SummaryRecord};
pub use statistics::{Interval, Latencies, PairedRatio, RunId, paired_ratio};
pub use summary::{Comparison, speedups, summarize};
pub use table::table;
pub use timestamp::rfc3339_utc;
pub use write::{ResultsDir, read_manifest, read_records, read_runs};
