//! What a finished run leaves behind.

use super::{Place, TINY, json};

const RUNS: &str = "scenario,model,protocol,link,repetition,image,online_s,offline_s,online_floor_s,\
online_server_compute_s,online_client_compute_s,online_rounds,online_bytes_up,online_bytes_down,\
offline_rounds,offline_bytes_up,offline_bytes_down,setup_s,setup_bytes_up,setup_bytes_down,\
dealer_bytes_server,dealer_bytes_client,label,prediction,reference_prediction,max_abs_error,\
overflowed_activations,transcript_blake3,wrapped_activations,pool,online_messages_up,online_messages_down,\
offline_messages_up,offline_messages_down,offline_floor_s,offline_compute_s,calibration_s";
const LAYERS: &str = "scenario,model,protocol,link,layer,name,kind,elements,online_s_median,online_s_p95,\
offline_s_median,online_rounds,offline_rounds,online_bytes_up,online_bytes_down,offline_bytes_up,\
offline_bytes_down,online_path_server_s,online_path_client_s,online_path_latency_s,online_path_bandwidth_s,\
online_s_p50,online_s_p90,online_s_p99";
const SUMMARY: &str = "scenario,model,protocol,link,n,online_s_median,online_s_p95,online_s_ci_low,\
online_s_ci_high,offline_s_median,total_s_median,online_floor_s,online_server_compute_s_median,\
online_client_compute_s_median,online_rounds,online_bytes_up,online_bytes_down,offline_rounds,\
offline_bytes_up,offline_bytes_down,setup_s_median,setup_bytes_up,setup_bytes_down,dealer_bytes_server,\
dealer_bytes_client,images,predictions,agreements,max_abs_error,overflowed_activations,wrapped_activations,pool,\
total_s_ci_low,total_s_ci_high,labelled,correct,online_messages_up,online_messages_down,offline_messages_up,\
offline_messages_down,offline_floor_s,offline_compute_s_median,calibration_s_median";
const SPEEDUP: &str = "scenario,model,link,subject,baseline,online_speedup,online_speedup_low,\
online_speedup_high,total_speedup,bytes_ratio,rounds_ratio,total_speedup_low,total_speedup_high";
const MESSAGES: &str =
    "scenario,model,protocol,link,phase,from,to,layer,name,kind,messages,bytes,round,sent_s,arrives_s";
/// Every CSV file and its header, in column order; units are part of the names.
const FILES: [(&str, &str); 5] = [
    ("runs.csv", RUNS),
    ("layers.csv", LAYERS),
    ("messages.csv", MESSAGES),
    ("summary.csv", SUMMARY),
    ("speedup.csv", SPEEDUP),
];

/// The cell of `column` in the data row `row` of a CSV text.
fn cell(csv: &str, row: usize, column: &str) -> String {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let header = reader.headers().expect("a header").clone();
    let index = header.iter().position(|c| c == column).expect("a column");
    let row = reader.records().nth(row).expect("a row").expect("complete");
    row[index].to_string()
}

/// [`TINY`] with a second protocol, so that there is something to compare.
fn two_protocols() -> String {
    let square = "[[protocol]]\nid = \"fused\"\nname = \"square\"\npolynomial = [0.1, 0.5, 0.2]\n[[link]]";
    TINY.replace("[[link]]", square)
}

#[test]
fn a_run_writes_every_file_and_prints_a_table() {
    let place = Place::new(TINY);
    let ended = place.command(&["run", "x.toml"]).expect(0);
    for text in ["tiny: minionn over wan", "fused", "2/2"] {
        assert!(ended.stdout.contains(text), "{text}: {}", ended.stdout);
    }
    assert_eq!(ended.stderr, "2 executions planned\nresults in results/tiny\n");
    for (name, header) in FILES {
        let csv = place.read(format!("results/tiny/{name}"));
        assert_eq!(csv.lines().next(), Some(header), "{name}");
    }
    let files = std::fs::read_dir(place.path("results/tiny")).expect("a folder");
    assert_eq!(files.count(), 7, "five tables, the scenario, the manifest, nothing left over");
    assert_eq!(place.read("results/tiny/scenario.toml"), TINY);

    let manifest = json(&place.read("results/tiny/manifest.json"));
    assert_eq!(manifest["tool"], "longhaul");
    assert_eq!(manifest["scenario"]["name"], "tiny");
    assert_eq!(manifest["scenario_digest"].as_str().map(str::len), Some(64));
    assert!(manifest["finished_at"].is_string(), "{manifest}");
    assert_eq!(manifest["warnings"].as_array().map(Vec::len), Some(0));
}

