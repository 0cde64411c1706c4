//! The command as a new user meets it: help, lists, results, bad input, Ctrl-C.

mod accuracy;
mod bad_input;
mod check;
mod ease;
mod explain;
mod fit;
#[cfg(unix)]
mod interrupt;
mod long_work;
mod merge;
#[cfg(unix)]
mod remote;
mod replay;
mod report;
mod results;
mod weights;

use assert_cmd::Command;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Two repetitions of one cell of a small network, computing free: a fraction of a second.
const TINY: &str = r#"name = "tiny"
repetitions = 2
warmup = 0
clock = "virtual"
compute = "none"
[[model]]
arch = "minionn"
weights = "random"
[[protocol]]
id = "fused"
polynomial = "relu-d4"
[[link]]
name = "wan"
rtt = "100 ms"
bandwidth = "100 Mbit/s"
"#;

/// A folder of its own with scenarios; commands run inside it.
struct Place {
    folder: TempDir,
}

/// What a command left behind.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Place {
    /// With `scenario` as `x.toml`.
    fn new(scenario: &str) -> Place {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("x.toml"), scenario).expect("written");
        Place { folder }
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: impl AsRef<Path>) -> String {
        let path = self.path(name);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    fn command(&self, arguments: &[&str]) -> Ended {
        let output = Command::new(env!("CARGO_BIN_EXE_longhaul"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env_remove("LONGHAUL_DATA")
            .env_remove("LONGHAUL_LOG")
            .env_remove("GITHUB_ACTIONS")
            .env_remove("GITHUB_STEP_SUMMARY")
            .timeout(std::time::Duration::from_secs(60))
            .output()
            .expect("started");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

impl Ended {
    /// The same, after a check of the exit code.
    fn expect(self, code: i32) -> Ended {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }
}

fn longhaul(arguments: &[&str]) -> Ended {
    Place::new("").command(arguments)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

#[test]
fn every_help_has_an_example() {
    for (arguments, example) in [
        (vec!["--help"], "longhaul run scenarios/quickstart.toml"),
        (vec!["run", "--help"], "--out /tmp/resnet20"),
        (vec!["check", "--help"], "longhaul check results/baseline --update"),
        (vec!["list", "--help"], "longhaul list models --format json"),
        (vec!["report", "--help"], "longhaul report results/quickstart --open"),
        (vec!["merge", "--help"], "--out results/paper"),
        (vec!["explain", "--help"], "longhaul explain"),
        (vec!["fit", "--help"], "longhaul fit --function relu --degree 4"),
        (vec!["train", "--help"], "longhaul train resnet20 --data"),
        (vec!["curves", "--help"], "longhaul curves results/pillar/polynomial"),
        (vec!["accuracy", "--help"], "longhaul accuracy scenarios/pillar.toml"),
        (vec!["replay", "--help"], "longhaul replay FILE --link"),
        (vec!["sweep", "--help"], "longhaul sweep A.trace B.trace"),
        (vec!["inspect", "--help"], "longhaul inspect"),
        (vec!["init", "--help"], "longhaul init"),
        (vec!["schema", "--help"], "longhaul schema"),
        (vec!["completions", "--help"], "longhaul completions"),
        (vec!["man", "--help"], "longhaul man"),
    ] {
        let help = longhaul(&arguments).expect(0);
        let (_, examples) = help.stdout.split_once("Examples:").expect("a heading");
        assert!(examples.contains(example), "{arguments:?}: {examples}");
        assert_eq!(help.stderr, "");
    }
    assert!(longhaul(&["--version"]).expect(0).stdout.contains("longhaul 0."));
}

#[test]
fn wrong_words_exit_2_and_say_what_would_be_right() {
    for (arguments, hint) in [
        (vec![], "Usage: longhaul <COMMAND>"),
        (vec!["lists"], "'list'"),
        (vec!["list"], "<WHAT>"),
        (vec!["list", "protocol"], "'protocols'"),
        (vec!["list", "models", "--format", "xml"], "table, json"),
        (vec!["run", "--repeat", "3"], "--repeat"),
        (vec!["run", "a.toml", "b.toml"], "b.toml"),
    ] {
        let ended = longhaul(&arguments).expect(2);
        assert!(ended.stderr.contains(hint), "{}", ended.stderr);
        assert_eq!(ended.stdout, "", "{arguments:?}");
    }
}

/// The row with this id has at least these keys; returns it.
fn listed(what: &str, id: &str, keys: &[&str]) -> Value {
    let rows = json(&longhaul(&["list", what, "--format", "json"]).expect(0).stdout);
    let rows = rows.as_array().expect("a list");
    for (row, key) in rows.iter().flat_map(|row| keys.iter().map(move |k| (row, k))) {
        assert!(!row[*key].is_null(), "{key} in {row}");
    }
    let row = rows.iter().find(|row| row["id"] == id);
    row.unwrap_or_else(|| panic!("{id} in {rows:?}")).clone()
}

#[test]
fn the_protocols_are_listed_with_their_costs() {
    let keys =
        ["id", "family", "rounds", "online_bytes_per_activation", "offline_bytes_per_activation", "dealer", "exact"];
    let fused = listed("protocols", "fused", &keys);
    assert_eq!(fused["family"], "polynomial");
    assert_eq!((&fused["rounds"], &fused["dealer"]), (&1.into(), &true.into()));
    assert_eq!(fused["online_bytes_per_activation"], 8.0);
    // The client's half of the opening, and the dealer's four pairs of 128-bit powers.
    assert_eq!(fused["offline_bytes_per_activation"], 8.0 + 4.0 * 2.0 * 16.0);
    let gc = listed("protocols", "gc", &keys);
    assert_eq!(gc["family"], "relu");
    assert_eq!((&gc["rounds"], &gc["dealer"]), (&1.into(), &false.into()));
    // A 128-bit label for each of the 64 bits of the server's share.
    assert_eq!(gc["online_bytes_per_activation"], 16.0 * 64.0);
}

#[test]
fn the_models_are_listed_with_their_sizes() {
    for (id, layers, activations) in [("minionn", 7, 173_056), ("resnet20", 19, 188_416), ("resnet50", 49, 9_608_704)] {
        let keys = ["id", "parameters", "activation_layers", "activations", "pools", "shortcuts"];
        let row = listed("models", id, &keys);
        assert_eq!(row["activation_layers"], layers);
        assert_eq!(row["activations"], activations);
        assert!(row["parameters"].as_u64().expect("a count") > 100_000);
        assert_eq!(row["pools"].as_array().expect("a list").is_empty(), id != "resnet50");
        assert_eq!(row["shortcuts"].as_array().expect("a list").is_empty(), id != "resnet20");
    }
}

#[test]
fn a_network_is_inspected_before_it_runs() {
    let json =
        longhaul(&["inspect", "vgg16", "--classes", "100", "--pool", "max", "--format", "json"]).expect(0).stdout;
    let report: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&report["activation_layers"], &report["activations"]), (&15.into(), &183_808.into()));
    assert_eq!((&report["classes"], report["parameters"].as_u64()), (&100.into(), Some(15_245_130 + 90 * 513)));
    let kinds: Vec<_> = report["layers"].as_array().expect("a list").iter().map(|layer| &layer["kind"]).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == "max_pool").count(), 5);
    let protocol = |id: &str| {
        let list = report["protocols"].as_array().expect("a list");
        list.iter().find(|row| row["protocol"] == id).expect("listed").clone()
    };
    assert!(protocol("fused")["refused"].as_str().expect("a reason").contains("max pooling compares"));
    // Two rounds a layer, two for each of two comparisons of five 2 x 2 pools, and two for the answer.
    assert_eq!(protocol("fss")["online_rounds"], 2 * 15 + 2 * 2 * 5 + 2);
    let json = longhaul(&["inspect", "vgg16", "--format", "json"]).expect(0).stdout;
    let report: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let predicted = |id: &str| {
        let list = report["protocols"].as_array().expect("a list");
        let row = list.iter().find(|row| row["protocol"] == id).expect("listed");
        (row["pool"].as_str().expect("a choice").to_string(), row["online_rounds"].as_u64())
    };
    // As a scenario runs them unless it chooses.
    assert_eq!(predicted("fused"), ("average".to_string(), Some(2 * 15 + 2)));
    assert_eq!(predicted("fss"), ("max".to_string(), Some(2 * 15 + 2 * 2 * 5 + 2)));
    let text = Place::new(TINY).command(&["inspect", "x.toml"]).expect(2).stderr;
    assert!(text.contains("x.toml: the name of a network's file must end in .onnx"), "{text}");
    assert!(longhaul(&["inspect", "resnet20"]).expect(0).stdout.contains("188416 activations"));
    let text = longhaul(&["inspect", "alexnet"]).expect(2).stderr;
    assert!(text.contains("there is no architecture \"alexnet\"; known: minionn"), "{text}");
    let text = longhaul(&["inspect", "minionn", "--pool", "max"]).expect(2).stderr;
    assert!(text.contains("no such choice of --pool"), "{text}");
}

#[test]
fn lists_fit_a_window_of_110_columns() {
    for (what, id) in [("protocols", "fused"), ("models", "minionn")] {
        let table = longhaul(&["list", what]).expect(0).stdout;
        assert!(table.contains(id), "{table}");
        for line in table.lines() {
            assert!(line.chars().count() <= 110, "{line}");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_a_failure_unless_nobody_reads_it() {
    use std::process::{Command, Stdio};
    let list = |stdout: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longhaul"));
        command.args(["list", "protocols"]).stdout(stdout);
        command.output().expect("started")
    };
    let full = std::fs::File::options().write(true).open("/dev/full");
    let ended = list(full.expect("opened").into());
    assert_eq!(ended.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert!(stderr.starts_with("error: standard output: "), "{stderr}");

    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let ended = list(writer.into());
    assert_eq!(ended.status.code(), Some(0), "as in `longhaul list | head -1`");
    assert!(ended.stderr.is_empty());
}
