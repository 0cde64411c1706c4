//! One phase over links whose directions depend on each other: everything in the order of time.
//!
//! A party's next call and what happens on the connections are events in one queue. Equal times are taken in the order in
//! which they were put there, so that the result depends on nothing but the execution and the link.

use super::Party;
use super::model::{Connection, Happening, Side, What};
use super::replay::{Kind, Operation, PhaseSchedule, ReplayLink, direction_index, scaled};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// A message that has not arrived.
const NEVER: u64 = u64::MAX;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A party goes on.
    Party(u8),
    /// Something happens on a connection.
    Arrives(u8, u8),
    Acknowledged(u8, u8),
    Delivered(u8, u8),
}

/// A party on its way through its operations.
#[derive(Default)]
struct Walker {
    operations: Vec<Operation>,
    next: usize,
    clock: u64,
    /// The next operation's computing is done.
    is_computed: bool,
    /// For which message it waits.
    awaits: Option<u32>,
}

struct Simulation<'a> {
    link: &'a ReplayLink,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    put: u64,
    walkers: [Walker; 3],
    /// Between server and client, server and dealer, client and dealer.
    connections: [Option<Box<dyn Connection>>; 3],
    /// Messages on their way, by [`direction_index`].
    under_way: [VecDeque<u32>; 9],
    happenings: Vec<Happening>,
}

/// The parties' clocks at the end; `arrivals` is told when each message arrives.
pub(super) fn simulate(phase: &PhaseSchedule, link: &ReplayLink, arrivals: &mut [u64]) -> [u64; 3] {
    arrivals.fill(NEVER);
    let mut simulation = Simulation {
        link,
        events: BinaryHeap::new(),
        put: 0,
        walkers: Default::default(),
        connections: Default::default(),
        under_way: Default::default(),
        happenings: Vec::new(),
    };
    for operation in &phase.operations {
        simulation.walkers[usize::from(operation.party)].operations.push(*operation);
    }
    (0..3).for_each(|party| simulation.put(0, Event::Party(party)));
    while let Some(Reverse((at, _, event))) = simulation.events.pop() {
        simulation.take(at, event, arrivals);
    }
    simulation.walkers.map(|walker| walker.clock)
}

impl Simulation<'_> {
    fn put(&mut self, at: u64, event: Event) {
        self.put += 1;
        self.events.push(Reverse((at, self.put, event)));
    }

    fn take(&mut self, at: u64, event: Event, arrivals: &mut [u64]) {
        match event {
            Event::Party(party) => self.walk(usize::from(party), arrivals),
            Event::Arrives(pair, side) => self.happen(at, pair, side, What::Arrives),
            Event::Acknowledged(pair, side) => self.happen(at, pair, side, What::Acknowledged),
            Event::Delivered(pair, side) => {
                let [from, to] = sides(pair, side);
                let message = self.under_way[direction_index(from, to)].pop_front().expect("it was sent");
                arrivals[message as usize] = at;
                let walker = &mut self.walkers[to.index()];
                if walker.awaits == Some(message) {
                    walker.awaits = None;
                    walker.clock = walker.clock.max(at);
                    walker.next += 1;
                    walker.is_computed = false;
                    self.walk(to.index(), arrivals);
                }
            }
        }
    }

    fn happen(&mut self, at: u64, pair: u8, side: u8, what: What) {
        let connection = self.connections[usize::from(pair)].as_mut().expect("it was there before");
        connection.happen(Happening { at, side: usize::from(side), what }, &mut self.happenings);
        self.note(pair);
    }

    /// Puts what will happen on a connection into the queue.
    fn note(&mut self, pair: u8) {
        for Happening { at, side, what } in std::mem::take(&mut self.happenings) {
            let side = side as u8;
            let event = match what {
                What::Arrives => Event::Arrives(pair, side),
                What::Acknowledged => Event::Acknowledged(pair, side),
                What::Delivered => Event::Delivered(pair, side),
            };
            self.put(at, event);
        }
    }

    /// A party goes on until it has computed something, or has to wait. Its clock is the time now.
    fn walk(&mut self, party: usize, arrivals: &[u64]) {
        loop {
            let walker = &mut self.walkers[party];
            let Some(&operation) = walker.operations.get(walker.next) else { return };
            if !walker.is_computed {
                walker.is_computed = true;
                let computing = scaled(operation.compute, self.link.compute_scale);
                if computing > 0 {
                    walker.clock += computing;
                    let clock = walker.clock;
                    return self.put(clock, Event::Party(party as u8));
                }
            }
            match operation.act {
                Kind::Compute => {}
                Kind::Send { direction } => {
                    let sent_at = walker.clock;
                    self.send(operation, usize::from(direction), sent_at);
                }
                Kind::Receive if arrivals[operation.message as usize] == NEVER => {
                    walker.awaits = Some(operation.message);
                    return;
                }
                // It has come before.
                Kind::Receive => {}
            }
            let walker = &mut self.walkers[party];
            walker.next += 1;
            walker.is_computed = false;
        }
    }

    fn send(&mut self, operation: Operation, direction: usize, sent_at: u64) {
        let (from, to) = (Party::ALL[direction / 3], Party::ALL[direction % 3]);
        let (pair, side) = pair(from, to);
        let link = self.link;
        let connection = self.connections[usize::from(pair)].get_or_insert_with(|| {
            let over = [0, 1].map(|side| match sides(pair, side)[0] {
                Party::Client => &link.up,
                Party::Server | Party::Dealer => &link.down,
            });
            (link.model.connect.expect("the model has connections"))(over)
        });
        self.under_way[direction].push_back(operation.message);
        connection.send(side, sent_at, operation.bytes, &mut self.happenings);
        self.note(pair);
    }
}

