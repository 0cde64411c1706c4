//! Faults that only show after the scenario was read, put at their place in its text.

use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::error::{ScenarioError, Source};

/// `message` as a fault of `key`, for example `model[0].weights`, in the scenario `text` of `file`.
///
/// A key that is not written there (it has a default) is blamed on the nearest table around it.
pub fn blame(text: &str, file: &Path, key: &str, message: impl Into<String>) -> ScenarioError {
    let span = DeTable::parse(text).map_or(0..0, |document| place(document.get_ref(), key));
    Source { file, text }.error(span, key, message, "")
}

/// Where `key` stands, as far as it can be followed.
fn place(document: &DeTable<'_>, key: &str) -> Range<usize> {
    let mut span = 0..0;
    let mut table = document;
    for part in key.split('.') {
        let (name, index) = indexed(part);
        let Some(mut value) = table.get(name) else {
            break;
        };
        if let Some(index) = index {
            match value.get_ref().as_array().and_then(|array| array.get(index)) {
                Some(element) => value = element,
                None => break,
            }
        }
        span = value.span();
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => break,
        }
    }
    span
}

/// `model[0]`: the name and the index.
fn indexed(part: &str) -> (&str, Option<usize>) {
    let index = |(name, index): (&'_ str, &'_ str)| {
        let index = index.strip_suffix(']')?.parse().ok()?;
        Some((name.len(), index))
    };
    match part.split_once('[').and_then(index) {
        Some((end, index)) => (&part[..end], Some(index)),
        None => (part, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
seed = 1
[[model]]
arch = \"a\"
[[model]]
arch = \"b\"
weights = \"w.safetensors\"
[input]
path = \"p\"
";

    #[test]
    fn keys_are_found_and_missing_ones_blamed_on_their_table() {
        for (key, line, column) in [
            ("seed", 1, 8),
            ("model[1].weights", 6, 11),
            ("model[0].weights", 2, 1),
            ("model[7].weights", 1, 1),
            ("input.path", 8, 8),
            ("input.split", 7, 1),
            ("memory.material", 1, 1),
        ] {
            let error = blame(TEXT, Path::new("x.toml"), key, "is bad");
            assert_eq!((error.line, error.column), (line, column), "{key}");
            assert!(error.to_string().contains(&format!("key {key}: is bad")));
        }
    }
}
