//! Distributed comparison: evaluations and key generations per second, on one core.
//!
//! With `l = domain_bits - 2` levels, an evaluation is `2 l + 1` AES blocks and a key `8 (l + 1)`. A Zen 4 core starts one
//! 512-bit `vaesenc` a cycle: 1.42 G blocks/s at 3.6 GHz. That bounds 47 bits (64 truncated by 16) at 15.6 M evaluations/s
//! and 3.9 M keys/s, 31 bits (48 truncated by 16) at 24 M and 5.9 M. An evaluation also reads `32 l + 64` bytes of
//! keys, 1504 and 992: the larger size, beyond the caches, shows what memory allows.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use longhaul::crypto::dcf::{Dcf, Holder, Kernel};
use longhaul::crypto::{Block, Seed};
use std::hint::black_box;

/// Keys in a call: in the second-level cache, and 98 MB at 47 bits.
const KEYS: [usize; 2] = [256, 65_536];

fn dcf(c: &mut Criterion) {
    let mut prg = Seed::from_u64(1).prg();
    let mut group = c.benchmark_group("dcf");
    group.sample_size(20);
    let sizes = || [47, 31].into_iter().flat_map(|bits| KEYS.map(|n| (bits, n)));
    for (kernel, (bits, n)) in Kernel::available().flat_map(|kernel| sizes().map(move |size| (kernel, size))) {
        let dcf = Dcf::with_kernel(kernel, prg.key(), bits);
        let roots: [Vec<Block>; 2] = [prg.words(n), prg.words(n)];
        let (alpha, points, beta) = (prg.words::<u64>(n), prg.words::<u64>(n), prg.words::<[u64; 2]>(n));
        let mut keys = vec![0; n * Dcf::key_bytes(bits)];
        let mut outputs = vec![[0; 2]; n];
        group.throughput(Throughput::Elements(n as u64));
        group.bench_function(BenchmarkId::new(format!("generate/{kernel:?}/{bits}"), n), |b| {
            b.iter(|| {
                dcf.generate([&roots[0], &roots[1]], &alpha, &beta, &mut keys);
                black_box(&mut keys);
            });
        });
        group.bench_function(BenchmarkId::new(format!("evaluate/{kernel:?}/{bits}"), n), |b| {
            b.iter(|| {
                dcf.evaluate(Holder::First, &roots[0], &points, &keys, &mut outputs);
                black_box(&mut outputs);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, dcf);
criterion_main!(benches);
