//! Garbling and evaluating the ReLU circuit by each scheme, in AND gates per second, on one core.

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use longhaul::crypto::rekeyed::Kernel;
use longhaul::crypto::{Block, Seed};
use longhaul::protocol::garble::{Garbling, HalfGates, Scheme, ThreeHalves, relu_circuit};
use std::hint::black_box;

/// Instances in a call: all in the second-level cache, and 10 MB of labels and tables.
const INSTANCES: [usize; 2] = [64, 1024];

fn relu(c: &mut Criterion) {
    let mut group = c.benchmark_group("relu");
    group.sample_size(20);
    for (kernel, n) in Kernel::available().flat_map(|k| INSTANCES.map(|n| (k, n))) {
        scheme(&mut group, HalfGates, kernel, n);
        scheme(&mut group, ThreeHalves, kernel, n);
    }
    group.finish();
}

fn scheme<S: Scheme>(group: &mut BenchmarkGroup<'_, WallTime>, scheme: S, kernel: Kernel, n: usize) {
    let circuit = relu_circuit(64, 16);
    let mut prg = Seed::from_u64(1).prg();
    let garbling = Garbling { scheme, circuit: &circuit, key: prg.key(), first_instance: 0 };
    let delta = Block(prg.block().0 | 1);
    let labels: Vec<Vec<Block>> = circuit.input_widths().iter().map(|width| prg.words(n * width)).collect();
    let inputs = [&labels[0][..], &labels[1], &labels[2]];
    let mut tables = vec![0; garbling.table_bytes(n)];
    let mut outputs = vec![Block::ZERO; n * circuit.output_width()];
    group.throughput(Throughput::Elements((n * circuit.and_gates()) as u64));
    group.bench_function(BenchmarkId::new(format!("garble/{scheme:?}/{kernel:?}"), n), |b| {
        b.iter(|| {
            garbling.garble_with(kernel, delta, n, &inputs, &mut tables, &mut outputs);
            black_box(&mut tables);
        });
    });
    // The zero labels are the labels of the all-zero inputs.
    group.bench_function(BenchmarkId::new(format!("evaluate/{scheme:?}/{kernel:?}"), n), |b| {
        b.iter(|| {
            garbling.evaluate_with(kernel, n, &inputs, &tables, &mut outputs);
            black_box(&mut outputs);
        });
    });
}

criterion_group!(benches, relu);
criterion_main!(benches);
