use super::*;
use crate::report::fixture;
use crate::report::{Host, ShardRecord};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

/// Two models over two links; `small` runs with `fused` and `gc`, `large` with `gc` only.
fn scenario() -> Value {
    json!({
        "name": "quickstart", "seed": 1, "compute": "measured",
        "models": [{ "name": "small" }, { "name": "large", "protocols": ["gc"] }],
        "protocols": [{ "name": "fused" }, { "name": "gc" }],
        "links": [{ "name": "wan" }, { "name": "lan" }],
        "speedup": { "subject": "fused", "baselines": ["gc"] },
    })
}

/// A folder with `cells`, each `model/protocol/link`, two repetitions on two images each.
fn part(name: &str, cells: &[&str]) -> Part {
    let host = Host {
        cpu_model: Some("A".into()),
        cores: Some(2),
        cpu_features: vec!["aes".into(), "avx2".into()],
        os: "linux x86_64".into(),
    };
    let scenario = scenario();
    let digest = blake3::hash(scenario.to_string().as_bytes());
    let mut manifest = Manifest::begin(UNIX_EPOCH, host, 1, digest, scenario);
    manifest.finished_at = Some("1970-01-01T01:00:00Z".into());
    let (folder, scenario) = (PathBuf::from("results").join(name), Some("name = \"x\"".into()));
    let (mut runs, mut layers, mut messages) = (Vec::new(), Vec::new(), Vec::new());
    for cell in cells {
        let [model, protocol, link] = cell.split('/').collect::<Vec<_>>()[..] else { panic!("{cell}") };
        for (repetition, image) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let run = fixture::run(protocol, repetition, if protocol == "gc" { 30 } else { 10 });
            runs.push(RunRecord { model: model.into(), link: link.into(), image, ..run });
        }
        for number in 0..2 {
            let layer = fixture::layer(protocol, number);
            layers.push(LayerRecord { model: model.into(), link: link.into(), ..layer });
        }
        for round in [2, 1] {
            let message = fixture::message(protocol);
            messages.push(MessageRecord { model: model.into(), link: link.into(), round, ..message });
        }
    }
    // As one process interleaves them.
    runs.sort_by_key(|run| (run.model.clone(), run.link.clone(), run.repetition));
    Part { folder, name: name.into(), manifest, runs, layers, messages, scenario }
}

/// Shard `index` of three: the pairs of model and link are dealt in turn.
fn shard(index: usize) -> Part {
    let cells: &[&str] = match index {
        1 => &["small/fused/wan", "small/gc/wan", "large/gc/lan"],
        2 => &["small/fused/lan", "small/gc/lan"],
        _ => &["large/gc/wan"],
    };
    let mut part = part(&format!("shard-{index}-of-3"), cells);
    part.manifest.shard = Some(ShardRecord { index, count: 3 });
    part.manifest.selection = Some(format!("--shard {index}/3"));
    part
}

fn shards() -> Vec<Part> {
    vec![shard(3), shard(1), shard(2)]
}

fn refused(parts: Vec<Part>) -> String {
    merge(parts, false).expect_err("refused").to_string()
}

#[test]
fn rows_come_in_the_order_of_one_run() {
    let merged = merge(shards(), false).unwrap();
    let runs: Vec<_> = merged
        .runs
        .iter()
        .map(|r| format!("{}/{} {} {} {}", r.model, r.link, r.repetition, r.protocol, r.image))
        .collect();
    let both = |pair: &str| {
        let of =
            |repetition: u32| ["fused", "gc"].map(|p| [0, 1].map(|image| format!("{pair} {repetition} {p} {image}")));
        [of(0), of(1)].concat().concat()
    };
    let one = |pair: &str| [0, 1].map(|rep| [0, 1].map(|image| format!("{pair} {rep} gc {image}"))).concat();
    assert_eq!(runs, [both("small/wan"), both("small/lan"), one("large/wan"), one("large/lan")].concat());

    let cells = ["small/fused/wan", "small/gc/wan", "small/fused/lan", "small/gc/lan", "large/gc/wan", "large/gc/lan"];
    let layers: Vec<_> =
        merged.layers.iter().map(|l| format!("{}/{}/{} {}", l.model, l.protocol, l.link, l.layer)).collect();
    assert_eq!(layers, cells.map(|cell| [0, 1].map(|layer| format!("{cell} {layer}"))).concat());
    // The order within a cell is the writer's: here against the rounds, to tell it from a sorted one.
    let messages: Vec<_> =
        merged.messages.iter().map(|m| format!("{}/{}/{} {}", m.model, m.protocol, m.link, m.round)).collect();
    assert_eq!(messages, cells.map(|cell| [2, 1].map(|round| format!("{cell} {round}"))).concat());

    let summaries: Vec<_> =
        merged.summaries.iter().map(|s| (s.n, format!("{}/{}/{}", s.model, s.protocol, s.link))).collect();
    assert_eq!(summaries, cells.map(|cell| (4, cell.to_string())));
    let speedups: Vec<_> = merged.speedups.iter().map(|s| (&*s.model, &*s.link, s.online_speedup)).collect();
    assert_eq!(speedups, [("small", "wan", Some(3.0)), ("small", "lan", Some(3.0))]);
}

