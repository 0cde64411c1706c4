use super::*;
use crate::report::fixture::{layer, message, run, three_protocols};
use crate::report::{Comparison, Host, Manifest, RunRecord, speedups, summarize};
use crate::units::Nanos;
use std::time::{Duration, UNIX_EPOCH};

fn manifest() -> Manifest {
    let host = Host {
        cpu_model: Some("Example CPU @ 2.00GHz".into()),
        cores: Some(2),
        cpu_features: vec!["aes".into(), "avx2".into()],
        os: "linux x86_64".into(),
    };
    let scenario = serde_json::json!({
        "name": "quickstart", "clock": "virtual", "compute": "measured", "repetitions": 3, "warmup": 1,
        "links": [{ "name": "wan", "latency": "50 ms", "up": "100 Mbit/s", "down": "unlimited" }],
    });
    let started = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let mut manifest = Manifest::begin(started, host, 1, blake3::hash(b"scenario"), scenario);
    (manifest.version, manifest.git_commit) = ("0.0.0".into(), Some("c0ffee".into()));
    manifest.finish(started);
    manifest.peak_rss_bytes = Some(64_000_000);
    manifest
}

fn source(name: &str, runs: &[RunRecord]) -> Source {
    let comparison = Comparison { subject: "fused".into(), baselines: None };
    let summaries = summarize(runs).unwrap();
    Source {
        name: name.into(),
        manifest: manifest(),
        layers: summaries.iter().flat_map(|s| [layer(&s.protocol, 0), layer(&s.protocol, 1)]).collect(),
        messages: summaries.iter().map(|s| message(&s.protocol)).collect(),
        speedups: speedups(runs, &comparison).unwrap(),
        summaries,
        scenario: Some("name = \"quickstart\"\n".into()),
    }
}

fn document() -> Document {
    Document::new(vec![source("results/quickstart", &three_protocols())]).unwrap()
}

#[test]
fn markdown_has_every_table() {
    insta::assert_snapshot!(markdown(&document()));
}

#[test]
fn latex_has_every_table() {
    insta::assert_snapshot!(latex(&document()));
}

#[test]
fn names_stay_names_in_every_form() {
    let mut runs = three_protocols();
    for run in &mut runs {
        run.model = "a|b<script>alert(1)</script>&_{{data}}%\\".into();
    }
    let mut hostile = source("results/x", &runs);
    hostile.scenario = Some("# </script><script>alert(2)</script> {{title}}".into());
    hostile.manifest.warnings.push("<img src=x onerror=alert(3)>".into());
    let document = Document::new(vec![hostile]).unwrap();
    let page = html(&document);
    for markup in ["<script>alert", "<img src=x"] {
        assert!(!page.contains(markup), "{markup}");
    }
    assert!(page.contains("_{{data}}%"), "a slot in a name is text");
    assert!(page.contains("{{title}}</pre>"), "and in a scenario");
    assert!(markdown(&document).contains("a\\|b&lt;script&gt;"));
    assert!(latex(&document).contains("\\&\\_\\{\\{data\\}\\}\\%\\textbackslash{}"));
}

#[test]
fn the_page_is_complete_and_loads_nothing() {
    let page = html(&document());
    for part in [
        "results/quickstart",
        "id=\"speedup-online\"",
        "10.0\u{d7} [10.0, 10.0]",
        "Example CPU",
        "c0ffee",
        "<dt>round</dt>",
    ] {
        assert!(page.contains(part), "{part}");
    }
    // What the bundled library mentions (namespaces, its own documentation) is not loaded; the rest mentions nothing.
    let own = page.replace(include_str!("../html/echarts.min.js"), "");
    for loading in ["src=\"", "href=\"http", "@import", "url(http", "fetch(", "XMLHttpRequest"] {
        assert!(!own.contains(loading), "{loading}");
    }
    assert_eq!(page.matches("</html>").count(), 1);
}

#[test]
fn the_data_are_those_of_the_files() {
    let data = document().data;
    assert_eq!(data["cells"][1]["protocol"], "gc");
    let column =
        |table: &Value, name: &str| table["columns"].as_array().unwrap().iter().position(|c| c == name).unwrap();
    let summary = &data["summary"];
    assert_eq!(summary["rows"][1][column(summary, "cell")], 1);
    assert_eq!(summary["rows"][1][column(summary, "online_s_median")], 21.0);
    assert_eq!(summary["rows"][1][column(summary, "online_bytes_up")], 16_000_000);
    assert_eq!(summary["rows"][1][column(summary, "pool")], Value::Null);
    assert_eq!(data["layers"]["rows"].as_array().unwrap().len(), 6);
    assert_eq!(data["layers"]["rows"][3][column(&data["layers"], "name")], "layer1.1.relu");
    assert_eq!(data["messages"]["rows"][2][column(&data["messages"], "from")], "client");
    let link = &data["links"][0];
    assert_eq!((&link["rtt_s"], &link["up_bit_s"]), (&Value::from(0.1), &Value::from(100_000_000)));
    assert_eq!(link["down_bit_s"], Value::Null, "unlimited");
    assert_eq!(data["accuracy"], Value::Null);
    assert_eq!(data["subjects"]["quickstart"], "fused");
}

