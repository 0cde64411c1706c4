//! Whole networks through the protocols: agreement with plaintext, rounds and bytes, determinism,
//! uniformity.

#[path = "../harness/mod.rs"]
mod harness;

mod batches;
mod graphs;
mod replay;

use graphs::{conv, linear, max_pooling_network, small_residual_network};
use harness::{chi_square_sigmas, wan};
use longhaul::crypto::Seed;
use longhaul::link::{ClockMode, LinkConfig, LinkParameters, Party, Phase};
use longhaul::nn::arch::{self, Options, Pool, Shortcut};
use longhaul::nn::builder::GraphBuilder;
use longhaul::nn::data::{Normalization, random_images};
use longhaul::nn::graph::{Graph, Op, TensorShape};
use longhaul::nn::plain;
use longhaul::nn::secure::{Inference, Method, Query, ServerWeights, Slot, infer, lower};
use longhaul::protocol::Function;
use longhaul::protocol::activation::{self, Family, PROTOCOLS, ProtocolEntry, Setting};
use longhaul::ring::LinearShape;
use longhaul::run::Measurement;
use longhaul::units::Nanos;
use std::collections::BTreeMap;

const FRAC_BITS: u32 = 16;

/// Architectures that every protocol runs in seconds, in the order of the transcript baseline.
const SMALL: [&str; 2] = ["minionn", "resnet20"];

fn functions(entry: &ProtocolEntry, graph: &Graph) -> Vec<Function> {
    vec![harness::function_for(entry); graph.activation_layers()]
}

fn slots(entry: &'static ProtocolEntry, graph: &Graph) -> Vec<Slot> {
    let method = Method { entry, settings: Default::default() };
    functions(entry, graph).into_iter().map(|function| Slot { function, method }).collect()
}

fn execute(
    graph: &Graph,
    entry: &'static ProtocolEntry,
    image: &[f64],
    seed: u64,
    link: &LinkConfig,
    material_bytes: u64,
) -> (Inference, Measurement) {
    let plan = lower(graph, &slots(entry, graph), FRAC_BITS).unwrap();
    let weights = ServerWeights::encode(graph, &plan).unwrap();
    let query =
        Query { plan: &plan, weights: &weights, image, link, seed: Seed::from_u64(seed), material_bytes, audit: None };
    let inference = infer(&query).unwrap_or_else(|error| panic!("{}: {error}", entry.id));
    let measurement = Measurement::new(&plan, &inference);
    (inference, measurement)
}

fn assert_close(actual: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(actual.len(), expected.len(), "{what}");
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        assert!((a - e).abs() <= tolerance, "{what}: output {i}: expected {e}, got {a}");
    }
}

/// The published numerics round at 2^-7 and less (a few thousandths an activation).
fn network_tolerance(entry: &ProtocolEntry, exact: f64) -> f64 {
    if entry.exact { exact } else { 0.25 }
}

fn random_network(id: &str) -> Graph {
    arch::find(id).unwrap().random(&Options::default(), 1, &Normalization::NONE)
}

#[test]
fn small_architectures_agree_with_plaintext_under_every_protocol() {
    for architecture in SMALL.map(|id| arch::find(id).unwrap()) {
        let graph = random_network(architecture.id);
        for entry in PROTOCOLS {
            for (index, image) in random_images(architecture.input, 3, 2).iter().enumerate() {
                let (_, measured) = execute(&graph, entry, &image.pixels, index as u64, &wan(), 1 << 30);
                let expected = plain::forward(&graph, &image.pixels, &functions(entry, &graph), f64::INFINITY).logits;
                assert_close(
                    &measured.logits,
                    &expected,
                    network_tolerance(entry, 0.02),
                    &format!("{} with {}", architecture.id, entry.id),
                );
            }
        }
    }
}

#[test]
fn larger_architectures_agree_with_plaintext() {
    let (fused, relu) = (activation::find("fused").unwrap(), activation::find("fss").unwrap());
    let max = Options { pool: Pool::Max, ..Options::default() };
    let projections = Options { shortcut: Shortcut::B, ..Options::default() };
    let cases = [
        ("vgg16", Options::default(), fused),
        ("vgg16", max, relu),
        ("resnet18", Options::default(), fused),
        ("resnet20", projections, fused),
        ("resnet110", Options::default(), relu),
    ];
    for (id, options, entry) in cases {
        let graph = arch::find(id).unwrap().random(&options, 1, &Normalization::NONE);
        let image = &random_images(graph.input_shape(), 3, 1)[0].pixels;
        let (_, measured) = execute(&graph, entry, image, 1, &wan(), 1 << 30);
        let expected = plain::forward(&graph, image, &functions(entry, &graph), f64::INFINITY).logits;
        assert_close(&measured.logits, &expected, network_tolerance(entry, 0.02), &format!("{id} with {}", entry.id));
    }
}

