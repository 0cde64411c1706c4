//! Training end to end on generated images: it learns, what it saves is what it tested, and a run that was stopped goes
//! on to the same weights.

use assert_cmd::Command;
use burn::backend::{Autodiff, Flex};
use longhaul::nn::arch::{self, Options};
use longhaul::nn::data::{Dataset, DatasetKind, Normalization, Split, read_dataset};
use longhaul::nn::plain::forward;
use longhaul::nn::random::RandomWeights;
use longhaul::pillar::train::layout::Layout;
use longhaul::pillar::train::{Activation, Preset, Progress, Run, Settings, TrainError, train};
use longhaul::protocol::Polynomial;
use std::path::Path;
use tokio_util::sync::CancellationToken;

type Cpu = Autodiff<Flex>;

/// Images in CIFAR-10's layout whose class is the place and colour of a bright square in noise.
fn write_images(path: &Path, count: usize, seed: u64) {
    let mut state = seed;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 58) as u8
    };
    let mut bytes = Vec::new();
    for image in 0..count {
        let class = image % 10;
        bytes.push(class as u8);
        let (left, top) = (4 + class % 5 * 5, if class < 5 { 4 } else { 18 });
        for channel in 0..3 {
            for pixel in 0..1024 {
                let (y, x) = (pixel / 32, pixel % 32);
                let inside = (top..top + 8).contains(&y) && (left..left + 5).contains(&x) && channel == class % 3;
                bytes.push(100 + noise() + if inside { 90 } else { 0 });
            }
        }
    }
    std::fs::write(path, bytes).expect("a temporary file");
}

/// A folder with training and test images.
fn images(train: usize, test: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for batch in 1..=5 {
        let name = format!("data_batch_{batch}.bin");
        write_images(&folder.path().join(name), train / 5, batch);
    }
    write_images(&folder.path().join("test_batch.bin"), test, 6);
    folder
}

#[test]
fn the_command_trains_and_saves_what_it_tested() {
    let folder = images(640, 100);
    let out = folder.path().join("out");
    let mut command = Command::cargo_bin("longhaul").expect("built");
    command.args(["train", "resnet20", "--epochs", "6", "--lr-warmup", "1", "--lr", "0.05", "--batch", "32"]);
    command
        .args(["--reg-coef", "0.02", "--no-augment", "--ema", "0.9", "--data"])
        .arg(folder.path())
        .arg("--out")
        .arg(&out);
    let ended = command.output().expect("it runs");
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{stderr}");

    let mut epochs = csv::Reader::from_path(out.join("epochs.csv")).expect("epochs.csv");
    let rows: Vec<longhaul::pillar::records::EpochRecord> =
        epochs.deserialize().map(|row| row.expect("a row")).collect();
    assert_eq!(rows.iter().map(|row| row.reg_power).collect::<Vec<_>>(), [4, 6, 8, 10, 10, 10]);
    let accuracy = rows[5].average_test_accuracy;
    assert!(accuracy > 0.5, "chance is 0.1, it learned to {accuracy}: {stderr}");
    let ranges = std::fs::read_to_string(out.join("ranges.csv")).expect("ranges.csv");
    assert_eq!(ranges.lines().count(), 1 + 6 * 19);

    // The saved file, folded and evaluated in f64 by the reference, is right just as often.
    let graph = arch::find("resnet20").unwrap().load(&Options::default(), &out.join("weights.safetensors")).unwrap();
    let test = read_dataset(DatasetKind::Cifar10, folder.path(), Split::Test, None).unwrap();
    let polynomial = Activation::from(Polynomial::named("relu-d4").unwrap());
    let functions = vec![polynomial.function(); 19];
    let right = test.images().filter(|image| {
        let mut pixels = image.pixels.clone();
        Normalization::named("cifar10").unwrap().apply(&mut pixels);
        forward(&graph, &pixels, &functions, 1e9).prediction() == image.label.map(usize::from)
    });
    let right = right.count() as f64 / 100.0;
    assert!((right - accuracy).abs() <= 0.011, "{right} for {accuracy}");
}

