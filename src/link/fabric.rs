//! Carries messages between the parties' threads.
//!
//! Three jobs in one place, because they need the same knowledge of who is waiting for what:
//!
//! * **who runs**: under the virtual clock only one party computes at a time, so that parties on one
//!   small machine do not slow each other down. A party keeps its turn until it blocks.
//! * **bounded memory**: a sender blocks while the receiver has more than `capacity` bytes unread. Time is
//!   stamped before, so the bound never shows in virtual time. If everybody is blocked and somebody only
//!   for room, that one may exceed the bound (Parks, *Bounded Scheduling of Process Networks*, 1995): a
//!   simultaneous exchange larger than the bound cannot deadlock.
//! * **nothing hangs**: if everybody waits for a message, that is an error that says who waits for whom;
//!   the first failure of any party wakes and stops all others.

use super::transport::{Expected, Message, Transport};
use super::{ClockMode, LinkError, Party, Phase};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How often a blocked party looks whether the user has asked to stop.
const CANCEL_POLL: Duration = Duration::from_millis(50);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Ready,
    Running,
    AwaitingMessage(Party),
    AwaitingRoom(Party),
    AwaitingPhase(Phase),
    Finished,
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<Message>,
    bytes: u64,
}

struct State {
    queues: [[Queue; 3]; 3],
    status: [Status; 3],
    failure: Option<LinkError>,
    epochs: [Option<Instant>; 3],
}

pub(super) struct Fabric {
    mode: ClockMode,
    capacity: u64,
    cancel: CancellationToken,
    state: Mutex<State>,
    wake: [Condvar; 3],
}

impl Fabric {
    pub(super) fn new(mode: ClockMode, capacity: u64, cancel: CancellationToken) -> Fabric {
        let state = State { queues: Default::default(), status: [Status::Ready; 3], failure: None, epochs: [None; 3] };
        Fabric { mode, capacity, cancel, state: Mutex::new(state), wake: Default::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while holding the fabric's lock")
    }

    /// Leaves for good; whoever waits for `me` learns of it.
    pub(super) fn finish(&self, me: Party) {
        let mut state = self.lock();
        state.status[me.index()] = Status::Finished;
        for other in Party::ALL {
            if state.status[other.index()] == Status::AwaitingMessage(me) {
                self.make_ready(&mut state, other);
            }
        }
        self.settle(&mut state);
    }

    /// Records the first failure and stops everybody.
    pub(super) fn fail(&self, party: Party, cause: String) {
        let mut state = self.lock();
        self.stop(&mut state, LinkError::PeerFailed { party, cause });
    }

    /// The first failure, if any.
    pub(super) fn failure(&self) -> Option<LinkError> {
        self.lock().failure.clone()
    }

    /// Bytes sent but never received, in the first channel that has any.
    pub(super) fn unread(&self) -> Option<LinkError> {
        let state = self.lock();
        let pairs = Party::ALL.into_iter().flat_map(|from| Party::ALL.into_iter().map(move |to| (from, to)));
        pairs
            .map(|(from, to)| (from, to, &state.queues[from.index()][to.index()]))
            .find(|(_, _, queue)| !queue.messages.is_empty())
            .map(|(from, to, queue)| LinkError::Unread { from, to, bytes: queue.bytes })
    }

    fn check(&self, state: &State) -> Result<(), LinkError> {
        match &state.failure {
            Some(failure) => Err(failure.clone()),
            None if self.cancel.is_cancelled() => Err(LinkError::Cancelled),
            None => Ok(()),
        }
    }

    /// Gives the turn away and returns when `me` runs again.
    fn block<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        me: Party,
        status: Status,
    ) -> Result<MutexGuard<'a, State>, LinkError> {
        state.status[me.index()] = status;
        if status == Status::Ready {
            self.make_ready(&mut state, me);
        }
        self.settle(&mut state);
        while state.status[me.index()] != Status::Running {
            self.check(&state)?;
            (state, _) = self.wake[me.index()]
                .wait_timeout(state, CANCEL_POLL)
                .expect("no code panics while holding the fabric's lock");
        }
        self.check(&state)?;
        Ok(state)
    }

    /// `party`'s reason to wait is gone: it runs at once, or under the virtual clock when its turn comes.
    fn make_ready(&self, state: &mut State, party: Party) {
        state.status[party.index()] = match self.mode {
            ClockMode::Virtual => Status::Ready,
            ClockMode::Wall | ClockMode::Real => Status::Running,
        };
        self.wake[party.index()].notify_one();
    }

    /// After `party` stopped running: picks the next one, or resolves a stall.
    fn settle(&self, state: &mut State) {
        if state.status.contains(&Status::Running) || state.failure.is_some() {
            return;
        }
        if let Some(next) = Party::ALL.into_iter().find(|p| state.status[p.index()] == Status::Ready) {
            state.status[next.index()] = Status::Running;
            self.wake[next.index()].notify_one();
            return;
        }
        self.resolve_stall(state);
    }

    /// Nobody runs and nobody could.
    fn resolve_stall(&self, state: &mut State) {
        let waiting: Vec<(Party, Status)> = Party::ALL
            .into_iter()
            .map(|p| (p, state.status[p.index()]))
            .filter(|(_, status)| *status != Status::Finished)
            .collect();
        let Some(&(_, first)) = waiting.first() else {
            return;
        };
        let for_room = waiting
            .iter()
            .filter_map(|&(p, status)| match status {
                Status::AwaitingRoom(to) => Some((state.queues[p.index()][to.index()].bytes, p)),
                _ => None,
            })
            .min();
        if let Some((_, party)) = for_room {
            self.make_ready(state, party);
            self.settle(state);
        } else if let Status::AwaitingPhase(phase) = first
            && waiting.iter().all(|&(_, status)| status == first)
        {
            state.epochs[phase.index()] = Some(Instant::now());
            for (party, _) in waiting {
                self.make_ready(state, party);
            }
            self.settle(state);
        } else {
            let waiting = waiting
                .into_iter()
                .map(|(party, status)| match status {
                    Status::AwaitingMessage(from) => {
                        format!("the {party} waits for a message from the {from}")
                    }
                    Status::AwaitingPhase(phase) => {
                        format!("the {party} waits for the {phase} phase")
                    }
                    other => format!("the {party} is {other:?}"),
                })
                .collect::<Vec<_>>()
                .join(", ");
            self.stop(state, LinkError::Deadlock { waiting });
        }
    }

    fn stop(&self, state: &mut State, failure: LinkError) {
        state.failure.get_or_insert(failure);
        for condvar in &self.wake {
            condvar.notify_all();
        }
    }
}

