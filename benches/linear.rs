//! Linear layers: multiply-adds per second and per cycle on one core, layer by layer and for whole passes of ResNet-18 and
//! ResNet-50.
//!
//! The bound of the definition: AVX-512 multiplies 8 elements with one `vpmullq` and adds them with one `vpaddq`.
//! Processors with two 512-bit multipliers (AMD Zen 5) start two multiplications a cycle,
//! 16 MAC/cycle. Zen 4 splits 512-bit operations over 256-bit units: one a cycle, 8 MAC/cycle,
//! and additions that land on the multipliers' pipes leave 6.9 to 7.0 (both alone in a loop,
//! multiplications in groups; 5.7 when they alternate with additions). Intel needs three
//! micro-operations for each, 16/3 or 8/3 MAC/cycle. A dense layer uses each weight once, so there memory is the bound:
//! 24 GB/s are 3 G weights of 8 bytes or 12 G of 2.
//!
//! 3x3 convolutions take fewer multiplications than the definition has MACs (`ring::scheme`): 36 for 81 at stride 1, 25
//! for 36 at stride 2, so that they may exceed that bound. MACs are those of the definition, padding included
//! (`LinearShape::macs`).
//!
//! Weights are those of fixed point (16 fractional bits, as the server has them) or, named `shares`, of full width (as
//! the offline parties have them). After each group a table of its medians in MAC/cycle is printed; the clock is taken
//! anew for each row, since it moves.

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use longhaul::nn::arch::{self, Options};
use longhaul::nn::data::Normalization;
use longhaul::nn::graph::Op;
use longhaul::ring::{ConvShape, LinearShape, PackedWeights, encode_slice};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Fractional bits of the server's weights.
const FRAC_BITS: u32 = 16;

/// A convolution with "same" padding on a square image.
fn conv(size: usize, in_c: usize, out_c: usize, kernel: usize, stride: usize) -> LinearShape {
    LinearShape::Conv2d(ConvShape::same(size, in_c, out_c, kernel, stride))
}

fn dense(inputs: usize, outputs: usize) -> LinearShape {
    LinearShape::Dense { inputs, outputs }
}

/// What the networks below do not have.
fn small_layers() -> Vec<(String, LinearShape)> {
    let layers = [
        ("resnet20/16->16@32", conv(32, 16, 16, 3, 1)),
        ("resnet20/16->32@32s2", conv(32, 16, 32, 3, 2)),
        ("resnet20/1x1-16->32@32s2", conv(32, 16, 32, 1, 2)),
        ("resnet20/32->32@16", conv(16, 32, 32, 3, 1)),
        ("resnet20/64->64@8", conv(8, 64, 64, 3, 1)),
        ("resnet20/dense-64->10", dense(64, 10)),
        ("minionn/64->64@16", conv(16, 64, 64, 3, 1)),
        ("minionn/1x1-64->16@8", conv(8, 64, 16, 1, 1)),
        ("minionn/dense-1024->10", dense(1024, 10)),
        ("vgg16/512->512@2", conv(2, 512, 512, 3, 1)),
        ("one pixel out/512->512@1", conv(1, 512, 512, 1, 1)),
        ("vgg16/dense-4096->4096", dense(4096, 4096)),
    ];
    layers.map(|(name, shape)| (name.to_owned(), shape)).into()
}

/// A linear layer of a network, how often its shape occurs, and its weights.
struct Layer {
    name: String,
    count: usize,
    shape: LinearShape,
    weights: Vec<u64>,
}

/// The linear layers of an architecture with random weights, in fixed point, one of each shape.
fn network_layers(id: &str) -> Vec<Layer> {
    let normalization = Normalization::named("cifar10").expect("a known one");
    let graph = arch::find(id).expect("a known one").random(&Options::default(), 1, &normalization);
    let mut layers: Vec<Layer> = Vec::new();
    for node in &graph.nodes {
        let Op::Linear { shape, weights, .. } = &node.op else { continue };
        if let Some(layer) = layers.iter_mut().find(|layer| layer.shape == *shape) {
            layer.count += 1;
            continue;
        }
        let reals: Vec<f64> = weights.iter().map(|&w| f64::from(w)).collect();
        let name = match shape {
            LinearShape::Conv2d(c) => {
                let stride = if c.stride == 1 { String::new() } else { format!("s{}", c.stride) };
                format!("{}x{}-{}->{}@{}{stride}", c.kernel_h, c.kernel_w, c.in_c, c.out_c, c.in_h)
            }
            LinearShape::Dense { inputs, outputs } => format!("dense-{inputs}->{outputs}"),
        };
        let weights = encode_slice(&reals, FRAC_BITS).expect("normalised weights are small");
        layers.push(Layer { name: format!("{id}/{name}"), count: 1, shape: *shape, weights });
    }
    layers
}

