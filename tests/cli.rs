//! The command as its users meet it: help, lists, results, wrong inputs, interruption.

use assert_cmd::Command;
use safetensors::tensor::{Dtype, TensorView};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const TINY: &str = r#"
name = "tiny"
repetitions = 2
warmup = 0
compute = "none"
[[model]]
arch = "minionn"
weights = "random"
[[protocol]]
id = "fused"
[[protocol]]
id = "gmw"
[[link]]
name = "wan"
rtt = "100 ms"
bandwidth = "100 Mbit/s"
"#;

fn longhaul(args: &[&str]) -> std::process::Output {
    Command::cargo_bin("longhaul").unwrap().env_remove("LONGHAUL_DATA").args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Writes `scenario` into `folder` and runs it with results in `folder/out`.
fn run(folder: &Path, scenario: &str) -> (i32, String, String) {
    let file = folder.join("scenario.toml");
    std::fs::write(&file, scenario).unwrap();
    let output = longhaul(&["run", file.to_str().unwrap(), "--out", folder.join("out").to_str().unwrap()]);
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn csv_rows(path: PathBuf) -> Vec<csv::StringRecord> {
    csv::Reader::from_path(path).unwrap().records().map(Result::unwrap).collect()
}

#[test]
fn help_has_examples_and_bad_words_exit_with_two() {
    for args in [&["--help"][..], &["run", "--help"], &["list", "--help"]] {
        let output = longhaul(args);
        assert!(output.status.success() && text(&output.stdout).contains("Examples:\n  longhaul"), "{args:?}");
    }
    for args in [&[][..], &["fly"], &["list"], &["list", "planets"], &["run", "--out"]] {
        assert_eq!(longhaul(args).status.code(), Some(2), "{args:?}");
    }
}

#[test]
fn lists_are_readable_by_people_and_programs() {
    let protocols: serde_json::Value =
        serde_json::from_slice(&longhaul(&["list", "protocols", "--format", "json"]).stdout).unwrap();
    let fused = &protocols[0];
    assert_eq!(
        (&fused["id"], &fused["rounds"], &fused["online_bytes_per_activation"]),
        (&"fused".into(), &1.into(), &8.0.into())
    );
    for key in
        ["id", "family", "rounds", "online_bytes_per_activation", "offline_bytes_per_activation", "dealer", "exact"]
    {
        assert!(protocols.as_array().unwrap().iter().all(|row| !row[key].is_null()), "{key}");
    }
    let models: serde_json::Value =
        serde_json::from_slice(&longhaul(&["list", "models", "--format", "json"]).stdout).unwrap();
    let counts: Vec<_> = models
        .as_array()
        .unwrap()
        .iter()
        .map(|m| (m["id"].as_str().unwrap(), m["activation_layers"].as_u64(), m["activations"].as_u64()))
        .collect();
    assert_eq!(counts, [("minionn", Some(7), Some(173_056)), ("resnet20", Some(19), Some(188_416))]);
    for what in ["protocols", "models"] {
        let table = text(&longhaul(&["list", what]).stdout);
        assert!(table.lines().skip(1).any(|line| line.contains("minionn") || line.contains("fused")));
    }
}

#[test]
fn without_computing_two_runs_write_the_same_files() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    for folder in &folders {
        let (code, stdout, stderr) = run(folder.path(), TINY);
        assert_eq!(code, 0, "{stderr}");
        assert!(stdout.contains("tiny: minionn over wan") && stdout.contains("2/2"), "{stdout}");
        assert!(stderr.contains("4 executions planned") && stderr.contains("results in"), "{stderr}");
    }
    let read =
        |folder: &tempfile::TempDir, name: &str| std::fs::read_to_string(folder.path().join("out").join(name)).unwrap();
    for name in ["runs.csv", "layers.csv", "summary.csv", "speedup.csv"] {
        assert_eq!(read(&folders[0], name), read(&folders[1], name), "{name}");
    }
    let manifest: serde_json::Value = serde_json::from_str(&read(&folders[0], "manifest.json")).unwrap();
    assert_eq!(manifest["scenario"]["name"], "tiny");
    assert!(manifest["finished_at"].is_string());
    let header = read(&folders[0], "runs.csv").lines().next().unwrap().to_string();
    assert!(header.starts_with(
        "scenario,model,protocol,link,repetition,image,online_s,offline_s,online_floor_s,online_server_compute_s,"
    ));
    assert!(
        header
            .ends_with("label,prediction,reference_prediction,max_abs_error,overflowed_activations,transcript_blake3")
    );
    // Not measured is empty, never zero.
    let row = &csv_rows(folders[0].path().join("out/runs.csv"))[0];
    assert_eq!((&row[9], &row[10], &row[22]), ("", "", ""));
}

#[test]
fn json_on_request() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tiny.toml");
    std::fs::write(&file, TINY.replace("repetitions = 2", "repetitions = 1")).unwrap();
    let output = longhaul(&[
        "run",
        file.to_str().unwrap(),
        "--format",
        "json",
        "--out",
        folder.path().join("out").to_str().unwrap(),
    ]);
    let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed["summary"].as_array().unwrap().len(), 2);
    assert_eq!(printed["speedup"][0]["baseline"], "gmw");
}

/// One tensor of zeros, and one value changed.
fn tensor_file(path: &Path, name: &str, shape: &[usize], first: f32) {
    let mut values = vec![0f32; shape.iter().product()];
    values[0] = first;
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, shape.to_vec(), &bytes).unwrap();
    std::fs::write(path, safetensors::serialize([(name, view)], None).unwrap()).unwrap();
}

