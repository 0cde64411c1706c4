//! Linear layers of ResNet-20, MiniONN and some larger ones: multiply-adds per second, one core.
//!
//! The bound: AVX-512 multiplies 8 elements with one `vpmullq` and adds them with one `vpaddq`.
//! Processors with two 512-bit multipliers (AMD Zen 5) start two multiplications a cycle,
//! 16 MAC/cycle. Zen 4 splits 512-bit operations over 256-bit units: one a cycle, 8 MAC/cycle,
//! and additions that land on the multipliers' pipes leave 6.9 to 7.0 (both alone in a loop,
//! multiplications in groups; 5.7 when they alternate with additions). Intel needs three
//! micro-operations for each, 16/3 or 8/3 MAC/cycle. At batch 1 a dense layer reads 8 bytes of
//! weights per MAC, so there memory is the bound: 20 GB/s is 2.5 GMAC/s.
//!
//! MACs count the padding (`LinearShape::macs`). For MAC/cycle divide by the clock this program
//! prints first.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use longhaul::ring::{ConvShape, LinearShape, PackedWeights};
use std::hint::black_box;
use std::time::Instant;

/// A convolution with "same" padding on a square image.
fn conv(size: usize, in_c: usize, out_c: usize, kernel: usize, stride: usize) -> LinearShape {
    LinearShape::Conv2d(ConvShape {
        in_h: size,
        in_w: size,
        in_c,
        out_c,
        kernel_h: kernel,
        kernel_w: kernel,
        stride,
        padding: [kernel / 2; 4],
    })
}

fn dense(inputs: usize, outputs: usize) -> LinearShape {
    LinearShape::Dense { inputs, outputs }
}

fn layers() -> Vec<(&'static str, LinearShape)> {
    vec![
        ("resnet20/3->16@32", conv(32, 3, 16, 3, 1)),
        ("resnet20/16->16@32", conv(32, 16, 16, 3, 1)),
        ("resnet20/16->32@32s2", conv(32, 16, 32, 3, 2)),
        ("resnet20/1x1-16->32@32s2", conv(32, 16, 32, 1, 2)),
        ("resnet20/32->32@16", conv(16, 32, 32, 3, 1)),
        ("resnet20/32->64@16s2", conv(16, 32, 64, 3, 2)),
        ("resnet20/64->64@8", conv(8, 64, 64, 3, 1)),
        ("resnet20/dense-64->10", dense(64, 10)),
        ("minionn/3->64@32", conv(32, 3, 64, 3, 1)),
        ("minionn/64->64@32", conv(32, 64, 64, 3, 1)),
        ("minionn/64->64@16", conv(16, 64, 64, 3, 1)),
        ("minionn/1x1-64->64@8", conv(8, 64, 64, 1, 1)),
        ("minionn/1x1-64->16@8", conv(8, 64, 16, 1, 1)),
        ("minionn/dense-1024->10", dense(1024, 10)),
        ("resnet18/256->256@8", conv(8, 256, 256, 3, 1)),
        ("resnet18/512->512@4", conv(4, 512, 512, 3, 1)),
        ("resnet50/stem-7x7-3->64@224s2", conv(224, 3, 64, 7, 2)),
        ("vgg16/dense-4096->4096", dense(4096, 4096)),
    ]
}

/// Cycles per second, from a chain of one-cycle operations that nothing can shorten.
fn clock_hz() -> f64 {
    const STEPS: u32 = 20_000_000;
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

fn linear(c: &mut Criterion) {
    eprintln!("clock {:.3} GHz", clock_hz() / 1e9);
    for (portable, name) in [(false, "apply"), (true, "portable")] {
        let mut group = c.benchmark_group(name);
        group.sample_size(20);
        for (layer, shape) in layers() {
            let packed = PackedWeights::pack(&shape, &elements(shape.weights(), 1));
            let input = elements(shape.inputs(), 2);
            let mut output = vec![0; shape.outputs()];
            group.throughput(Throughput::Elements(shape.macs()));
            group.bench_function(BenchmarkId::from_parameter(layer), |b| {
                b.iter(|| match portable {
                    true => packed.apply_portable(black_box(&input), &mut output),
                    false => packed.apply(black_box(&input), &mut output),
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, linear);
criterion_main!(benches);
