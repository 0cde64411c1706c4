//! `longhaul run --trace`, `replay` and `sweep`.

use super::*;
use longhaul::report::{BreakEvenRecord, RunRecord, SweepRecord, read_records};

/// Two protocols over one link, with the computing that there was.
const MEASURED: &str = r#"name = "two"
repetitions = 3
warmup = 0
[[model]]
arch = "minionn"
[[protocol]]
id = "fused"
[[protocol]]
id = "gmw"
[[link]]
name = "wan"
rtt = "100 ms"
bandwidth = "100 Mbit/s"
"#;

fn traced(scenario: &str) -> Place {
    let place = Place::new(scenario);
    let ended = place.command(&["run", "x.toml", "--trace"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    place
}

const FUSED: &str = "results/two/traces/minionn.fused.wan.trace";
const GMW: &str = "results/two/traces/minionn.gmw.wan.trace";

#[test]
fn a_replay_over_the_recorded_link_shows_the_median_run() {
    let place = traced(MEASURED);
    let link = "rtt=100 ms, bandwidth=100 Mbit/s";
    let ended = place.command(&["replay", FUSED, GMW, "--link", link, "--link", "lan,model=tcp", "--format", "json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let rows: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let runs: Vec<RunRecord> = read_records(place.path("results/two/runs.csv")).expect("rows");
    for (row, protocol) in [(&rows[0], "fused"), (&rows[2], "gmw")] {
        let mut times: Vec<u64> =
            runs.iter().filter(|run| run.protocol == protocol).map(|run| run.online_s.0).collect();
        times.sort_unstable();
        assert_eq!(row["protocol"], protocol);
        assert_eq!((row["online_s"].as_f64().expect("a number") * 1e9).round() as u64, times[1], "{row}");
        let run = runs.iter().find(|run| run.protocol == protocol).expect("a row");
        assert_eq!(row["online_bytes_down"], run.online_bytes_down);
        assert_eq!(row["online_rounds"], run.online_rounds);
        assert_eq!((row["online_floor_s"].as_f64().expect("a number") * 1e9).round() as u64, run.online_floor_s.0);
    }
    assert!(rows[1]["online_s"].as_f64() < rows[0]["online_s"].as_f64());
    let ended = place.command(&["replay", FUSED, "--link", "satellite"]);
    assert!(ended.stdout.contains("minionn / fused"), "{}", ended.stdout);
}

#[test]
fn a_sweep_says_who_wins_where() {
    let place = traced(MEASURED);
    let grid = ["--rtt-ms", "100,1", "--mbit", "10,100,1000", "--model", "ideal,tcp", "--out", "s"];
    let ended = place.command(&[&["sweep", FUSED, GMW][..], &grid].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("fused, everywhere"), "{}", ended.stdout);
    assert!(ended.stderr.contains("24 link conditions in"), "{}", ended.stderr);
    let rows: Vec<SweepRecord> = read_records(place.path("s/sweep.csv")).expect("rows");
    assert_eq!(rows.len(), 2 * 2 * 2 * 3);
    let runs: Vec<RunRecord> = read_records(place.path("results/two/runs.csv")).expect("rows");
    let at = |row: &&SweepRecord| {
        row.protocol == "fused" && row.link_model == "ideal" && row.mbit == 100.0 && row.rtt_s.0 == 100_000_000
    };
    let row = rows.iter().find(at).expect("a point of the grid");
    assert!(runs.iter().any(|run| run.online_s == row.online_s), "{row:?}");
    let lines: Vec<BreakEvenRecord> = read_records(place.path("s/break-even.csv")).expect("rows");
    assert_eq!(lines.len(), 2 * 2, "a line for each model and round-trip time");
    for name in ["minionn.ideal.fused-gmw.svg", "minionn.tcp.fused-gmw.svg", "minionn.fused.tcp-ideal.svg"] {
        let text = std::fs::read_to_string(place.path("s").join(name)).expect("a drawing");
        assert!(text.starts_with("<svg"), "{name}");
    }
}

#[test]
fn what_cannot_be_replayed_is_refused() {
    let place = traced(MEASURED);
    let refused = |arguments: &[&str], text: &str| {
        let ended = place.command(arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(text), "{arguments:?}: {}", ended.stderr);
    };
    refused(&["replay", "nothing.trace", "--link", "lan"], "cannot read nothing.trace");
    refused(&["replay", "x.toml", "--link", "lan"], "x.toml: this is no trace");
    refused(&["replay", FUSED, "--link", "lann"], "did you mean \"lan\"?");
    refused(&["replay", FUSED, "--link", "rtt=1 ms"], "bandwidth: is missing");
    refused(&["replay", FUSED, "--link", "rtt=1 ms, bandwidth=1 Mbps"], "write \"1 Mbit/s\"");
    refused(&["sweep", FUSED, FUSED], "two traces of minionn under fused");
    refused(&["sweep", FUSED, "--subject", "gc"], "no trace is of it; there are: fused");
    refused(&["sweep", FUSED, "--mbit", "0"], "write numbers above 0");
    refused(&["sweep", FUSED, "--model", "ideel"], "known: ideal, tcp");
    refused(&["sweep", FUSED, "--tcp", "warm=7"], "--tcp warm=7");
    let mut bytes = std::fs::read(place.path(FUSED)).expect("a trace");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(place.path("damaged.trace"), bytes).expect("written");
    refused(&["replay", "damaged.trace", "--link", "lan"], "damaged.trace: the trace is damaged");
}

#[test]
fn a_later_run_replaces_the_traces() {
    let place = traced(MEASURED);
    let ended = place.command(&["run", "x.toml", "--trace", "--filter", "fused"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(place.path(FUSED).is_file() && !place.path(GMW).exists());
}
