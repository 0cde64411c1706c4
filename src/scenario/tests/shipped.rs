//! The scenario files in `scenarios/`.

use std::path::PathBuf;

use super::*;

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

#[test]
fn every_shipped_scenario_parses() {
    let (_root, search) = data();
    let mut count = 0;
    for entry in fs::read_dir(shipped()).expect("a directory") {
        let path = entry.expect("an entry").path();
        let scenario = load(&path, &search, &catalogue()).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(path.file_stem(), Some(scenario.name.as_ref()), "named alike");
        count += 1;
    }
    assert!(count >= 3, "{count} scenarios");
}

#[test]
fn quickstart_needs_no_data_and_means_what_it_says() {
    let path = shipped().join("quickstart.toml");
    let scenario = load(&path, &SearchPath::default(), &catalogue());
    let scenario = scenario.unwrap_or_else(|error| panic!("{error}"));
    let cells = scenario.cells().map(|cell| {
        let (model, protocol) = (&cell.model.name, &cell.protocol.name);
        format!("{model}/{protocol}/{}", cell.link.name)
    });
    assert_eq!(
        cells.collect::<Vec<_>>(),
        [
            "minionn/fused/lan",
            "minionn/fused/wan",
            "minionn/gc/lan",
            "minionn/gc/wan",
            "minionn/gmw/lan",
            "minionn/gmw/wan",
        ]
    );
    assert_eq!(scenario.links[0].latency, Nanos(125_000));
    let speedup = scenario.speedup.expect("several protocols");
    assert_eq!(speedup.subject, "fused");
    assert_eq!(speedup.baselines, ["gc", "gmw"]);
}

#[test]
fn the_digest_does_not_depend_on_the_machine() {
    let path = shipped().join("cifar10-minionn.toml");
    let digests = [data(), data()].map(|(_root, search)| {
        let scenario = load(&path, &search, &catalogue());
        let scenario = scenario.unwrap_or_else(|error| panic!("{error}"));
        let json = serde_json::to_string(&scenario).expect("serialises");
        assert!(json.contains(r#"{"file":"models/delphi_minionn_7_approx_cifar10.safetensors"}"#));
        scenario.digest()
    });
    assert_eq!(digests[0], digests[1]);
}
