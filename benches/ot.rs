//! Oblivious transfer: base transfers, extension, random transfers and the transpose, one core.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use longhaul::crypto::stream_sums::StreamSums;
use longhaul::crypto::{Block, Prg, Seed, transpose};
use longhaul::protocol::ot::base::{BaseSender, receive};
use longhaul::protocol::ot::ferret::{self, FerretReceiver, FerretSender};
use longhaul::protocol::ot::iknp::{BASE_OTS, IknpReceiver, IknpSender, choice_bits, random_delta};
use longhaul::protocol::ot::random::{PadHash, RandomOtReceiver, RandomOtSender, correction_bytes, transfers};
use longhaul::protocol::ot::softspoken::{PendingSender, SoftSpokenReceiver, SoftSpokenSender};
use longhaul::protocol::ot::{iknp, softspoken};
use std::hint::black_box;

/// Transfers of a call: of bulk work, and of one chunk of a protocol.
const SIZES: [usize; 2] = [1 << 18, 1 << 14];

fn base(c: &mut Criterion) {
    let mut prg = Seed::from_u64(1).prg();
    let choices = choice_bits(random_delta(&mut prg));
    let mut group = c.benchmark_group("base_ot_128");
    group.throughput(Throughput::Elements(BASE_OTS as u64));
    let (_, message) = BaseSender::new(&mut prg);
    group.bench_function("receiver", |b| b.iter(|| receive(&mut prg, &message, &choices).unwrap()));
    let (answer, _) = receive(&mut prg, &message, &choices).unwrap();
    group.bench_function("sender", |b| {
        b.iter(|| {
            let (sender, _) = BaseSender::new(&mut prg);
            sender.keys(&answer, BASE_OTS).unwrap()
        })
    });
}

fn iknp_extension(c: &mut Criterion) {
    let mut prg = Seed::from_u64(2).prg();
    let (base, message) = BaseSender::new(&mut prg);
    let (mut sender, answer) = IknpSender::from_base(&mut prg, &message).unwrap();
    let mut receiver = IknpReceiver::from_base(base, &answer).unwrap();
    let mut group = c.benchmark_group("iknp");
    for m in SIZES {
        let choices: Vec<u64> = prg.words(m / 64);
        let mut message = vec![0; iknp::transfer_message_bytes(m)];
        let mut blocks = vec![Block::ZERO; m];
        group.throughput(Throughput::Elements(m as u64));
        group.bench_function(BenchmarkId::new("receiver", m), |b| {
            b.iter(|| receiver.extend_into(&choices, &mut message, &mut blocks))
        });
        group.bench_function(BenchmarkId::new("receiver_allocating", m), |b| {
            b.iter(|| receiver.extend(black_box(&choices)))
        });
        group.bench_function(BenchmarkId::new("sender", m), |b| {
            b.iter(|| sender.extend_into(&message, &mut blocks).unwrap())
        });
        group.bench_function(BenchmarkId::new("sender_allocating", m), |b| {
            b.iter(|| sender.extend(m, black_box(&message)).unwrap())
        });
    }
}

fn softspoken_pair(k: usize, prg: &mut Prg) -> (SoftSpokenSender, SoftSpokenReceiver) {
    let (base, message) = BaseSender::new(prg);
    let (pending, answer) = PendingSender::from_base(k, prg, &message).unwrap();
    let (receiver, sums) = SoftSpokenReceiver::from_base(k, base, &answer).unwrap();
    (pending.finish(&sums).unwrap(), receiver)
}

fn softspoken_extension(c: &mut Criterion) {
    let mut prg = Seed::from_u64(4).prg();
    for k in [2, 4, 8] {
        let (mut sender, mut receiver) = softspoken_pair(k, &mut prg);
        let mut group = c.benchmark_group(format!("softspoken-{k}"));
        for m in SIZES {
            let choices: Vec<u64> = prg.words(m / 64);
            let mut message = vec![0; softspoken::transfer_message_bytes(k, m)];
            let mut blocks = vec![Block::ZERO; m];
            group.throughput(Throughput::Elements(m as u64));
            group.bench_function(BenchmarkId::new("receiver", m), |b| {
                b.iter(|| receiver.extend_into(&choices, &mut message, &mut blocks))
            });
            group.bench_function(BenchmarkId::new("receiver_allocating", m), |b| {
                b.iter(|| receiver.extend(black_box(&choices)))
            });
            group.bench_function(BenchmarkId::new("sender", m), |b| {
                b.iter(|| sender.extend_into(&message, &mut blocks).unwrap())
            });
        }
    }
}

