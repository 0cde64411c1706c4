//! The float reference against published networks and the logits their authors' framework gives.
//!
//! Needs third-party weights and CIFAR-10, so it runs only where `LONGHAUL_DATA` names a folder with them.

mod stored;

use longhaul::nn::arch::{self, Options};
use longhaul::nn::data::{Normalization, Split, read_cifar10};
use longhaul::nn::plain::forward;
use longhaul::protocol::{Function, Polynomial};

const IMAGES: usize = 200;
/// Larger logits are outside the range in which a polynomial network means anything.
const LARGEST_LOGIT: f64 = 100.0;
const TOLERANCE: f64 = 1e-3;

#[test]
fn resnet20_matches_published_logits() {
    let imagenet = Normalization::named("imagenet").expect("a preset");
    compare("resnet20", "aka_resnet20_cifar10", imagenet, Function::Relu);
}

#[test]
fn minionn_matches_published_logits() {
    // 0.1992 + 0.5002 x + 0.1997 x^2.
    let coefficient = |value: f64| (value * f64::from(1 << 24)).round() as i64;
    let polynomial =
        Polynomial { coefficients: [0.1992, 0.5002, 0.1997].map(coefficient).to_vec(), precision_bits: 24 };
    let function = Function::Polynomial(polynomial);
    let none = Normalization::NONE;
    compare("minionn", "delphi_minionn_7_approx_cifar10", none, function);
}

fn compare(arch: &str, model: &str, normalization: Normalization, function: Function) {
    let Some(data) = stored::data() else { return };
    let models = data.join("models");
    let architecture = arch::find(arch).expect("built in");
    let graph = architecture.load(&Options::default(), &models.join(format!("{model}.safetensors"))).unwrap();
    let expected = stored::logits(&models.join(format!("{model}_logits_test.npy")));
    let images = read_cifar10(&data.join("cifar-10-batches-bin"), Split::Test, IMAGES).unwrap();
    let functions = vec![function; graph.activation_layers()];

    let mut compared = 0;
    let mut worst = 0.0f64;
    for (i, (mut image, row)) in images.into_iter().zip(&expected).enumerate() {
        normalization.apply(&mut image.pixels);
        let trace = forward(&graph, &image.pixels, &functions, LARGEST_LOGIT);
        let row: Vec<f64> = row.iter().map(|&v| f64::from(v)).collect();
        assert_eq!(trace.prediction(), Some(argmax(&row)), "{arch}, image {i}");
        if row.iter().any(|v| v.abs() >= LARGEST_LOGIT) {
            assert!(trace.logits_range.outside > 0, "{arch}, image {i}");
            continue;
        }
        compared += 1;
        for (actual, expected) in trace.logits.iter().zip(&row) {
            let error = (actual - expected).abs() / expected.abs().max(1.0);
            worst = worst.max(error);
            assert!(error <= TOLERANCE, "{arch}, image {i}: {actual}, expected {expected}");
        }
    }
    eprintln!("{arch}: {compared} images compared, largest error {worst:.1e}");
    assert!(compared >= IMAGES * 9 / 10, "{compared}");
}

fn argmax(row: &[f64]) -> usize {
    let best = (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]));
    best.expect("a row has ten logits")
}
