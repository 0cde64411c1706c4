//! Times of an execution under any link, from what its parties did: nothing is executed again.
//!
//! A party's clock depends on what it computed, on the order of its calls and on the arrivals it waits for (`endpoint`).
//! Order and computing are in its [`Event`]s, arrivals follow from the link model. A [`Schedule`] puts the parties' events in
//! an order in which every message is sent before it is received; going through it once gives every clock (where the two directions of
//! a link depend on each other, `simulate` goes through it in the order of time), to the nanosecond
//! what a run on the virtual clock with the same computing times gives.

use super::ledger::{Act, Event};
use super::simulate::simulate;
use super::{LinkModel, LinkParameters, ModelEntry, Party, Phase};
use crate::units::Nanos;
use std::collections::VecDeque;

/// A link, to time a [`Schedule`] with.
#[derive(Clone, Copy)]
pub struct ReplayLink {
    /// Which link model.
    pub model: &'static ModelEntry,
    /// Client to server.
    pub up: LinkParameters,
    /// Server to client, and the dealer to either.
    pub down: LinkParameters,
    /// Computing takes so many times as long as it did.
    pub compute_scale: f64,
}

/// The parties' clocks at the end of a phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhaseClocks {
    /// By [`Party`].
    pub parties: [Nanos; 3],
}

/// Why events are no execution.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Somebody waits for what is never sent.
    #[error("the {party} waits for a message from the {from} in the {phase} phase that is never sent")]
    NeverSent {
        /// Who waits.
        party: Party,
        /// For whom.
        from: Party,
        /// In which phase.
        phase: Phase,
    },
    /// Something is sent and never received.
    #[error("a message from the {from} to the {to} in the {phase} phase is never received")]
    NeverReceived {
        /// Sender.
        from: Party,
        /// Receiver.
        to: Party,
        /// In which phase.
        phase: Phase,
    },
    /// More messages than can be numbered.
    #[error("there are more than 4 billion messages")]
    TooMany,
}

/// One event with its message's place among those of its phase.
#[derive(Clone, Copy)]
pub(super) struct Operation {
    pub compute: u64,
    pub bytes: u64,
    /// Of the phase's messages.
    pub message: u32,
    pub party: u8,
    pub act: Kind,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Compute,
    Send { direction: u8 },
    Receive,
}

#[derive(Clone, Default)]
pub(super) struct PhaseSchedule {
    pub operations: Vec<Operation>,
    messages: u32,
    rounds: u32,
    /// By [`direction_index`].
    bytes: [u64; 9],
    /// What each party computed since its last operation.
    pending: [u64; 3],
}

/// An execution in an order in which it can be timed, phase by phase.
#[derive(Clone)]
pub struct Schedule {
    phases: [PhaseSchedule; 3],
}

pub(super) fn direction_index(from: Party, to: Party) -> usize {
    3 * from.index() + to.index()
}

/// Messages on their way while the order is sought: number and depth, by phase and direction.
type UnderWay = [[VecDeque<(u32, u32)>; 9]; 3];

impl Schedule {
    /// Orders the events of server, client and dealer.
    ///
    /// # Errors
    /// [`ScheduleError`] if they are no execution.
    pub fn new(events: [&[Event]; 3]) -> Result<Schedule, ScheduleError> {
        let mut schedule = Schedule { phases: Default::default() };
        let mut under_way = UnderWay::default();
        let mut depths = [[0u32; 3]; 3];
        let mut next = [0usize; 3];
        loop {
            let before = next;
            for party in Party::ALL {
                let mine = events[party.index()];
                while let Some(event) = mine.get(next[party.index()]) {
                    let depth = &mut depths[event.phase.index()][party.index()];
                    if !schedule.phases[event.phase.index()].add(party, event, depth, &mut under_way)? {
                        break;
                    }
                    next[party.index()] += 1;
                }
            }
            if next == before {
                break;
            }
        }
        schedule.phases.iter_mut().for_each(PhaseSchedule::finish);
        for party in Party::ALL {
            if let Some(&Event { phase, act: Act::Receive { from }, .. }) =
                events[party.index()].get(next[party.index()])
            {
                return Err(ScheduleError::NeverSent { party, from, phase });
            }
        }
        for (phase, from, to) in directions() {
            if !under_way[phase.index()][direction_index(from, to)].is_empty() {
                return Err(ScheduleError::NeverReceived { from, to, phase });
            }
        }
        Ok(schedule)
    }

    /// Largest causal depth of a phase's messages.
    pub fn rounds(&self, phase: Phase) -> u32 {
        self.phases[phase.index()].rounds
    }

    /// Payload bytes of a phase.
    pub fn bytes(&self, phase: Phase, from: Party, to: Party) -> u64 {
        self.phases[phase.index()].bytes[direction_index(from, to)]
    }

