//! What helps at the start: a scenario to begin with, the schema, completions, manual pages.

use super::{Place, json, longhaul};
use std::path::Path;

/// Copies a network of the ONNX tests to the place.
fn onnx(place: &Place, name: &str) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx").join(name);
    std::fs::copy(from, place.path(name)).expect("copied");
}

#[test]
fn a_new_scenario_can_be_run_as_it_is() {
    let place = Place::new("");
    let ended = place.command(&["init"]).expect(0);
    assert!(ended.stderr.contains("next: longhaul run scenario.toml"), "{}", ended.stderr);
    let text = place.read("scenario.toml");
    assert!(text.starts_with("#:schema scenario.schema.json\n") && text.contains("longhaul schema > "), "{text}");
    let cells = place.command(&["run", "scenario.toml", "--dry-run"]).expect(0).stdout;
    assert!(cells.contains("minionn / gc / wan"), "{cells}");
    assert_eq!(place.command(&["init", "-"]).expect(0).stdout, text, "the same on standard output");

    let refused = place.command(&["init"]).expect(2).stderr;
    assert!(refused.contains("scenario.toml exists; name another file, or replace it by --force"), "{refused}");
    place.command(&["init", "--model", "vgg16", "--force"]).expect(0);
    assert!(place.read("scenario.toml").contains("arch = \"vgg16\""));
}

#[test]
fn new_scenarios_for_networks_from_files_run() {
    for (file, protocols) in [
        ("mlp.dynamo.onnx", vec!["fused", "gc"]),
        ("max_pools.script.onnx", vec!["gc", "gmw"]),
        ("polynomial_styles.script.onnx", vec!["fused"]),
        ("hybrid.script.onnx", vec!["fused+gc", "fused+fss"]),
    ] {
        let place = Place::new("");
        onnx(&place, file);
        place.command(&["init", "own.toml", "--model", file]).expect(0);
        assert!(place.read("own.toml").contains(&format!("onnx = \"{file}\"")));
        let ended = place.command(&["run", "own.toml", "--format", "json"]).expect(0);
        let outcome = json(&ended.stdout);
        let rows = outcome["summary"].as_array().expect("rows");
        let over_wan: Vec<_> = rows.iter().filter(|row| row["link"] == "wan").map(|row| &row["protocol"]).collect();
        assert_eq!(over_wan, protocols, "{file}");
    }
}

#[test]
fn a_scenario_that_cannot_be_begun() {
    let place = Place::new("");
    std::fs::create_dir(place.path("folder")).expect("created");
    for (arguments, text) in [
        (vec!["init", "folder"], "folder is a folder; name a file, for example folder/scenario.toml"),
        (vec!["init", "none/x.toml"], "none/x.toml: the folder does not exist; create it"),
        (vec!["init", "--model", "alexnet"], "there is no architecture \"alexnet\"; known: minionn"),
        (vec!["init", "--model", "w.safetensors"], "holds weights, not the network; name its architecture by --model"),
        (vec!["init", "--model", "none.onnx"], "none.onnx"),
    ] {
        let ended = place.command(&arguments).expect(2);
        assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains(text), "{}", ended.stderr);
        assert!(!place.path("scenario.toml").exists(), "{arguments:?}");
    }
}

#[test]
fn the_schema_is_printed_as_committed() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/scenario.schema.json");
    assert_eq!(longhaul(&["schema"]).expect(0).stdout, std::fs::read_to_string(committed).expect("there"));
}

#[test]
fn every_shell_gets_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = longhaul(&["completions", shell]).expect(0).stdout;
        for word in ["inspect", "completions", "dry-run"] {
            assert!(text.contains(word), "{shell}: {word}");
        }
    }
    assert!(longhaul(&["completions", "csh"]).expect(2).stderr.contains("bash"), "the shells are named");
}

#[cfg(unix)]
#[test]
fn bash_completes_subcommands_and_options() {
    let bash = |script: &str| std::process::Command::new("bash").args(["--norc", "-c", script]).output();
    if bash("exit").is_err() {
        eprintln!("no bash here");
        return;
    }
    let place = Place::new("");
    std::fs::write(place.path("completions"), longhaul(&["completions", "bash"]).expect(0).stdout).expect("written");
    for (words, last, completed) in [
        ("longhaul ins", "ins", "inspect"),
        ("longhaul run --dry", "--dry", "--dry-run"),
        ("longhaul list pro", "pro", "protocols"),
    ] {
        let count = words.split(' ').count() - 1;
        let script = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD={count}; _longhaul longhaul {last} ''; echo \"${{COMPREPLY[@]}}\"",
            place.path("completions").display()
        );
        let ended = bash(&script).expect("started");
        let reply = String::from_utf8_lossy(&ended.stdout);
        assert!(reply.split_whitespace().any(|word| word == completed), "{words}: {reply} {:?}", ended.stderr);
    }
}

#[test]
fn manual_pages_name_every_subcommand() {
    let place = Place::new("");
    place.command(&["man", "--out", "pages/man1"]).expect(0);
    let whole = place.read("pages/man1/longhaul.1");
    let help = longhaul(&["--help"]).expect(0).stdout;
    let (_, commands) = help.split_once("Commands:\n").expect("a list");
    let commands = commands.lines().take_while(|line| !line.is_empty());
    // Continued descriptions stand further in.
    let name =
        |line: &'_ str| line.strip_prefix("  ")?.split(' ').next().filter(|name| !name.is_empty()).map(str::to_owned);
    let names: Vec<_> = commands.filter_map(name).filter(|name| name != "help").collect();
    assert!(names.len() >= 8 && names.contains(&"init".to_string()), "{names:?}");
    for name in names {
        assert!(whole.contains(&format!("longhaul\\-{name}(1)")), "{name} in {whole}");
        let page = place.read(format!("pages/man1/longhaul-{name}.1"));
        assert!(page.contains("Examples:"), "{name}: {page}");
        assert_eq!(longhaul(&["man", &name]).expect(0).stdout.trim_end(), page.trim_end());
    }
    assert_eq!(longhaul(&["man"]).expect(0).stdout.trim_end(), whole.trim_end());
    let refused = longhaul(&["man", "runs"]).expect(2).stderr;
    assert!(refused.contains("there is no subcommand \"runs\"; known: init, run, "), "{refused}");
    std::fs::write(place.path("taken"), "").expect("written");
    let refused = place.command(&["man", "--out", "taken"]).expect(2).stderr;
    assert!(refused.contains("taken: cannot write manual pages there; name another folder"), "{refused}");
}
