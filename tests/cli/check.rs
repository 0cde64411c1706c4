//! The regression gate as a user and a CI job meet it.

use super::{Ended, Place, TINY, json};
use assert_cmd::Command;

/// A place with results of [`TINY`] in `base` and once more in `same`.
fn with_results() -> Place {
    let place = Place::new(TINY);
    for out in ["base", "same"] {
        place.command(&["run", "x.toml", "--out", out]).expect(0);
    }
    place
}

/// Rewrites one column of `runs.csv` in `folder`.
fn edit(place: &Place, folder: &str, column: &str, value: &str) {
    let csv = place.read(format!("{folder}/runs.csv"));
    let at = csv.lines().next().and_then(|header| header.split(',').position(|name| name == column)).expect("a column");
    let mut lines = csv.lines().map(str::to_owned);
    let mut edited = vec![lines.next().expect("a header")];
    edited.extend(lines.map(|line| {
        let mut cells: Vec<&str> = line.split(',').collect();
        cells[at] = value;
        cells.join(",")
    }));
    std::fs::write(place.path(format!("{folder}/runs.csv")), edited.join("\n") + "\n").expect("written");
}

#[test]
fn equal_results_pass_and_a_change_fails() {
    let place = with_results();
    let ended = place.command(&["check", "base", "same"]).expect(0);
    let said =
        "note: times of fewer than 3 runs are not compared: minionn / fused / wan\nok: 1 cells and 0 times compared\n";
    assert_eq!(ended.stdout, said);
    edit(&place, "same", "online_rounds", "17");
    let ended = place.command(&["check", "base", "same"]).expect(1);
    for text in
        ["minionn / fused / wan", "online_rounds", "16", "17", "changed: in all 2 runs", "regression: 1 finding"]
    {
        assert!(ended.stdout.contains(text), "{text}: {}", ended.stdout);
    }
    assert_eq!(ended.stderr, "error: the results differ from base\n");
}

#[test]
fn without_a_candidate_the_scenario_runs_again() {
    let place = with_results();
    let ended = place.command(&["check", "base"]).expect(0);
    assert!(ended.stdout.contains("\nok: 1 cells"), "{}", ended.stdout);
    assert!(!ended.stderr.contains("results are in"), "nothing to look at: {}", ended.stderr);
    edit(&place, "base", "online_bytes_up", "1");
    let ended = place.command(&["check", "base", "--out", "kept"]).expect(1);
    assert!(ended.stdout.contains("online_bytes_up"), "{}", ended.stdout);
    assert!(place.path("kept/runs.csv").exists());
    assert!(!ended.stderr.contains("running again"), "exact columns need no second look");
    let ended = place.command(&["check", "base"]).expect(1);
    let (_, kept) = ended.stderr.split_once("the candidate's results are in ").expect("said where");
    let kept = std::path::PathBuf::from(kept.lines().next().expect("a path"));
    assert!(kept.join("runs.csv").exists());
    std::fs::remove_dir_all(kept).expect("removed");
}

#[test]
fn a_scenario_that_is_not_the_baselines_is_bad_input() {
    let place = with_results();
    std::fs::write(place.path("base/scenario.toml"), TINY.replace("100 ms", "99 ms")).expect("written");
    let ended = place.command(&["check", "base"]).expect(2);
    assert!(ended.stderr.contains("(different: links[0].latency)"), "{}", ended.stderr);
    std::fs::remove_file(place.path("base/scenario.toml")).expect("removed");
    let ended = place.command(&["check", "base"]).expect(2);
    assert!(ended.stderr.contains("scenario.toml: there is no such file"), "{}", ended.stderr);
    place.command(&["check", "base", "same"]).expect(0);
}

