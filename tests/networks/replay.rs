//! A replay shows the clocks of a run, to the nanosecond, and those of a run over another link.

use super::graphs::small_residual_network;
use super::*;
use longhaul::link::{ComputeMode, ReplayLink, Schedule, Trace, TraceHeader, find_model, models};
use longhaul::units::BitRate;

/// Links that differ in everything.
fn links() -> Vec<LinkConfig> {
    let base = LinkParameters {
        packet_payload: Some(longhaul::units::Bytes(1448)),
        packet_overhead: longhaul::units::Bytes(52),
        jitter: Nanos(3_000_000),
        seed: 7,
        ..LinkParameters::new(Nanos(20_000_000), BitRate(50_000_000))
    };
    let link = |model, up, down| LinkConfig { model, up, down, ..wan() };
    let lossy = LinkParameters { tcp: longhaul::link::TcpParameters { loss: 0.001, ..base.tcp }, ..base };
    let mut links: Vec<LinkConfig> = models().iter().map(|model| link(model, base, base)).collect();
    links.push(link(find_model("tcp").unwrap(), LinkParameters { rate: BitRate(2_000_000), ..base }, lossy));
    links.push(wan());
    links
}

fn schedule(inference: &Inference) -> Schedule {
    Schedule::new(inference.ledgers.each_ref().map(|ledger| ledger.events.as_slice())).unwrap()
}

fn assert_same_clocks(schedule: &Schedule, link: &LinkConfig, run: &Inference, what: &str) {
    let link = ReplayLink { model: link.model, up: link.up, down: link.down, compute_scale: 1.0 };
    for phase in Phase::ALL {
        let clocks = schedule.clocks(phase, &link, &mut Vec::new());
        let accounts = run.ledgers.each_ref().map(|ledger| ledger.account(phase));
        assert_eq!(clocks.parties, accounts.map(|account| account.now), "{what}, {phase}");
        assert_eq!(schedule.computing(phase), accounts.map(|account| account.compute), "{what}, {phase}");
        assert_eq!(schedule.rounds(phase), run.ledgers.iter().map(|ledger| ledger.depth(phase)).max().unwrap());
        for (from, to) in
            [(Party::Client, Party::Server), (Party::Server, Party::Client), (Party::Dealer, Party::Client)]
        {
            assert_eq!(schedule.bytes(phase, from, to), run.ledgers[from as usize].bytes(phase, to), "{what}, {phase}");
        }
    }
}

#[test]
fn a_replay_over_the_same_link_is_the_run() {
    let graph = small_residual_network();
    let image = &random_images(graph.input_shape(), 3, 1)[0].pixels;
    for entry in PROTOCOLS {
        for link in links() {
            let link = LinkConfig { compute: ComputeMode::Measured { scale: 1.5 }, ..link };
            let (run, _) = execute(&graph, entry, image, 1, &link, 1 << 30);
            assert_same_clocks(&schedule(&run), &link, &run, entry.id);
        }
    }
}

#[test]
fn a_replay_over_another_link_is_the_run_over_that_link() {
    let graph = small_residual_network();
    let image = &random_images(graph.input_shape(), 3, 1)[0].pixels;
    for entry in PROTOCOLS {
        // Without computing times two runs differ by the link alone.
        let (recorded, _) = execute(&graph, entry, image, 1, &wan(), 1 << 30);
        let trace = Trace {
            header: TraceHeader {
                longhaul: String::new(),
                scenario: String::new(),
                scenario_digest: String::new(),
                model: String::new(),
                protocol: entry.id.to_string(),
                link: String::new(),
                repetition: 0,
                image: 0,
                cpu: String::new(),
                layers: Vec::new(),
            },
            events: recorded.ledgers.each_ref().map(|ledger| ledger.events.clone()),
        };
        let trace = Trace::decode(&trace.encode()).unwrap();
        let replayed = Schedule::new(trace.events.each_ref().map(Vec::as_slice)).unwrap();
        for link in links() {
            let (run, _) = execute(&graph, entry, image, 1, &link, 1 << 30);
            assert_same_clocks(&replayed, &link, &run, entry.id);
        }
    }
}

#[test]
fn events_that_are_no_execution_are_refused() {
    use longhaul::link::{Act, Event};
    let event = |act| Event { phase: Phase::Online, layer: 0, compute: Nanos(0), act };
    let send = [event(Act::Send { to: Party::Client, bytes: 1 })];
    let receive = [event(Act::Receive { from: Party::Server })];
    assert!(Schedule::new([&send, &receive, &[]]).is_ok());
    let error = Schedule::new([&[], &receive, &[]]).err().unwrap().to_string();
    assert_eq!(error, "the client waits for a message from the server in the online phase that is never sent");
    let error = Schedule::new([&send, &[], &[]]).err().unwrap().to_string();
    assert_eq!(error, "a message from the server to the client in the online phase is never received");
}
