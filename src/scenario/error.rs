//! What is wrong with a scenario file, where, and what would be right.

use std::fmt;
use std::ops::Range;

use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::DeTable;

/// The first fault found in a scenario file.
///
/// Printed as one line followed by the line of the file it is about:
///
/// ```text
/// wan.toml:12:7: key link[1].rtt: "100" has no unit; write for example "100 ms"
/// 12 | rtt = "100"
///    |       ^^^^^
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError {
    /// The scenario file, as it was named.
    pub file: PathBuf,
    /// Line, from 1; 0 when the file could not be read at all.
    pub line: u32,
    /// Column in characters, from 1; 0 when the file could not be read at all.
    pub column: u32,
    /// The key, for example `link[1].rtt`, entries counted from 0; empty for a syntax error.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What would be right; may be empty.
    pub remedy: String,
    /// The line of the file, and how many of its characters from `column` on are meant.
    pub excerpt: Option<Box<(String, usize)>>,
}

impl std::error::Error for ScenarioError {}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.key.is_empty() {
            write!(f, ": key {}", self.key)?;
        }
        write!(f, ": {}", self.message)?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        let Some((text, width)) = self.excerpt.as_deref() else {
            return Ok(());
        };
        // Tabs stay tabs, so that the caret stands below its character however wide a tab is.
        let before = text.chars().take(self.column as usize - 1);
        let indent: String = before.map(|c| if c == '\t' { c } else { ' ' }).collect();
        let number = self.line.to_string();
        let gutter = " ".repeat(number.len());
        let carets = "^".repeat(*width);
        write!(f, "\n{number} | {text}\n{gutter} | {indent}{carets}")
    }
}

/// The text of a scenario file, to turn byte ranges into places a reader can find.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    /// The file the text came from.
    pub file: &'a Path,
    /// All of it.
    pub text: &'a str,
}

impl<'a> Source<'a> {
    /// The text as TOML.
    pub fn document(&self) -> Result<Spanned<DeTable<'a>>, ScenarioError> {
        DeTable::parse(self.text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            self.error(span, "", format!("not valid TOML: {}", error.message()), "")
        })
    }

    /// A fault at the bytes `span`.
    pub fn error(
        &self,
        span: Range<usize>,
        key: impl Into<String>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> ScenarioError {
        let start = self.text.floor_char_boundary(span.start);
        let line_start = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line = self.text[line_start..].lines().next().unwrap_or("");
        let column = self.text[line_start..start].chars().count();
        let end = self.text.floor_char_boundary(span.end.max(start));
        let marked = self.text[start..end].lines().next().unwrap_or("");
        ScenarioError {
            file: self.file.to_owned(),
            line: self.line_of(start),
            column: column as u32 + 1,
            key: key.into(),
            message: message.into(),
            remedy: remedy.into(),
            excerpt: Some(Box::new((line.to_owned(), marked.trim_end().chars().count().max(1)))),
        }
    }

    /// The line, from 1, of the byte `at`.
    pub fn line_of(&self, at: usize) -> u32 {
        let newlines = self.text.as_bytes()[..at].iter().filter(|&&b| b == b'\n');
        newlines.count() as u32 + 1
    }
}

impl ScenarioError {
    /// The file as a whole is unusable.
    pub(super) fn unreadable(file: &Path, message: String, remedy: &str) -> Self {
        ScenarioError {
            file: file.to_owned(),
            line: 0,
            column: 0,
            key: String::new(),
            message,
            remedy: remedy.to_owned(),
            excerpt: None,
        }
    }
}