/// Elements of the tensors that linear layers read, each once: 8 bytes up per element.
fn linear_inputs(graph: &Graph) -> u64 {
    let mut read: Vec<usize> = Vec::new();
    for node in graph.nodes.iter().filter(|node| matches!(node.op, Op::Linear { .. })) {
        let mut source = node.inputs[0];
        while matches!(graph.nodes[source].op, Op::Flatten) {
            source = graph.nodes[source].inputs[0];
        }
        read.push(source);
    }
    read.sort_unstable();
    read.dedup();
    read.iter().map(|&node| graph.nodes[node].shape.elements() as u64).sum()
}

#[test]
fn fused_costs_two_rounds_a_layer_and_eight_bytes_an_element() {
    let fused = activation::find("fused").unwrap();
    // Where a linear layer reads the activations themselves, the client answers chunk by chunk: all but the first chunk's time
    // overlaps. ResNet-20: seven layers of 16 channels in chunks of 516 pixels. MiniONN: two of 64 channels, of 132 pixels.
    let resnet20 = 7 * (16_384 - 516 * 16);
    let minionn = (65_536 - 132 * 64) + (16_384 - 132 * 64);
    for (id, layers, overlapped) in [("resnet20", 19, resnet20), ("minionn", 7, minionn)] {
        let graph = random_network(id);
        let image = &random_images(graph.input_shape(), 1, 1)[0];
        let (_, measured) = execute(&graph, fused, &image.pixels, 1, &wan(), 1 << 30);
        let online = measured.phase(Phase::Online);
        assert_eq!(online.rounds, 2 * layers + 2, "{id}");
        assert_eq!(online.bytes_down, 8 * (graph.activations() as u64 + 10), "{id}: activations and logits");
        assert_eq!(online.bytes_up, 8 * linear_inputs(&graph), "{id}");
        // Setup: eight bytes per weight, biases stay with the server.
        let weights: u64 = graph
            .nodes
            .iter()
            .map(|n| if let Op::Linear { weights, .. } = &n.op { weights.len() as u64 } else { 0 })
            .sum();
        assert_eq!(
            (measured.phase(Phase::Setup).bytes_up, measured.phase(Phase::Setup).bytes_down),
            (0, 8 * weights),
            "{id}"
        );
        // With free computing the clock shows the floor: a latency per round, and the bytes that do not overlap.
        assert_eq!(online.time, online.floor, "{id}");
        let latency = 50_000_000 * u64::from(online.rounds);
        let transmission = 80 * (online.bytes_up + online.bytes_down - 8 * overlapped);
        assert_eq!(online.time, Nanos(latency + transmission), "{id}");
        // Layers add up to the whole.
        let sum = |f: fn(&longhaul::run::LayerCost) -> u64| measured.online_layers.iter().map(f).sum::<u64>();
        assert_eq!(sum(|layer| layer.time.0), online.time.0, "{id}");
        assert_eq!(sum(|layer| layer.rounds.into()), u64::from(online.rounds), "{id}");
        assert_eq!((sum(|l| l.bytes_up), sum(|l| l.bytes_down)), (online.bytes_up, online.bytes_down), "{id}");
    }
}

#[test]
fn declared_activation_costs_add_up_in_a_network() {
    let graph = random_network("resnet20");
    let image = &random_images(graph.input_shape(), 1, 1)[0];
    for entry in PROTOCOLS {
        let plan = lower(&graph, &slots(entry, &graph), FRAC_BITS).unwrap();
        let costs: Vec<_> = plan.activation_costs().map(|(_, cost)| cost).collect();
        let (_, measured) = execute(&graph, entry, &image.pixels, 1, &wan(), 1 << 30);
        let (offline, online) = (measured.phase(Phase::Offline), measured.phase(Phase::Online));
        assert_eq!(offline.bytes_up, costs.iter().map(|c| c.offline.up).sum::<u64>(), "{}", entry.id);
        assert_eq!(offline.bytes_down, costs.iter().map(|c| c.offline.down).sum::<u64>(), "{}", entry.id);
        assert_eq!(
            online.bytes_up,
            costs.iter().map(|c| c.online.up).sum::<u64>() + 8 * linear_inputs(&graph),
            "{}",
            entry.id
        );
        assert_eq!(online.bytes_down, costs.iter().map(|c| c.online.down).sum::<u64>() + 80, "{}", entry.id);
        let layers = costs.len() as u32;
        assert_eq!(online.rounds, layers * harness::rounds_in_a_network(entry) + 2, "{}", entry.id);
    }
}

