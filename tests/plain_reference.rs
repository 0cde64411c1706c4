//! The float reference against published networks and the logits their authors' framework gives.
//!
//! Needs third-party weights and CIFAR-10, so it runs only where `LONGHAUL_DATA` names a folder with them.

mod stored;

use longhaul::nn::arch::{self, Options};
use longhaul::nn::data::{Normalization, Split, read_cifar10};
use longhaul::nn::graph::Graph;
use longhaul::nn::onnx;
use longhaul::nn::plain::forward;
use longhaul::protocol::{Function, Polynomial};
use std::path::Path;

const IMAGES: usize = 200;
/// Larger logits are outside the range in which a polynomial network means anything.
const LARGEST_LOGIT: f64 = 100.0;
const TOLERANCE: f64 = 1e-3;

#[test]
fn resnet20_matches_published_logits() {
    compare_arch("resnet20", "aka_resnet20_cifar10", imagenet(), Function::Relu);
}

#[test]
fn minionn_matches_published_logits() {
    // 0.1992 + 0.5002 x + 0.1997 x^2.
    let coefficient = |value: f64| (value * f64::from(1 << 24)).round() as i64;
    let polynomial =
        Polynomial { coefficients: [0.1992, 0.5002, 0.1997].map(coefficient).to_vec(), precision_bits: 24 };
    compare_arch("minionn", "delphi_minionn_7_approx_cifar10", Normalization::NONE, Function::Polynomial(polynomial));
}

#[test]
fn resnet20_from_onnx_matches_published_logits() {
    compare_onnx("aka_resnet20_cifar10", "aka_resnet20_cifar10", imagenet());
}

#[test]
fn simplified_resnet20_from_onnx_matches_published_logits() {
    compare_onnx("aka_resnet20_cifar10_clean", "aka_resnet20_cifar10", imagenet());
}

#[test]
fn polynomial_minionn_from_onnx_matches_published_logits() {
    compare_onnx("delphi_minionn_7_approx_cifar10", "delphi_minionn_7_approx_cifar10", Normalization::NONE);
}

#[test]
fn hybrid_minionn_from_onnx_matches_published_logits() {
    compare_onnx("delphi_minionn_3_approx_cifar10", "delphi_minionn_3_approx_cifar10", Normalization::NONE);
}

fn imagenet() -> Normalization {
    Normalization::named("imagenet").expect("a preset")
}

fn compare_arch(arch: &str, model: &str, normalization: Normalization, function: Function) {
    let Some(data) = stored::data() else { return };
    let path = data.join(format!("models/{model}.safetensors"));
    let graph = arch::find(arch).expect("built in").load(&Options::default(), &path).unwrap();
    let functions = vec![function; graph.activation_layers()];
    compare(&data, (arch, &graph, &functions), model, normalization);
}

fn compare_onnx(file: &str, model: &str, normalization: Normalization) {
    let Some(data) = stored::data() else { return };
    let graph = onnx::load(&data.join(format!("models/{file}.onnx"))).unwrap_or_else(|error| panic!("{error}"));
    compare(&data, (file, &graph, &graph.functions()), model, normalization);
}

fn compare(
    data: &Path,
    (name, graph, functions): (&str, &Graph, &[Function]),
    model: &str,
    normalization: Normalization,
) {
    let expected = stored::logits(&data.join(format!("models/{model}_logits_test.npy")));
    let images = read_cifar10(&data.join("cifar-10-batches-bin"), Split::Test, IMAGES).unwrap();
    let mut compared = 0;
    let mut worst = 0.0f64;
    for (i, (mut image, row)) in images.into_iter().zip(&expected).enumerate() {
        normalization.apply(&mut image.pixels);
        let trace = forward(graph, &image.pixels, functions, LARGEST_LOGIT);
        let row: Vec<f64> = row.iter().map(|&v| f64::from(v)).collect();
        assert_eq!(trace.prediction(), Some(argmax(&row)), "{name}, image {i}");
        if row.iter().any(|v| v.abs() >= LARGEST_LOGIT) {
            assert!(trace.logits_range.outside > 0, "{name}, image {i}");
            continue;
        }
        compared += 1;
        for (actual, expected) in trace.logits.iter().zip(&row) {
            let error = (actual - expected).abs() / expected.abs().max(1.0);
            worst = worst.max(error);
            assert!(error <= TOLERANCE, "{name}, image {i}: {actual}, expected {expected}");
        }
    }
    eprintln!("{name}: {compared} images compared, largest error {worst:.1e}");
    assert!(compared >= IMAGES * 9 / 10, "{compared}");
}

fn argmax(row: &[f64]) -> usize {
    let best = (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]));
    best.expect("a row has ten logits")
}
