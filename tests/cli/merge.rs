//! Parts of a run, joined.

use super::{Ended, Place, TINY, json};
use assert_cmd::Command;

const CSV: [&str; 5] = ["runs.csv", "layers.csv", "messages.csv", "summary.csv", "speedup.csv"];

/// Two protocols over two links, which are two units of work.
fn four_cells() -> Place {
    let scenario = TINY.replace("[[link]]", "[[protocol]]\nid = \"espn\"\npolynomial = \"relu-d4\"\n[[link]]")
        + "[[link]]\nname = \"lan\"\nrtt = \"1 ms\"\nbandwidth = \"1 Gbit/s\"\n";
    Place::new(&scenario)
}

/// Shards 1 to `count` as `part-1` and so on.
fn run_shards(place: &Place, count: usize) -> Vec<String> {
    let shard = |index: usize| {
        let folder = format!("part-{index}");
        place.command(&["run", "x.toml", "--shard", &format!("{index}/{count}"), "--out", &folder, "--hgrm"]).expect(0);
        folder
    };
    (1..=count).map(shard).collect()
}

fn merge(place: &Place, folders: &[String], more: &[&str]) -> Ended {
    let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
    place.command(&[&["merge"], &folders[..], more].concat())
}

fn assert_same_files(place: &Place, merged: &str) {
    for name in CSV {
        assert_eq!(place.read(format!("{merged}/{name}")), place.read(format!("whole/{name}")), "{name}");
    }
}

#[test]
fn shards_joined_are_the_run_of_one_process() {
    let place = four_cells();
    let whole = place.command(&["run", "x.toml", "--out", "whole", "--hgrm"]).expect(0);
    // The third has nothing to do.
    let mut folders = run_shards(&place, 3);
    assert_eq!(place.read("part-3/runs.csv").lines().count(), 1, "a header");
    folders.rotate_left(1);
    let ended = merge(&place, &folders, &["--out", "merged"]).expect(0);
    assert_eq!(ended.stdout, whole.stdout, "the same table");
    assert_eq!(ended.stderr, "4 cells of 3 folders in merged\n");
    assert_same_files(&place, "merged");
    for file in ["scenario.toml", "histograms/minionn/espn/lan/online.hgrm"] {
        assert_eq!(place.read(format!("merged/{file}")), place.read(format!("whole/{file}")), "{file}");
    }
    let manifest = json(&place.read("merged/manifest.json"));
    assert_eq!(manifest["merged_from"], serde_json::json!(["part-2", "part-3", "part-1"]));
    assert!(manifest["shard"].is_null() && manifest["selection"].is_null(), "{manifest}");
    assert_eq!(manifest["scenario_digest"], json(&place.read("whole/manifest.json"))["scenario_digest"]);
    let again = place.command(&["run", "x.toml", "--out", "merged", "--resume"]).expect(0);
    assert!(again.stderr.contains("nothing is left to do"), "{}", again.stderr);

    assert!(place.command(&["merge", "--help"]).expect(0).stdout.contains("results/paper/shard-*-of-8"));
}

