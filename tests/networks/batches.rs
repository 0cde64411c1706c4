//! Several images in one execution: each gets its own answer, and they share the rounds.

use super::graphs::{max_pooling_network, small_residual_network};
use super::*;
use longhaul::nn::secure::{Audit, Plan, lower_batch};

const IMAGES: usize = 3;

fn run(graph: &Graph, plan: &Plan, pixels: &[f64]) -> (Measurement, u64) {
    let weights = ServerWeights::encode(graph, plan).unwrap();
    let (link, audit) = (wan(), Audit::default());
    let query = Query {
        plan,
        weights: &weights,
        image: pixels,
        link: &link,
        seed: Seed::from_u64(4),
        material_bytes: 1 << 30,
        audit: Some(&audit),
    };
    let inference = infer(&query).unwrap();
    (Measurement::new(plan, &inference), audit.wrapped_activations())
}

#[test]
fn every_image_of_a_batch_gets_its_own_answer_in_the_rounds_of_one() {
    for graph in [small_residual_network(), max_pooling_network()] {
        let images = random_images(graph.input_shape(), 3, IMAGES);
        let pixels: Vec<f64> = images.iter().flat_map(|image| image.pixels.iter().copied()).collect();
        for entry in PROTOCOLS {
            let slots = slots(entry, &graph);
            let Ok(plan) = lower_batch(&graph, &slots, FRAC_BITS, IMAGES) else {
                continue;
            };
            let (measured, wrapped) = run(&graph, &plan, &pixels);
            assert_eq!(wrapped, 0, "{}", entry.id);
            let classes = measured.logits.len() / IMAGES;
            for (image, logits) in images.iter().zip(measured.logits.chunks_exact(classes)) {
                let expected = plain::forward(&graph, &image.pixels, &functions(entry, &graph), f64::INFINITY).logits;
                assert_close(logits, &expected, network_tolerance(entry, 0.02), entry.id);
            }
            let alone = lower_batch(&graph, &slots, FRAC_BITS, 1).unwrap();
            let (alone, _) = run(&graph, &alone, &images[0].pixels);
            assert_eq!(measured.phase(Phase::Online).rounds, alone.phase(Phase::Online).rounds, "{}", entry.id);
            assert_eq!(measured.phase(Phase::Setup).bytes_down, alone.phase(Phase::Setup).bytes_down, "{}", entry.id);
            assert_bytes_as_predicted(entry, &plan, &measured);
        }
    }
}

fn assert_bytes_as_predicted(entry: &ProtocolEntry, plan: &Plan, measured: &Measurement) {
    let predicted = plan.predicted_cost();
    let [setup, offline, online] = Phase::ALL.map(|phase| measured.phase(phase));
    let bytes = |cost: &longhaul::protocol::PhaseCost| (cost.up, cost.down);
    assert_eq!(bytes(&predicted.offline), (offline.bytes_up, offline.bytes_down), "{}", entry.id);
    assert_eq!(bytes(&predicted.online), (online.bytes_up, online.bytes_down), "{}", entry.id);
    assert_eq!(predicted.dealer_server, setup.dealer_server + offline.dealer_server, "{}", entry.id);
    assert_eq!(predicted.dealer_client, setup.dealer_client + offline.dealer_client, "{}", entry.id);
}

#[test]
fn an_input_of_another_size_is_refused() {
    let graph = small_residual_network();
    let plan = lower_batch(&graph, &slots(activation::find("fused").unwrap(), &graph), FRAC_BITS, 2).unwrap();
    let weights = ServerWeights::encode(&graph, &plan).unwrap();
    let image = &random_images(graph.input_shape(), 3, 1)[0].pixels;
    let link = wan();
    let query = Query {
        plan: &plan,
        weights: &weights,
        image,
        link: &link,
        seed: Seed::from_u64(4),
        material_bytes: 1 << 30,
        audit: None,
    };
    let error = infer(&query).unwrap_err().to_string();
    assert!(error.contains("512 for 2 of the network's images are needed"), "{error}");
}
