//! The documentation says what is there: columns, keys, files.

use longhaul::report::{
    AccuracyRecord, BreakEvenRecord, LayerRecord, MessageRecord, PredictionRecord, Record, RunRecord, SpeedupRecord,
    SummaryRecord, SweepRecord,
};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The names in the first column of the table below the heading of a file.
fn documented(file: &str) -> Vec<String> {
    let text = read("docs/results.md");
    let (_, section) = text.split_once(&format!("\n## `{file}`\n")).unwrap_or_else(|| panic!("no heading for {file}"));
    let section = section.split("\n## ").next().expect("split gives a first part");
    let name = |line: &str| line.strip_prefix("| `")?.split('`').next().map(str::to_string);
    section.lines().filter_map(name).collect()
}

#[test]
fn every_column_is_documented_in_order() {
    fn check<R: Record>() {
        assert_eq!(documented(R::FILE), R::COLUMNS, "docs/results.md, {}", R::FILE);
    }
    check::<RunRecord>();
    check::<SummaryRecord>();
    check::<SpeedupRecord>();
    check::<LayerRecord>();
    check::<MessageRecord>();
    check::<AccuracyRecord>();
    check::<PredictionRecord>();
    check::<SweepRecord>();
    check::<BreakEvenRecord>();
}

#[test]
fn every_field_of_the_manifest_is_documented() {
    let text = read("docs/results.md");
    let manifest: serde_json::Value = serde_json::from_str(&read("results/baseline/manifest.json")).expect("JSON");
    for key in manifest.as_object().expect("an object").keys() {
        assert!(text.contains(&format!("`{key}`")), "docs/results.md does not explain `{key}`");
    }
}

#[test]
fn every_key_of_a_scenario_is_documented() {
    fn keys(schema: &serde_json::Value, found: &mut Vec<String>) {
        match schema {
            serde_json::Value::Object(object) => {
                if let Some(properties) = object.get("properties").and_then(|p| p.as_object()) {
                    found.extend(properties.keys().cloned());
                }
                object.values().for_each(|value| keys(value, found));
            }
            serde_json::Value::Array(values) => values.iter().for_each(|value| keys(value, found)),
            _ => {}
        }
    }
    let schema = serde_json::from_str(&read("docs/scenario.schema.json")).expect("JSON");
    let (text, mut found) = (read("docs/scenario.md"), Vec::new());
    keys(&schema, &mut found);
    assert!(found.len() > 30, "{found:?}");
    for key in found {
        assert!(text.contains(&key), "docs/scenario.md does not name `{key}`");
    }
}

/// Targets of `[text](target)` that are paths.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let path = |target: &str| target.split('#').next().expect("a first part").to_string();
    targets.filter(|target| !target.contains("://")).map(path).filter(|path| !path.is_empty()).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut pages = vec![root().join("README.md"), root().join("CHANGELOG.md")];
    let docs = std::fs::read_dir(root().join("docs")).expect("a folder");
    pages
        .extend(docs.map(|entry| entry.expect("readable").path()).filter(|p| p.extension().is_some_and(|e| e == "md")));
    for page in pages {
        let folder: &Path = page.parent().expect("in a folder");
        for link in links(&std::fs::read_to_string(&page).expect("readable")) {
            assert!(folder.join(&link).exists(), "{}: {link} does not exist", page.display());
        }
    }
}