#[test]
fn the_manifest_is_that_of_all_parts_together() {
    let mut parts = shards();
    parts[0].manifest.started_at = "1969-12-31T23:00:00Z".into();
    parts[1].manifest.finished_at = Some("1970-01-02T00:00:00Z".into());
    for (part, peak) in parts.iter_mut().zip([Some(5), Some(7), None]) {
        part.manifest.peak_rss_bytes = peak;
        part.manifest.warnings = vec!["input: generated images".into(), format!("of {}", part.name)];
    }
    let merged = merge(parts, false).unwrap();
    let manifest = &merged.manifest;
    assert_eq!(manifest.started_at, "1969-12-31T23:00:00Z");
    assert_eq!(manifest.finished_at.as_deref(), Some("1970-01-02T00:00:00Z"));
    assert_eq!(manifest.peak_rss_bytes, Some(7));
    assert_eq!((manifest.shard, &manifest.selection), (None, &None));
    assert_eq!(manifest.merged_from, ["shard-3-of-3", "shard-1-of-3", "shard-2-of-3"]);
    assert_eq!(manifest.host, shard(1).manifest.host);
    let warnings = ["input: generated images", "of shard-3-of-3", "of shard-1-of-3", "of shard-2-of-3"];
    assert_eq!(manifest.warnings, warnings);
    assert_eq!(merged.warnings, [""; 0], "the merge found nothing itself");
    let back: Manifest = serde_json::from_str(&manifest.to_json()).unwrap();
    assert_eq!(&back, manifest);
    assert!(!shard(1).manifest.to_json().contains("merged_from"), "only of merged sets");
}

#[test]
fn missing_shards_are_named() {
    assert_eq!(
        refused(vec![shard(1), shard(3)]),
        "shard 2 of 3 is missing; run what is missing, or add --allow-missing"
    );
    assert!(refused(vec![shard(3)]).starts_with("shards 1 and 2 of 3 are missing"));
    let merged = merge(vec![shard(1), shard(3)], true).unwrap();
    assert_eq!(merged.warnings, ["shard 2 of 3 is missing", "2 of 6 cells are missing: small/fused/lan, small/gc/lan"]);
    assert_eq!(merged.manifest.warnings, merged.warnings);
    assert_eq!(merged.manifest.selection.as_deref(), Some("--shard 1/3; --shard 3/3"));
    assert_eq!(merged.summaries.len(), 4);
}

#[test]
fn shards_without_cells_are_needed_but_say_nothing() {
    let mut parts = shards();
    let mut empty = part("shard-4-of-4", &[]);
    for (index, part) in parts.iter_mut().chain([&mut empty]).enumerate() {
        part.manifest.shard = Some(ShardRecord { index: index + 1, count: 4 });
        part.manifest.selection = Some(format!("--shard {}/4", index + 1));
    }
    assert!(refused(parts.clone()).starts_with("shard 4 of 4 is missing"));
    empty.manifest.host.cpu_model = Some("B".into());
    parts.push(empty);
    let merged = merge(parts, false).unwrap();
    assert_eq!(
        (merged.warnings.len(), merged.summaries.len()),
        (0, 6),
        "a machine that measured nothing mixes nothing"
    );
}

