//! The clocks of an execution whose link model needs to know both directions: set after the fact, from what the parties did.
//!
//! While the parties run on the virtual clock, one after the other, nobody knows yet what the others will have sent by the time a
//! message arrives. When all is done it is known; what an endpoint would have noted on its way is noted then.

use super::ledger::{Act, Ledger};
use super::replay::{Kind, ReplayLink, Schedule};
use super::{CriticalPath, LinkConfig, Party, Phase};
use crate::units::Nanos;
use std::collections::VecDeque;
use std::sync::Arc;

/// A party's clock in one phase.
#[derive(Default)]
struct Clock {
    now: u64,
    path: CriticalPath,
}

/// One direction in one phase.
#[derive(Default)]
struct Direction {
    /// When its messages arrive, in order.
    arrivals: VecDeque<u64>,
    /// The last message's arrival and path.
    last: (u64, Arc<CriticalPath>),
    /// Sent and not received.
    under_way: VecDeque<(u64, Arc<CriticalPath>)>,
}

/// How far a party is.
#[derive(Default)]
struct Progress {
    event: usize,
    message: usize,
    mark: usize,
}

/// Sets every time in the ledgers of server, client and dealer.
pub(super) fn retime(ledgers: &mut [Ledger; 3], config: &LinkConfig) {
    let schedule = Schedule::new(ledgers.each_ref().map(|ledger| &ledger.events[..]));
    let schedule = schedule.expect("an execution that has ended is one");
    let link = ReplayLink { model: config.model, up: config.up, down: config.down, compute_scale: 1.0 };
    let mut directions: [[[Direction; 3]; 3]; 3] = Default::default();
    let mut arrivals = Vec::new();
    for phase in Phase::ALL {
        let floors = schedule.clocks(phase, &ReplayLink { compute_scale: 0.0, ..link }, &mut arrivals);
        for (ledger, floor) in ledgers.iter_mut().zip(floors.parties) {
            ledger.accounts[phase.index()].floor = floor;
        }
        schedule.clocks(phase, &link, &mut arrivals);
        for operation in schedule.operations(phase) {
            if let Kind::Send { direction } = operation.act {
                let (from, to) = (usize::from(direction) / 3, usize::from(direction) % 3);
                let arrival = arrivals[operation.message as usize];
                directions[phase.index()][from][to].arrivals.push_back(arrival);
            }
        }
    }
    let mut clocks: [[Clock; 3]; 3] = Default::default();
    let mut progress: [Progress; 3] = Default::default();
    loop {
        let mut moved = false;
        for party in Party::ALL {
            let (ledger, clocks) = (&mut ledgers[party.index()], &mut clocks[party.index()]);
            while step(party, ledger, clocks, &mut directions, &mut progress[party.index()], config) {
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    for (ledger, clocks) in ledgers.iter_mut().zip(clocks) {
        for (phase, clock) in clocks.into_iter().enumerate() {
            ledger.accounts[phase].now = Nanos(clock.now);
            ledger.paths[phase] = clock.path;
        }
    }
}

/// A party's next event; false if there is none, or it waits for a message that was not sent yet.
fn step(
    me: Party,
    ledger: &mut Ledger,
    clocks: &mut [Clock; 3],
    directions: &mut [[[Direction; 3]; 3]; 3],
    progress: &mut Progress,
    config: &LinkConfig,
) -> bool {
    // A party leaves a layer after what it did for it.
    while let Some(mark) = ledger.marks.get_mut(progress.mark).filter(|mark| mark.events <= progress.event) {
        mark.now = Nanos(clocks[mark.phase.index()].now);
        progress.mark += 1;
    }
    let Some(&event) = ledger.events.get(progress.event) else { return false };
    let directions = &mut directions[event.phase.index()];
    let clock = &mut clocks[event.phase.index()];
    if let Act::Receive { from } = event.act
        && directions[from.index()][me.index()].under_way.is_empty()
    {
        return false;
    }
    clock.now += event.compute.0;
    clock.path.compute(me, event.layer, event.compute);
    match event.act {
        Act::Leave => {}
        Act::Send { to, .. } => {
            let direction = &mut directions[me.index()][to.index()];
            let arrives_at = direction.arrivals.pop_front().expect("every message has an arrival");
            let latency = config.parameters(me).latency;
            let (before, path) = &direction.last;
            let path = match *before > clock.now + latency.0 {
                true => path.queued(event.layer, Nanos(arrives_at - before)),
                false => clock.path.sent(event.layer, Nanos(arrives_at - clock.now), latency),
            };
            direction.last = (arrives_at, Arc::new(path));
            direction.under_way.push_back(direction.last.clone());
            let sent = &mut ledger.messages[progress.message];
            (sent.sent_at, sent.arrives_at) = (Nanos(clock.now), Nanos(arrives_at));
            progress.message += 1;
        }
        Act::Receive { from } => {
            let direction = &mut directions[from.index()][me.index()];
            let (arrives_at, path) = direction.under_way.pop_front().expect("just seen");
            if clock.now < arrives_at {
                clock.now = arrives_at;
                clock.path.clone_from(&path);
            }
        }
    }
    progress.event += 1;
    true
}
