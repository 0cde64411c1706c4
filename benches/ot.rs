//! Oblivious transfer: base transfers, extension and the transpose, one core.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use longhaul::crypto::{Block, Seed, transpose};
use longhaul::protocol::ot::base::{BaseSender, receive};
use longhaul::protocol::ot::iknp::{
    BASE_OTS, IknpReceiver, IknpSender, choice_bits, random_delta, transfer_message_bytes,
};
use std::hint::black_box;

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

fn extension(c: &mut Criterion) {
    const M: usize = 1 << 18;
    let mut prg = Seed::from_u64(2).prg();
    let (base, message) = BaseSender::new(&mut prg);
    let (mut sender, answer) = IknpSender::from_base(&mut prg, &message).unwrap();
    let mut receiver = IknpReceiver::from_base(base, &answer).unwrap();
    let choices: Vec<u64> = prg.words(M / 64);
    let mut message = vec![0; transfer_message_bytes(M)];
    let mut blocks = vec![Block::ZERO; M];

    let mut group = c.benchmark_group("iknp_2^18");
    group.throughput(Throughput::Elements(M as u64));
    group.bench_function("receiver", |b| b.iter(|| receiver.extend_into(&choices, &mut message, &mut blocks)));
    group.bench_function("receiver_allocating", |b| b.iter(|| receiver.extend(black_box(&choices))));
    group.bench_function("sender", |b| b.iter(|| sender.extend_into(&message, &mut blocks).unwrap()));
    group.bench_function("sender_allocating", |b| b.iter(|| sender.extend(M, black_box(&message)).unwrap()));
}

fn transposition(c: &mut Criterion) {
    const COLUMNS: usize = 8192;
    let rows: Vec<u8> = Seed::from_u64(3).prg().words(16 * COLUMNS);
    let mut out = vec![Block::ZERO; COLUMNS];
    let mut group = c.benchmark_group("transpose_8192");
    group.throughput(Throughput::Elements(COLUMNS as u64));
    group.bench_function("best_kernel", |b| b.iter(|| transpose(black_box(&rows), black_box(&mut out))));
}

criterion_group!(benches, base, extension, transposition);
criterion_main!(benches);