#[test]
fn bad_input_exits_2_and_says_what_to_do() {
    let place = with_results();
    std::fs::create_dir(place.path("empty")).expect("made");
    for (arguments, hint) in [
        (vec!["check"], "<BASELINE>"),
        (vec!["check", "nowhere"], "longhaul run SCENARIO.toml --out nowhere"),
        (vec!["check", "base", "nowhere"], "there is no such folder"),
        (vec!["check", "empty"], "empty: holds no results (there is no manifest.json)"),
        (vec!["check", "base", "same", "--tolerance", "-1"], "a number from 0 to 1000"),
        (vec!["check", "base", "same", "--out", "x"], "cannot be used with"),
        (vec!["check", "base", "--out", "base"], "--update"),
    ] {
        let ended = place.command(&arguments).expect(2);
        assert!(ended.stderr.contains(hint), "{arguments:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
    edit(&place, "same", "online_rounds", "many");
    let ended = place.command(&["check", "base", "same"]).expect(2);
    assert!(ended.stderr.contains("same/runs.csv:2: column online_rounds"), "{}", ended.stderr);
}

#[test]
fn json_has_a_verdict_and_findings() {
    let place = with_results();
    let printed = json(&place.command(&["check", "base", "same", "--format", "json"]).expect(0).stdout);
    assert_eq!((&printed["verdict"], &printed["findings"]), (&"ok".into(), &serde_json::json!([])));
    edit(&place, "same", "online_bytes_down", "5");
    let ended = place.command(&["check", "base", "same", "--format", "json", "--github"]).expect(1);
    let printed = json(&ended.stdout);
    assert_eq!(printed["verdict"], "regression");
    let finding = &printed["findings"][0];
    assert_eq!(finding["cell"], "minionn / fused / wan");
    assert_eq!((&finding["column"], &finding["kind"]), (&"online_bytes_down".into(), &"changed".into()));
    assert_eq!((&finding["baseline"], &finding["candidate"]), (&1_384_528.into(), &5.into()));
    assert!(ended.stderr.starts_with("::error title="), "annotations do not disturb the JSON: {}", ended.stderr);
}

#[test]
fn a_missing_cell_fails_on_either_side() {
    let place = with_results();
    let square = "[[protocol]]\nid = \"fused\"\nname = \"square\"\npolynomial = [0.1, 0.5, 0.2]\n[[link]]";
    std::fs::write(place.path("y.toml"), TINY.replace("[[link]]", square)).expect("written");
    place.command(&["run", "y.toml", "--out", "two"]).expect(0);
    for (sides, kind) in [(["base", "two"], "added"), (["two", "base"], "missing")] {
        let ended = place.command(&["check", sides[0], sides[1], "--format", "json"]).expect(1);
        let findings = json(&ended.stdout)["findings"].as_array().expect("a list").clone();
        let found = findings.iter().any(|f| f["cell"] == "minionn / square / wan" && f["kind"] == kind);
        assert!(found, "{findings:?}");
        assert!(findings.iter().any(|f| f["kind"] == "scenario" && f["cell"] == "all cells"), "{findings:?}");
    }
}

/// With the environment of a GitHub Actions step.
fn on_github(place: &Place, arguments: &[&str]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_longhaul"))
        .args(arguments)
        .current_dir(place.folder.path())
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", place.path("summary.md"))
        .output()
        .expect("started");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[test]
fn ci_systems_are_told_in_their_own_words() {
    let place = with_results();
    let arguments = ["check", "base", "same", "--junit", "check.xml", "--markdown", "check.md"];
    on_github(&place, &arguments).expect(0);
    edit(&place, "same", "online_rounds", "17");
    let ended = on_github(&place, &arguments).expect(1);
    let annotation = "::error title=longhaul check%3A minionn / fused / wan::online_rounds: baseline 16, candidate 17";
    assert!(ended.stdout.starts_with(annotation), "{}", ended.stdout);

    let xml = place.read("check.xml");
    let document = roxmltree::Document::parse(&xml).expect("XML");
    let case = |name: &str| {
        let mut nodes = document.descendants().filter(|node| node.has_tag_name("testcase"));
        nodes.find(|node| node.attribute("name") == Some(name)).expect("a case")
    };
    let failures = |name: &str| case(name).children().filter(|node| node.has_tag_name("failure")).count();
    assert_eq!((failures("scenario"), failures("minionn / fused / wan")), (0, 1));

    let markdown = place.read("check.md");
    assert!(markdown.starts_with("## longhaul check: regression\n"), "{markdown}");
    let summary = place.read("summary.md");
    assert!(summary.starts_with("## longhaul check: ok\n"), "the first call's: {summary}");
    assert!(summary.ends_with(&markdown), "and then the second's: {summary}");
}

#[test]
fn update_prints_the_diff_and_makes_the_candidate_the_baseline() {
    let place = with_results();
    std::fs::remove_file(place.path("base/layers.csv")).expect("removed");
    edit(&place, "base", "online_rounds", "17");
    let ended = place.command(&["check", "base", "same", "--update"]).expect(0);
    assert!(ended.stdout.contains("online_rounds"), "{}", ended.stdout);
    assert!(ended.stderr.contains("base is now the baseline"), "{}", ended.stderr);
    assert_eq!(place.read("base/runs.csv"), place.read("same/runs.csv"));
    assert!(!place.path("base/layers.csv").exists(), "what the baseline left out stays out");
    assert!(place.command(&["check", "base", "same"]).expect(0).stdout.contains("layers were not compared"));

    // Another scenario is put in place by its file.
    std::fs::write(place.path("base/scenario.toml"), TINY.replace("seed", "#").replace("100 ms", "50 ms"))
        .expect("written");
    place.command(&["check", "base"]).expect(2);
    let ended = place.command(&["check", "base", "--update"]).expect(0);
    assert!(ended.stdout.contains("links[0].latency"), "{}", ended.stdout);
    place.command(&["check", "base"]).expect(0);
}
