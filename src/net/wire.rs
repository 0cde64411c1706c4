//! A party's connections as the transport of its endpoint.

use super::frame::Frame;
use super::lane::{Failure, Incoming, LAST_WORDS, Lane, LaneOptions, Patience};
use super::tls::Connection;
use crate::link::{Expected, LinkError, Message, Party, Phase, Transport};
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// Longest ledger that a peer may send.
const MOST_LEDGER: u64 = 256 << 20;
/// Padding is sent in so many rounds.
const WARM_UP_ROUNDS: u64 = 5;

/// What a session's transport needs to know.
#[derive(Clone)]
pub(crate) struct WireOptions {
    pub me: Party,
    /// Bytes that a connection holds for this party, each way.
    pub capacity: u64,
    pub patience: Patience,
    /// Bytes of padding between server and client before the online phase.
    pub warm_up: u64,
    pub cancel: CancellationToken,
}

/// The connections of one session.
pub(crate) struct Wire {
    runtime: Handle,
    options: WireOptions,
    deadline: tokio::time::Instant,
    /// To each peer; a second one between server and client is that of the online phase.
    lanes: Vec<Lane>,
    failure: Arc<Failure>,
}

impl Wire {
    /// Starts what reads and writes.
    pub fn new(runtime: &Handle, options: WireOptions, connections: Vec<Connection>) -> Wire {
        let failure = Arc::new(Failure::default());
        let lane = |connection: Connection| {
            let padded = connection.peer != Party::Dealer && options.me != Party::Dealer;
            let lane = LaneOptions {
                capacity: usize::try_from(options.capacity).unwrap_or(usize::MAX),
                patience: options.patience,
                padding: if padded { options.warm_up } else { 0 },
            };
            Lane::new(runtime, connection, lane, &failure)
        };
        let lanes = connections.into_iter().map(lane).collect();
        let deadline = tokio::time::Instant::now() + options.patience.limit;
        Wire { runtime: runtime.clone(), options, deadline, lanes, failure }
    }

    /// The connection on which `phase` is spoken with `peer`.
    fn lane(&self, peer: Party, phase: Phase) -> &Lane {
        let mut lanes = self.lanes.iter().filter(|lane| lane.peer() == peer);
        let first = lanes.next().expect("a session has a connection to each peer");
        match phase {
            Phase::Online => lanes.next().unwrap_or(first),
            Phase::Setup | Phase::Offline => first,
        }
    }

    /// Waits for `work`, but no longer than anything that ends the session.
    fn wait<T>(&self, work: impl Future<Output = T>) -> Result<T, LinkError> {
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                done = work => Ok(done),
                () = self.failure.token.cancelled() => Err(self.failure.cause()),
                () = self.options.cancel.cancelled() => Err(LinkError::Cancelled),
                () = tokio::time::sleep_until(self.deadline) => {
                    Err(LinkError::TooLong { seconds: self.options.patience.limit.as_secs() })
                }
            }
        })
    }

    /// Queues a message once there is room. Two parties that both wait for room, and read nothing meanwhile, would wait for ever.
    fn queue(&self, lane: &Lane, header: Vec<u8>, bytes: Vec<u8>) -> Result<(), LinkError> {
        let silence = self.options.patience.silence;
        self.check()?;
        loop {
            let written = lane.written();
            match self.wait(async { tokio::time::timeout(silence, lane.room(bytes.len())).await })? {
                Ok(room) => {
                    lane.send(room, header, bytes);
                    return Ok(());
                }
                Err(_) if lane.is_full() && lane.written() == written => {
                    let (me, peer) = (self.options.me, lane.peer());
                    let waiting =
                        format!("the {me} and the {peer} both send more than [memory] in_flight holds; raise it");
                    return Err(LinkError::Deadlock { waiting });
                }
                Err(_) => {}
            }
        }
    }

    /// Whether anything has ended the session: there may be room for ever in the queue of a connection that is gone.
    fn check(&self) -> Result<(), LinkError> {
        if self.failure.token.is_cancelled() {
            return Err(self.failure.cause());
        }
        if self.options.cancel.is_cancelled() {
            return Err(LinkError::Cancelled);
        }
        match tokio::time::Instant::now() < self.deadline {
            true => Ok(()),
            false => Err(LinkError::TooLong { seconds: self.options.patience.limit.as_secs() }),
        }
    }

    fn next(&self, lane: &Lane, phase: Phase) -> Result<Incoming, LinkError> {
        let (me, peer) = (self.options.me, lane.peer());
        self.wait(lane.next())?.ok_or_else(|| match self.failure.token.is_cancelled() {
            true => self.failure.cause(),
            false => LinkError::Closed { me, peer, phase },
        })
    }

    /// Fills the connections with padding, both ways at once, in rounds: neither direction is idle for long while the other is still busy, or its window would
    /// close again. Whoever has gone through the barrier that follows the last round knows that all padding has arrived.
    fn warm_up(&self, peers: &[Party]) -> Result<(), LinkError> {
        let mut left = self.options.warm_up;
        let round = left.div_ceil(WARM_UP_ROUNDS);
        while left > 0 {
            let here = round.min(left);
            peers.iter().for_each(|peer| self.lane(*peer, Phase::Online).pad(here));
            self.meet(peers, Phase::Online)?;
            left -= here;
        }
        Ok(())
    }

    /// Waits until all have come here.
    fn meet(&self, peers: &[Party], phase: Phase) -> Result<(), LinkError> {
        peers.iter().for_each(|peer| self.lane(*peer, phase).say(Frame::barrier(phase)));
        for &peer in peers {
            match self.next(self.lane(peer, phase), phase)?.frame {
                Frame::Barrier(theirs) if theirs == phase => {}
                other => return Err(unexpected(peer, &other, &format!("the start of the {phase} phase"))),
            }
        }
        Ok(())
    }

    /// The bytes of a body whose header was read.
    fn body(&self, lane: &Lane, phase: Phase, length: usize) -> Result<Vec<u8>, LinkError> {
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            match self.next(lane, phase)?.frame {
                Frame::Piece(piece) => bytes.extend_from_slice(&piece),
                other => return Err(unexpected(lane.peer(), &other, "the rest of a message")),
            }
        }
        Ok(bytes)
    }

    /// Sends what this party recorded.
    ///
    /// # Errors
    /// Whatever ends the session.
    pub fn send_ledger(&self, to: Party, json: Vec<u8>) -> Result<(), LinkError> {
        self.queue(self.lane(to, Phase::Setup), Frame::ledger(json.len() as u64), json)
    }

    /// Receives what `from` recorded.
    ///
    /// # Errors
    /// [`LinkError::Malformed`], and whatever ends the session.
    pub fn recv_ledger(&self, from: Party) -> Result<Vec<u8>, LinkError> {
        let lane = self.lane(from, Phase::Setup);
        match self.next(lane, Phase::Online)?.frame {
            Frame::Ledger { length } if length <= MOST_LEDGER => self.body(lane, Phase::Online, length as usize),
            other => Err(unexpected(from, &other, "its ledger")),
        }
    }

    /// Ends the session: everything queued is written, or the peers are told the failure. What went wrong meanwhile, if anything did.
    pub fn end(self, failed: Option<String>) -> Option<LinkError> {
        let Wire { runtime, options, lanes, deadline, failure } = self;
        runtime.block_on(async {
            let mut ends = tokio::task::JoinSet::new();
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            // The client has all it wants. The dealer is done long before the others.
            let left = if options.me == Party::Client { left.min(options.patience.silence) } else { left };
            for lane in lanes {
                let failed = failed.clone();
                ends.spawn(async move {
                    match failed {
                        Some(cause) => lane.fail(&cause).await,
                        None => lane.finish(left).await,
                    }
                });
            }
            // Ctrl-C does not wait for the others.
            tokio::select! {
                _ = ends.join_all() => {}
                () = options.cancel.cancelled() => tokio::time::sleep(LAST_WORDS).await,
            }
        });
        failure.token.is_cancelled().then(|| failure.cause())
    }
}

