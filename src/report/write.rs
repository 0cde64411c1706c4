//! The results folder: every file is replaced as a whole or not at all.

use super::{
    error::ReportError,
    manifest::Manifest,
    record::{LayerRecord, MessageRecord, Record, RunRecord, SpeedupRecord, SummaryRecord},
};
use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

const MANIFEST_FILE: &str = "manifest.json";
/// The report beside the results it is about.
pub const REPORT_FILE: &str = "report.html";
const SCENARIO_FILE: &str = "scenario.toml";
/// What an unfinished run keeps beside its results.
pub const JOURNAL_FILE: &str = "journal.jsonl";
/// Files beside the measurements.
const DERIVED: [&str; 6] =
    [SummaryRecord::FILE, SpeedupRecord::FILE, MANIFEST_FILE, SCENARIO_FILE, REPORT_FILE, JOURNAL_FILE];

/// A results folder that is being filled, cell by cell.
///
/// Each file is written beside its target, synced and renamed over it, so a killed process leaves
/// every file either as it was or complete. Files of an earlier run are removed at the first write.
#[derive(Debug)]
pub struct ResultsDir {
    path: PathBuf,
    runs: Vec<RunRecord>,
    layers: Vec<LayerRecord>,
    messages: Vec<MessageRecord>,
    /// Text of the scenario file, if it is to be kept.
    scenario: Option<String>,
    /// Files in the folder that do not belong to this run.
    stale: Vec<&'static str>,
}

impl ResultsDir {
    /// Creates the folder if need be and makes sure that files can be written into it. What an
    /// earlier run left there stays until the first write.
    ///
    /// # Errors
    /// [`ReportError::Folder`].
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, ReportError> {
        let path = path.into();
        let usable = fs::create_dir_all(&path).and_then(|()| temporary(&path).map(drop));
        if let Err(source) = usable {
            return Err(ReportError::Folder { path, source });
        }
        let mut stale = vec![RunRecord::FILE, LayerRecord::FILE, MessageRecord::FILE];
        stale.extend(DERIVED);
        Ok(ResultsDir { path, runs: Vec::new(), layers: Vec::new(), messages: Vec::new(), scenario: None, stale })
    }

    /// The same to continue an interrupted run: its journal stays, and what says which run it is.
    ///
    /// # Errors
    /// [`ReportError::Folder`].
    pub fn resume(path: impl Into<PathBuf>) -> Result<Self, ReportError> {
        let mut results = ResultsDir::create(path)?;
        results.stale.retain(|file| ![JOURNAL_FILE, MANIFEST_FILE, SCENARIO_FILE].contains(file));
        Ok(results)
    }

