//! Where the time went: parts by hand, and parts that add up to the clock.

mod harness;

use harness::wan;
use longhaul::link::{
    ClockMode, ComputeMode, Endpoint, LinkConfig, LinkError, Party, Phase, Spent, find_model, run_parties,
};
use longhaul::units::Nanos;
use std::time::Duration;

fn idle(_: &mut Endpoint) -> Result<(), LinkError> {
    Ok(())
}

fn spent(latency: u64, bandwidth: u64) -> Spent {
    Spent { compute: [Nanos(0); 3], latency: Nanos(latency), bandwidth: Nanos(bandwidth) }
}

/// Uses so much processor time, however busy the machine is.
fn burn(time: Duration) {
    let used = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
    };
    let end = used() + time;
    while used() < end {}
}

#[test]
fn latency_and_bandwidth_go_to_the_sending_layer() {
    let run = run_parties(
        &wan(),
        |server| {
            server.enter(Phase::Online, 1)?;
            server.recv(Party::Client, 1000)?;
            server.enter(Phase::Online, 2)?;
            server.send(Party::Client, vec![0; 2000])?;
            server.send(Party::Client, vec![0; 500])
        },
        |client| {
            client.enter(Phase::Online, 1)?;
            client.send(Party::Server, vec![0; 1000])?;
            client.enter(Phase::Online, 2)?;
            client.recv(Party::Server, 2000)?;
            client.recv(Party::Server, 500)
        },
        idle,
    )
    .unwrap();
    // 100 Mbit/s: 80 ns a byte. Layer 1: 50 ms + 80 us. Layer 2: 50 ms + 160 us, and 40 us for the message behind it.
    let path = run.ledgers[1].path(Phase::Online);
    assert_eq!(path.layer(0), Spent::default());
    assert_eq!(path.layer(1), spent(50_000_000, 80_000));
    assert_eq!(path.layer(2), spent(50_000_000, 200_000));
    assert_eq!(path.layer(99), Spent::default());
    assert_eq!(path.total(), run.ledgers[1].account(Phase::Online).now);
}

#[test]
fn what_follows_the_close_is_not_charged() {
    let link = LinkConfig { compute: ComputeMode::Measured { scale: 1.0 }, ..wan() };
    let run = run_parties(
        &link,
        |server| {
            server.enter(Phase::Online, 1)?;
            server.send(Party::Client, vec![0; 1000])
        },
        |client| {
            client.enter(Phase::Online, 1)?;
            client.recv(Party::Server, 1000)?;
            client.close();
            burn(Duration::from_millis(50));
            Ok::<_, LinkError>(())
        },
        idle,
    )
    .unwrap();
    let account = run.ledgers[1].account(Phase::Online);
    assert!(account.compute < Nanos(50_000_000), "{account:?}");
    assert_eq!(run.ledgers[1].path(Phase::Online).total(), account.now);
    assert_eq!(run.ledgers[1].marks.last().unwrap().now, account.now);
}

#[test]
fn computing_hidden_behind_the_link_is_not_on_the_path() {
    // The server computes 20 ms, sends 1 MB (80 ms), computes 20 ms more, sends again: the second computation
    // is over long before the link is free. The client's own 10 ms end before anything arrives.
    let link = LinkConfig { compute: ComputeMode::Measured { scale: 1.0 }, ..wan() };
    let run = run_parties(
        &link,
        |server| {
            for layer in 1..=2 {
                server.enter(Phase::Online, layer)?;
                burn(Duration::from_millis(20));
                server.send(Party::Client, vec![0; 1_000_000])?;
            }
            Ok(())
        },
        |client| {
            client.enter(Phase::Online, 3)?;
            burn(Duration::from_millis(10));
            client.recv(Party::Server, 1_000_000)?;
            client.recv(Party::Server, 1_000_000)
        },
        idle,
    )
    .unwrap();
    let path = run.ledgers[1].path(Phase::Online);
    let first = path.layer(1);
    assert!(first.compute[Party::Server as usize] >= Nanos(15_000_000), "{first:?}");
    assert_eq!((first.latency, first.bandwidth), (Nanos(50_000_000), Nanos(80_000_000)));
    assert_eq!(path.layer(2), spent(0, 80_000_000));
    assert_eq!(path.layer(3).compute[Party::Client as usize].0 / 1_000_000, 0, "only what follows the last message");
    assert_eq!(path.total(), run.ledgers[1].account(Phase::Online).now);
}