#[test]
fn runs_of_some_cells_each_are_joined() {
    let place = four_cells();
    place.command(&["run", "x.toml", "--out", "whole"]).expect(0);
    for protocol in ["espn", "fused"] {
        place.command(&["run", "x.toml", "--filter", protocol, "--out", protocol]).expect(0);
    }
    let refused = merge(&place, &["espn".to_string()], &["--out", "merged"]).expect(2).stderr;
    assert!(refused.contains("2 of 4 cells are missing: minionn/fused/wan, minionn/fused/lan"), "{refused}");
    let partly = merge(&place, &["espn".to_string()], &["--out", "partly", "--allow-missing"]).expect(0).stderr;
    assert!(partly.starts_with("warning: 2 of 4 cells are missing"), "{partly}");
    assert_eq!(json(&place.read("partly/manifest.json"))["selection"], "--filter espn");
    // What was joined can be joined again.
    merge(&place, &["partly".to_string(), "fused".to_string()], &["--out", "merged"]).expect(0);
    assert_same_files(&place, "merged");
    assert!(json(&place.read("merged/manifest.json"))["selection"].is_null());
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_written() {
    let place = four_cells();
    let parts = run_shards(&place, 2);
    let refused = |folders: &[&str], out: &str, expected: &str| {
        let folders: Vec<String> = folders.iter().map(|folder| folder.to_string()).collect();
        let stderr = merge(&place, &folders, &["--out", out]).expect(2).stderr;
        assert!(stderr.contains(expected), "{expected}: {stderr}");
    };
    let [one, two] = [&*parts[0], &*parts[1]];
    refused(&[two], "merged", "shard 1 of 2 is missing; run what is missing, or add --allow-missing");
    refused(&[one, one, two], "merged", "shard 1/2 is there twice, in part-1 and in part-1");
    refused(&[one, "part-7"], "merged", "part-7: holds no results");
    refused(&[one, two], "part-2", "--out part-2 is one of the folders to merge");
    std::fs::create_dir(place.path("busy")).expect("a folder");
    std::fs::write(place.path("busy/journal.jsonl"), "header\nexecution\n").expect("written");
    refused(&[one, two], "busy", "--out busy holds an unfinished run of 1 executions");
    let scenario = place.read("x.toml");
    std::fs::write(place.path("y.toml"), scenario.replace("\"1 ms\"", "\"2 ms\"")).expect("written");
    place.command(&["run", "y.toml", "--shard", "2/2", "--out", "other"]).expect(0);
    refused(&[one, "other"], "merged", "other ran another scenario than part-1: links[1].latency was");
    let manifest = place.read("part-2/manifest.json");
    let unfinished = json(&manifest)["finished_at"].as_str().map(|time| manifest.replace(time, ""));
    let unfinished = unfinished.expect("finished").replace("\"finished_at\": \"\"", "\"finished_at\": null");
    std::fs::write(place.path("part-2/manifest.json"), unfinished).expect("written");
    refused(&[one, two], "merged", "part-2: its run is not finished; wait for it, or finish it with");
    assert!(!place.path("merged").exists());
}

#[test]
fn another_machine_is_flagged() {
    let place = four_cells();
    let parts = run_shards(&place, 2);
    let mut manifest = json(&place.read("part-2/manifest.json"));
    manifest["host"]["cpu_model"] = "Abacus 3".into();
    std::fs::write(place.path("part-2/manifest.json"), manifest.to_string()).expect("written");
    let stderr = merge(&place, &parts, &["--out", "merged"]).expect(0).stderr;
    let warning = stderr.lines().next().and_then(|line| line.strip_prefix("warning: ")).expect("a warning");
    assert!(
        warning.starts_with("mixed machines: cpu_model is \"")
            && warning.contains("in part-1 and \"Abacus 3\" in part-2;")
    );
    assert_eq!(json(&place.read("merged/manifest.json"))["warnings"], serde_json::json!([warning]));
}

/// Where a shard's results go when a scheduler says which it is.
#[test]
fn schedulers_say_which_shard_it_is() {
    let place = four_cells();
    let run = |variables: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longhaul"));
        command.args(["run", "x.toml"]).current_dir(place.folder.path()).envs(variables.iter().copied());
        let output = command.output().expect("started");
        (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
    };
    let slurm = [
        ("SLURM_ARRAY_TASK_ID", "1"),
        ("SLURM_ARRAY_TASK_MIN", "1"),
        ("SLURM_ARRAY_TASK_MAX", "2"),
        ("SLURM_ARRAY_TASK_COUNT", "2"),
    ];
    let (code, stderr) = run(&slurm);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.starts_with("shard 1/2: 1 of the pairs of model and link\n"), "{stderr}");
    let (code, stderr) = run(&[("JOB_COMPLETION_INDEX", "1"), ("LONGHAUL_SHARDS", "2")]);
    assert_eq!(code, Some(0), "{stderr}");
    let (code, stderr) = run(&[("JOB_COMPLETION_INDEX", "1")]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("set LONGHAUL_SHARDS to the Job's `completions`"), "{stderr}");

    place.command(&["run", "x.toml", "--out", "whole"]).expect(0);
    let folders = [1, 2].map(|index| format!("results/tiny/shard-{index}-of-2"));
    merge(&place, &folders, &["--out", "results/tiny"]).expect(0);
    assert_same_files(&place, "results/tiny");
}
