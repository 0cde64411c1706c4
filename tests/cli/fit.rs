//! `longhaul fit`, and `longhaul train` in a build without training.

use super::*;

#[test]
fn json_has_what_scripts_need() {
    let place = Place::new(TINY);
    let options = ["--function", "relu", "--degree", "4", "--range", "5", "--precision", "10", "--step", "0.01"];
    let ended = place.command(&[&["fit"], &options[..], &["--format", "json"]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let fit: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(fit["integers"], serde_json::json!([322, 512, 160, 0, -3]));
    assert_eq!(fit["coefficients"], serde_json::json!([0.314453125, 0.5, 0.15625, 0.0, -0.0029296875]));
    assert_eq!(fit["precision"], 10);
    assert!(fit["objective"].as_f64().is_some_and(|objective| objective > 0.0));
}

#[test]
fn a_scenario_takes_the_toml_of_every_degree_that_protocols_have() {
    for degree in 2..=8 {
        let place = Place::new(TINY);
        let ended = place.command(&["fit", "--function", "gelu", "--degree", &degree.to_string(), "--range", "3"]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        // High degrees need fewer fractional bits in the ring.
        let bits = if degree > 5 { 8 } else { 10 };
        let scenario = TINY.replace("polynomial = \"relu-d4\"\n", &format!("{}\n", ended.stdout));
        let scenario = scenario.replace("[[model]]", &format!("[fixed_point]\nfrac_bits = {bits}\n[[model]]"));
        std::fs::write(place.path("x.toml"), scenario).expect("written");
        let ended = place.command(&["run", "x.toml", "--dry-run"]);
        // Whether the ring holds the degree is the protocol's matter; the scenario itself is well-formed.
        assert!(ended.code == Some(0) || ended.stderr.contains("bits"), "degree {degree}: {}", ended.stderr);
        assert!(degree > 6 || ended.code == Some(0), "degree {degree}: {}", ended.stderr);
    }
}

#[test]
fn a_plot_is_written_and_bad_numbers_are_named() {
    let place = Place::new(TINY);
    let ended = place.command(&["fit", "--degree", "2", "--plot", "fit.svg"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(std::fs::read_to_string(place.path("fit.svg")).expect("a drawing").starts_with("<svg"));
    let ended = place.command(&["fit", "--degree", "11"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("the degree must be from 1 to 9"), "{}", ended.stderr);
}

#[cfg(not(feature = "train"))]
#[test]
fn without_training_the_command_says_how_to_get_it() {
    let place = Place::new(TINY);
    let ended = place.command(&["train", "resnet20", "--data", "."]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("cargo build --release --features train"), "{}", ended.stderr);
}