#[test]
fn shards_of_a_filtered_run_need_not_have_every_cell() {
    let filtered = |index: usize| {
        let mut part = shard(index);
        part.manifest.selection = Some(format!("--filter gc --shard {index}/3"));
        part.runs.retain(|run| run.protocol == "gc");
        part.layers.retain(|layer| layer.protocol == "gc");
        part.messages.retain(|message| message.protocol == "gc");
        part
    };
    let merged = merge((1..=3).map(filtered).collect(), false).unwrap();
    assert_eq!(merged.manifest.selection.as_deref(), Some("--filter gc"));
    assert_eq!((merged.summaries.len(), merged.speedups.len(), merged.warnings.len()), (4, 0, 0));
    assert_eq!(
        refused(vec![filtered(1), filtered(3)]),
        "shard 2 of 3 of the run with --filter gc is missing; run what is missing, or add --allow-missing"
    );
    // A shard of another run beside them: neither is complete.
    let mixed = refused(vec![filtered(1), filtered(2), shard(3)]);
    assert!(
        mixed.contains("shards 1 and 2 of 3 are missing") && mixed.contains("shard 3 of 3 of the run with"),
        "{mixed}"
    );
}

#[test]
fn runs_of_some_cells_each_are_joined_and_gaps_are_named() {
    let fused = part("fused", &["small/fused/wan", "small/fused/lan"]);
    let gc = part("gc", &["small/gc/wan", "small/gc/lan", "large/gc/wan", "large/gc/lan"]);
    let merged = merge(vec![gc, fused.clone()], false).unwrap();
    assert_eq!((merged.runs.len(), merged.speedups.len()), (24, 2));
    // What was not interleaved is not as good a comparison.
    assert_eq!(merged.warnings.len(), 2, "{:?}", merged.warnings);
    for (warning, pair) in merged.warnings.iter().zip(["small over lan", "small over wan"]) {
        assert!(warning.starts_with(&format!("{pair}: its protocols ran apart, in gc and fused")), "{warning}");
    }
    assert_eq!(
        refused(vec![fused]),
        "4 of 6 cells are missing: small/gc/wan, small/gc/lan, large/gc/wan, large/gc/lan; \
         run what is missing, or add --allow-missing"
    );
    assert!(refused(vec![part("one", &["large/gc/lan"])]).contains("small/gc/lan and 1 more; run"));
}

#[test]
fn without_computing_it_does_not_matter_what_was_interleaved() {
    let mut parts = vec![part("fused", &["small/fused/wan"]), part("gc", &["small/gc/wan"])];
    for part in &mut parts {
        part.manifest.scenario["compute"] = json!("none");
    }
    assert_eq!(merge(parts, true).unwrap().warnings.len(), 1, "the missing cells");
}

#[test]
fn nothing_may_be_there_twice() {
    let (one, mut again) = (shard(1), shard(1));
    again.folder = "elsewhere".into();
    assert_eq!(
        refused(vec![one.clone(), again.clone()]),
        "shard 1/3 is there twice, in results/shard-1-of-3 and in elsewhere; leave one out"
    );
    // The same folder twice, no shards.
    let whole = part("whole", &["large/gc/wan"]);
    assert_eq!(
        refused(vec![whole.clone(), whole.clone()]),
        "the cell quickstart: large, gc, wan is there twice, in results/whole and in results/whole; leave one folder out"
    );
    assert!(merge(vec![whole, shard(3)], true).is_err(), "a shard and a run of all have a cell in common");
}

#[test]
fn scenarios_must_be_the_same_and_the_difference_is_named() {
    let mut other = shard(2);
    other.manifest.scenario["links"][1]["name"] = json!("satellite");
    other.manifest.scenario_digest = blake3::hash(b"another");
    assert_eq!(
        refused(vec![shard(1), other]),
        "results/shard-2-of-3 ran another scenario than results/shard-1-of-3: \
         links[1].name was \"lan\", is \"satellite\" there; merge results of one scenario only"
    );
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let mut part = shard(1);
    part.layers[0].protocol = "gmw".into();
    assert!(
        refused(vec![part, shard(2), shard(3)]).contains("the cell quickstart: small, gmw, wan is not in the scenario")
    );
    let mut part = shard(1);
    part.manifest.scenario["links"] = json!(3);
    assert!(
        refused(vec![part])
            .starts_with("results/shard-1-of-3: the scenario in manifest.json cannot be read: invalid type")
    );
    assert_eq!(refused(Vec::new()), "there is nothing to merge; name the folders that `longhaul run` wrote");
}

