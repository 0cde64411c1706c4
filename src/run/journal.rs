//! What was executed so far, one line per execution, appended as it happens: what `--resume` goes on from.
//!
//! A line is complete or it is the last one: a process that is killed while writing loses that execution and no other.
//! The file is removed once everything is in the results.

use super::LayerCost;
use super::records::LayerFigures;
use crate::link::Spent;
use crate::report::{JOURNAL_FILE, MessageRecord, ReportError, RunRecord, from_cells, to_cells};
use crate::units::Nanos;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, Write};
use std::path::{Path, PathBuf};

/// Raised when a line changes its meaning.
const VERSION: u32 = 1;

/// The first line: what the journal belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    pub longhaul_journal: u32,
    /// Digest of the resolved scenario.
    pub scenario_digest: String,
    /// The cells that were selected, as text.
    pub selection: String,
}

impl Header {
    pub(super) fn new(scenario_digest: String, selection: String) -> Header {
        Header { longhaul_journal: VERSION, scenario_digest, selection }
    }
}

/// One counted execution.
pub(super) struct Execution {
    pub row: RunRecord,
    pub layers: Vec<LayerFigures>,
    /// Of the first run of a cell.
    pub messages: Vec<MessageRecord>,
}

/// An execution as it is written: rows as the cells of their CSV files, a dozen integers per layer.
#[derive(Serialize, Deserialize)]
struct Line {
    row: Vec<String>,
    layers: Vec<[u64; 12]>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    messages: Vec<Vec<String>>,
}

pub(super) struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// A new journal in place of any old one.
    pub(super) fn create(path: PathBuf, header: &Header) -> Result<Journal, ReportError> {
        let opened = File::create(&path).and_then(|mut file| {
            file.write_all(&line(header))?;
            Ok(file)
        });
        match opened {
            Ok(file) => Ok(Journal { path, file }),
            Err(source) => Err(ReportError::Write { path, source }),
        }
    }

    /// Opens the journal of an unfinished run, with what it holds. A torn last line is cut off.
    ///
    /// # Errors
    /// It cannot be read, or is of another version.
    pub(super) fn open(path: PathBuf) -> Result<(Journal, Header, Vec<Execution>), ReportError> {
        let malformed = |line, message| ReportError::Malformed { path: path.clone(), line, message };
        let read = |source| ReportError::Read { path: path.clone(), source };
        let file = File::options().read(true).write(true).open(&path).map_err(read)?;
        let mut reader = BufReader::new(file);
        let mut text = String::new();
        reader.read_line(&mut text).map_err(read)?;
        let header: Header = serde_json::from_str(&text).map_err(|error| malformed(1, error.to_string()))?;
        if header.longhaul_journal != VERSION {
            let message = format!("version {VERSION} was expected, found {}", header.longhaul_journal);
            return Err(malformed(1, message));
        }
        let (mut complete, mut executions) = (text.len() as u64, Vec::new());
        for number in 2.. {
            text.clear();
            let length = reader.read_line(&mut text).map_err(read)?;
            if !text.ends_with('\n') {
                break;
            }
            executions.push(execution(&text).map_err(|message| malformed(number, message))?);
            complete += length as u64;
        }
        let mut file = reader.into_inner();
        file.set_len(complete).and_then(|()| file.seek(io::SeekFrom::End(0))).map_err(read)?;
        Ok((Journal { path, file }, header, executions))
    }

    /// Adds an execution; it is safe from the death of this process once this returns.
    pub(super) fn append(&mut self, execution: &Execution) -> Result<(), ReportError> {
        let layers = execution.layers.iter().map(to_integers).collect();
        let messages = execution.messages.iter().map(to_cells).collect();
        let written = self.file.write_all(&line(&Line { row: to_cells(&execution.row), layers, messages }));
        written.map_err(|source| ReportError::Write { path: self.path.clone(), source })
    }

    /// Makes what was appended safe from a power cut, too.
    pub(super) fn sync(&mut self) -> Result<(), ReportError> {
        self.file.sync_data().map_err(|source| ReportError::Write { path: self.path.clone(), source })
    }

    /// Removes the file: everything is in the results.
    pub(super) fn remove(self) -> Result<(), ReportError> {
        let Journal { path, file } = self;
        drop(file);
        std::fs::remove_file(&path).map_err(|source| ReportError::Write { path, source })
    }
}

/// How many executions the journal in the results folder `folder` holds, if there is one.
pub fn unfinished(folder: &Path) -> Option<usize> {
    let lines = BufReader::new(File::open(folder.join(JOURNAL_FILE)).ok()?).lines().count();
    Some(lines.saturating_sub(1))
}

fn line(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(value).expect("no maps, no non-string keys");
    bytes.push(b'\n');
    bytes
}

fn execution(text: &str) -> Result<Execution, String> {
    let Line { row, layers, messages } = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let messages = messages.iter().map(|cells| from_cells::<MessageRecord>(cells)).collect::<Result<_, _>>()?;
    Ok(Execution { row: from_cells::<RunRecord>(&row)?, layers: layers.iter().map(from_integers).collect(), messages })
}

fn to_integers(figures: &LayerFigures) -> [u64; 12] {
    let cost = |cost: &LayerCost| [cost.time.0, cost.rounds.into(), cost.bytes_up, cost.bytes_down];
    let LayerFigures { online, offline, spent } = figures;
    let path = [spent.compute[0].0, spent.compute[1].0, spent.latency.0, spent.bandwidth.0];
    let mut integers = [0; 12];
    for (part, values) in integers.chunks_exact_mut(4).zip([cost(online), cost(offline), path]) {
        part.copy_from_slice(&values);
    }
    integers
}

fn from_integers(integers: &[u64; 12]) -> LayerFigures {
    let cost = |part: &[u64]| LayerCost {
        time: Nanos(part[0]),
        rounds: part[1] as u32,
        bytes_up: part[2],
        bytes_down: part[3],
    };
    LayerFigures {
        online: cost(&integers[..4]),
        offline: cost(&integers[4..8]),
        spent: Spent {
            compute: [Nanos(integers[8]), Nanos(integers[9]), Nanos(0)],
            latency: Nanos(integers[10]),
            bandwidth: Nanos(integers[11]),
        },
    }
}