#[test]
fn the_figures_are_those_of_the_protocol() {
    let place = Place::new(TINY);
    place.command(&["run", "x.toml", "--out", "out"]).expect(0);
    let runs = place.read("out/runs.csv");
    assert_eq!(runs.lines().count(), 1 + 2, "a row per repetition");
    // Eight linear layers, seven activations, one reveal: a message each, one after the other.
    assert_eq!(cell(&runs, 1, "online_rounds"), "16");
    // Up, 8 bytes per element of each linear layer's input (the second pooling follows conv7's activation):
    // image 3,072, act1 65,536, pool4 16,384, act6 16,384, pool9 4,096, act11 4,096, act13 4,096, act15 1,024.
    let up = 8 * (3_072 + 65_536 + 2 * 16_384 + 3 * 4_096 + 1_024);
    assert_eq!(cell(&runs, 1, "online_bytes_up"), up.to_string());
    // Down, 8 bytes for each activation and each of the ten logits.
    let down = 8 * (173_056 + 10);
    assert_eq!(cell(&runs, 1, "online_bytes_down"), down.to_string());
    // 50 ms per message and 80 ns per byte. Before conv2 and conv7 the client answers chunks of 132 pixels of 64 channels as they
    // come, so that all but the first one's time overlaps.
    let overlapped = 8 * ((65_536 - 132 * 64) + (16_384 - 132 * 64));
    let nanos = 16 * 50_000_000 + 80 * (up + down - overlapped);
    let expected = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    assert_eq!(cell(&runs, 1, "online_s"), expected);
    assert_eq!(cell(&runs, 1, "online_floor_s"), expected);
    for unmeasured in ["online_server_compute_s", "online_client_compute_s", "label"] {
        assert_eq!(cell(&runs, 1, unmeasured), "", "{unmeasured}");
    }
    assert_eq!(cell(&runs, 1, "overflowed_activations"), "0");
    assert_eq!(cell(&runs, 1, "prediction"), cell(&runs, 1, "reference_prediction"));
    let error: f64 = cell(&runs, 1, "max_abs_error").parse().expect("a number");
    assert!(error > 0.0 && error < 0.01, "{error}");
    let digests = [0, 1].map(|row| cell(&runs, row, "transcript_blake3"));
    assert_ne!(digests[0], digests[1], "no two runs share their randomness");
}

#[test]
fn the_profile_adds_up_to_the_online_time() {
    let place = Place::new(TINY);
    let ended = place.command(&["run", "x.toml", "--profile"]).expect(0);
    assert!(ended.stdout.contains("critical path"), "{}", ended.stdout);
    // Sixteen messages of 50 ms one after the other, computing free: all others is bandwidth.
    let layers = place.read("results/tiny/layers.csv");
    let parts = ["server", "client", "latency", "bandwidth"].map(|part| {
        let column = format!("online_path_{part}_s");
        let seconds = |row| cell(&layers, row, &column).parse::<f64>().expect("a number");
        (0..layers.lines().count() - 1).map(seconds).sum::<f64>()
    });
    assert_eq!(&parts[..2], &[0.0, 0.0]);
    assert!((parts[2] - 0.8).abs() < 1e-9, "{parts:?}");
    let online: f64 = cell(&place.read("results/tiny/runs.csv"), 0, "online_s").parse().expect("a number");
    assert!((parts.iter().sum::<f64>() - online).abs() < 1e-9, "{parts:?}, {online}");
}

