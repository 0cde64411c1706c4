//! Wrong inputs: exit code 2, a message that says where and what, and nothing written.

use super::{Place, TINY};
use safetensors::tensor::{Dtype, TensorView};

/// Runs the place's scenario, which must be refused with all of `texts` on standard error.
fn refused(place: &Place, arguments: &[&str], texts: &[&str]) {
    let arguments = [&["run", "x.toml"], arguments].concat();
    let ended = place.command(&arguments).expect(2);
    for text in texts {
        assert!(ended.stderr.contains(text), "{text} in {}", ended.stderr);
    }
    assert!(ended.stderr.starts_with("error: "), "{}", ended.stderr);
    assert!(!ended.stderr.contains("planned"), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
    assert!(!place.path("results").exists(), "nothing is written");
}

#[test]
fn faults_of_the_scenario_name_line_and_key() {
    for (from, to, texts) in [
        ("warmup = 0", "warmpu = 0", ["x.toml:3:1: key warmpu", "did you mean \"warmup\"?"]),
        ("\"fused\"", "\"fuesd\"", ["x.toml:10:6: key protocol[0].id", "did you mean \"fused\"?"]),
        ("\"minionn\"", "\"resnet21\"", ["x.toml:7:8: key model[0].arch", "did you mean \"resnet20\"?"]),
        ("\"100 ms\"", "\"100\"", ["x.toml:14:7: key link[0].rtt", "no unit; write for example"]),
        ("\"100 ms\"", "100", ["x.toml:14:7: key link[0].rtt", "a quantity in quotes"]),
        ("\"random\"", "\"w.safetensors\"", ["x.toml:8:11: key model[0].weights", "no file \"w.safetensors\""]),
        ("repetitions = 2", "repetitions = 0", ["x.toml:2:15: key repetitions", "1"]),
        ("[[link]]", "[[link]", ["x.toml:12", "not valid TOML"]),
        ("[[link]]", "[input]\ndataset = \"cifar10\"\n[[link]]", ["key input.dataset", "cifar-10-batches-bin"]),
    ] {
        refused(&Place::new(&TINY.replacen(from, to, 1)), &[], &texts);
    }
}

#[test]
fn a_missing_scenario_is_named() {
    let place = Place::new(TINY);
    for (file, cause) in [("y.toml", "No such file"), (".", "s a directory")] {
        let ended = place.command(&["run", file]).expect(2);
        assert!(ended.stderr.starts_with(&format!("error: {file}: ")));
        assert_eq!(ended.stderr.matches(cause).count(), 1, "{}", ended.stderr);
    }
}

/// Running as root, so permissions cannot be in the way; a file can.
#[test]
fn a_file_where_the_results_should_go() {
    let place = Place::new(TINY);
    std::fs::write(place.path("taken"), "precious").expect("written");
    for out in ["taken", "taken/below"] {
        refused(&place, &["--out", out], &[out, "results folder"]);
    }
    assert_eq!(place.read("taken"), "precious");
    let ended = place.command(&["run", "x.toml", "--out", "taken"]);
    assert_eq!(ended.stderr.matches("os error").count(), 1, "said once: {}", ended.stderr);
}

#[test]
fn an_opening_too_narrow_for_the_network() {
    let narrow = TINY.replace("\"relu-d4\"", "\"relu-d4\"\nwire_bits = 16");
    let texts = [
        "x.toml:12:13: key protocol[0].wire_bits",
        "model `minionn` with protocol `fused`",
        "act1",
        "16 wire bits leave nothing after the truncation of 16",
    ];
    refused(&Place::new(&narrow), &[], &texts);
    let uneven = TINY.replace("\"relu-d4\"", "\"relu-d4\"\nwire_bits = 20");
    refused(&Place::new(&uneven), &[], &["x.toml:12:13", "20 bits are not whole bytes", "multiple of 8"]);
    let foreign = TINY.replace("\"relu-d4\"", "\"relu-d4\"\not = \"iknp\"");
    refused(&Place::new(&foreign), &[], &["x.toml:12:6", "\"fused\" takes no `ot`", "gc"]);
}

#[test]
fn choices_for_slots_that_no_model_has() {
    for (at, text) in
        [("[7]", "no activation slot 7: the network has 7"), ("\"polynomial\"", "fits no activation slot")]
    {
        let choice = format!("\"relu-d4\"\n[[protocol.slots]]\nat = {at}\nid = \"gc\"");
        let texts = ["x.toml:12", "key protocol[0].slots", "protocol `fused`", text];
        refused(&Place::new(&TINY.replace("\"relu-d4\"", &choice)), &[], &texts);
    }
    let last = TINY.replace("\"relu-d4\"", "\"relu-d4\"\n[[protocol.slots]]\nat = [6]\nid = \"gc\"");
    Place::new(&last).command(&["run", "x.toml"]).expect(0);
}

#[test]
fn a_truncated_data_set() {
    let images = "[input]\ndataset = \"cifar10\"\npath = \"cifar\"\nimages = 2\n[[link]]";
    let place = Place::new(&TINY.replace("[[link]]", images));
    std::fs::create_dir(place.path("cifar")).expect("created");
    let batch = place.path("cifar/test_batch.bin");
    std::fs::write(&batch, vec![0; 3_073 + 1_000]).expect("written");
    let texts = ["x.toml:14:8: key input.path", "test_batch.bin", "record 1 has 1000 bytes"];
    refused(&place, &[], &texts);
    std::fs::write(&batch, vec![0; 3_073]).expect("written");
    refused(&place, &[], &["x.toml:14:8", "1 images, expected at least 2"]);
    std::fs::write(&batch, vec![0; 2 * 3_073]).expect("written");
    place.command(&["run", "x.toml"]).expect(0);
    let rows = place.read("results/tiny/runs.csv").lines().count();
    assert_eq!(rows, 1 + 2 * 2, "two repetitions of two images");
}

type Tensors = Vec<(String, Vec<usize>, Vec<f32>)>;

/// Small weights for every tensor of `minionn`, under PyTorch's names.
fn minionn() -> Tensors {
    let convolutions = [
        (0, 64, 3, 3),
        (2, 64, 64, 3),
        (5, 64, 64, 3),
        (7, 64, 64, 3),
        (10, 64, 64, 3),
        (12, 64, 64, 1),
        (14, 16, 64, 1),
    ];
    let layers = convolutions.map(|(position, out, input, side)| (position, vec![out, input, side, side]));
    let layers = layers.into_iter().chain([(17, vec![10, 1_024])]);
    let tensors = layers.flat_map(|(position, shape)| {
        let bias = (format!("{position}.bias"), vec![shape[0]], vec![0.5; shape[0]]);
        let weights = vec![0.001; shape.iter().product()];
        [(format!("{position}.weight"), shape, weights), bias]
    });
    tensors.collect()
}

fn file(tensors: &Tensors) -> Vec<u8> {
    let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let data: Vec<_> = tensors.iter().map(|(_, _, values)| bytes(values)).collect();
    let views = tensors.iter().zip(&data).map(|((name, shape, _), data)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), data);
        (name, view.expect("sizes agree"))
    });
    safetensors::serialize(views, None).expect("a valid file")
}