/// Random transfers from correlated ones: hashing, and the derandomising of messages of two bits.
fn random_transfers(c: &mut Criterion) {
    const N: usize = 1 << 14;
    let mut prg = Seed::from_u64(6).prg();
    let delta = random_delta(&mut prg);
    let mut group = c.benchmark_group("random_ot");
    group.throughput(Throughput::Elements(N as u64));
    for bits in [1, 4] {
        let q: Vec<Block> = prg.words(N * bits);
        let choices: Vec<u64> = prg.words(transfers(N, bits) / 64);
        let messages: Vec<u64> = prg.words(N << bits);
        let (mut sent, mut received) = (PadHash::new([1; 16]), PadHash::new([1; 16]));
        group.bench_function(BenchmarkId::new("sender", bits), |b| {
            b.iter(|| RandomOtSender::new(&mut sent, delta, black_box(&q), bits))
        });
        group.bench_function(BenchmarkId::new("receiver", bits), |b| {
            b.iter(|| RandomOtReceiver::new(&mut received, &choices, black_box(&q), bits))
        });
        let corrections = vec![0; correction_bytes(N, bits)];
        group.bench_function(BenchmarkId::new("derandomise", bits), |b| {
            let setup = || RandomOtSender::new(&mut sent, delta, &q, bits);
            b.iter_batched(setup, |ots| ots.derandomise(&corrections, &messages, 2).unwrap(), BatchSize::SmallInput)
        });
    }
}

/// AES blocks per second, which bound SoftSpokenOT: 2^k / k of them per transfer.
fn stream_sums(c: &mut Criterion) {
    const BLOCKS: usize = 64;
    let mut group = c.benchmark_group("stream_sums");
    for bits in [2, 4, 8] {
        let streams = StreamSums::new(&Seed::from_u64(5).prg().words::<[u8; 16]>(1 << bits));
        let mut rows = vec![Block::ZERO; (bits + 1) * BLOCKS];
        group.throughput(Throughput::Elements((BLOCKS << bits) as u64));
        group.bench_function(BenchmarkId::new("aes_blocks", bits), |b| {
            b.iter(|| streams.fill(black_box(0), black_box(&mut rows)))
        });
    }
}

fn transposition(c: &mut Criterion) {
    const COLUMNS: usize = 8192;
    let rows: Vec<u8> = Seed::from_u64(3).prg().words(16 * COLUMNS);
    let mut out = vec![Block::ZERO; COLUMNS];
    let mut group = c.benchmark_group("transpose_8192");
    group.throughput(Throughput::Elements(COLUMNS as u64));
    group.bench_function("best_kernel", |b| b.iter(|| transpose(black_box(&rows), black_box(&mut out))));
}

/// Silent transfers from ideal ones. The code reads ten of `k` blocks per output: 3.8 MB of them in a large extension, which
/// the third cache holds; a tree is an AES call per leaf.
fn silent(c: &mut Criterion) {
    let mut prg = Seed::from_u64(5).prg();
    let delta = Block(prg.block().0 | 1);
    let (q, choices) = (prg.words::<Block>(ferret::BOOTSTRAP), prg.words::<u64>(ferret::BOOTSTRAP / 64));
    let choice = |j: usize| choices[j / 64] >> (j % 64) & 1 == 1;
    let t = q.iter().enumerate().map(|(j, q)| *q ^ delta.if_bit(choice(j))).collect();
    let (sender, receiver) = (FerretSender::new(delta, q), FerretReceiver::new(&choices, t));
    for (name, parameters) in [("small", ferret::SMALL), ("large", ferret::LARGE)] {
        // Any blocks do for the rate.
        let inputs: Vec<Block> = prg.words(parameters.inputs());
        let mut group = c.benchmark_group(format!("ferret_{name}"));
        group.sample_size(10).throughput(Throughput::Elements(parameters.outputs() as u64));
        let (_, message) = sender.extend_by(&mut prg, parameters, &inputs);
        group.bench_function("sender", |b| b.iter(|| sender.extend_by(&mut prg, parameters, black_box(&inputs))));
        group.bench_function("receiver", |b| b.iter(|| receiver.extend_by(parameters, black_box(&inputs), &message)));
    }
}

criterion_group!(
    benches,
    silent,
    base,
    iknp_extension,
    softspoken_extension,
    random_transfers,
    stream_sums,
    transposition
);
criterion_main!(benches);
