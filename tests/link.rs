//! Channel, clocks and scheduler: hand-computed times, bounded memory without deadlock, failures that end.

mod harness;

use harness::wan;
use longhaul::link::{
    ClockMode, ComputeMode, Endpoint, LinkConfig, LinkError, Party, PartyFailure, Phase, run_parties,
};
use longhaul::units::{BitRate, Nanos};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

type Failure = PartyFailure<LinkError>;

fn idle(_: &mut Endpoint) -> Result<(), LinkError> {
    Ok(())
}

#[test]
fn a_ping_pong_costs_two_rounds_and_two_latencies() {
    let run = run_parties(
        &wan(),
        |server| {
            server.enter(Phase::Online, 1)?;
            server.recv(Party::Client, 1000)?;
            server.send(Party::Client, vec![0; 2000])
        },
        |client| {
            client.enter(Phase::Online, 1)?;
            client.send(Party::Server, vec![0; 1000])?;
            client.recv(Party::Server, 2000)
        },
        idle,
    )
    .unwrap();
    let [server, client, _] = &run.ledgers;
    // 100 Mbit/s: 80 ns a byte. Up 50 ms + 80 us, down 50 ms + 160 us.
    assert_eq!(client.account(Phase::Online).now, Nanos(100_240_000));
    assert_eq!(client.account(Phase::Online).floor, Nanos(100_240_000));
    assert_eq!((client.depth(Phase::Online), server.depth(Phase::Online)), (1, 2));
    assert_eq!((client.bytes(Phase::Online, Party::Server), server.bytes(Phase::Online, Party::Client)), (1000, 2000));
    assert_eq!(client.account(Phase::Setup).now, Nanos(0));
}

#[test]
fn a_simultaneous_exchange_is_one_round_however_large() {
    // 3 MB each way over channels bounded to 1 MiB, in 100 kB messages: the bound must neither deadlock
    // nor show in virtual time: 3 MB * 80 ns + 50 ms = 290 ms.
    let exchange = |endpoint: &mut Endpoint, peer| {
        for _ in 0..30 {
            endpoint.send(peer, vec![1; 100_000])?;
        }
        (0..30).try_for_each(|_| endpoint.recv(peer, 100_000).map(drop))
    };
    for in_flight_bytes in [1, 1 << 20, 1 << 30] {
        let link = LinkConfig { in_flight_bytes, ..wan() };
        let run = run_parties(
            &link,
            |server| exchange(server, Party::Client),
            |client| exchange(client, Party::Server),
            idle,
        )
        .unwrap();
        for ledger in &run.ledgers[..2] {
            assert_eq!(ledger.account(Phase::Setup).now, Nanos(290_000_000));
            assert_eq!(ledger.depth(Phase::Setup), 1);
        }
    }
}

#[test]
fn three_parties_blocked_on_full_channels_in_a_cycle_go_on() {
    let link = LinkConfig { in_flight_bytes: 10, ..wan() };
    let pass_on = |endpoint: &mut Endpoint, to, from| {
        (0..5).try_for_each(|_| endpoint.send(to, vec![0; 8]))?;
        (0..5).try_for_each(|_| endpoint.recv(from, 8).map(drop))
    };
    run_parties(
        &link,
        |server| pass_on(server, Party::Client, Party::Dealer),
        |client| pass_on(client, Party::Dealer, Party::Server),
        |dealer| pass_on(dealer, Party::Server, Party::Client),
    )
    .unwrap();
}

#[test]
fn phases_have_separate_clocks_and_links() {
    let run = run_parties(
        &wan(),
        |server| {
            server.enter(Phase::Offline, 0)?;
            server.send(Party::Client, vec![0; 1_000_000])?;
            server.enter(Phase::Online, 0)?;
            server.send(Party::Client, vec![0; 100])
        },
        |client| {
            client.enter(Phase::Offline, 0)?;
            client.recv(Party::Server, 1_000_000)?;
            client.enter(Phase::Online, 0)?;
            client.recv(Party::Server, 100)
        },
        idle,
    )
    .unwrap();
    let client = &run.ledgers[1];
    // Offline 80 ms + 50 ms; online 8 us + 50 ms: the offline megabyte does not delay it.
    assert_eq!(client.account(Phase::Offline).now, Nanos(130_000_000));
    assert_eq!(client.account(Phase::Online).now, Nanos(50_008_000));
}