    /// Where the journal of an unfinished run is kept.
    pub fn journal(&self) -> PathBuf {
        self.file(JOURNAL_FILE)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All runs so far, in file order.
    pub fn runs(&self) -> &[RunRecord] {
        &self.runs
    }

    /// All layers so far, in file order.
    pub fn layers(&self) -> &[LayerRecord] {
        &self.layers
    }

    /// Adds rows to `runs.csv`.
    ///
    /// # Errors
    /// [`ReportError::Write`]; file and memory are then as before.
    pub fn append_runs(&mut self, runs: &[RunRecord]) -> Result<(), ReportError> {
        let before = self.runs.len();
        self.runs.extend_from_slice(runs);
        let written = self.replace(RunRecord::FILE, &csv_bytes(&self.runs));
        if written.is_err() {
            self.runs.truncate(before);
        }
        written
    }

    /// Adds rows to `layers.csv`, to be written by [`ResultsDir::write_all`].
    pub fn add_layers(&mut self, layers: &[LayerRecord]) {
        self.layers.extend_from_slice(layers);
    }

    /// Keeps `text`, the scenario file as it ran, as `scenario.toml` beside the manifest.
    pub fn keep_scenario(&mut self, text: impl Into<String>) {
        self.scenario = Some(text.into());
    }

    /// Adds rows to `messages.csv`, to be written by [`ResultsDir::write_all`].
    pub fn add_messages(&mut self, messages: Vec<MessageRecord>) {
        self.messages.extend(messages);
    }

    /// Writes every file: the runs and layers so far, and what was made
    /// from them. Without rows a CSV file is its header.
    ///
    /// # Errors
    /// [`ReportError::Write`] of the first file that fails.
    pub fn write_all(
        &mut self,
        summaries: &[SummaryRecord],
        speedups: &[SpeedupRecord],
        manifest: &Manifest,
    ) -> Result<(), ReportError> {
        self.replace(LayerRecord::FILE, &csv_bytes(&self.layers))?;
        self.replace(RunRecord::FILE, &csv_bytes(&self.runs))?;
        self.replace(MessageRecord::FILE, &csv_bytes(&self.messages))?;
        self.replace(SummaryRecord::FILE, &csv_bytes(summaries))?;
        self.replace(SpeedupRecord::FILE, &csv_bytes(speedups))?;
        self.write_manifest(manifest)
    }

    /// Writes `manifest.json`, and `scenario.toml` if its text was given.
    ///
    /// # Errors
    /// [`ReportError::Write`].
    pub fn write_manifest(&mut self, manifest: &Manifest) -> Result<(), ReportError> {
        if let Some(text) = self.scenario.clone() {
            self.replace(SCENARIO_FILE, text.as_bytes())?;
        }
        self.replace(MANIFEST_FILE, manifest.to_json().as_bytes())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Replaces one file; the first time, removes the stale ones once the new one is safely staged.
    fn replace(&mut self, name: &'static str, contents: &[u8]) -> Result<(), ReportError> {
        let target = self.file(name);
        let failed = |path: &Path, source| ReportError::Write { path: path.to_owned(), source };
        let staged = stage(&self.path, |file| file.write_all(contents));
        let staged = staged.map_err(|source| failed(&target, source))?;
        while let Some(old) = self.stale.last() {
            let path = self.file(old);
            if *old != name {
                remove_if_present(&path).map_err(|source| failed(&path, source))?;
            }
            self.stale.pop();
        }
        staged.persist(&target).map_err(|error| failed(&target, error.error))?;
        sync_folder(&self.path).map_err(|source| failed(&target, source))
    }
}

/// Replaces the file at `path` as a whole or not at all.
///
/// # Errors
/// [`ReportError::Write`].
pub fn write_file(path: &Path, contents: &[u8]) -> Result<(), ReportError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let failed = |source| ReportError::Write { path: path.to_owned(), source };
    let staged = stage(folder, |file| file.write_all(contents)).map_err(failed)?;
    staged.persist(path).map_err(|error| failed(error.error))?;
    sync_folder(folder).map_err(failed)
}

/// Replaces `R`'s file in a folder.
///
/// # Errors
/// [`ReportError::Write`].
pub fn write_records<R: Record>(folder: &Path, records: &[R]) -> Result<(), ReportError> {
    write_file(&folder.join(R::FILE), &csv_bytes(records))
}

/// Reads a `runs.csv`.
///
/// # Errors
/// [`ReportError::Read`], or [`ReportError::Malformed`] with the file, line and column.
pub fn read_runs(path: impl AsRef<Path>) -> Result<Vec<RunRecord>, ReportError> {
    read_records(path)
}

/// Reads a `manifest.json`, for example to see whether a folder belongs to the same scenario.
///
/// # Errors
/// [`ReportError::Read`], or [`ReportError::Malformed`] with the file and line.
pub fn read_manifest(path: impl AsRef<Path>) -> Result<Manifest, ReportError> {
    let path = path.as_ref().to_owned();
    let json = match fs::read_to_string(&path) {
        Ok(json) => json,
        Err(source) => return Err(ReportError::Read { path, source }),
    };
    serde_json::from_str(&json).map_err(|error| ReportError::Malformed {
        path,
        line: error.line() as u64,
        message: error.to_string(),
    })
}

/// Reads one of the CSV files; its header must be the record's, or what an earlier version wrote of it: columns that
/// were added later are then empty.
///
/// # Errors
/// [`ReportError::Read`], or [`ReportError::Malformed`] with the file, line and column.
pub fn read_records<R: Record>(path: impl AsRef<Path>) -> Result<Vec<R>, ReportError> {
    let path = path.as_ref();
    let failed = |error: csv::Error| read_error::<R>(path, error);
    let mut reader = csv::Reader::from_path(path).map_err(failed)?;
    let header = reader.headers().map_err(failed)?.clone();
    let known = header.iter().zip(R::COLUMNS).all(|(found, column)| found == *column);
    if !known || !(R::FIRST_COLUMNS..=R::COLUMNS.len()).contains(&header.len()) {
        return Err(ReportError::Malformed {
            path: path.to_owned(),
            line: 1,
            message: header_difference(&header, R::COLUMNS),
        });
    }
    let columns = csv::StringRecord::from(R::COLUMNS);
    let row = |row: Result<csv::StringRecord, csv::Error>| {
        let mut row = row?;
        (row.len()..R::COLUMNS.len()).for_each(|_| row.push_field(""));
        row.deserialize(Some(&columns))
    };
    reader.records().map(|record| row(record).map_err(failed)).collect()
}

/// A record as the cells of its row.
pub fn to_cells<R: Record>(record: &R) -> Vec<String> {
    let bytes = csv_bytes(std::slice::from_ref(record));
    let mut rows = csv::Reader::from_reader(&bytes[..]).into_records();
    let row = rows.next().expect("one record is one row").expect("what was just written is CSV");
    row.iter().map(str::to_string).collect()
}

/// The record of such a row.
///
/// # Errors
/// What is wrong with a cell.
pub fn from_cells<R: Record>(cells: &[String]) -> Result<R, String> {
    let columns = csv::StringRecord::from(R::COLUMNS);
    csv::StringRecord::from(cells).deserialize(Some(&columns)).map_err(|error| error.to_string())
}

fn header_difference(header: &csv::StringRecord, expected: &[&str]) -> String {
    let at = (0..).find(|&i| header.get(i) != expected.get(i).copied());
    let at = at.expect("the headers differ");
    let quoted = |name: Option<&str>| name.map_or("the end".into(), |name| format!("{name:?}"));
    format!("expected {} as column {}, found {}", quoted(expected.get(at).copied()), at + 1, quoted(header.get(at)),)
}

fn read_error<R: Record>(path: &Path, error: csv::Error) -> ReportError {
    let line = error.position().map_or(1, csv::Position::line);
    let path = path.to_owned();
    let message = match error.into_kind() {
        csv::ErrorKind::Io(source) => return ReportError::Read { path, source },
        csv::ErrorKind::Deserialize { err, .. } => {
            let column = err.field().and_then(|field| R::COLUMNS.get(field as usize));
            match column {
                Some(column) => format!("column {column}: {}", err.kind()),
                None => err.to_string(),
            }
        }
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("expected {expected_len} cells, found {len}")
        }
        csv::ErrorKind::Utf8 { err, .. } => err.to_string(),
        other => format!("{other:?}"),
    };
    ReportError::Malformed { path, line, message }
}

/// The whole file: header and rows.
fn csv_bytes<R: Record>(records: &[R]) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    let in_memory = "rows of one width fit a vector";
    writer.write_record(R::COLUMNS).expect(in_memory);
    for record in records {
        writer.serialize(record).expect(in_memory);
    }
    writer.into_inner().expect(in_memory)
}

/// Fills and syncs a temporary file in `folder`; it vanishes unless it is persisted.
fn stage(folder: &Path, fill: impl FnOnce(&mut fs::File) -> io::Result<()>) -> io::Result<tempfile::NamedTempFile> {
    let mut staged = temporary(folder)?;
    fill(staged.as_file_mut())?;
    staged.as_file().sync_all()?;
    Ok(staged)
}

fn temporary(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".longhaul-").suffix(".tmp");
    // Temporary files are private by default, results are not; the umask still applies.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

fn remove_if_present(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes a rename survive a power cut.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

/// Elsewhere folders cannot be opened as files.
#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests;
