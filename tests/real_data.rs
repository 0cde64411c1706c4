//! Real images and trained third-party weights through the protocols, against the stored logits of the
//! plaintext networks. Needs `LONGHAUL_DATA`; without it the tests say so and return.

mod harness;
mod stored;

use harness::wan;
use longhaul::crypto::Seed;
use longhaul::nn::arch::{self, Options};
use longhaul::nn::data::{Normalization, Split, read_cifar10};
use longhaul::nn::secure::{Method, Query, ServerWeights, Slot, infer, lower};
use longhaul::protocol::activation::{self, ProtocolEntry};
use longhaul::protocol::{Function, Polynomial};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

struct Case<'a> {
    model: &'a str,
    weights: &'a str,
    logits: &'a str,
    normalization: &'a str,
    entry: &'static ProtocolEntry,
    function: Function,
    images: usize,
}

/// Private and stored logits of every image, two images at a time.
fn run(data: &Path, case: &Case) -> Vec<(Vec<f64>, Vec<f32>)> {
    let graph = arch::find(case.model).unwrap().load(&Options::default(), &data.join(case.weights)).unwrap();
    let method = Method { entry: case.entry, settings: Default::default() };
    let slots = vec![Slot { function: case.function.clone(), method }; graph.activation_layers()];
    let plan = lower(&graph, &slots, 16).unwrap();
    let weights = ServerWeights::encode(&graph, &plan).unwrap();
    let mut images = read_cifar10(&data.join("cifar-10-batches-bin"), Split::Test, case.images).unwrap();
    let normalization = Normalization::named(case.normalization).unwrap();
    images.iter_mut().for_each(|image| normalization.apply(&mut image.pixels));
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(image) = images.get(index) else { return done };
            let query = Query {
                plan: &plan,
                weights: &weights,
                image: &image.pixels,
                link: &wan(),
                seed: Seed::from_u64(index as u64),
                material_bytes: 1 << 30,
                audit: None,
            };
            done.push((index, infer(&query).unwrap().client));
        }
    };
    let mut done: Vec<(usize, Vec<f64>)> = std::thread::scope(|scope| {
        let other = scope.spawn(worker);
        let mut done = worker();
        done.extend(other.join().unwrap());
        done
    });
    done.sort_by_key(|(index, _)| *index);
    let stored = stored::logits(&data.join(case.logits));
    done.into_iter().map(|(index, logits)| (logits, stored[index].clone())).collect()
}

fn argmax<T: PartialOrd + Copy>(values: &[T]) -> usize {
    (1..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}

fn largest<T: Into<f64> + Copy>(values: &[T]) -> f64 {
    values.iter().map(|&v| v.into().abs()).fold(0.0, f64::max)
}

/// Every logit within 0.02, relative to the largest one where that is above one.
fn assert_agrees(index: usize, private: &[f64], stored: &[f32]) {
    let scale = largest(stored).max(1.0);
    for (p, s) in private.iter().zip(stored) {
        let error = (p - f64::from(*s)).abs();
        assert!(error <= 0.02 * scale, "image {index}: private {private:?}, stored {stored:?}");
    }
}

#[test]
fn fused_agrees_with_the_stored_logits_of_the_polynomial_minionn() {
    let Some(data) = stored::data() else { return };
    let case = Case {
        model: "minionn",
        weights: "models/delphi_minionn_7_approx_cifar10.safetensors",
        logits: "models/delphi_minionn_7_approx_cifar10_logits_test.npy",
        normalization: "none",
        entry: activation::find("fused").unwrap(),
        function: Function::Polynomial(Polynomial::from_floats(&[0.1992, 0.5002, 0.1997], 20).unwrap()),
        images: 1000,
    };
    let mut compared = 0;
    let mut worst: f64 = 0.0;
    for (index, (private, stored)) in run(&data, &case).iter().enumerate() {
        if largest(stored) >= 100.0 {
            continue;
        }
        let error = private.iter().zip(stored).map(|(p, s)| (p - f64::from(*s)).abs()).fold(0.0, f64::max);
        worst = worst.max(error / largest(stored).max(1.0));
        assert_agrees(index, private, stored);
        assert_eq!(argmax(private), argmax(stored), "image {index}");
        compared += 1;
    }
    println!("compared {compared} images; largest error relative to the largest logit {worst:.2e}");
    assert!(compared > 950, "only {compared} images stay below 100");
}

#[test]
fn relu_protocols_predict_what_the_trained_resnet20_predicts() {
    let Some(data) = stored::data() else { return };
    for (id, images) in [("gc", 4), ("gmw", 16)] {
        let case = Case {
            model: "resnet20",
            weights: "models/aka_resnet20_cifar10.safetensors",
            logits: "models/aka_resnet20_cifar10_logits_test.npy",
            normalization: "imagenet",
            entry: activation::find(id).unwrap(),
            function: Function::Relu,
            images,
        };
        for (index, (private, stored)) in run(&data, &case).iter().enumerate() {
            assert_eq!(argmax(private), argmax(stored), "{id}, image {index}");
            let error = private.iter().zip(stored).map(|(p, s)| (p - f64::from(*s)).abs()).fold(0.0, f64::max);
            assert!(error < 0.02, "{id}, image {index}: error {error}");
        }
    }
}