#[test]
fn a_name_of_digits_is_a_name() {
    let mut with_digits = source("x", &three_protocols());
    with_digits.layers[0].name = "17".into();
    let data = Document::new(vec![with_digits]).unwrap().data;
    assert_eq!(data["layers"]["rows"][0][2], "17");
}

#[test]
fn accuracy_shows_where_there_are_labels() {
    let labelled =
        |repetition| RunRecord { label: Some(repetition % 2), image: repetition, ..run("gc", repetition, 1000) };
    let document = Document::new(vec![source("x", &[labelled(0), labelled(1), labelled(2), labelled(3)])]).unwrap();
    // The prediction is always 1.
    let row = &document.correctness.rows[0];
    assert_eq!(row[row.len() - 3..], ["2/4", "50.0 %", "15.0 \u{2013} 85.0 %"]);
    assert_eq!(document.data["accuracy"][0]["correct"], 2);
}

#[test]
fn cells_of_two_folders_are_told_apart_and_mixed_machines_flagged() {
    let before = source("results/before", &three_protocols());
    let mut after = source("results/after", &three_protocols());
    after.manifest.git_commit = Some("decade".into());
    after.manifest.finished_at = None;
    after.manifest.warnings.push("odd".into());
    let document = Document::new(vec![before, after]).unwrap();
    assert_eq!(document.title, "results/before, results/after");
    assert_eq!(document.times.rows[3][0], "results/after");
    assert_eq!(document.times.rows.len(), 6);
    assert_eq!(document.findings.len(), 2, "one for each baseline");
    assert!(document.findings[0].starts_with("fused is 10.0\u{d7} as fast as gc online"), "{:?}", document.findings);
    insta::assert_snapshot!(document.warnings.join("\n"), @r#"
    results/after: the run is unfinished; these are the cells and repetitions it has so far
    results/after: odd
    mixed machines: git_commit is "c0ffee" in results/before and "decade" in results/after; times of different folders cannot be compared with each other
    "#);
    assert_eq!(document.data["cells"][5]["scenario"], "results/after");
}

#[test]
fn findings_name_the_extremes() {
    let mut runs = three_protocols();
    let mut lan = three_protocols();
    for run in &mut lan {
        run.link = "lan".into();
        if run.protocol == "gc" {
            run.online_s = Nanos(run.online_s.0 / 20);
        }
    }
    runs.extend(lan);
    insta::assert_snapshot!(Document::new(vec![source("x", &runs)]).unwrap().findings.join("\n"));
}

#[test]
fn too_many_layers_leave_cells_out_and_say_so() {
    let mut large = source("x", &three_protocols());
    let of = |protocol: &str, count| (0..count).map(|i| layer(protocol, i)).collect::<Vec<_>>();
    large.layers = [of("fused", 3), of("gc", 20_000), of("gmw", 3)].concat();
    let document = Document::new(vec![large]).unwrap();
    assert_eq!(document.data["layers"]["rows"].as_array().unwrap().len(), 6);
    assert_eq!(document.omissions.len(), 1);
    assert!(document.omissions[0].contains("charts of layers leave out 1 cells"), "{:?}", document.omissions);
    assert!(html(&document).contains(&document.omissions[0]));
}

#[test]
fn folders_are_found_and_wrong_ones_named() {
    let place = tempfile::tempdir().unwrap();
    let error = find_folders(place.path()).unwrap_err().to_string();
    assert!(error.contains("no results here") && error.contains("longhaul run"), "{error}");
    for name in ["b", "a"] {
        let folder = place.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("manifest.json"), manifest().to_json()).unwrap();
    }
    let found = find_folders(place.path()).unwrap();
    assert_eq!(found, ["a", "b"].map(|name| place.path().join(name)));
    assert_eq!(find_folders(&found[0]).unwrap(), &found[..1]);
    let error = read_sources(&found).unwrap_err().to_string();
    assert!(error.contains("runs.csv: cannot read"), "{error}");
    assert!(find_folders(&place.path().join("nowhere")).is_err());
}