#[test]
fn wrong_inputs_name_the_place_and_nothing_is_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let weights = |file: &str| TINY.replace("\"random\"", &format!("{file:?}"));
    tensor_file(&path.join("shape.safetensors"), "0.weight", &[64, 3, 5, 5], 0.0);
    tensor_file(&path.join("nan.safetensors"), "0.weight", &[64, 3, 3, 3], f32::NAN);
    let whole = std::fs::read(path.join("nan.safetensors")).unwrap();
    std::fs::write(path.join("torn.safetensors"), &whole[..whole.len() - 100]).unwrap();
    std::fs::create_dir(path.join("cifar")).unwrap();
    std::fs::write(path.join("cifar/test_batch.bin"), vec![1; 3000]).unwrap();
    let cases = [
        (TINY.replace("repetitions", "repetition"), vec!["scenario.toml:3:1", "repetition", "repetitions"]),
        (TINY.replace("gmw", "gwm"), vec!["scenario.toml:12:6", "protocol[1].id", "did you mean \"gmw\""]),
        (TINY.replace("100 ms", "100"), vec!["scenario.toml:15:7", "link[0].rtt", "write for example"]),
        (TINY.replace("name = \"tiny\"", "name = "), vec!["scenario.toml:2"]),
        (weights("absent.safetensors"), vec!["scenario.toml:8", "absent.safetensors", "model[0].weights"]),
        (weights("torn.safetensors"), vec!["model `minionn`", "torn.safetensors", "truncated"]),
        (weights("shape.safetensors"), vec!["shape.safetensors", "0.weight", "[64, 3, 3, 3]", "[64, 3, 5, 5]"]),
        (weights("nan.safetensors"), vec!["nan.safetensors", "0.weight", "NaN"]),
        (
            TINY.replace("id = \"fused\"", "id = \"fused\"\npolynomial = [0, 1, 0, 0, 0, 1]"),
            vec!["`minionn`", "`fused`", "degree", "84"],
        ),
        (TINY.to_string() + "[input]\ndataset = \"cifar10\"\npath = \"cifar\"\n", vec!["test_batch.bin", "3000"]),
    ];
    for (scenario, expected) in cases {
        let (code, stdout, stderr) = run(path, &scenario);
        assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
        for words in expected {
            assert!(stderr.contains(words), "`{words}` is not in: {stderr}");
        }
        assert!(!path.join("out/runs.csv").exists());
    }
    std::fs::write(path.join("taken"), "").unwrap();
    let output =
        longhaul(&["run", path.join("scenario.toml").to_str().unwrap(), "--out", path.join("taken").to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(longhaul(&["run", "absent.toml"]).status.code(), Some(2));
}

#[test]
fn a_network_past_the_ring_is_reported_not_predicted() {
    let folder = tempfile::tempdir().unwrap();
    let explosive = TINY
        .replace("id = \"fused\"", "id = \"fused\"\npolynomial = [0, 0, 3000.0]")
        .replace("[[protocol]]\nid = \"gmw\"\n", "");
    let (code, stdout, stderr) = run(folder.path(), &explosive);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("warning: model `minionn`, image 0:") && stderr.contains("of layer `act"), "{stderr}");
    assert!(stdout.contains("0/0") && stdout.contains("beyond what the ring can hold"), "{stdout}");
    for row in csv_rows(folder.path().join("out/runs.csv")) {
        assert_eq!((&row[23], &row[25]), ("", ""), "prediction and error");
        assert!(row[26].parse::<u64>().unwrap() > 0, "overflowed activations");
    }
    let manifest = std::fs::read_to_string(folder.path().join("out/manifest.json")).unwrap();
    assert!(manifest.contains("leave the range of the ring"));
}

/// Starts a run that would take minutes and waits for its first rows.
fn start_long_run(folder: &Path) -> (std::process::Child, PathBuf) {
    let file = folder.join("long.toml");
    std::fs::write(&file, TINY.replace("repetitions = 2", "repetitions = 5000")).unwrap();
    let out = folder.join("out");
    let child = std::process::Command::new(assert_cmd::cargo::cargo_bin!("longhaul"))
        .args(["run", file.to_str().unwrap(), "--out", out.to_str().unwrap()])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while !out.join("runs.csv").exists() {
        assert!(started.elapsed() < Duration::from_secs(60), "no rows after a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
    (child, out)
}

fn signal(child: &std::process::Child, signal: rustix::process::Signal) {
    rustix::process::kill_process(rustix::process::Pid::from_child(child), signal).unwrap();
}

#[test]
fn ctrl_c_stops_soon_and_keeps_what_was_measured() {
    let folder = tempfile::tempdir().unwrap();
    let (child, out) = start_long_run(folder.path());
    signal(&child, rustix::process::Signal::INT);
    let asked = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(asked.elapsed() < Duration::from_secs(20), "took {:?}", asked.elapsed());
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("complete rows are in"), "{}", text(&output.stderr));
    assert!(!csv_rows(out.join("runs.csv")).is_empty());
    assert!(!csv_rows(out.join("summary.csv")).is_empty());
}

#[test]
fn a_killed_run_leaves_whole_files() {
    for delay_ms in [0, 300, 700] {
        let folder = tempfile::tempdir().unwrap();
        let (mut child, out) = start_long_run(folder.path());
        std::thread::sleep(Duration::from_millis(delay_ms));
        signal(&child, rustix::process::Signal::KILL);
        child.wait().unwrap();
        assert!(!csv_rows(out.join("runs.csv")).is_empty());
        let manifest: serde_json::Value =
            serde_json::from_slice(&std::fs::read(out.join("manifest.json")).unwrap()).unwrap();
        assert!(manifest["finished_at"].is_null());
    }
}
