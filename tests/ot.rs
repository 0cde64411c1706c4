//! Oblivious transfer between real parties: every construction's outputs, and its declared cost against the meter.

mod harness;

use harness::wan;
use longhaul::crypto::{Block, Seed};
use longhaul::link::{Endpoint, Party, Phase, run_parties};
use longhaul::protocol::ot::OtExtension;
use longhaul::protocol::ot::random::{self, PadHash, RandomOtReceiver, RandomOtSender};
use longhaul::protocol::{MaterialStore, PhaseCost, ProtocolError, Session};

/// Runs both ends in sessions, the server as the sender; what they returned and what setup and offline cost.
fn run<S: Send, C: Send>(
    seed: u64,
    sender: impl Fn(&mut Session) -> Result<S, ProtocolError> + Sync,
    receiver: impl Fn(&mut Session) -> Result<C, ProtocolError> + Sync,
) -> (S, C, [PhaseCost; 3]) {
    fn session(endpoint: &mut Endpoint, seed: u64) -> Session<'_> {
        Session::new(endpoint, Seed::from_u64(seed), MaterialStore::new(1 << 20))
    }
    let run = run_parties(
        &wan(),
        |endpoint| sender(&mut session(endpoint, seed)),
        |endpoint| receiver(&mut session(endpoint, seed)),
        |_| Ok(()),
    )
    .unwrap_or_else(|e| panic!("{e}"));
    let [server, client, _] = &run.ledgers;
    let costs = [Phase::Setup, Phase::Offline, Phase::Online].map(|phase| PhaseCost {
        rounds: server.depth(phase).max(client.depth(phase)),
        up: client.bytes(phase, Party::Server),
        down: server.bytes(phase, Party::Client),
    });
    (run.server, run.client, costs)
}

#[test]
fn extensions_give_correlated_transfers_at_the_declared_cost() {
    for &(name, extension) in OtExtension::ALL {
        assert_eq!(extension.name(), name);
        for words in [1usize, 3, 130] {
            let choices: Vec<u64> = Seed::from_u64(9).prg().words(words);
            let n = 64 * words;
            let sender = |session: &mut Session| {
                let mut cot = extension.sender(session)?;
                session.enter(Phase::Offline, 0)?;
                cot.reserve(session, n)?;
                Ok((cot.delta(), cot.extend(session, n)?))
            };
            let receiver = |session: &mut Session| {
                let mut cot = extension.receiver(session)?;
                session.enter(Phase::Offline, 0)?;
                cot.reserve(session, n)?;
                cot.extend(session, &choices)
            };
            let ((delta, q), t, costs) = run(1, sender, receiver);
            assert!(delta.lsb() && q.len() == n && t.len() == n, "{name}");
            for j in 0..n {
                let choice = choices[j / 64] >> (j % 64) & 1 == 1;
                assert_eq!(q[j] ^ t[j], delta.if_bit(choice), "{name}: transfer {j} of {n}");
            }
            assert_eq!(costs[0], extension.setup_cost(), "{name}: setup");
            assert_eq!(costs[1], extension.cost(n as u64), "{name}: {n} transfers");
        }
    }
}

#[test]
fn offsets_and_outputs_differ_between_seeds() {
    for &(name, extension) in OtExtension::ALL {
        let outputs = [1, 2, 1].map(|seed| {
            let sender = |session: &mut Session| {
                let mut cot = extension.sender(session)?;
                cot.reserve(session, 64)?;
                Ok((cot.delta(), cot.extend(session, 64)?))
            };
            let receiver = |session: &mut Session| {
                let mut cot = extension.receiver(session)?;
                cot.reserve(session, 64)?;
                cot.extend(session, &[0])
            };
            run(seed, sender, receiver).0
        });
        assert!(outputs[0] == outputs[2] && outputs[0].0 != outputs[1].0, "{name}");
        let first: Vec<Block> = outputs.iter().map(|(_, q)| q[0]).collect();
        assert_ne!(first[0], first[1], "{name}");
    }
}

#[test]
fn random_transfers_are_derandomised_over_a_session() {
    let (bits, width) = (4, 2);
    for n in [0usize, 1, 65, 1000] {
        let messages: Vec<u64> = (0..(n << bits) as u64).map(|i| i % 7 % 4).collect();
        let choices: Vec<u8> = (0..n).map(|j| (5 * j % 16) as u8).collect();
        let sender = |session: &mut Session| {
            let mut cot = OtExtension::default().sender(session)?;
            session.enter(Phase::Offline, 0)?;
            let ots = RandomOtSender::prepare(session, &mut *cot, &mut PadHash::new([3; 16]), n, bits)?;
            session.enter(Phase::Online, 0)?;
            let corrections = if n == 0 { Vec::new() } else { session.recv(random::correction_bytes(n, bits))? };
            let masked = ots.derandomise(&corrections, &messages, width)?;
            if n > 0 {
                session.send(masked)?
            }
            Ok(())
        };
        let receiver = |session: &mut Session| {
            let mut cot = OtExtension::default().receiver(session)?;
            session.enter(Phase::Offline, 0)?;
            let ots = RandomOtReceiver::prepare(session, &mut *cot, &mut PadHash::new([3; 16]), n, bits)?;
            session.enter(Phase::Online, 0)?;
            let (ots, corrections) = ots.choose(choices.clone());
            if n > 0 {
                session.send(corrections)?
            }
            let masked = if n == 0 { Vec::new() } else { session.recv(random::message_bytes(n, bits, width))? };
            Ok(ots.open(&masked, width)?)
        };
        let ((), chosen, costs) = run(4, sender, receiver);
        let expected = choices.iter().enumerate().map(|(j, &x)| messages[(j << bits) + usize::from(x)]);
        assert_eq!(chosen, expected.collect::<Vec<_>>());
        let transfers = random::transfers(n, bits) as u64;
        let (offline, online) = (OtExtension::default().cost(transfers), [n * bits, (n * width) << bits]);
        assert_eq!(costs[1].up, offline.up);
        assert_eq!([costs[2].up, costs[2].down], online.map(|bits| bits.div_ceil(8) as u64));
        assert_eq!([costs[1].rounds, costs[2].rounds], if n == 0 { [0, 0] } else { [1, 2] });
    }
}