/// Trains from seed, stopping after `stop` epochs if given, then going on.
fn weights(
    settings: &Settings,
    data: (&Dataset, &Dataset),
    checkpoint: &Path,
    stop: Option<u32>,
) -> Result<Vec<Vec<f32>>, TrainError> {
    let options = Options { classes: Some(10), ..Options::default() };
    let architecture = arch::find(&settings.arch).unwrap();
    let (layout, initial) = Layout::new(architecture, &options, &mut RandomWeights::new(settings.seed)).unwrap();
    let go = |resume: bool, stop: Option<u32>| {
        let cancel = CancellationToken::new();
        let run = Run {
            settings,
            layout: &layout,
            initial: &initial,
            train: data.0,
            test: data.1,
            checkpoint,
            resume,
            cancel: &cancel,
        };
        train::<Cpu>(&run, &Default::default(), &mut |event| {
            if let Progress::Step { epoch, step: 2, .. } = event
                && Some(epoch) == stop
            {
                cancel.cancel();
            }
            Ok(())
        })
    };
    match stop {
        None => go(false, None),
        Some(_) => match go(false, stop) {
            Err(TrainError::Interrupted) => go(true, None),
            other => other,
        },
    }
}

fn small(reg_coef: f64) -> Settings {
    let activation = Activation::from(Polynomial::named("relu-d4").unwrap());
    let preset = Preset::named("minionn").unwrap().settings(activation);
    Settings { epochs: 3, batch: 16, lr: 0.01, lr_warmup: 1, reg_coef, ..preset }
}

#[test]
fn a_stopped_run_goes_on_to_the_same_weights() {
    let folder = images(80, 20);
    let read = |split| read_dataset(DatasetKind::Cifar10, folder.path(), split, None).unwrap();
    let (train_set, test_set) = (read(Split::Train), read(Split::Test));
    let file = folder.path().join("checkpoint.safetensors");
    let settings = Settings { ..small(1e-5) };
    let whole = weights(&settings, (&train_set, &test_set), &file, None).unwrap();
    let resumed = weights(&settings, (&train_set, &test_set), &file, Some(2)).unwrap();
    assert!(whole == resumed, "resuming changed the weights");
    let other = weights(&Settings { seed: 2, ..settings }, (&train_set, &test_set), &file, None).unwrap();
    assert!(whole != other, "the seed does nothing");
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_with_advice() {
    let folder = images(80, 20);
    let read = |split| read_dataset(DatasetKind::Cifar10, folder.path(), split, None).unwrap();
    let file = folder.path().join("checkpoint.safetensors");
    let settings = Settings { clip: false, lr: 50.0, lr_warmup: 0, ..small(0.0) };
    let error = weights(&settings, (&read(Split::Train), &read(Split::Test)), &file, None).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, TrainError::Diverged { epoch: 0, .. }), "{text}");
    for advice in ["turn clipping on", "turn the penalty on (--reg-coef)", "lower --lr (now 50)"] {
        assert!(text.contains(advice), "{text}");
    }
}

#[test]
fn bad_options_are_named() {
    let folder = images(80, 20);
    let data = folder.path().to_str().unwrap();
    for (options, expected) in [
        (vec!["resnet21"], "no preset is called \"resnet21\"; there are resnet20"),
        (vec!["resnet20", "--reg-power", "7"], "--reg-power must be even"),
        (vec!["resnet20", "--ema", "1"], "--ema must be from 0 to below 1"),
        (vec!["resnet20", "--degree", "12"], "the degree must be from 1 to 9"),
        (vec!["resnet20", "--resume"], "checkpoint.safetensors"),
        (vec!["resnet20", "--dataset", "cifar100"], "train.bin"),
        (vec!["resnet20", "--images", "500"], "80 images, expected at least 500"),
    ] {
        let mut command = Command::cargo_bin("longhaul").expect("built");
        command.arg("train").args(&options).args(["--data", data, "--out"]).arg(folder.path().join("out"));
        let ended = command.output().expect("it runs");
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{options:?}: {stderr}");
        assert!(stderr.contains(expected), "{options:?}: {stderr}");
    }
}
