//! Results as a document for people: headline sentences, tables and charts, as one HTML file, Markdown or LaTeX.
//!
//! ```text
//! folders -> source (CSV files and manifests read) -> Document (findings, tables, warnings, definitions)
//!                                                         ├─> html (with `data` for the charts)
//!                                                         ├─> markdown
//!                                                         └─> latex
//! ```

mod data;
mod definitions;
mod environment;
mod findings;
mod html;
mod latex;
mod markdown;
mod source;
mod tables;
#[cfg(test)]
mod tests;

pub use html::html;
pub use latex::latex;
pub use markdown::{escaped as markdown_escaped, markdown};
pub use source::{Source, find_folders, read_sources};

use super::ReportError;
use serde_json::Value;

/// What a report says, before it has a form.
#[derive(Clone, Debug)]
pub struct Document {
    /// Names of the scenarios.
    pub title: String,
    /// What was measured how, in a line.
    pub subtitle: String,
    /// Headline sentences.
    pub findings: Vec<String>,
    /// What the reader should know before trusting the figures.
    pub warnings: Vec<String>,
    /// Speedups of each subject: a table per scenario and kind of time.
    pub speedups: Vec<Table>,
    /// Times of every cell.
    pub times: Table,
    /// Bytes, messages and rounds of every cell.
    pub costs: Table,
    /// Agreement with plaintext of every cell, and with the labels where there are some.
    pub correctness: Table,
    /// Machine, program and settings of each folder.
    pub environment: Table,
    /// Name and text of each scenario.
    pub scenarios: Vec<(String, String)>,
    /// What the charts leave out, and why.
    omissions: Vec<String>,
    /// For the charts.
    data: Value,
}

/// A table, before it has a form.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// For links to it: letters, digits and hyphens.
    pub id: String,
    /// What it shows, in a sentence.
    pub caption: String,
    /// Names of the columns.
    pub header: Vec<String>,
    /// How many columns on the left are names, not figures.
    pub names: usize,
    /// As wide as the header.
    pub rows: Vec<Vec<String>>,
}

impl Document {
    /// The document about `sources`.
    ///
    /// # Errors
    /// [`ReportError`] if runs contradict each other; only for folders that hold runs but no summary.
    pub fn new(mut sources: Vec<Source>) -> Result<Document, ReportError> {
        source::tell_apart(&mut sources);
        let (data, omissions) = data::data(&sources);
        Ok(Document {
            title: environment::title(&sources),
            subtitle: environment::subtitle(&sources),
            findings: findings::findings(&sources),
            warnings: environment::warnings(&sources),
            speedups: tables::speedups(&sources),
            times: tables::times(&sources),
            costs: tables::costs(&sources),
            correctness: tables::correctness(&sources),
            environment: environment::table(&sources),
            scenarios: environment::scenarios(&sources),
            omissions,
            data,
        })
    }
}