#[test]
fn computing_counts_and_the_floor_leaves_it_out() {
    let compute = |scale| {
        let link = LinkConfig { compute: ComputeMode::Measured { scale }, ..wan() };
        let burn = |client: &mut Endpoint| {
            let end = Instant::now() + Duration::from_millis(30);
            while Instant::now() < end {}
            client.send(Party::Server, vec![0])
        };
        run_parties(&link, |server| server.recv(Party::Client, 1), burn, idle).unwrap().ledgers
    };
    let account = compute(1.0)[0].account(Phase::Setup);
    assert!(account.now > account.floor, "{account:?}");
    assert_eq!(account.floor, Nanos(50_000_080));
    let scaled = compute(1000.0);
    assert!(
        scaled[1].account(Phase::Setup).compute > Nanos(1_000_000_000),
        "30 ms of burning, stretched a thousand times"
    );
}

#[test]
fn waiting_for_each_other_is_an_error_that_says_so() {
    let failure: Failure =
        run_parties(&wan(), |server| server.recv(Party::Client, 1), |client| client.recv(Party::Server, 1), idle)
            .unwrap_err();
    let text = failure.to_string();
    assert!(
        text.contains("the server waits for a message from the client") && text.contains("the client waits"),
        "{text}"
    );
}

#[test]
fn a_peer_that_ends_early_is_named() {
    let failure: Failure =
        run_parties(&wan(), |server| server.recv(Party::Client, 1).map(drop), idle, idle).unwrap_err();
    assert_eq!(
        failure.to_string(),
        "server: the client closed its channel while the server was waiting for a message in the setup phase"
    );
}

#[test]
fn the_first_cause_is_what_the_caller_reads() {
    for clock in [ClockMode::Virtual, ClockMode::Wall] {
        let link = LinkConfig { clock, ..wan() };
        let failure: PartyFailure<String> = run_parties(
            &link,
            |server| server.recv(Party::Client, 1).map_err(|e| e.to_string()),
            |_| Err::<(), _>("the image is torn".to_string()),
            |dealer| dealer.recv(Party::Client, 1).map_err(|e| e.to_string()),
        )
        .unwrap_err();
        assert_eq!(failure.to_string(), "client: the image is torn");
        let failure: Failure = run_parties(
            &link,
            |server| server.recv(Party::Client, 1),
            |_| -> Result<(), LinkError> { panic!("index 7") },
            idle,
        )
        .unwrap_err();
        assert_eq!(failure.to_string(), "client: internal error: index 7");
    }
}

#[test]
fn hostile_lengths_phases_and_leftovers_are_errors() {
    let failure: Failure = run_parties(
        &wan(),
        |server| server.recv(Party::Client, 8),
        |client| client.send(Party::Server, vec![0; 7]),
        idle,
    )
    .unwrap_err();
    assert_eq!(
        failure.to_string(),
        "server: message from the client in the setup phase, layer 0: expected 8 bytes, got 7"
    );
    let late = |server: &mut Endpoint| {
        server.enter(Phase::Online, 0)?;
        server.recv(Party::Client, 8)
    };
    let failure: Failure =
        run_parties(&wan(), late, |client| client.send(Party::Server, vec![0; 8]), idle).unwrap_err();
    assert_eq!(
        failure.to_string(),
        "server: the client closed its channel while the server was waiting for a message in the online phase"
    );
    let failure: Failure =
        run_parties(&wan(), idle, |client| client.send(Party::Server, vec![0; 8]), idle).unwrap_err();
    assert_eq!(failure.to_string(), "the server finished without reading 8 bytes from the client");
}

#[test]
fn cancelling_wakes_a_waiting_party() {
    for clock in [ClockMode::Virtual, ClockMode::Wall] {
        let cancel = CancellationToken::new();
        let link = LinkConfig {
            clock,
            cancel: cancel.clone(),
            up: longhaul::link::LinkParameters { latency: Nanos(3_600_000_000_000), ..wan().up },
            ..wan()
        };
        let chatter = |client: &mut Endpoint| -> Result<(), LinkError> {
            cancel.cancel();
            loop {
                client.send(Party::Server, vec![0; 100])?;
            }
        };
        let failure: Failure = run_parties(&link, |server| server.recv(Party::Client, 100), chatter, idle).unwrap_err();
        assert!(failure.to_string().contains("cancelled"), "{failure}");
    }
}

