//! The online kernel of `fused`: a party's share of a polynomial from opened values and shared powers.
//!
//! Bound at degree d in a ring of L words: Horner's rule takes d steps of L multiplications 64 x 64 -> 128, one a cycle:
//! 8 cycles at d = 4, L = 2, about 460 million activations per second at 3.7 GHz. Each activation reads one of two
//! candidates of 16 d bytes, so 160 million activations per second at d = 4 are 10 GB/s of useful loads, and twice that
//! where whole cache lines of both candidates come along: outside the first cache, memory is the bound.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use longhaul::crypto::Seed;
use longhaul::link::Party;
use longhaul::protocol::activation::{ActivationSpec, FusedEvaluator};
use longhaul::protocol::{Function, Polynomial};
use std::hint::black_box;

fn fused(criterion: &mut Criterion) {
    let elements = 1 << 14;
    let mut prg = Seed::from_u64(1).prg();
    let opened = prg.words::<u64>(elements);
    let mut group = criterion.benchmark_group("fused online kernel");
    group.throughput(Throughput::Elements(elements as u64));
    let named = |name| (name, Polynomial::named(name).expect("a polynomial of the table"));
    let degree_8 = Polynomial { coefficients: vec![300, 512, 150, 0, -3, 0, 1, 0, -1], precision_bits: 16 };
    for (name, polynomial) in [named("relu-d2"), named("relu-d4"), ("degree 8", degree_8)] {
        let function = Function::Polynomial(polynomial);
        let spec = ActivationSpec { function, elements, input_bits: 32, output_bits: 16, settings: Default::default() };
        let mut output = vec![0u64; elements];
        for party in [Party::Server, Party::Client] {
            let evaluator = FusedEvaluator::new(&spec, party);
            let shares = prg.words::<u64>(elements * evaluator.coefficient_words());
            group.bench_function(format!("{name}, {party}"), |bencher| {
                bencher.iter(|| evaluator.run(black_box(&opened), black_box(&shares), black_box(&mut output)));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, fused);
criterion_main!(benches);
