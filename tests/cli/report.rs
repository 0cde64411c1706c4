//! `longhaul report`.

use super::{Place, TINY};

fn measured() -> Place {
    let place = Place::new(TINY);
    place.command(&["run", "x.toml", "--out", "out"]).expect(0);
    place
}

#[test]
fn the_page_lies_beside_the_results_and_goes_with_them() {
    let place = measured();
    let ended = place.command(&["report", "out"]).expect(0);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", "report in out/report.html\n"));
    let page = place.read("out/report.html");
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
    for part in ["<h1>tiny</h1>", "id=\"times\"", "100 Mbit/s", "chart-timeline", "conv0"] {
        assert!(page.contains(part), "{part}");
    }
    // A new run takes the place of the old one, so its report must go.
    place.command(&["run", "x.toml", "--out", "out"]).expect(0);
    assert!(!place.path("out/report.html").exists());
}

#[test]
fn tables_go_to_standard_output_or_a_file() {
    let place = measured();
    let markdown = place.command(&["report", "out", "--format", "markdown"]).expect(0).stdout;
    assert!(markdown.starts_with("## tiny\n") && markdown.contains("| minionn | wan | fused |"), "{markdown}");
    let ended = place.command(&["report", "out", "--format", "latex", "--out", "table.tex"]).expect(0);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", "report in table.tex\n"));
    assert!(place.read("table.tex").contains("\\toprule"));
}

#[test]
fn a_folder_stands_for_the_results_in_it_and_several_need_a_file() {
    let place = measured();
    place.command(&["run", "x.toml", "--out", "all/a"]).expect(0);
    place.command(&["run", "x.toml", "--out", "all/b"]).expect(0);
    place.command(&["report", "all"]).expect(0);
    let page = place.read("all/report.html");
    assert!(page.contains("<h1>all/a, all/b</h1>"), "the same cells twice are told apart");
    let ended = place.command(&["report", "all/a", "all/b"]).expect(2);
    assert!(ended.stderr.contains("--out report.html"), "{}", ended.stderr);
    place.command(&["report", "all/a", "all/b", "--out", "both.html"]).expect(0);
}

#[test]
fn what_cannot_be_reported_is_named() {
    let place = measured();
    std::fs::create_dir(place.path("empty")).expect("created");
    for (arguments, code, hint) in [
        (vec!["report", "empty"], 2, "empty: no results here"),
        (vec!["report", "nowhere"], 2, "nowhere: cannot read"),
        (vec!["report"], 2, "<DIR>..."),
        (vec!["report", "out", "--out", "empty"], 2, "--out empty is a folder"),
        (vec!["report", "out", "--out", "no/such/x.html"], 1, "no/such/x.html: cannot write"),
        (vec!["report", "out", "--format", "latex", "--open"], 2, "--open"),
        (vec!["report", "out", "--format", "pdf"], 2, "html, markdown, latex"),
    ] {
        let ended = place.command(&arguments).expect(code);
        assert!(ended.stderr.contains(hint), "{arguments:?}: {}", ended.stderr);
    }
    std::fs::write(place.path("out/summary.csv"), "model\n").expect("written");
    let ended = place.command(&["report", "out"]).expect(2);
    assert!(ended.stderr.contains("out/summary.csv:1: expected \"scenario\" as column 1"), "{}", ended.stderr);
}

#[test]
fn an_interrupted_run_is_reported_as_such() {
    let place = measured();
    for file in ["summary.csv", "speedup.csv", "layers.csv", "messages.csv"] {
        std::fs::remove_file(place.path(format!("out/{file}"))).expect("removed");
    }
    let manifest = place.read("out/manifest.json");
    let (before, after) = manifest.split_once("\"finished_at\": \"").expect("finished");
    let (_, after) = after.split_once('"').expect("a string");
    std::fs::write(place.path("out/manifest.json"), format!("{before}\"finished_at\": null{after}")).expect("written");
    let markdown = place.command(&["report", "out", "--format", "markdown"]).expect(0).stdout;
    assert!(markdown.contains("the run is unfinished"), "{markdown}");
    assert!(markdown.contains("| minionn | wan | fused | 2 |"), "{markdown}");
}