#[test]
fn wall_and_virtual_clocks_agree() {
    // Ten ping-pongs at 10 ms one way: 200 ms and transmission. The wall clock may only be later.
    let times = [ClockMode::Virtual, ClockMode::Wall].map(|clock| {
        let mut link = LinkConfig { clock, ..wan() };
        (link.up.latency, link.down.latency) = (Nanos(10_000_000), Nanos(10_000_000));
        (link.up.rate, link.down.rate) = (BitRate(1_000_000_000), BitRate(1_000_000_000));
        let pong = |server: &mut Endpoint| {
            (0..10)
                .try_for_each(|_| server.recv(Party::Client, 1000).and_then(|bytes| server.send(Party::Client, bytes)))
        };
        let ping = |client: &mut Endpoint| {
            (0..10).try_for_each(|_| {
                client.send(Party::Server, vec![0; 1000]).and_then(|()| client.recv(Party::Server, 1000).map(drop))
            })
        };
        run_parties(&link, pong, ping, idle).unwrap().ledgers[1].account(Phase::Setup).now.0
    });
    // 20 * (10 ms + 8 us).
    assert_eq!(times[0], 200_160_000);
    assert!(times[1] >= times[0], "{times:?}");
    assert!((times[1] as f64) < times[0] as f64 * 4.0, "the wall clock is far off: {times:?}");
}

#[test]
fn depth_is_the_deepest_message_received_not_the_last() {
    // The server's second message comes from the dealer, at depth 1, after the client's at depth 3.
    let run = run_parties(
        &wan(),
        |server| {
            server.send(Party::Client, vec![1])?;
            server.recv(Party::Client, 1)?;
            server.send(Party::Client, vec![2])?;
            server.recv(Party::Client, 1)?;
            server.recv(Party::Dealer, 1)?;
            server.send(Party::Client, vec![3])
        },
        |client| {
            for i in 0..2 {
                client.recv(Party::Server, 1)?;
                client.send(Party::Server, vec![i])?;
            }
            client.recv(Party::Server, 1).map(drop)
        },
        |dealer| dealer.send(Party::Server, vec![9]),
    )
    .unwrap();
    let depths = run.ledgers.each_ref().map(|ledger| ledger.depth(Phase::Setup));
    assert_eq!(depths, [5, 4, 1]);
}

/// Uses the processor of this thread for a while.
fn burn(milliseconds: u64) {
    let end = Instant::now() + Duration::from_millis(milliseconds);
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

#[test]
fn computing_before_a_receive_counts() {
    let link = LinkConfig { compute: ComputeMode::Measured { scale: 1000.0 }, ..wan() };
    let run = run_parties(
        &link,
        |server| server.send(Party::Client, vec![0]),
        |client| {
            // A thousandfold of what the processor gives this thread in 20 ms: far more than the message's 50 ms.
            burn(20);
            client.recv(Party::Server, 1).map(drop)
        },
        idle,
    )
    .unwrap();
    assert!(run.ledgers[1].account(Phase::Setup).now > Nanos(1_000_000_000));
}

#[test]
fn what_is_off_the_clock_is_not_charged() {
    let link = LinkConfig { compute: ComputeMode::Measured { scale: 1.0 }, ..wan() };
    let run = run_parties(
        &link,
        |server| {
            server.off_the_clock(|| burn(200));
            server.send(Party::Client, vec![0])
        },
        |client| client.recv(Party::Server, 1).map(drop),
        idle,
    )
    .unwrap();
    assert!(run.ledgers[0].account(Phase::Setup).compute < Nanos(100_000_000));
}

#[test]
fn one_party_computes_at_a_time() {
    use std::sync::atomic::{AtomicU32, Ordering};
    let computing = AtomicU32::new(0);
    let most = AtomicU32::new(0);
    let part = |endpoint: &mut Endpoint, peer| {
        for _ in 0..20 {
            most.fetch_max(computing.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            burn(2);
            computing.fetch_sub(1, Ordering::SeqCst);
            endpoint.send(peer, vec![0])?;
            endpoint.recv(peer, 1)?;
        }
        Ok(())
    };
    run_parties(&wan(), |server| part(server, Party::Client), |client| part(client, Party::Server), idle).unwrap();
    assert_eq!(most.load(Ordering::SeqCst), 1);
}