#[test]
fn weights_that_are_not_those_of_the_network() {
    let place = Place::new(&TINY.replace("\"random\"", "\"w.safetensors\""));
    let refuse = |bytes: &[u8], texts: &[&str]| {
        std::fs::write(place.path("w.safetensors"), bytes).expect("written");
        let common = ["x.toml:8:11: key model[0].weights", "`minionn`", "w.safetensors"];
        refused(&place, &[], &[&common, texts].concat());
    };
    let good = file(&minionn());
    refuse(&[], &["truncated", "0 bytes"]);
    refuse(&good[..100], &["truncated", "100 bytes"]);
    refuse(&good[..good.len() - 1], &["truncated"]);
    refuse(b"<html>not found, sorry</html>", &["safetensors file"]);

    let mut tensors = minionn();
    tensors[0].1 = vec![3, 64, 3, 3];
    refuse(&file(&tensors), &["`0.weight` has shape [3, 64, 3, 3], expected [64, 3, 3, 3]"]);
    let mut tensors = minionn();
    tensors[3].2[7] = f32::NAN;
    refuse(&file(&tensors), &["`2.bias` holds NaN at index 7"]);
    let mut tensors = minionn();
    tensors[3].2[7] = 1e30;
    refuse(&file(&tensors), &["conv2", "bias 7 is", "does not fit fixed point"]);
    let mut tensors = minionn();
    tensors.remove(5);
    refuse(&file(&tensors), &["`5.bias`", "missing"]);

    std::fs::write(place.path("w.safetensors"), good).expect("written");
    place.command(&["run", "x.toml"]).expect(0);
}
