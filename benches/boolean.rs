//! Shared bits: the local kernels of `gmw-msb`, and whole layers of it and of `gmw` with all three roles.
//!
//! Bounds: `add_codes` reads 288 bytes of unit vectors per activation and `select` 654 bytes of tables (width 64, shift
//! 16), each once: at 10 GB/s from memory 35 and 15 million activations per second. A layer of `gmw` has 13 AND words
//! per activation, 832 AND gates.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use longhaul::crypto::Seed;
use longhaul::link::{ClockMode, ComputeMode, Endpoint, LinkConfig, LinkParameters, Phase, find_model, run_parties};
use longhaul::protocol::activation::{ActivationSpec, ProtocolEntry, Settings, find};
use longhaul::protocol::boolean::{MaskedRelu, and_opened};
use longhaul::protocol::{Dealer, Function, MaterialStore, ProtocolError, Session};
use longhaul::units::{BitRate, Nanos};
use std::hint::black_box;

fn kernels(criterion: &mut Criterion) {
    let n = 4096;
    for (width, shift) in [(64, 16), (40, 16)] {
        let relu = MaskedRelu::new(width, shift);
        let mut prg = Seed::from_u64(1).prg();
        let r = prg.words::<u64>(n);
        let mut codes = prg.words::<u8>(n * relu.codes());
        let mut tables = prg.words::<u8>(n * relu.dealt_bytes());
        let public = relu.public(prg.words::<u64>(n).into_iter());
        let mut group = criterion.benchmark_group(format!("gmw-msb kernels, width {width}, shift {shift}"));
        group.throughput(Throughput::Elements(n as u64));
        group.bench_function("deal", |bencher| {
            bencher.iter(|| relu.deal(black_box(&r), black_box(&codes), black_box(&mut tables)));
        });
        let (vectors, rest) = tables.split_at(n * relu.vector_bytes());
        group.bench_function("add_codes", |bencher| {
            bencher.iter(|| relu.add_codes(true, black_box(&public), black_box(vectors), black_box(&mut codes)));
        });
        let mut output = vec![0u64; n];
        group.bench_function("select", |bencher| {
            bencher.iter(|| relu.select(true, black_box(&public), black_box(&codes), black_box(rest), &mut output));
        });
        group.finish();
    }
}

/// 64 AND gates per word: five loads and a store, 48 bytes.
fn and_layer(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("AND layer");
    for words in [1 << 10, 1 << 20] {
        let [d, e, a, b] = [1, 2, 3, 4].map(|seed| Seed::from_u64(seed).prg().words::<u64>(words));
        let mut c = vec![0u64; words];
        group.throughput(Throughput::Elements(64 * words as u64));
        group.bench_function(format!("{words} words"), |bencher| {
            bencher.iter(|| and_opened(true, black_box([&d, &e]), black_box([&a, &b]), black_box(&mut c)));
        });
    }
    group.finish();
}

fn free_link() -> LinkConfig {
    let direction = LinkParameters::new(Nanos(0), BitRate::UNLIMITED);
    LinkConfig {
        model: find_model("ideal").expect("a link model"),
        up: direction,
        down: direction,
        clock: ClockMode::Virtual,
        compute: ComputeMode::None,
        in_flight_bytes: 64 << 20,
        capture: false,
        cancel: Default::default(),
    }
}

fn run_layer(entry: &ProtocolEntry, spec: &ActivationSpec) {
    let party = |endpoint: &mut Endpoint| {
        let mut session = Session::new(endpoint, Seed::from_u64(1), MaterialStore::new(1 << 30));
        let mut activator = entry.protocol.setup(&mut session, &spec.settings)?;
        session.enter(Phase::Offline, 0)?;
        let share = vec![1 << 20; spec.elements];
        let known: &[u64] = if session.is_server() { &[] } else { &share };
        let material = activator.preprocess(&mut session, spec, known)?;
        session.enter(Phase::Online, 0)?;
        material.online(&mut session, share)
    };
    let dealer = |endpoint: &mut Endpoint| {
        let mut dealer = Dealer::new(endpoint, Seed::from_u64(1));
        dealer.enter(Phase::Offline, 0)?;
        entry.protocol.deal(&mut dealer, spec)
    };
    let done: Result<_, longhaul::link::PartyFailure<ProtocolError>> = run_parties(&free_link(), party, party, dealer);
    black_box(done.expect("the layer runs"));
}

fn layers(criterion: &mut Criterion) {
    let elements = 1 << 16;
    let mut group = criterion.benchmark_group("layer of 65,536 activations, offline and online, all roles");
    group.throughput(Throughput::Elements(elements as u64)).sample_size(10);
    for (id, width) in [("gmw", None), ("gmw-msb", None), ("gmw-msb", Some(40))] {
        let entry = find(id).expect("a protocol");
        let settings = Settings { width, ..Settings::default() };
        let spec = ActivationSpec { function: Function::Relu, elements, input_bits: 32, output_bits: 16, settings };
        let name = format!("{id}, width {}", settings.width());
        group.bench_function(name, |bencher| bencher.iter(|| run_layer(entry, &spec)));
    }
    group.finish();
}

criterion_group!(benches, and_layer, kernels, layers);
criterion_main!(benches);
