//! `longhaul accuracy`.

use super::*;
use longhaul::report::{AccuracyRecord, PredictionRecord, read_records};

/// The scenario with eight images in CIFAR-10's layout, of noise, labelled 0 to 7.
fn labelled(scenario: &str) -> Place {
    let place = Place::new(&format!("{scenario}\n[input]\ndataset = \"cifar10\"\npath = \"images\"\nimages = 2\n"));
    std::fs::create_dir(place.path("images")).expect("created");
    let mut state = 1u32;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let images = (0..8u8).flat_map(|label| std::iter::once(label).chain((0..3072).map(|_| byte()).collect::<Vec<_>>()));
    std::fs::write(place.path("images/test_batch.bin"), images.collect::<Vec<u8>>()).expect("written");
    place
}

#[test]
fn batches_and_single_images_are_counted_and_timed() {
    let place = labelled(TINY);
    let ended = place.command(&["accuracy", "x.toml", "--images", "7", "--batch", "3", "--singles", "2"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("tiny: minionn over wan, 7 images"), "{}", ended.stdout);
    let folder = place.path("results/tiny/accuracy");
    let predictions: Vec<PredictionRecord> = read_records(folder.join("predictions.csv")).expect("rows");
    assert_eq!(
        predictions.iter().map(|row| (row.image, row.label)).collect::<Vec<_>>(),
        (0..7).map(|i| (i, i as u32)).collect::<Vec<_>>()
    );
    let [record]: [AccuracyRecord; 1] =
        read_records(folder.join("accuracy.csv")).expect("rows").try_into().expect("one");
    let share = |right: fn(&PredictionRecord) -> bool| predictions.iter().filter(|row| right(row)).count() as f64 / 7.0;
    assert_eq!(record.images, 7);
    assert_eq!(record.relu_accuracy, share(|row| row.relu_prediction == row.label));
    assert_eq!(record.plain_accuracy, share(|row| row.plain_prediction == row.label));
    assert_eq!(record.private_accuracy, share(|row| row.private_prediction == row.label));
    assert_eq!(record.agreement, 1.0);
    assert!(record.agreement_low > 0.6 && record.agreement_low < 0.7, "Wilson's interval of 7 of 7");
    assert_eq!((record.wrapped_activations, record.overflowed_activations), (Some(0), 0));
    assert!(record.max_abs_error > 0.0 && record.max_abs_error < 0.01);
    // Without computing, three images in one execution take the latency of one, and each its bytes' time.
    let single = record.online_single_s.expect("two travelled alone");
    assert_eq!(record.batch, 3);
    assert!(record.online_amortised_s.0 * 2 < single.0, "{record:?}");
    assert!(record.online_bytes_down > 8 * 100_000 && record.outside_share.is_some_and(|share| share < 0.5));
    for file in ["manifest.json", "scenario.toml"] {
        assert!(folder.join(file).is_file(), "{file}");
    }
}

#[test]
fn json_rows_are_numbers() {
    let place = labelled(TINY);
    let ended = place.command(&["accuracy", "x.toml", "--singles", "0", "--format", "json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let rows: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(rows[0]["images"], 2);
    assert!(rows[0]["online_amortised_s"].is_f64() && rows[0]["online_single_s"].is_null(), "{rows}");
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let place = Place::new(TINY);
    let ended = place.command(&["accuracy", "x.toml"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("no labels"), "{}", ended.stderr);
    let place = labelled(TINY);
    let ended = place.command(&["accuracy", "x.toml", "--images", "9"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("8"), "{}", ended.stderr);
    let ended = place.command(&["accuracy", "x.toml", "--filter", "vgg16"]);
    assert_eq!(ended.code, Some(2));
    assert!(!place.path("results").exists(), "nothing is written before all is known to be good");
}