/// The connection between two parties, and the sender's side of it.
fn pair(from: Party, to: Party) -> (u8, Side) {
    let pair = (from.index() + to.index() - 1) as u8;
    (pair, usize::from(from > to))
}

/// Sender and receiver of a side.
fn sides(pair: u8, side: u8) -> [Party; 2] {
    let [first, second] = match pair {
        0 => [Party::Server, Party::Client],
        1 => [Party::Server, Party::Dealer],
        _ => [Party::Client, Party::Dealer],
    };
    if side == 0 { [first, second] } else { [second, first] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{Act, Event as Recorded, LinkParameters, Phase, Schedule, TcpParameters, find_model};
    use crate::units::{BitRate, Bytes, Nanos};
    use proptest::prelude::*;

    fn over(model: &str, up: LinkParameters, down: LinkParameters) -> ReplayLink {
        ReplayLink { model: find_model(model).expect("registered"), up, down, compute_scale: 1.0 }
    }

    fn event(act: Act, compute: u64) -> Recorded {
        Recorded { phase: Phase::Online, layer: 0, compute: Nanos(compute), act }
    }

    /// Both parties send messages, each after some computing, and then receive the other's. Arrivals at client and server.
    fn crossing(sends: &[Vec<(u64, u64)>; 2], link: &ReplayLink) -> [Vec<u64>; 2] {
        let events = |mine: usize, peer: Party| -> Vec<Recorded> {
            let send = |&(gap, bytes): &(u64, u64)| event(Act::Send { to: peer, bytes }, gap);
            let receive = sends[1 - mine].iter().map(|_| event(Act::Receive { from: peer }, 0));
            sends[mine].iter().map(send).chain(receive).collect()
        };
        let (server, client) = (events(0, Party::Client), events(1, Party::Server));
        let schedule = Schedule::new([&server, &client, &[]]).expect("an execution");
        let mut arrivals = Vec::new();
        schedule.clocks(Phase::Online, link, &mut arrivals);
        let of = |party: Party| {
            let mine = |operation: &&Operation| {
                usize::from(operation.party) == party.index() && matches!(operation.act, Kind::Send { .. })
            };
            let operations = schedule.operations(Phase::Online).iter().filter(mine);
            operations.map(|operation| arrivals[operation.message as usize]).collect()
        };
        [of(Party::Server), of(Party::Client)]
    }

    fn ms(latency: u64, mbit: u64) -> LinkParameters {
        let tcp = TcpParameters { max_window: Bytes(64 << 20), ..TcpParameters::default() };
        LinkParameters { tcp, ..LinkParameters::new(Nanos(latency * 1_000_000), BitRate(mbit * 1_000_000)) }
    }

    #[test]
    fn acknowledgements_wait_behind_data() {
        let link = over("tcp", ms(1, 10), ms(1, 10));
        let eleven = 11 * 1448;
        // Ten segments take 12 ms at 10 Mbit/s. Alone, the first one's acknowledgement is back before they have left, and the
        // eleventh leaves right behind them.
        let [alone, _] = crossing(&[vec![(0, eleven)], vec![]], &link);
        assert_eq!(alone, [12_000_000 + 1_200_000 + 1_000_000]);
        // If the client sends ten at the same time, its acknowledgement waits until they have left, 12 ms.
        let [with, _] = crossing(&[vec![(0, eleven)], vec![(0, 10 * 1448)]], &link);
        assert!(with[0] >= 13_000_000 + 1_200_000 + 1_000_000, "{with:?}");
        // With a faster way back it does not wait; but the server acknowledges ten segments, 260 B, before the eleventh leaves.
        let fast = over("tcp", ms(1, 100), ms(1, 10));
        let [faster, _] = crossing(&[vec![(0, eleven)], vec![(0, 10 * 1448)]], &fast);
        assert_eq!(faster[0], alone[0] + 208_000);
    }

    #[test]
    fn a_busy_way_back_costs_more_than_its_bytes() {
        // 512 KB up while 512 KB come down, over 100 ms and 20 Mbit/s; the bytes of acknowledgements alone cost 0.3 ms.
        let link = over("tcp", ms(50, 20), ms(50, 20));
        let [_, alone] = crossing(&[vec![], vec![(0, 524_288)]], &link);
        let [_, with] = crossing(&[vec![(0, 524_288)], vec![(0, 524_288)]], &link);
        assert!(with[0] > alone[0] + 20_000_000, "{with:?} {alone:?}");
    }

    fn links() -> impl Strategy<Value = LinkParameters> {
        let tcp =
            (1u64..20, 20_000u64..10_000_000, prop::option::of(10_000u64..1_000_000), any::<[bool; 2]>(), 0.0f64..0.02);
        let jitter = prop_oneof![Just(0), 0u64..20_000_000];
        (0u64..50_000_000, 10_000u64..10_000_000_000, jitter, any::<u64>(), tcp).prop_map(
            |(latency, rate, jitter, seed, (initial_window, max_window, queue, [idle_restart, warm], loss))| {
                let max_window = Bytes(max_window);
                let queue = queue.map(Bytes);
                let tcp = TcpParameters { initial_window, max_window, queue, idle_restart, warm, loss };
                let base = LinkParameters::new(Nanos(latency), BitRate(rate));
                LinkParameters { packet_payload: Some(Bytes(1448)), jitter: Nanos(jitter), seed, tcp, ..base }
            },
        )
    }

    fn sends() -> impl Strategy<Value = [Vec<(u64, u64)>; 2]> {
        let one = || prop::collection::vec((0u64..5_000_000, 0u64..200_000), 0..10);
        (one(), one()).prop_map(|(server, client)| [server, client])
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        /// In order, and never before latency and rate alone would have it, whatever goes the other way.
        #[test]
        fn both_directions_are_physical_links(sends in sends(), up in links(), down in links()) {
            let coupled = crossing(&sends, &over("tcp", up, down));
            let plain = |link: LinkParameters| LinkParameters { jitter: Nanos(0), ..link };
            let ideal = crossing(&sends, &over("ideal", plain(up), plain(down)));
            for (coupled, ideal) in coupled.iter().zip(&ideal) {
                prop_assert!(coupled.is_sorted());
                prop_assert!(coupled.iter().zip(ideal).all(|(coupled, ideal)| coupled >= ideal));
            }
        }

        /// With nothing to wait behind, a direction is what it is alone.
        #[test]
        fn a_free_way_back_changes_nothing(server in prop::collection::vec((0u64..5_000_000, 0u64..200_000), 1..10), link in links()) {
            let tcp = TcpParameters { warm: false, ..link.tcp };
            let free = LinkParameters { rate: BitRate::UNLIMITED, tcp, ..link };
            let [coupled, _] = crossing(&[server.clone(), vec![]], &over("tcp", free, link));
            let mut alone = find_model("tcp").expect("registered").direction(&link);
            let mut now = 0;
            for ((gap, bytes), arrived) in server.into_iter().zip(coupled) {
                now += gap;
                prop_assert_eq!(alone.arrival(Nanos(now), bytes), Nanos(arrived));
            }
        }
    }

    #[test]
    fn pairs_and_sides_name_each_other() {
        for from in Party::ALL {
            for to in Party::ALL.into_iter().filter(|to| *to != from) {
                let (pair, side) = pair(from, to);
                assert_eq!(sides(pair, side as u8), [from, to]);
            }
        }
    }
}
