//! AES as the protocols use it, on one core: the counter-mode streams behind every mask, and the re-keyed hash of garbling.
//!
//! Bounds: a block takes ten rounds. With 512-bit registers Zen 4 starts one `vaesenc` of four blocks a cycle: 0.4 blocks a
//! cycle, 1.5 G blocks/s at 3.7 GHz. The re-keyed hash adds a key schedule per tweak, about twice the work of a block
//! where only two blocks share it (a wire's two labels) and a round key of four keys takes some eight vector operations.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use longhaul::crypto::Seed;
use longhaul::crypto::rekeyed::{Kernel, KeyRow, LANES, Row, RowHash, WithRowHash};
use std::hint::black_box;

fn streams(criterion: &mut Criterion) {
    const BLOCKS: usize = 1 << 12;
    let mut prg = Seed::from_u64(1).prg();
    let mut out = vec![0u8; 16 * BLOCKS];
    let mut group = criterion.benchmark_group("aes");
    group.throughput(Throughput::Elements(BLOCKS as u64));
    group.bench_function("counter mode, blocks", |bencher| bencher.iter(|| prg.fill_bytes(black_box(&mut out))));
    group.finish();
}

/// Both labels of two wires of every lane, for some gates.
struct Gates(u32);

impl WithRowHash for Gates {
    type Output = Row;

    #[inline(always)]
    fn with<H: RowHash>(self, hash: H) -> Row {
        let keys = KeyRow::new([7; 16], 0);
        let mut row = Row::ZERO;
        for gate in 0..self.0 {
            let [[a, b], [c, d]] = hash.hash_both(&keys, gate, [&row, &row], row.0[0]);
            row = a ^ b ^ c ^ d;
        }
        row
    }
}

fn hashes(criterion: &mut Criterion) {
    const GATES: u32 = 64;
    let mut group = criterion.benchmark_group("re-keyed hash");
    group.throughput(Throughput::Elements(4 * LANES as u64 * u64::from(GATES)));
    for kernel in Kernel::available() {
        group.bench_function(format!("{kernel:?}, hashes"), |bencher| {
            bencher.iter(|| kernel.run(Gates(black_box(GATES))))
        });
    }
    group.finish();
}

criterion_group!(benches, streams, hashes);
criterion_main!(benches);
