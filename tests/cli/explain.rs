//! `longhaul explain`: the sum is exact, the messages are those of the run.

use super::{Place, TINY, json};
use longhaul::report::{MessageRecord, read_records};

#[test]
fn the_terms_add_up_to_the_measured_time() {
    let place = Place::new(TINY);
    place.command(&["run", "x.toml"]).expect(0);
    let printed =
        place.command(&["explain", "minionn/fused/wan", "x.toml", "--format", "json", "--messages"]).expect(0);
    let printed = json(&printed.stdout);
    let sum = &printed["online"];
    let term = |name: &str| sum[name].as_f64().expect("a number");
    assert_eq!((term("rounds"), term("latency_s")), (16.0, 16.0 * 0.05));
    let bytes = |up: bool| if up { 8 * (3_072 + 65_536 + 2 * 16_384 + 3 * 4_096 + 1_024) } else { 8 * (173_056 + 10) };
    assert_eq!((sum["bytes_up"].as_u64(), sum["bytes_down"].as_u64()), (Some(bytes(true)), Some(bytes(false))));
    let terms = term("latency_s") + term("up_s") + term("down_s") + term("overlap_s");
    assert!((terms - term("floor_s")).abs() < 1e-12);
    // Computing is free in this scenario, so that the floor is what was measured.
    let measured = sum["measured"]["online_s"].as_f64().expect("found in results/tiny");
    assert!((measured - term("floor_s")).abs() < 1e-12, "{sum}");
    // The run's own messages differ in nothing, since only masks do.
    let messages = printed["messages"].as_array().expect("a list");
    let online: u64 = messages
        .iter()
        .filter(|message| message["phase"] == "online" && message["from"] == "client")
        .map(|message| message["bytes"].as_u64().expect("a count"))
        .sum();
    assert_eq!(online, bytes(true));
    let rows = read_records::<MessageRecord>(place.path("results/tiny/messages.csv")).expect("rows");
    assert_eq!(messages.len() as u64, rows.iter().map(|row| row.messages).sum::<u64>());
    assert!(rows.len() <= messages.len() && rows.iter().any(|row| row.bytes == 8 * 3_072), "the image's shares");
}

#[test]
fn a_results_folder_explains_itself_and_patterns_must_mean_one_cell() {
    let place = Place::new(TINY);
    place.command(&["run", "x.toml", "--out", "out"]).expect(0);
    let text = place.command(&["explain", "minionn", "out"]).expect(0).stdout;
    for part in ["16 x 50.0 ms", "floor: if computing took no time", "median of 2 runs", "client to server", "linear17"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let several = place.command(&["explain", "resnet20"]).expect(2).stderr;
    assert!(several.contains("resnet20 are 6 cells; name one of them: resnet20/fused/lan"), "{several}");
    let none = place.command(&["explain", "minionn/gc", "x.toml"]).expect(2).stderr;
    assert!(none.contains("protocols: fused; links: wan"), "{none}");
}