#[test]
fn chunks_save_time_and_change_neither_bytes_nor_results() {
    let place = Place::new(TINY);
    place.command(&["run", "x.toml", "--out", "chunks"]).expect(0);
    std::fs::write(place.path("x.toml"), format!("stream = false\n{TINY}")).expect("written");
    place.command(&["run", "x.toml", "--out", "whole"]).expect(0);
    let [chunks, whole] = ["chunks", "whole"].map(|out| place.read(format!("{out}/runs.csv")));
    for same in ["online_rounds", "online_bytes_up", "online_bytes_down", "offline_bytes_up", "prediction"] {
        assert_eq!(cell(&chunks, 0, same), cell(&whole, 0, same), "{same}");
    }
    // What the_figures_are_those_of_the_protocol finds overlapped.
    let overlapped = 80 * 8 * ((65_536 - 132 * 64) + (16_384 - 132 * 64));
    let online = |csv| cell(csv, 0, "online_s").parse::<f64>().expect("a number");
    assert!((online(&whole) - online(&chunks) - overlapped as f64 * 1e-9).abs() < 1e-9);
}

#[test]
fn json_holds_numbers() {
    let place = Place::new(&two_protocols());
    let ended = place.command(&["run", "x.toml", "--format", "json"]).expect(0);
    let printed = json(&ended.stdout);
    let summary = printed["summary"].as_array().expect("a list");
    assert_eq!(summary.len(), 2);
    let csv = place.read("results/tiny/summary.csv");
    let seconds = cell(&csv, 0, "online_s_median").parse::<f64>().expect("a number");
    assert_eq!(summary[0]["online_s_median"], seconds);
    assert_eq!(summary[0]["protocol"], "fused");
    assert!(summary[0]["online_server_compute_s_median"].is_null());
    let speedup = &printed["speedup"][0];
    assert_eq!((&speedup["subject"], &speedup["baseline"]), (&"fused".into(), &"square".into()));
    assert_eq!(speedup["online_speedup"], 1.0, "the same bytes and rounds");
}

#[test]
fn two_runs_give_the_same_bytes() {
    let place = Place::new(&two_protocols());
    for out in ["a", "b"] {
        place.command(&["run", "x.toml", "--out", out]).expect(0);
    }
    for (name, _) in FILES {
        let [a, b] = ["a", "b"].map(|out| place.read(format!("{out}/{name}")));
        assert_eq!(a, b, "{name}");
        assert!(a.lines().count() > 1, "{name} has rows");
    }
    let other_seed = format!("seed = 2\n{}", two_protocols());
    std::fs::write(place.path("x.toml"), other_seed).expect("written");
    place.command(&["run", "x.toml", "--out", "b"]).expect(0);
    assert_ne!(place.read("a/runs.csv"), place.read("b/runs.csv"));
    assert_eq!(place.read("a/layers.csv"), place.read("b/layers.csv"));
}

/// Squares of squares: past the seventh activation nothing fits the ring.
#[test]
fn a_network_that_leaves_the_ring_has_no_prediction() {
    let place = Place::new(&TINY.replace("\"relu-d4\"", "[0, 0, 30.0]"));
    let ended = place.command(&["run", "x.toml"]).expect(0);
    let runs = place.read("results/tiny/runs.csv");
    for row in [0, 1] {
        let overflowed: u64 = cell(&runs, row, "overflowed_activations").parse().expect("a count");
        assert!(overflowed > 0);
        assert_eq!(cell(&runs, row, "prediction"), "");
        assert_eq!(cell(&runs, row, "max_abs_error"), "");
        assert_ne!(cell(&runs, row, "reference_prediction"), "");
    }
    let warning = ended.stderr.lines().find_map(|line| line.strip_prefix("warning: "));
    let warning = warning.expect("a warning");
    assert!(warning.contains("model `minionn`"), "{warning}");
    assert!(warning.contains("of layer `act"), "{warning}");
    let manifest = json(&place.read("results/tiny/manifest.json"));
    assert_eq!(manifest["warnings"], serde_json::json!([warning]));
    let summary = place.read("results/tiny/summary.csv");
    assert_eq!(cell(&summary, 0, "agreements"), "0");
    assert_eq!(cell(&summary, 0, "max_abs_error"), "");
}