#[test]
fn the_cost_of_a_network_is_predicted_exactly() {
    let option_b = Options { shortcut: arch::Shortcut::B, ..Options::default() };
    let small = [random_network("minionn"), arch::find("resnet20").unwrap().random(&option_b, 1, &Normalization::NONE)];
    for graph in small.into_iter().chain([max_pooling_network()]) {
        let image = &random_images(graph.input_shape(), 1, 1)[0];
        for entry in PROTOCOLS {
            let Ok(plan) = lower(&graph, &slots(entry, &graph), FRAC_BITS) else {
                continue;
            };
            let predicted = plan.predicted_cost();
            let (_, measured) = execute(&graph, entry, &image.pixels, 1, &wan(), 1 << 30);
            let [setup, offline, online] = Phase::ALL.map(|phase| measured.phase(phase));
            let bytes = |cost: &longhaul::protocol::PhaseCost| (cost.up, cost.down);
            assert_eq!(bytes(&predicted.setup), (setup.bytes_up, setup.bytes_down), "{}", entry.id);
            assert_eq!(bytes(&predicted.offline), (offline.bytes_up, offline.bytes_down), "{}", entry.id);
            assert_eq!(bytes(&predicted.online), (online.bytes_up, online.bytes_down), "{}", entry.id);
            assert_eq!(predicted.online.rounds, online.rounds, "{}", entry.id);
            assert_eq!(predicted.dealer_server, setup.dealer_server + offline.dealer_server, "{}", entry.id);
            assert_eq!(predicted.dealer_client, setup.dealer_client + offline.dealer_client, "{}", entry.id);
        }
    }
}

/// Slots of one network by different protocols, ReLU6 among them.
#[test]
fn hybrid_networks_agree_with_plaintext() {
    let mut builder = GraphBuilder::new(TensorShape { h: 6, w: 6, c: 3 });
    let mut x = builder.input();
    for (index, function) in [Function::Relu, Function::Relu6, Function::Relu, Function::Relu6].into_iter().enumerate()
    {
        let mut op = conv(builder.shape(x), 5, 3, 1, 1);
        if let Op::Linear { bias, .. } = &mut op
            && function == Function::Relu6
        {
            // On both sides of 6.
            bias[..2].copy_from_slice(&[6.5, 5.5]);
        }
        x = builder.push(&format!("conv{index}"), op, &[x]).unwrap();
        x = builder.activate(&format!("act{index}"), x, function).unwrap();
    }
    let flat = builder.push("flat", Op::Flatten, &[x]).unwrap();
    builder.push("fc", linear(LinearShape::Dense { inputs: 180, outputs: 4 }), &[flat]).unwrap();
    let graph = builder.finish().unwrap();
    let relu = |id: &str| Method { entry: activation::find(id).unwrap(), settings: Default::default() };
    let natives = graph.functions();
    for ids in [["fused", "gc", "fss", "gmw"], ["gmw-msb", "fss", "honeybadger", "gc"], ["gc", "gc", "fused", "fss"]] {
        let slot = |(native, id): (&Function, &str)| {
            let method = relu(id);
            let function = match method.entry.family {
                Family::Relu => native.clone(),
                Family::Polynomial => harness::function_for(method.entry),
            };
            Slot { function, method }
        };
        let slots: Vec<Slot> = natives.iter().zip(ids).map(slot).collect();
        let functions: Vec<Function> = slots.iter().map(|slot| slot.function.clone()).collect();
        let plan = lower(&graph, &slots, FRAC_BITS).unwrap();
        let weights = ServerWeights::encode(&graph, &plan).unwrap();
        for image in random_images(graph.input_shape(), 5, 2) {
            let mut past_six = 0;
            let expected = plain::forward_observed(&graph, &image.pixels, &functions, &mut |slot, values| {
                past_six += values.iter().filter(|&&x| functions[slot] == Function::Relu6 && x > 6.0).count()
            });
            assert!(past_six > 0, "{ids:?}");
            let query = Query {
                plan: &plan,
                weights: &weights,
                image: &image.pixels,
                link: &wan(),
                seed: Seed::from_u64(3),
                material_bytes: 1 << 30,
                audit: None,
            };
            let logits = infer(&query).unwrap().client;
            assert_close(&logits, &expected, 0.5, &format!("{ids:?}"));
        }
    }
}