/// Cycles per second, from a chain of one-cycle operations that nothing can shorten.
fn clock_hz() -> f64 {
    const STEPS: u32 = 2_000_000;
    let (a, b) = black_box((0x1234_5678_9ABC_DEF1u64, 0xFEDC_BA98_7654_3211u64));
    let best = (0..10)
        .map(|_| {
            let start = Instant::now();
            let chain = (0..STEPS).fold(black_box(1u64), |x, _| x.wrapping_add(a) ^ b);
            black_box(chain);
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min);
    f64::from(STEPS) * 2.0 / best
}

fn elements(n: usize, mut state: u64) -> Vec<u64> {
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        state ^ (state >> 29)
    })
    .take(n)
    .collect()
}

/// Benches `run` and returns its median in seconds; `None` if the filter leaves it out.
fn measure(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, macs: u64, mut run: impl FnMut()) -> Option<f64> {
    let mut per_run = Vec::new();
    group.throughput(Throughput::Elements(macs));
    group.bench_function(BenchmarkId::from_parameter(name), |b| {
        b.iter_custom(|runs| {
            (0..runs).fold(Duration::ZERO, |sum, _| {
                let start = Instant::now();
                run();
                let elapsed = start.elapsed();
                per_run.push(elapsed.as_secs_f64());
                sum + elapsed
            })
        });
    });
    per_run.sort_by(f64::total_cmp);
    per_run.get(per_run.len() / 2).copied()
}

fn layer(
    group: &mut BenchmarkGroup<'_, WallTime>,
    (name, shape, weights): (&str, &LinearShape, &[u64]),
    portable: bool,
    table: &mut Vec<String>,
) {
    let packed = PackedWeights::pack(shape, weights);
    let input = elements(shape.inputs(), 2);
    let mut output = vec![0; shape.outputs()];
    let median = measure(group, name, shape.macs(), || match portable {
        true => packed.apply_portable(black_box(&input), &mut output),
        false => packed.apply(black_box(&input), &mut output),
    });
    if let Some(seconds) = median {
        let (macs, hz) = (shape.macs() as f64, clock_hz());
        let (mega, per_cycle) = (macs / 1e6, macs / seconds / hz);
        table.push(format!(
            "{name:32} {mega:9.3} MMAC {:9.3} ms {per_cycle:7.2} MAC/cycle at {:.2} GHz",
            seconds * 1e3,
            hz / 1e9
        ));
    }
}

/// Prints a group's table, below what criterion printed.
fn print(title: &str, table: &[String]) {
    if !table.is_empty() {
        eprintln!("\n{title}\n{}\n", table.join("\n"));
    }
}

fn linear(c: &mut Criterion) {
    let networks = ["resnet18", "resnet50"].map(|id| (id, network_layers(id)));
    for (portable, name) in [(false, "apply"), (true, "portable")] {
        let mut group = c.benchmark_group(name);
        group.sample_size(20);
        let mut table = Vec::new();
        for (name, shape) in small_layers() {
            let weights: Vec<u64> = elements(shape.weights(), 1).iter().map(|&w| ((w as i64) >> 50) as u64).collect();
            layer(&mut group, (&name, &shape, &weights), portable, &mut table);
        }
        for Layer { name, shape, weights, .. } in networks.iter().flat_map(|(_, layers)| layers) {
            layer(&mut group, (name, shape, weights), portable, &mut table);
        }
        group.finish();
        print(name, &table);
    }

    let mut group = c.benchmark_group("shares");
    group.sample_size(20);
    let mut table = Vec::new();
    for Layer { name, shape, .. } in networks.iter().flat_map(|(_, layers)| layers) {
        layer(&mut group, (name, shape, &elements(shape.weights(), 1)), false, &mut table);
    }
    group.finish();
    print("shares", &table);

    // All linear layers of the server, each with weights of its own in memory, as in a real execution.
    let mut group = c.benchmark_group("pass");
    group.sample_size(10);
    let mut table = Vec::new();
    for (id, layers) in &networks {
        let mut steps: Vec<(PackedWeights, Vec<u64>, Vec<u64>)> = layers
            .iter()
            .flat_map(|layer| std::iter::repeat_n(layer, layer.count))
            .map(|Layer { shape, weights, .. }| {
                let packed = PackedWeights::pack(shape, weights);
                (packed, elements(shape.inputs(), 2), vec![0; shape.outputs()])
            })
            .collect();
        let macs: u64 = layers.iter().map(|layer| layer.count as u64 * layer.shape.macs()).sum();
        let median = measure(&mut group, id, macs, || {
            steps.iter_mut().for_each(|(packed, input, output)| packed.apply(black_box(input), output));
        });
        if let Some(seconds) = median {
            let (macs, hz) = (macs as f64, clock_hz());
            let per_cycle = macs / seconds / hz;
            table.push(format!(
                "{id:10} {:8.1} MMAC {:8.2} ms {per_cycle:7.2} MAC/cycle at {:.2} GHz",
                macs / 1e6,
                seconds * 1e3,
                hz / 1e9
            ));
        }
    }
    group.finish();
    print("pass: the server's linear layers, one core", &table);
}

criterion_group!(benches, linear);
criterion_main!(benches);