impl Transport for Fabric {
    fn start(&self, me: Party) -> Result<(), LinkError> {
        let state = self.lock();
        self.block(state, me, Status::Ready).map(drop)
    }

    fn send(&self, me: Party, to: Party, message: Message) -> Result<(), LinkError> {
        let mut state = self.lock();
        self.check(&state)?;
        let queue = &state.queues[me.index()][to.index()];
        if !queue.messages.is_empty() && queue.bytes + message.bytes.len() as u64 > self.capacity {
            state = self.block(state, me, Status::AwaitingRoom(to))?;
        }
        let queue = &mut state.queues[me.index()][to.index()];
        queue.bytes += message.bytes.len() as u64;
        queue.messages.push_back(message);
        if state.status[to.index()] == Status::AwaitingMessage(me) {
            self.make_ready(&mut state, to);
        }
        Ok(())
    }

    fn recv(&self, me: Party, from: Party, expected: Expected) -> Result<Message, LinkError> {
        let phase = expected.phase;
        let mut state = self.lock();
        loop {
            self.check(&state)?;
            let queue = &mut state.queues[from.index()][me.index()];
            // Phases are separate accounts: what was sent in one never waits behind another.
            let next = queue.messages.iter().position(|message| message.phase == phase);
            if let Some(message) = next.and_then(|next| queue.messages.remove(next)) {
                queue.bytes -= message.bytes.len() as u64;
                let has_room = queue.bytes <= self.capacity / 2;
                if has_room && state.status[from.index()] == Status::AwaitingRoom(me) {
                    self.make_ready(&mut state, from);
                }
                expected.check(from, message.bytes.len())?;
                return Ok(message);
            }
            if state.status[from.index()] == Status::Finished {
                return Err(LinkError::Closed { me, peer: from, phase });
            }
            state = self.block(state, me, Status::AwaitingMessage(from))?;
        }
    }

    fn barrier(&self, me: Party, phase: Phase) -> Result<Instant, LinkError> {
        let state = self.lock();
        let state = self.block(state, me, Status::AwaitingPhase(phase))?;
        Ok(state.epochs[phase.index()].expect("the barrier sets the epoch before it opens"))
    }

    fn pause_until(&self, deadline: Instant) -> Result<(), LinkError> {
        while deadline.saturating_duration_since(Instant::now()) > CANCEL_POLL * 2 {
            std::thread::sleep(CANCEL_POLL);
            self.check(&self.lock())?;
        }
        super::wait_until(deadline);
        Ok(())
    }
}
