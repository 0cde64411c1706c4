//! Networks exported from PyTorch by both of its exporters (`scripts/export-test-networks.py`), against PyTorch's logits.

mod harness;

use harness::wan;
use longhaul::crypto::Seed;
use longhaul::nn::graph::{Graph, TensorShape};
use longhaul::nn::secure::{Method, Query, ServerWeights, Slot, infer, lower};
use longhaul::nn::{onnx, plain};
use longhaul::protocol::Function;
use longhaul::protocol::activation;
use longhaul::run::Measurement;
use safetensors::SafeTensors;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx")
}

/// Images in the order `[h][w][c]` and logits of a network.
struct Case {
    images: Vec<Vec<f64>>,
    logits: Vec<Vec<f64>>,
}

fn floats(file: &SafeTensors<'_>, name: &str) -> (Vec<usize>, Vec<f64>) {
    let tensor = file.tensor(name).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (words, _) = tensor.data().as_chunks();
    (tensor.shape().to_vec(), words.iter().map(|&word| f64::from(f32::from_le_bytes(word))).collect())
}

fn case(cases: &SafeTensors<'_>, name: &str, input: TensorShape) -> Case {
    let TensorShape { h, w, c } = input;
    let (shape, images) = floats(cases, &format!("images.{c}x{h}x{w}"));
    assert_eq!(shape[1..], [c, h, w]);
    let image = |planes: &[f64]| (0..h * w * c).map(|i| planes[i % c * h * w + i / c]).collect();
    let (shape, logits) = floats(cases, &format!("{name}.logits"));
    Case {
        images: images.chunks_exact(h * w * c).map(image).collect(),
        logits: logits.chunks_exact(shape[1]).map(<[f64]>::to_vec).collect(),
    }
}

/// Every fixture: its file name and the name of its network.
fn fixtures() -> Vec<(String, String)> {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut files: Vec<_> = files
        .filter(|file| file.ends_with(".onnx"))
        .map(|file| (file.clone(), file.split('.').next().unwrap().to_string()))
        .collect();
    files.sort();
    assert!(files.len() > 40, "{}", files.len());
    files
}

fn load(file: &str) -> Graph {
    onnx::load(&folder().join(file)).unwrap_or_else(|error| panic!("{error}"))
}

fn assert_close(actual: &[f64], expected: &[f64], relative: f64, what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1.0f64, |largest, value| largest.max(value.abs()));
    for (a, e) in actual.iter().zip(expected) {
        assert!((a - e).abs() <= relative * scale, "{what}: {actual:?}, expected {expected:?}");
    }
}

#[test]
fn imported_networks_compute_what_pytorch_computed() {
    let cases = std::fs::read(folder().join("cases.safetensors")).unwrap();
    let cases = SafeTensors::deserialize(&cases).unwrap();
    let mut wrong = Vec::new();
    for (file, name) in fixtures() {
        let graph = match onnx::load(&folder().join(&file)) {
            Ok(graph) => graph,
            Err(error) => {
                wrong.push(error.to_string());
                continue;
            }
        };
        let case = case(&cases, &name, graph.input_shape());
        for (image, logits) in case.images.iter().zip(&case.logits) {
            let trace = plain::forward(&graph, image, &graph.functions(), f64::INFINITY);
            let scale = logits.iter().fold(1.0f64, |largest, value| largest.max(value.abs()));
            let error = trace.logits.iter().zip(logits).map(|(a, e)| (a - e).abs()).fold(0.0, f64::max);
            if trace.logits.len() != logits.len() || error > 1e-4 * scale {
                wrong.push(format!("{file}: {:?}, expected {logits:?}", trace.logits));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
