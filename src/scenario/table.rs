//! Typed, position-keeping access to the tables of a TOML document.

use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::catalogue;
use super::error::{ScenarioError, Source};
use super::sections::{SECTIONS, Section, TOP};
use crate::units::Quantity;

/// A table whose keys are all known.
pub(super) struct Table<'a> {
    source: Source<'a>,
    path: String,
    span: Range<usize>,
    entries: &'a DeTable<'a>,
    section: &'static Section,
}

/// A value and the key it stands under.
pub(super) struct Value<'a> {
    source: Source<'a>,
    key: String,
    span: Range<usize>,
    value: &'a DeValue<'a>,
}

impl<'a> Table<'a> {
    /// The document itself.
    pub fn document(source: Source<'a>, document: &'a Spanned<DeTable<'a>>) -> Result<Self, ScenarioError> {
        Table::new(source, String::new(), 0..0, document.get_ref(), &TOP)
    }

    fn new(
        source: Source<'a>,
        path: String,
        span: Range<usize>,
        entries: &'a DeTable<'a>,
        section: &'static Section,
    ) -> Result<Self, ScenarioError> {
        let table = Table { source, path, span, entries, section };
        let unknown = entries.keys().filter(|key| !table.knows(key.get_ref()));
        match unknown.min_by_key(|key| key.span().start) {
            Some(key) => Err(table.unknown(key.span(), key.get_ref())),
            None => Ok(table),
        }
    }

    fn knows(&self, key: &str) -> bool {
        self.section.keys.contains(&key)
    }

    fn unknown(&self, span: Range<usize>, key: &str) -> ScenarioError {
        let mut remedy = catalogue::known(key, self.section.keys);
        let elsewhere = SECTIONS.iter().find(|section| section.keys.contains(&key));
        if let Some(section) = elsewhere.filter(|_| !remedy.starts_with("did")) {
            remedy = format!("\"{key}\" belongs {}; {remedy}", section.place());
        }
        let message = format!("there is no such key {}", self.section.place());
        self.source.error(span, self.path_of(key), message, remedy)
    }

