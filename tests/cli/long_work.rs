//! What makes long runs bearable: resuming, filters, a look before the leap, automatic repetitions.

use super::{Place, TINY, json};
use longhaul::report::{read_manifest, read_runs};

/// Two protocols over two links.
fn four_cells() -> String {
    TINY.replace("[[link]]", "[[protocol]]\nid = \"espn\"\npolynomial = \"relu-d4\"\n[[link]]")
        + "[[link]]\nname = \"lan\"\nrtt = \"1 ms\"\nbandwidth = \"1 Gbit/s\"\n"
}

const CSV: [&str; 5] = ["runs.csv", "layers.csv", "messages.csv", "summary.csv", "speedup.csv"];

/// Kills runs at random moments and resumes until one is complete: nothing is lost but the running execution, and the
/// results are those of a run that nobody killed.
#[cfg(unix)]
#[test]
fn killed_at_any_moment_a_run_goes_on_where_it_was() {
    use std::process::{Command, Stdio};
    use std::time::{Duration, SystemTime, UNIX_EPOCH};
    let place = Place::new(&four_cells().replace("repetitions = 2", "repetitions = 12"));
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").subsec_nanos();
    println!("seed {seed}");
    let (mut state, mut kept, mut kills) = (u64::from(seed) | 1, 0, 0);
    loop {
        let mut child = Command::new(env!("CARGO_BIN_EXE_longhaul"))
            .args(["run", "x.toml", "--out", "out", "--resume"])
            .current_dir(place.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        // Long enough for at least one execution on a slow machine once in a while.
        std::thread::sleep(Duration::from_micros(state >> 44));
        let _ = child.kill();
        let status = child.wait().expect("a child");
        if place.path("out/runs.csv").exists() {
            read_runs(place.path("out/runs.csv")).expect("never torn");
        }
        let journal = place.path("out/journal.jsonl");
        if status.success() {
            break;
        }
        kills += 1;
        let lines = match journal.exists() {
            true => std::fs::read_to_string(&journal).expect("text").matches('\n').count(),
            false if place.path("out/runs.csv").exists() => break,
            false => 0,
        };
        assert!(lines >= kept, "{lines} lines after {kept}: executions were lost");
        kept = lines;
        assert!(kills < 2_000, "no progress");
    }
    assert!(kills > 0);
    place.command(&["run", "x.toml", "--out", "out", "--resume"]).expect(0);
    place.command(&["run", "x.toml", "--out", "whole"]).expect(0);
    for name in CSV {
        assert_eq!(
            place.read(format!("out/{name}")),
            place.read(format!("whole/{name}")),
            "{name} after {kills} kills"
        );
    }
    assert!(!place.path("out/journal.jsonl").exists(), "complete");
}

/// A journal as a killed run leaves it: `lines` whole ones and half of the next.
fn cut_journal(place: &Place, lines: usize) {
    let longer =
        std::fs::read_to_string(place.path("x.toml")).expect("text").replace("repetitions = 2", "repetitions = 100000");
    std::fs::write(place.path("long.toml"), longer).expect("written");
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_longhaul"))
        .args(["run", "long.toml", "--out", "out"])
        .current_dir(place.folder.path())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("started");
    let journal = place.path("out/journal.jsonl");
    let read = || std::fs::read_to_string(&journal).unwrap_or_default();
    while read().matches('\n').count() <= lines + 1 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().expect("alive");
    child.wait().expect("ended");
    let text = read();
    let whole: usize = text.split_inclusive('\n').take(lines + 1).map(str::len).sum();
    std::fs::write(&journal, &text[..whole + 100]).expect("written");
}

#[test]
fn a_torn_line_costs_that_execution_and_a_changed_scenario_is_refused() {
    let place = Place::new(&four_cells());
    cut_journal(&place, 3);
    let refused = place.command(&["run", "x.toml", "--out", "out", "--resume"]).expect(2);
    assert!(
        refused.stderr.contains("the scenario has changed since: repetitions was 100000, is 2"),
        "{}",
        refused.stderr
    );
    let filtered = place.command(&["run", "long.toml", "--out", "out", "--resume", "--filter", "espn"]).expect(2);
    assert!(filtered.stderr.contains("it was begun with all cells, this is --filter espn"), "{}", filtered.stderr);
    let warned = place.command(&["run", "x.toml", "--out", "out"]).expect(0);
    let expected = "warning: out holds an unfinished run of 3 executions, which this run replaces";
    assert!(warned.stderr.contains(expected), "{}", warned.stderr);
    // It is complete now, and of the scenario with two repetitions.
    let again = place.command(&["run", "x.toml", "--out", "out", "--resume"]).expect(0);
    assert!(again.stderr.contains("complete, nothing is left to do"), "{}", again.stderr);
    assert!(again.stdout.contains("tiny: minionn over wan"), "{}", again.stdout);
    let other = place.command(&["run", "long.toml", "--out", "out", "--resume"]).expect(2);
    assert!(other.stderr.contains("repetitions was 2, is 100000"), "{}", other.stderr);
}

#[test]
fn a_filter_runs_some_cells_and_a_dry_run_none() {
    let place = Place::new(&four_cells());
    place.command(&["run", "x.toml", "--out", "some", "--filter", "*/espn/lan"]).expect(0);
    let runs = read_runs(place.path("some/runs.csv")).expect("rows");
    assert_eq!(runs.len(), 2);
    assert!(runs.iter().all(|run| (&*run.protocol, &*run.link) == ("espn", "lan")));
    let manifest = read_manifest(place.path("some/manifest.json")).expect("a manifest");
    assert_eq!(manifest.selection.as_deref(), Some("--filter */espn/lan"));
    // The same bytes as in a run of all cells.
    place.command(&["run", "x.toml", "--out", "whole"]).expect(0);
    let whole = read_runs(place.path("whole/runs.csv")).expect("rows");
    assert!(runs.iter().all(|run| whole.contains(run)));

    let none = place.command(&["run", "x.toml", "--out", "none", "--filter", "gc"]).expect(2);
    assert!(
        none.stderr.contains("no cell of the scenario matches \"gc\"; its models: minionn; protocols: fused, espn")
    );
    let dry = place.command(&["run", "x.toml", "--out", "none", "--dry-run", "--format", "json"]).expect(0);
    assert!(!place.path("none").exists(), "nothing was written");
    let cells = json(&dry.stdout);
    assert_eq!(cells.as_array().map(Vec::len), Some(4));
    for (cell, run) in [(0, "fused"), (1, "espn")] {
        let predicted = &cells[cell];
        let measured = whole.iter().find(|row| row.protocol == run && row.link == "wan").expect("a row");
        assert_eq!(predicted["online_bytes_up"], measured.online_bytes_up);
        assert_eq!(predicted["online_bytes_down"], measured.online_bytes_down);
        assert_eq!(predicted["online_rounds"], measured.online_rounds);
        assert_eq!(predicted["dealer_bytes"], measured.dealer_bytes_server + measured.dealer_bytes_client);
        let floor = measured.online_floor_s.0 as f64 * 1e-9;
        let at_most = predicted["online_floor_at_most_s"].as_f64().expect("a number");
        assert!(at_most >= floor && at_most < 1.1 * floor, "{at_most} for {floor}");
    }
    let table = place.command(&["run", "x.toml", "--dry-run"]).expect(0).stdout;
    assert!(table.contains("minionn / espn / lan") && table.contains("nothing was run"), "{table}");
}

#[test]
fn shards_share_the_work_by_model_and_link() {
    let place = Place::new(&four_cells());
    place.command(&["run", "x.toml", "--out", "whole"]).expect(0);
    let whole = read_runs(place.path("whole/runs.csv")).expect("rows");
    let mut parts = Vec::new();
    for (shard, expected) in [("1/3", 4), ("2/3", 4), ("3/3", 0)] {
        let ended = place.command(&["run", "x.toml", "--shard", shard]).expect(0);
        assert!(ended.stderr.contains(&format!("shard {shard}: ")), "{}", ended.stderr);
        let folder = place.path(format!("results/tiny/shard-{}", shard.replace('/', "-of-")));
        let rows = read_runs(folder.join("runs.csv")).expect("at least a header");
        assert_eq!(rows.len(), expected, "{shard}");
        assert!(rows.iter().all(|row| row.link == rows[0].link), "both protocols of one link");
        let manifest = read_manifest(folder.join("manifest.json")).expect("a manifest");
        assert_eq!(manifest.shard.map(|part| format!("{}/{}", part.index, part.count)).as_deref(), Some(shard));
        parts.extend(rows);
    }
    assert_eq!(parts, whole);
    let wrong = place.command(&["run", "x.toml", "--shard", "4/3"]).expect(2).stderr;
    assert!(wrong.contains("\"2/5\" for the second of five"), "{wrong}");
}

#[test]
fn automatic_repetitions_stop_when_nothing_varies() {
    let auto =
        TINY.replace("repetitions = 2", "repetitions = \"auto\"").replace("[[model]]", "[auto]\nleast = 3\n[[model]]");
    let place = Place::new(&auto);
    place.command(&["run", "x.toml", "--hgrm"]).expect(0);
    let runs = read_runs(place.path("results/tiny/runs.csv")).expect("rows");
    assert_eq!(runs.len(), 3, "computing is free, so that three are as good as a thousand");
    let histogram = place.read("results/tiny/histograms/minionn/fused/wan/online.hgrm");
    assert!(histogram.contains("Total count    =            3"), "{histogram}");
    assert!(place.path("results/tiny/histograms/minionn/fused/wan/000-input.hgrm").exists());

    let fixed = TINY.replace("[[model]]", "[auto]\nwithin = 0.1\n[[model]]");
    std::fs::write(place.path("x.toml"), fixed).expect("written");
    let refused = place.command(&["run", "x.toml"]).expect(2).stderr;
    assert!(refused.contains("key auto: the number of repetitions is fixed"), "{refused}");
}