#[test]
fn every_clock_is_the_sum_of_its_parts() {
    for clock in [ClockMode::Virtual, ClockMode::Wall] {
        let mut link = LinkConfig { compute: ComputeMode::Measured { scale: 1.0 }, clock, ..wan() };
        link.up.latency = Nanos(2_000_000);
        link.down.latency = Nanos(3_000_000);
        let exchange = |me: &mut Endpoint, peer| {
            for round in 0..5 {
                me.enter(Phase::Online, round)?;
                me.send(peer, vec![0; 1000 * round as usize])?;
                burn(Duration::from_micros(300));
                me.book(round + 10);
                me.recv(peer, 1000 * round as usize)?;
                me.send(peer, vec![0; 10_000])?;
                me.recv(peer, 10_000)?;
            }
            Ok(())
        };
        let run = run_parties(&link, |s| exchange(s, Party::Client), |c| exchange(c, Party::Server), idle).unwrap();
        for ledger in &run.ledgers[..2] {
            assert_eq!(ledger.path(Phase::Online).total(), ledger.account(Phase::Online).now, "{clock:?}");
        }
        let client = run.ledgers[1].path(Phase::Online);
        let latency: u64 = (0..20).map(|layer| client.layer(layer).latency.0).sum();
        assert!((20_000_000..=30_000_000).contains(&latency), "ten messages of 2 or 3 ms: {latency}");
    }
}

#[test]
fn over_tcp_where_clocks_are_set_afterwards_the_parts_add_up_too() {
    let link = LinkConfig {
        model: find_model("tcp").expect("registered"),
        compute: ComputeMode::Measured { scale: 1.0 },
        ..wan()
    };
    let part = |endpoint: &mut Endpoint, peer| {
        for layer in 1..=3 {
            endpoint.enter(Phase::Online, layer)?;
            burn(Duration::from_millis(3));
            endpoint.send(peer, vec![0; 300_000])?;
            endpoint.recv(peer, 300_000)?;
        }
        Ok(())
    };
    let run =
        run_parties(&link, |server| part(server, Party::Client), |client| part(client, Party::Server), idle).unwrap();
    for ledger in &run.ledgers[..2] {
        let account = ledger.account(Phase::Online);
        assert_eq!(ledger.path(Phase::Online).total(), account.now);
        assert_eq!(ledger.marks.last().map(|mark| mark.now), Some(account.now));
        assert!(account.floor > Nanos(3 * 50_000_000) && account.floor <= account.now, "{account:?}");
        let online = ledger.messages.iter().filter(|sent| sent.phase == Phase::Online);
        assert!(online.clone().all(|sent| sent.arrives_at.0 >= sent.sent_at.0 + 50_000_000));
        // Three messages, each one layer's: each leaves when the one before has come from the other side.
        let sent: Vec<u64> = online.map(|sent| sent.sent_at.0).collect();
        assert!(sent.len() == 3 && sent.is_sorted() && sent[0] >= 2_000_000, "{sent:?}");
        let marks: Vec<u64> =
            (1..=2).map(|layer| ledger.marks.iter().find(|mark| mark.layer == layer).expect("left").now.0).collect();
        assert!(marks[0] > sent[0] && marks[0] < sent[1] && marks[1] < sent[2], "{marks:?} {sent:?}");
    }
    assert!(run.ledgers[1].path(Phase::Online).layer(1).bandwidth > Nanos(24_000_000));
}
