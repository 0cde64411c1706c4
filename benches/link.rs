//! How late deliveries are under the wall clock, and what the channel itself costs.
//!
//! The first part prints the lateness of deliveries that a party was waiting for, as a histogram: the goal on
//! an idle machine is a median of at most 50 us and a 99th percentile of at most 500 us. The second part is
//! a criterion bench of messages through the channel under the virtual clock.

use criterion::{Criterion, Throughput};
use hdrhistogram::Histogram;
use longhaul::link::{
    ClockMode, ComputeMode, Endpoint, LinkConfig, LinkError, LinkParameters, Party, Schedule, Trace, find_model,
    run_parties,
};
use longhaul::run::{Condition, SweepOptions, sweep};
use longhaul::units::{BitRate, Nanos};
use std::hint::black_box;
use std::path::Path;

fn link(clock: ClockMode, latency: Nanos) -> LinkConfig {
    let direction = LinkParameters::new(latency, BitRate(10_000_000_000));
    LinkConfig {
        model: find_model("ideal").expect("registered"),
        up: direction,
        down: direction,
        clock,
        compute: ComputeMode::Measured { scale: 1.0 },
        in_flight_bytes: 64 << 20,
        capture: false,
        cancel: Default::default(),
    }
}

/// `count` ping-pongs of `bytes`; lateness of every delivery.
fn ping_pong(link: &LinkConfig, count: usize, bytes: usize) -> Histogram<u64> {
    let pong = |server: &mut Endpoint| {
        (0..count)
            .try_for_each(|_| server.recv(Party::Client, bytes).and_then(|message| server.send(Party::Client, message)))
    };
    let ping = |client: &mut Endpoint| {
        (0..count).try_for_each(|_| {
            client.send(Party::Server, vec![0; bytes]).and_then(|()| client.recv(Party::Server, bytes).map(drop))
        })
    };
    let idle = |_: &mut Endpoint| Ok::<(), LinkError>(());
    let run = run_parties(link, pong, ping, idle).expect("a ping-pong cannot fail");
    let mut lateness = run.ledgers[0].lateness.clone();
    lateness.add(&run.ledgers[1].lateness).expect("histograms of one kind");
    lateness
}

fn lateness() {
    println!("lateness of deliveries under the wall clock, microseconds");
    println!("{:>12} {:>8} {:>8} {:>8} {:>8} {:>8}", "one way", "count", "p50", "p90", "p99", "max");
    for (latency_us, count) in [(125, 4000), (1000, 1000), (25_000, 60), (50_000, 40)] {
        let histogram = ping_pong(&link(ClockMode::Wall, Nanos(latency_us * 1000)), count, 1024);
        let us = |ns: u64| ns as f64 / 1000.0;
        let at = |q| us(histogram.value_at_quantile(q));
        println!(
            "{:>9} us {:>8} {:>8.1} {:>8.1} {:>8.1} {:>8.1}",
            latency_us,
            histogram.len(),
            at(0.5),
            at(0.9),
            at(0.99),
            us(histogram.max())
        );
    }
}

fn channel(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("virtual clock ping-pong");
    for (bytes, count) in [(8, 1000), (1 << 20, 20)] {
        group.throughput(Throughput::Bytes((2 * count * bytes) as u64));
        group.bench_function(format!("{bytes} B"), |bencher| {
            let link = link(ClockMode::Virtual, Nanos(125_000));
            bencher.iter(|| black_box(ping_pong(&link, count, bytes)));
        });
    }
    group.finish();
}

/// Link conditions a second that one recorded execution is asked about, as `longhaul sweep` does, on all cores.
fn replays(criterion: &mut Criterion) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("results/sweep/traces/resnet18.fused.lan.trace");
    let trace = Trace::decode(&std::fs::read(path).expect("a committed trace")).expect("a trace");
    let schedule = Schedule::new(trace.events.each_ref().map(|events| &events[..])).expect("an execution");
    let mut group = criterion.benchmark_group("replay of ResNet-18 under fused");
    for model in ["ideal", "tcp"] {
        let model = find_model(model).expect("registered");
        let plane: Vec<Condition> = (0..20)
            .flat_map(|latency| (0..20).map(move |rate| (latency, rate)))
            .map(|(latency, rate)| Condition {
                model,
                latency: Nanos(100_000 << (latency / 2)),
                rate: BitRate(1_000_000 << (rate / 2)),
            })
            .collect();
        group.throughput(Throughput::Elements(plane.len() as u64));
        group.bench_function(model.id, |bencher| {
            bencher.iter(|| {
                black_box(sweep(&schedule, &plane, SweepOptions { compute_scale: 1.0, ..Default::default() }))
            });
        });
    }
    group.finish();
}

fn main() {
    lateness();
    let mut criterion = Criterion::default().configure_from_args();
    channel(&mut criterion);
    replays(&mut criterion);
    criterion.final_summary();
}