#[test]
fn mixed_machines_and_programs_are_flagged_with_their_folders() {
    type Change = fn(&mut Manifest);
    let cases: [(&str, &str, Change); 5] = [
        ("cpu_model", "\"A\" in shard-3-of-3, shard-2-of-3 and \"B\" in", |m| m.host.cpu_model = Some("B".into())),
        ("cpu_features", "\"aes avx2\" in shard-3-of-3, shard-2-of-3 and \"aes\" in", |m| {
            m.host.cpu_features.truncate(1);
        }),
        ("os", "and \"linux aarch64\" in", |m| m.host.os = "linux aarch64".into()),
        ("version of longhaul", "and \"9.9.9\" in", |m| m.version = "9.9.9".into()),
        ("git_commit", "and \"abc\" in", |m| m.git_commit = Some("abc".into())),
    ];
    for (property, values, change) in cases {
        let mut parts = shards();
        change(&mut parts[1].manifest);
        let merged = merge(parts, false).unwrap();
        let [warning] = &merged.warnings[..] else { panic!("{property}: {:?}", merged.warnings) };
        assert!(warning.starts_with(&format!("mixed machines: {property} is ")), "{warning}");
        assert!(warning.contains(values) && warning.contains("shard-1-of-3;"), "{warning}");
        assert_eq!(merged.manifest.warnings, merged.warnings);
    }
    let mut parts = shards();
    cases.iter().for_each(|(_, _, change)| change(&mut parts[1].manifest));
    let manifest = merge(parts, false).unwrap().manifest;
    assert_eq!(manifest.host.cpu_model.as_deref(), Some("A; B"));
    assert_eq!(manifest.host.cpu_features, ["aes"], "what all have");
    assert_eq!(manifest.host.os, "linux x86_64; linux aarch64");
    assert_eq!((manifest.version, manifest.git_commit), (format!("{}; 9.9.9", env!("CARGO_PKG_VERSION")), None));
}

#[test]
fn folders_are_read_and_bad_ones_named() {
    let place = tempfile::tempdir().unwrap();
    let write = |name: &str, part: &Part| {
        let folder = place.path().join(name);
        let mut results = ResultsDir::create(&folder).unwrap();
        results.append_runs(&part.runs).unwrap();
        results.add_layers(&part.layers);
        results.add_messages(part.messages.clone());
        results.keep_scenario("name = \"x\"");
        results.write_all(&[], &[], &part.manifest).unwrap();
        folder
    };
    // Two places with the same last name: as much of the path as tells them apart.
    let folders = [write("a/results", &shard(1)), write("b/results", &shard(2)), write("c", &shard(3))];
    let parts = read_parts(&folders).unwrap();
    assert_eq!(parts.iter().map(|part| &*part.name).collect::<Vec<_>>()[..2], ["a/results", "b/results"]);
    for (read, index) in parts.iter().zip(1..) {
        let written = shard(index);
        assert_eq!((&read.runs, &read.layers), (&written.runs, &written.layers));
        assert_eq!((&read.messages, &read.scenario), (&written.messages, &written.scenario));
    }
    let merged = merge(parts, false).unwrap();
    let out = place.path().join("merged");
    merged.write(&mut ResultsDir::create(&out).unwrap()).unwrap();
    assert_eq!(read_parts(std::slice::from_ref(&out)).unwrap()[0].manifest, merged.manifest);
    assert_eq!(read_parts(&folders[2..]).unwrap()[0].name, "c");

    let read = |folder: &PathBuf| read_parts(std::slice::from_ref(folder)).unwrap_err().to_string();
    let empty = place.path().join("empty");
    assert!(read(&empty).contains("holds no results"));
    let mut unfinished = shard(1);
    unfinished.manifest.finished_at = None;
    assert!(
        read(&write("unfinished", &unfinished)).contains("unfinished: its run is not finished; wait for it, or finish")
    );
    let mut later = shard(1);
    later.manifest.schema_version += 1;
    assert!(read(&write("later", &later)).contains("version 2 of the schema, this program version 1"));
    std::fs::write(folders[0].join("layers.csv"), "scenario\n").unwrap();
    assert!(read(&folders[0]).contains("layers.csv:1: expected \"model\" as column 2"), "{}", read(&folders[0]));
    std::fs::remove_file(folders[0].join("runs.csv")).unwrap();
    assert!(read(&folders[0]).contains("runs.csv: cannot read"));
}
