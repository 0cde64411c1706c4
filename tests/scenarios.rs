//! The scenario files in `scenarios/`, against what this build offers.

use longhaul::run::catalogue;
use longhaul::scenario::{Scenario, SearchPath, load};
use longhaul::units::Nanos;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// Every scenario file, in folders too.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a directory").map(|entry| entry.expect("an entry").path());
    let files = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] });
    files.filter(|path| path.extension().is_some_and(|extension| extension == "toml")).collect()
}

/// A data directory with the files that scenarios name, all empty.
fn data() -> (TempDir, SearchPath) {
    let root = tempfile::tempdir().expect("a directory");
    for file in [
        "models/delphi_minionn_7_approx_cifar10.safetensors",
        "models/aka_resnet20_cifar10.safetensors",
        "models/delphi_minionn_7_approx_cifar10.onnx",
        "models/delphi_minionn_3_approx_cifar10.onnx",
        "models/aka_resnet20_cifar10.onnx",
        "models/aka_resnet20_cifar10_clean.onnx",
        "cifar-10-batches-bin/test_batch.bin",
    ] {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().expect("has one")).expect("created");
        fs::write(path, "").expect("written");
    }
    let search = SearchPath { data: Some(root.path().to_owned()), environment: None, others: false };
    (root, search)
}

fn read(path: &Path, search: &SearchPath) -> Scenario {
    load(path, search, &catalogue()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_shipped_scenario_parses() {
    let (_root, search) = data();
    let files = files(&shipped());
    for path in &files {
        assert_eq!(path.file_stem(), Some(read(path, &search).name.as_ref()), "named alike");
    }
    assert!(files.len() >= 4, "{} scenarios", files.len());
}

#[test]
fn the_quickstart_needs_no_data_and_means_what_it_says() {
    let scenario = read(&shipped().join("quickstart.toml"), &SearchPath::default());
    let cells = scenario.cells().map(|cell| {
        let (model, protocol) = (&cell.model.name, &cell.protocol.name);
        format!("{model}/{protocol}/{}", cell.link.name)
    });
    assert_eq!(
        cells.collect::<Vec<_>>(),
        [
            "resnet20/fused/lan",
            "resnet20/fused/wan",
            "resnet20/gc/lan",
            "resnet20/gc/wan",
            "resnet20/gmw/lan",
            "resnet20/gmw/wan",
        ]
    );
    assert_eq!(scenario.links[0].latency, Nanos(125_000));
    let speedup = scenario.speedup.expect("several protocols");
    assert_eq!(speedup.subject, "fused");
    assert_eq!(speedup.baselines, ["gc", "gmw"]);
}

#[test]
fn protocols_toml_names_every_protocol() {
    let scenario = read(&shipped().join("protocols.toml"), &SearchPath::default());
    for known in catalogue().protocols {
        assert!(scenario.protocols.iter().any(|protocol| protocol.choice.id == known.id), "{} is missing", known.id);
    }
}

#[test]
fn the_digest_does_not_depend_on_the_machine() {
    let digests = [data(), data()].map(|(_root, search)| {
        let scenario = read(&shipped().join("cifar10-minionn.toml"), &search);
        let json = serde_json::to_string(&scenario).expect("serialises");
        assert!(json.contains(r#"{"file":"models/delphi_minionn_7_approx_cifar10.safetensors"}"#));
        scenario.digest()
    });
    assert_eq!(digests[0], digests[1]);
}