    /// Messages of a phase, all directions.
    pub fn messages(&self, phase: Phase) -> u64 {
        u64::from(self.phases[phase.index()].messages)
    }

    /// What the parties compute in a phase, by [`Party`].
    pub fn computing(&self, phase: Phase) -> [Nanos; 3] {
        let mut sums = [Nanos(0); 3];
        for operation in &self.phases[phase.index()].operations {
            sums[usize::from(operation.party)].0 += operation.compute;
        }
        sums
    }

    /// A phase's operations, every message sent before it is received.
    pub(super) fn operations(&self, phase: Phase) -> &[Operation] {
        &self.phases[phase.index()].operations
    }

    /// The clocks at the end of `phase` over `link`. `arrivals` is working memory, to be used again.
    pub fn clocks(&self, phase: Phase, link: &ReplayLink, arrivals: &mut Vec<u64>) -> PhaseClocks {
        let PhaseSchedule { operations, messages, .. } = &self.phases[phase.index()];
        arrivals.clear();
        arrivals.resize(*messages as usize, 0);
        if link.model.connect.is_some() {
            return PhaseClocks { parties: simulate(&self.phases[phase.index()], link, arrivals).map(Nanos) };
        }
        let mut directions: [Option<Box<dyn LinkModel>>; 9] = Default::default();
        let mut now = [0u64; 3];
        for operation in operations {
            let clock = &mut now[usize::from(operation.party)];
            *clock += scaled(operation.compute, link.compute_scale);
            match operation.act {
                Kind::Compute => {}
                Kind::Send { direction } => {
                    let model = directions[usize::from(direction)].get_or_insert_with(|| {
                        let is_up = usize::from(operation.party) == Party::Client.index();
                        link.model.direction(if is_up { &link.up } else { &link.down })
                    });
                    arrivals[operation.message as usize] = model.arrival(Nanos(*clock), operation.bytes).0;
                }
                Kind::Receive => *clock = (*clock).max(arrivals[operation.message as usize]),
            }
        }
        PhaseClocks { parties: now.map(Nanos) }
    }

    /// How long `phase` takes over `link`: online until the client has its logits, else until the last party is done.
    pub fn time(&self, phase: Phase, link: &ReplayLink, arrivals: &mut Vec<u64>) -> Nanos {
        let PhaseClocks { parties } = self.clocks(phase, link, arrivals);
        match phase {
            Phase::Online => parties[Party::Client.index()],
            Phase::Setup | Phase::Offline => parties.into_iter().max().expect("three parties"),
        }
    }
}

impl PhaseSchedule {
    /// Puts an event at the end, unless it waits for a message that is not yet sent.
    fn add(
        &mut self,
        party: Party,
        event: &Event,
        depth: &mut u32,
        under_way: &mut UnderWay,
    ) -> Result<bool, ScheduleError> {
        let under_way = &mut under_way[event.phase.index()];
        let (message, bytes, act) = match event.act {
            Act::Leave => {
                self.pending[party.index()] += event.compute.0;
                return Ok(true);
            }
            Act::Send { to, bytes } => {
                let (direction, message) = (direction_index(party, to), self.messages);
                under_way[direction].push_back((message, *depth + 1));
                self.messages = message.checked_add(1).ok_or(ScheduleError::TooMany)?;
                self.rounds = self.rounds.max(*depth + 1);
                self.bytes[direction] += bytes;
                (message, bytes, Kind::Send { direction: direction as u8 })
            }
            Act::Receive { from } => {
                let Some((message, sent_depth)) = under_way[direction_index(from, party)].pop_front() else {
                    return Ok(false);
                };
                *depth = (*depth).max(sent_depth);
                (message, 0, Kind::Receive)
            }
        };
        let compute = std::mem::take(&mut self.pending[party.index()]) + event.compute.0;
        self.operations.push(Operation { compute, bytes, message, party: party.index() as u8, act });
        Ok(true)
    }

    /// After the last event: what is computed after a party's last message.
    fn finish(&mut self) {
        for party in Party::ALL {
            let compute = std::mem::take(&mut self.pending[party.index()]);
            let party = party.index() as u8;
            self.operations.push(Operation { compute, bytes: 0, message: 0, party, act: Kind::Compute });
        }
    }
}

fn directions() -> impl Iterator<Item = (Phase, Party, Party)> {
    let pairs = || Party::ALL.into_iter().flat_map(|from| Party::ALL.into_iter().map(move |to| (from, to)));
    Phase::ALL.into_iter().flat_map(move |phase| pairs().map(move |(from, to)| (phase, from, to)))
}

pub(super) fn scaled(compute: u64, scale: f64) -> u64 {
    if scale == 1.0 { compute } else { (compute as f64 * scale).round() as u64 }
}