fn unexpected(peer: Party, frame: &Frame, awaited: &str) -> LinkError {
    let what = match frame {
        Frame::Message { phase, length, .. } => format!("a message of {length} bytes in the {phase} phase"),
        Frame::Piece(_) => "a part of a message".to_string(),
        Frame::Barrier(phase) => format!("the start of the {phase} phase"),
        Frame::Ledger { length } => format!("a ledger of {length} bytes"),
        Frame::Control(_) => "a handshake".to_string(),
        other => format!("{other:?}"),
    };
    LinkError::Malformed { peer, what: format!("{what}, where {awaited} should be") }
}

impl Transport for Wire {
    fn start(&self, _: Party) -> Result<(), LinkError> {
        Ok(())
    }

    fn send(&self, _: Party, to: Party, message: Message) -> Result<(), LinkError> {
        let Message { bytes, phase, depth, .. } = message;
        let header = Frame::message(phase, depth, bytes.len() as u64);
        self.queue(self.lane(to, phase), header, bytes)
    }

    fn recv(&self, _: Party, from: Party, expected: Expected) -> Result<Message, LinkError> {
        let lane = self.lane(from, expected.phase);
        match self.next(lane, expected.phase)?.frame {
            Frame::Message { phase, depth, length } if phase == expected.phase => {
                // Before there is memory for it.
                expected.check(from, usize::try_from(length).unwrap_or(usize::MAX))?;
                let bytes = self.body(lane, phase, expected.bytes)?;
                let (arrives_at, floor_arrives_at) = Default::default();
                Ok(Message { bytes, phase, depth, arrives_at, path: Arc::default(), floor_arrives_at })
            }
            other => {
                let Expected { phase, bytes, .. } = expected;
                Err(unexpected(from, &other, &format!("a message of {bytes} bytes in the {phase} phase")))
            }
        }
    }

    fn barrier(&self, me: Party, phase: Phase) -> Result<Instant, LinkError> {
        let peers: Vec<Party> = Party::ALL
            .into_iter()
            .filter(|peer| *peer != me && (phase != Phase::Online || *peer != Party::Dealer))
            .collect();
        if phase == Phase::Online {
            self.warm_up(&peers)?;
        }
        self.meet(&peers, phase)?;
        Ok(Instant::now())
    }

    fn pause_until(&self, deadline: Instant) -> Result<(), LinkError> {
        self.wait(tokio::time::sleep_until(deadline.into()))
    }
}
