//! Networks exported from PyTorch by both of its exporters (`scripts/export-test-networks.py`), against PyTorch's logits.

mod harness;

use harness::wan;
use longhaul::crypto::Seed;
use longhaul::nn::graph::{Graph, TensorShape};
use longhaul::nn::secure::{Method, Query, ServerWeights, Slot, infer, lower};
use longhaul::nn::{onnx, plain};
use longhaul::protocol::Function;
use longhaul::protocol::activation;
use proptest::prelude::*;
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

/// A slot for every activation: polynomials by `fused`, the rest by `relu`.
fn slots(graph: &Graph, relu: &str) -> Vec<Slot> {
    let slot = |function: Function| {
        let id = if matches!(function, Function::Polynomial(_)) { "fused" } else { relu };
        Slot { function, method: Method { entry: activation::find(id).unwrap(), settings: Default::default() } }
    };
    graph.functions().into_iter().map(slot).collect()
}

#[test]
fn imported_networks_run_under_protocols() {
    let cases = std::fs::read(folder().join("cases.safetensors")).unwrap();
    let cases = SafeTensors::deserialize(&cases).unwrap();
    for (file, name) in fixtures().into_iter().filter(|(file, _)| file.contains(".dynamo.")) {
        let graph = load(&file);
        let case = case(&cases, &name, graph.input_shape());
        for relu in ["fss", "gmw"] {
            let plan = lower(&graph, &slots(&graph, relu), 16).unwrap_or_else(|error| panic!("{file}: {error}"));
            let weights = ServerWeights::encode(&graph, &plan).unwrap();
            let link = wan();
            let query = Query {
                plan: &plan,
                weights: &weights,
                image: &case.images[0],
                link: &link,
                seed: Seed::from_u64(1),
                material_bytes: 1 << 30,
                audit: None,
            };
            let inference = infer(&query).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert_close(&inference.client, &case.logits[0], 0.01, &format!("{file} under {relu}"));
        }
    }
}

#[test]
fn a_polynomial_of_a_batch_norm_is_one_activation() {
    for kind in ["script", "dynamo"] {
        let graph = load(&format!("pre_activation_polynomial_styles.{kind}.onnx"));
        let degrees: Vec<_> = graph
            .functions()
            .iter()
            .map(|function| match function {
                Function::Polynomial(polynomial) => polynomial.degree(),
                other => panic!("{kind}: {other:?}"),
            })
            .collect();
        assert_eq!(degrees, [3, 3, 2, 2, 3, 3, 2], "{kind}");
    }
}

/// `plain_cnn` with another operator in place of an activation, of a name of the same length.
fn with_operator(name: &str) -> Vec<u8> {
    let mut bytes = std::fs::read(folder().join("plain_cnn.script.onnx")).unwrap();
    let at = bytes.windows(6).position(|window| window == [b"\x22\x04", &b"Relu"[..]].concat()).unwrap();
    bytes[at + 2..at + 6].copy_from_slice(name.as_bytes());
    bytes
}

#[test]
fn an_operator_that_cannot_be_had_is_named_with_its_node_and_a_remedy() {
    for (operator, remedy) in [
        ("Gelu", "activations are ReLU, ReLU6 (or Clip) and polynomials of degree up to 8"),
        ("Tanh", "activations are ReLU, ReLU6 (or Clip) and polynomials of degree up to 8"),
        ("TopK", "the client learns the logits and does the rest itself"),
        ("LSTM", "is no operator that longhaul knows; known: Add, AveragePool"),
        ("Loop", "control flow cannot depend on the image"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other.onnx");
        std::fs::write(&path, with_operator(operator)).unwrap();
        let error = onnx::load(&path).unwrap_err().to_string();
        for part in ["other.onnx: node `/", &format!("({operator}): "), remedy] {
            assert!(error.contains(part), "{error}: no `{part}`");
        }
    }
}

#[test]
fn external_weights_come_from_beside_the_file_only() {
    const NAME: &str = "external_data.dynamo.onnx.data";
    let model = std::fs::read(folder().join("external_data.dynamo.onnx")).unwrap();
    let data = std::fs::read(folder().join(NAME)).unwrap();
    let root = tempfile::tempdir().unwrap();
    let inner = root.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let path = inner.join("model.onnx");
    // Another location of the same length, so that the rest of the file stays as it is.
    let load = |location: &str| {
        let mut model = model.clone();
        while let Some(at) = model.windows(NAME.len()).position(|window| window == NAME.as_bytes()) {
            assert_eq!(location.len(), NAME.len());
            model[at..at + NAME.len()].copy_from_slice(location.as_bytes());
            if location == NAME {
                break;
            }
        }
        std::fs::write(&path, &model).unwrap();
        onnx::load(&path).map(|graph| graph.classes()).map_err(|error| error.to_string())
    };
    std::fs::write(inner.join(NAME), &data).unwrap();
    assert_eq!(load(NAME), Ok(5));
    // What the other locations name exists, too.
    let above = format!("../{}", &NAME[3..]);
    std::fs::write(inner.join(&above), &data).unwrap();
    assert!(load(&above).unwrap_err().contains(&above));
    let absolute = format!("/{}", &NAME[1..]);
    assert!(load(&absolute).unwrap_err().contains(&absolute));
    let missing = NAME.replace("external", "exterior");
    assert!(load(&missing).unwrap_err().contains(&missing));
    std::fs::write(inner.join(NAME), &data[..data.len() / 2]).unwrap();
    assert!(load(NAME).unwrap_err().contains(NAME));
}

/// Damaged files that once made the importer panic.
#[test]
fn files_that_were_once_too_much_are_refused() {
    for entry in std::fs::read_dir(folder().join("damaged")).unwrap() {
        let path = entry.unwrap().path();
        let error = onnx::load(&path).expect_err("damaged").to_string();
        assert!(error.contains("node `"), "{error}");
    }
}

/// A copy of a fixture's bytes with some of them changed, or its end cut off.
fn damaged(files: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    let cut = prop::option::weighted(0.3, any::<prop::sample::Index>());
    (prop::sample::select(files), changes, cut).prop_map(|(mut bytes, changes, cut)| {
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.map_or(bytes.len(), |cut| cut.index(bytes.len())));
        bytes
    })
}

/// The fixtures' bytes; weights are most of them, so that the small ones have the most structure to damage.
fn small_fixtures() -> Vec<Vec<u8>> {
    let read = |(file, _): (String, String)| std::fs::read(folder().join(file)).unwrap();
    fixtures().into_iter().map(read).filter(|bytes| bytes.len() < 6000).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn damaged_files_are_refused_or_still_networks(bytes in damaged(small_fixtures())) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("damaged.onnx");
        std::fs::write(&path, &bytes).unwrap();
        match onnx::load(&path) {
            Ok(graph) => prop_assert!(graph.classes() > 0),
            Err(error) => prop_assert!(error.to_string().contains("damaged.onnx"), "{error}"),
        }
    }
}