#[test]
fn wall_and_virtual_clocks_send_the_same_bytes_even_when_material_spills() {
    let graph = random_network("minionn");
    let image = &random_images(graph.input_shape(), 1, 1)[0];
    for entry in PROTOCOLS {
        let (_, virtual_clock) = execute(&graph, entry, &image.pixels, 7, &wan(), 1 << 30);
        let fast = LinkParameters { latency: Nanos(1000), rate: longhaul::units::BitRate::UNLIMITED, ..wan().up };
        let link = LinkConfig { clock: ClockMode::Wall, up: fast, down: fast, ..wan() };
        let (_, wall) = execute(&graph, entry, &image.pixels, 7, &link, 1 << 20);
        assert_eq!(wall.transcript, virtual_clock.transcript, "{}", entry.id);
        assert_eq!(wall.logits, virtual_clock.logits, "{}", entry.id);
        assert_eq!(wall.phase(Phase::Online).rounds, virtual_clock.phase(Phase::Online).rounds, "{}", entry.id);
    }
}

/// The wire format under version control: a refactor that moves one byte fails here.
#[test]
fn transcripts_match_the_baseline() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts.baseline");
    let mut lines = String::new();
    for architecture in SMALL.map(|id| arch::find(id).unwrap()) {
        let graph = random_network(architecture.id);
        let image = &random_images(architecture.input, 1, 1)[0];
        for entry in PROTOCOLS {
            let (_, measured) = execute(&graph, entry, &image.pixels, 1, &wan(), 1 << 30);
            lines += &format!("{} {} {}\n", architecture.id, entry.id, measured.transcript);
        }
    }
    if std::env::var_os("LONGHAUL_UPDATE_BASELINE").is_some() {
        std::fs::write(path, &lines).unwrap();
    }
    let baseline = std::fs::read_to_string(path).unwrap_or_default();
    let changed: Vec<&str> = lines.lines().filter(|line| !baseline.lines().any(|known| known == *line)).collect();
    assert!(
        lines == baseline,
        "these transcripts changed: {changed:#?}\nif that was intended: LONGHAUL_UPDATE_BASELINE=1 cargo test --release --test networks transcripts"
    );
}

#[test]
fn what_the_parties_receive_in_a_network_is_uniform() {
    // The same image and weights under many seeds: each message's randomness is all of the masks'.
    let graph = small_residual_network();
    let image: Vec<f64> = (0..graph.input_shape().elements()).map(|i| i as f64 / 64.0).collect();
    for entry in PROTOCOLS {
        let mut streams = BTreeMap::<(Party, Party, Phase), Vec<u8>>::new();
        for seed in 0..100 {
            let (inference, _) = execute(&graph, entry, &image, seed, &LinkConfig { capture: true, ..wan() }, 1 << 30);
            for (by, messages) in Party::ALL.into_iter().zip(&inference.captured) {
                // Curve points of the base OTs are not uniform bytes, and the logits are meant to be learned:
                // their sharing is uniform, too.
                let base_ots = |phase| phase == Phase::Setup && entry.settings.contains(&Setting::Ot);
                for message in messages.iter().filter(|message| !base_ots(message.phase)) {
                    streams.entry((by, message.from, message.phase)).or_default().extend(&message.bytes);
                }
            }
        }
        assert!(streams.contains_key(&(Party::Server, Party::Client, Phase::Online)), "{}", entry.id);
        for ((by, from, phase), bytes) in streams {
            let sigmas = chi_square_sigmas(bytes.into_iter());
            assert!(
                sigmas.abs() < 6.0,
                "{}: what the {by} receives from the {from} {phase} is {sigmas:.1} sigmas from uniform",
                entry.id
            );
        }
    }
}

#[test]
fn nothing_is_drawn_twice() {
    // Every message starts with fresh randomness (a key, masked values, labels, ciphertexts). Two that start alike
    // would mean that a key, a mask or a label served twice: within a layer, between layers, or between seeds.
    let graph = small_residual_network();
    let image: Vec<f64> = vec![0.5; graph.input_shape().elements()];
    for entry in PROTOCOLS {
        let mut starts = std::collections::HashSet::new();
        for seed in 0..3 {
            let (inference, _) = execute(&graph, entry, &image, seed, &LinkConfig { capture: true, ..wan() }, 1 << 30);
            let received =
                Party::ALL.into_iter().zip(&inference.captured).flat_map(|(by, all)| all.iter().map(move |m| (by, m)));
            for (by, message) in received.filter(|(_, message)| message.bytes.len() >= 16) {
                let start: [u8; 16] = message.bytes[..16].try_into().unwrap();
                // The dealer's correction words of a shared function go to both parties.
                let from_dealer = (message.from == Party::Dealer).then_some(by);
                assert!(
                    starts.insert((from_dealer, start)),
                    "{}: a {} message of the {}, layer {}, repeats another",
                    entry.id,
                    message.phase,
                    message.from,
                    message.layer
                );
            }
        }
        assert!(starts.len() > 60, "{}: only {} messages", entry.id, starts.len());
    }
}