    fn path_of(&self, key: &str) -> String {
        match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        }
    }

    /// The value of `key`, if it is there.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        debug_assert!(self.knows(key), "{key} is not in {}", self.section.header);
        self.entries.get(key).map(|value| Value {
            source: self.source,
            key: self.path_of(key),
            span: value.span(),
            value: value.get_ref(),
        })
    }

    /// The value of `key`, which must be there; `example` shows how to write it.
    pub fn require(&self, key: &str, example: &str) -> Result<Value<'a>, ScenarioError> {
        (self.get(key)).ok_or_else(|| self.missing(key, &format!("add for example {example}")))
    }

    /// What `read` makes of the value of `key`, or `default` without one.
    pub fn read<T>(
        &self,
        key: &str,
        default: T,
        read: impl FnOnce(&Value<'a>) -> Result<T, ScenarioError>,
    ) -> Result<T, ScenarioError> {
        self.get(key).map_or(Ok(default), |value| read(&value))
    }

    /// `key` should be there.
    pub fn missing(&self, key: &str, remedy: &str) -> ScenarioError {
        let span = self.span.clone();
        let message = match self.path.as_str() {
            "" => "is missing".to_owned(),
            _ => format!("is missing in this {}", self.section.header),
        };
        self.source.error(span, self.path_of(key), message, remedy)
    }

    /// The tables `[[key]]`, of which there must be one.
    pub fn entries(&self, key: &str, section: &'static Section) -> Result<Vec<Table<'a>>, ScenarioError> {
        let header = section.header;
        let remedy = format!("add at least one {header} section");
        let value = self.get(key).ok_or_else(|| self.missing(key, &remedy))?;
        if value.value.is_table() {
            let remedy = format!("write {header}, in double brackets: there may be several");
            return Err(value.error("is a single table", remedy));
        }
        let elements = value.list()?;
        if elements.is_empty() {
            return Err(value.error("the list is empty", remedy));
        }
        elements.iter().map(|e| e.table(section)).collect()
    }
}

impl<'a> Value<'a> {
    /// Something is wrong with this value.
    pub fn error(&self, message: impl Into<String>, remedy: impl Into<String>) -> ScenarioError {
        self.source.error(self.span.clone(), self.key.as_str(), message, remedy)
    }

    fn mistyped(&self, expected: &str, remedy: impl Into<String>) -> ScenarioError {
        let found = match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.error(format!("expected {expected}, found {found}"), remedy)
    }

    /// The file's text as written, for a remedy that repeats it.
    fn written(&self) -> &'a str {
        &self.source.text[self.span.clone()]
    }

    /// The line this value stands on.
    pub fn line(&self) -> u32 {
        self.source.line_of(self.span.start)
    }

    /// A string.
    pub fn text(&self) -> Result<&'a str, ScenarioError> {
        self.value.as_str().ok_or_else(|| self.mistyped("a string", "write text in double quotes"))
    }

    /// The string, if it is one.
    pub fn as_text(&self) -> Option<&'a str> {
        self.value.as_str()
    }

    /// `true` or `false`.
    pub fn boolean(&self) -> Result<bool, ScenarioError> {
        self.value.as_bool().ok_or_else(|| self.mistyped("true or false", "write it without quotes"))
    }

    /// Whether it is a table, `{ ... }`.
    pub fn is_table(&self) -> bool {
        self.value.is_table()
    }

    /// A string that is fit for file names, table cells and command lines.
    pub fn label(&self) -> Result<&'a str, ScenarioError> {
        let text = self.text()?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
        let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if starts_well && text.len() <= 64 && text.chars().all(plain) {
            return Ok(text);
        }
        Err(self.error(
            format!("\"{text}\" is not usable as a name"),
            "use up to 64 of A-Z a-z 0-9 - _ . + and begin with a letter or digit",
        ))
    }

    /// One of the words in `choices`.
    pub fn word<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, ScenarioError> {
        let text = self.text()?;
        let found = choices.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            self.unknown_word(text, &words)
        })
    }

    /// `word` is none of `words`.
    pub fn unknown_word(&self, word: &str, words: &[&str]) -> ScenarioError {
        self.error(format!("\"{word}\" is unknown"), catalogue::known(word, words))
    }

    /// An integer in `range`.
    pub fn integer(&self, range: RangeInclusive<u64>) -> Result<u64, ScenarioError> {
        let remedy = match (range.start(), range.end()) {
            (start, &u64::MAX) => format!("write a whole number, {start} or more"),
            (start, end) => format!("write a whole number from {start} to {end}"),
        };
        let Some(integer) = self.value.as_integer() else {
            return Err(self.mistyped("an integer", remedy));
        };
        let value = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        value
            .filter(|value| range.contains(value))
            .ok_or_else(|| self.error(format!("{integer} is out of range"), remedy))
    }

    /// A number, possibly NaN or infinite.
    pub fn float(&self) -> Result<f64, ScenarioError> {
        let value = match self.value {
            DeValue::Float(float) => float.as_str().parse().ok(),
            DeValue::Integer(integer) => {
                i128::from_str_radix(integer.as_str(), integer.radix()).ok().map(|value| value as f64)
            }
            _ => None,
        };
        value.ok_or_else(|| self.mistyped("a number", "write for example 1.0"))
    }

    /// A quantity with its unit.
    pub fn quantity<Q: Quantity>(&self) -> Result<Q, ScenarioError> {
        let Some(text) = self.value.as_str() else {
            let remedy = match self.value {
                DeValue::Integer(_) | DeValue::Float(_) => {
                    let unit = Q::EXAMPLE.split_once(' ').map_or("", |(_, unit)| unit);
                    format!("write for example \"{} {unit}\"", self.written())
                }
                _ => format!("write for example \"{}\"", Q::EXAMPLE),
            };
            return Err(self.mistyped("a quantity in quotes", remedy));
        };
        text.parse::<Q>().map_err(|error| self.error(error.message, error.remedy))
    }

    /// The elements of a list.
    pub fn list(&self) -> Result<Vec<Value<'a>>, ScenarioError> {
        let Some(array) = self.value.as_array() else {
            return Err(self.mistyped("a list", "write it in brackets: [..., ...]"));
        };
        let elements = array.iter().enumerate().map(|(i, element)| Value {
            source: self.source,
            key: format!("{}[{i}]", self.key),
            span: element.span(),
            value: element.get_ref(),
        });
        Ok(elements.collect())
    }

    /// A table with the keys of `section`.
    pub fn table(&self, section: &'static Section) -> Result<Table<'a>, ScenarioError> {
        let Some(entries) = self.value.as_table() else {
            let remedy = format!("write {}", section.header);
            return Err(self.mistyped("a table", remedy));
        };
        Table::new(self.source, self.key.clone(), self.span.clone(), entries, section)
    }
}

/// Names that must differ.
#[derive(Default)]
pub(super) struct Names(Vec<(String, u32)>);

impl Names {
    /// Adds `name`, which comes from `value`.
    pub fn claim(&mut self, name: &str, value: &Value<'_>) -> Result<(), ScenarioError> {
        if let Some((_, line)) = self.0.iter().find(|(taken, _)| taken == name) {
            return Err(value.error(
                format!("the name \"{name}\" is taken since line {line}"),
                format!("give each a name of its own, for example name = \"{name}-2\""),
            ));
        }
        self.0.push((name.to_owned(), value.line()));
        Ok(())
    }
}
