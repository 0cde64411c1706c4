//! Results: the schema of every output file, the statistics behind it, and the writers.
//!
//! This module knows only records. It never measures, and it knows no protocol and no scenario.
//!
//! ```text
//! runs -> summary (medians, intervals, speedups; statistics) -> table;  layers -> profile
//!   └──────────────┴─> write (CSV files, manifest.json, all replaced atomically)
//! folders of shards -> merge -> the same as of one run;  folders -> document -> HTML, Markdown, LaTeX
//! ```

mod difference;
mod document;
mod encoding;
mod error;
#[cfg(test)]
pub(crate) mod fixture;
mod human;
mod manifest;
mod merge;
mod oddities;
mod plane;
mod profile;
mod record;
mod statistics;
mod summary;
mod table;
mod timestamp;
mod write;

pub use difference::first_difference;
pub use document::{Document, Source, Table, find_folders, html, latex, markdown, markdown_escaped, read_sources};
pub use error::ReportError;
pub use human::{bytes as human_bytes, time as human_time};
pub use manifest::{Host, Manifest, SCHEMA_VERSION, ShardRecord, peak_rss_bytes};
pub use merge::{MergeError, Merged, Part, merge, read_parts};
pub use oddities::oddities;
pub use plane::{Plane, break_even, plane_svg};
pub use profile::profile;
pub use record::{
    AccuracyRecord, BreakEvenRecord, CellKey, LayerRecord, MessageRecord, PredictionRecord, Record, RunRecord,
    SpeedupRecord, SummaryRecord, SweepRecord,
};
pub use statistics::{
    Calibrated, CalibratedRatio, Interval, Latencies, PairedRatio, RunId, calibrated_ratio, lower_quartile,
    paired_ratio, relative_half_width, wilson_interval,
};
pub use summary::{Comparison, speedups, summarize};
pub use table::{plain_table, table};
pub use timestamp::rfc3339_utc;
pub use write::{
    JOURNAL_FILE, REPORT_FILE, ResultsDir, from_cells, read_manifest, read_records, read_runs, to_cells, write_file,
    write_records,
};
