//! Files that are wrong as a whole, and how faults are laid out on the terminal.

use proptest::prelude::*;

use super::*;

/// The report on [`MINIMAL`], less its first newline, with its first `from` replaced by `to`.
pub(super) fn report(from: &str, to: &str) -> String {
    let minimal = MINIMAL.trim_start();
    assert!(minimal.contains(from), "{from} occurs");
    let text = minimal.replacen(from, to, 1);
    let report = read(&text).expect_err(to).to_string();
    if let Some(refusals) = schema::tests::refusals(&text) {
        let knows = !BEYOND_A_SCHEMA.iter().any(|words| report.contains(words));
        assert_eq!(!refusals.is_empty(), knows, "the schema says {refusals:?}\n{report}\n{text}");
    }
    report
}

/// What reports say about faults that no schema can see: they are of several values together, or of other files.
const BEYOND_A_SCHEMA: &[&str] = &[
    "there is no file",
    "there is no directory",
    "is taken since line",
    "cannot be halved",
    "key speedup.subject: \"gcc\" is unknown",
    "is the subject",
    "every coefficient above the constant is 0",
];

#[test]
fn the_line_and_a_caret_follow() {
    assert_eq!(
        report("100 ms", "100"),
        "x.toml:8:7: key link[0].rtt: \"100\" has no unit; write for example \"100 ms\"\n\
         8 | rtt = \"100\"\n  \
           |       ^^^^^"
    );
    let known = "known: name, preset, model, rtt, latency, bandwidth, up, down, packet_payload, packet_overhead, jitter, \
                 initial_window, max_window, queue, idle_restart, warm, loss";
    assert_eq!(
        report("\nrtt", "\n\tseed = 1\nrtt"),
        format!(
            "x.toml:8:2: key link[0].seed: there is no such key in [[link]]; \
             \"seed\" belongs at the top of the file; {known}\n\
             8 | \tseed = 1\n  \
               | \t^^^^"
        ),
        "a tab stays a tab"
    );
    assert_eq!(
        report("\"100 ms\"", "'\u{b5}\u{b5}' # \u{b5}"),
        "x.toml:8:7: key link[0].rtt: \"\u{b5}\u{b5}\" is not a number and a unit of time; \
         write for example \"100 ms\"\n\
         8 | rtt = '\u{b5}\u{b5}' # \u{b5}\n  \
           |       ^^^^",
        "characters are counted, not bytes"
    );
}

#[test]
fn carets_cover_the_value_on_its_own_line_only() {
    let text = MINIMAL.replacen("\"fused\"", "\"fused\"\npolynomial = [ 0,\n  0 ]", 1);
    let report = read(&text).expect_err("constant").to_string();
    assert!(report.ends_with("7 | polynomial = [ 0,\n  |              ^^^^"), "{report}");
    let windows = MINIMAL.replace('\n', "\r\n").replace("100 ms", "1 h");
    let report = read(&windows).expect_err("no unit").to_string();
    assert!(report.ends_with("9 | rtt = \"1 h\"\n  |       ^^^^^"), "{report}");
}

#[test]
fn the_parts_are_there_for_programs() {
    let error = read(&MINIMAL.replace("100 ms", "100")).expect_err("no unit");
    assert_eq!((error.line, error.column), (9, 7));
    assert_eq!(error.file, Path::new("x.toml"));
    assert_eq!(error.key, "link[0].rtt");
    assert_eq!(error.message, "\"100\" has no unit");
    assert_eq!(error.remedy, "write for example \"100 ms\"");
}

#[test]
fn what_is_no_toml_has_its_line() {
    for (text, expected) in [
        ("name = \n", "1:8: not valid TOML: string values must be quoted, expected literal string"),
        ("seed = 1\nseed = 2", "2:1: not valid TOML: duplicate key"),
        ("seed = 1\n[[model]", "2:9: not valid TOML: unclosed array table, expected `]`"),
    ] {
        let report = read(text).expect_err(text).to_string();
        let first = report.lines().next().expect("a line");
        assert_eq!(first, format!("x.toml:{expected}"));
    }
}

#[test]
fn every_required_part_is_asked_for() {
    let mut text = String::new();
    for (addition, expected) in [
        ("", "1:1: key name: is missing; add for example name = \"quickstart\""),
        ("name = \"x\"\n", "1:1: key model: is missing; add at least one [[model]] section"),
        (
            "[[model]]\n",
            "2:1: key model[0].arch: is missing in this [[model]]; add for example arch = \"minionn\", or onnx = \"model.onnx\"",
        ),
        ("arch = \"minionn\"\n", "1:1: key protocol: is missing; add at least one [[protocol]] section"),
        ("[[protocol]]\nid = \"gc\"\n", "1:1: key link: is missing; add at least one [[link]] section"),
        ("[[link]]\n", "6:1: key link[0].name: is missing in this [[link]]; add for example name = \"wan\""),
    ] {
        text += addition;
        let report = read(&text).expect_err("incomplete").to_string();
        let first = report.lines().next().expect("a line");
        assert_eq!(first, format!("x.toml:{expected}"));
    }
    let empty = read("name = \"x\"\nmodel = []").expect_err("no model").to_string();
    let expected = "x.toml:2:9: key model: the list is empty; add at least one [[model]] section";
    assert!(empty.starts_with(expected), "{empty}");
}

#[test]
fn a_missing_scenario_is_named() {
    let error = load(Path::new("no/such.toml"), &SearchPath::default(), &catalogue());
    assert_eq!(
        error.expect_err("no file").to_string(),
        "no/such.toml: cannot be read: No such file or directory (os error 2); \
         name a scenario file (TOML, UTF-8)"
    );
}

#[test]
fn an_incomplete_data_set_is_named() {
    let (root, search) = data();
    let text = MINIMAL.trim_start().replacen(
        "[[model]]",
        "input = { dataset = \"cifar10\", split = \"train\", images = 10001 }\n[[model]]",
        1,
    );
    let error = parse(&text, Path::new("x.toml"), &search, &catalogue()).expect_err("one file");
    let place = root.path().join("cifar-10-batches-bin");
    assert_eq!(error.message, format!("{} has no file \"data_batch_2.bin\"", place.display()));
    assert_eq!((error.key.as_str(), error.line), ("input.dataset", 2));
}

proptest! {
    #[test]
    fn no_text_panics(start in 0..MINIMAL.len(), length in 0usize..20, new in "[ -~\\n\u{b5}]{0,12}") {
        let end = (start + length).min(MINIMAL.len());
        let text = format!("{}{new}{}", &MINIMAL[..start], &MINIMAL[end..]);
        if let Err(error) = read(&text) {
            prop_assert!(error.line > 0 && error.column > 0);
            prop_assert!(error.to_string().contains('^'));
        }
    }
}
