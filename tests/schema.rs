//! The published schema of scenario files: what lies in `docs/` is current, and the shipped scenarios are valid.

use longhaul::run::catalogue;
use longhaul::scenario::schema;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every scenario file, in folders too.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a directory").map(|entry| entry.expect("an entry").path());
    let files = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    files.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect()
}

#[test]
fn the_committed_schema_is_current() {
    let path = root().join("docs/scenario.schema.json");
    let current = serde_json::to_string_pretty(&schema(&catalogue())).expect("JSON") + "\n";
    let committed = std::fs::read_to_string(&path).expect("there is a schema");
    assert!(committed == current, "write it anew: cargo run --release -- schema > docs/scenario.schema.json");
}

#[test]
fn the_schema_is_one_of_draft_2020_12() {
    let schema = schema(&catalogue());
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    jsonschema::draft202012::meta::validate(&schema).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn every_shipped_scenario_is_valid() {
    let validator = jsonschema::draft202012::new(&schema(&catalogue())).expect("a schema");
    let files = files(&root().join("scenarios"));
    for path in &files {
        let text = std::fs::read_to_string(path).expect("text");
        let value: toml::Value = toml::from_str(&text).expect("TOML");
        let json = serde_json::to_value(value).expect("JSON");
        if let Err(error) = validator.validate(&json) {
            panic!("{}: {}: {error}", path.display(), error.instance_path());
        }
    }
    assert!(files.len() >= 10, "{} scenarios", files.len());
}
