//! `tcp`: what a TCP connection over a link of constant latency and rate does to messages.
//!
//! A message is cut into segments. A segment leaves when it was sent, the one before has left, and fewer than a
//! window of segments are unacknowledged; each pays its headers. The window follows Linux's CUBIC (`window`), so that
//! a message on a fresh connection takes several round trips where latency and rate alone say one. Segments wait before
//! the link in a queue; one that finds it full is lost, and so are random ones if the link loses any: what
//! follows is held back until it was sent again. A message larger than a few dozen segments is treated in pieces of up to 1/64 of the
//! window, so that the work does not grow with the window.
//!
//! Acknowledgements pass the way back with the data that goes there, and wait behind it (`connection`). Where one direction has
//! to be known before the other is, on the wall clock, they cost nothing but the latency ([`Tcp`]).
//!
//! The connection exists when the phase begins; its handshake is not counted.

mod connection;
mod flow;
mod window;

use super::model::{LinkModel, LinkParameters, ModelEntry};
use crate::units::{Bytes, Nanos};
use connection::TcpConnection;
use flow::{Flow, Pipe, Sent};
use window::Congestion;

pub(super) const ENTRY: ModelEntry = ModelEntry {
    id: "tcp",
    summary: "a TCP connection: slow start, CUBIC, queue with tail drop, restart after idleness",
    transport: true,
    build: |parameters| Box::new(Tcp::new(Congestion::Cubic, parameters)),
    connect: Some(|sides| Box::new(TcpConnection::new(Congestion::Cubic, sides))),
};

pub(super) const BBR_ENTRY: ModelEntry = ModelEntry {
    id: "tcp-bbr",
    summary: "the same with BBR: the window doubles until it holds the path twice, and stays open",
    transport: true,
    build: |parameters| Box::new(Tcp::new(Congestion::Bbr, parameters)),
    connect: Some(|sides| Box::new(TcpConnection::new(Congestion::Bbr, sides))),
};

const PS_PER_NS: u64 = 1000;

/// What only TCP has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TcpParameters {
    /// Segments that a fresh connection may send before the first acknowledgement.
    pub initial_window: u64,
    /// The most unacknowledged bytes: what the receiver's and the sender's buffers allow.
    pub max_window: Bytes,
    /// Bytes that wait before the link before the next segment is dropped; `None`: any number.
    pub queue: Option<Bytes>,
    /// Whether idleness shrinks the window (RFC 5681, 4.1; Linux does it unless told otherwise).
    pub idle_restart: bool,
    /// Whether the connection has carried enough before the phase to know the path.
    pub warm: bool,
    /// Probability that a segment is lost on its way.
    pub loss: f64,
}

impl Default for TcpParameters {
    fn default() -> TcpParameters {
        TcpParameters {
            initial_window: 10,
            max_window: Bytes(6 << 20),
            queue: None,
            idle_restart: true,
            warm: false,
            loss: 0.0,
        }
    }
}

/// One direction, with nothing on the way back.
struct Tcp {
    flow: Flow,
    pipe: Pipe,
    /// When the phase begins, ns.
    origin: u64,
    /// The sender's time, ns: nothing leaves before it.
    now: u64,
}

impl Tcp {
    fn new(congestion: Congestion, link: &LinkParameters) -> Tcp {
        let mut flow = Flow::new(congestion, link);
        let origin = if link.tcp.warm { flow.warm_up(link) } else { 0 };
        flow.begin(origin);
        Tcp { flow, pipe: Pipe::new(link), origin, now: origin }
    }

    /// When the first piece under way is acknowledged.
    fn next_ack(&self) -> Option<u64> {
        self.flow.under_way.front().map(|piece| piece.arrived_at + self.pipe.latency)
    }
}

impl LinkModel for Tcp {
    fn arrival(&mut self, sent_at: Nanos, bytes: u64) -> Nanos {
        self.now = self.now.max(self.origin + sent_at.0);
        while let Some(at) = self.next_ack().filter(|at| *at <= self.now) {
            self.flow.acknowledge(at, &self.pipe);
        }
        self.flow.offer(self.now, bytes);
        loop {
            let mut delivered = None;
            self.flow.pump(self.now, &mut self.pipe, &mut |sent| {
                if let Sent::Delivered(at) = sent {
                    delivered = Some(at);
                }
            });
            if let Some(at) = delivered {
                return Nanos(at - self.origin);
            }
            self.now = self.next_ack().expect("a window has room for a segment");
            self.flow.acknowledge(self.now, &self.pipe);
        }
    }
}

/// Which segments are lost at random: a fixed sequence for each seed.
struct Losses {
    probability: f64,
    random: super::jitter::Random,
    /// Segments until the next loss.
    left: u64,
}

impl Losses {
    fn new(probability: f64, seed: u64) -> Losses {
        let mut losses = Losses { probability, random: super::jitter::Random::new(seed), left: u64::MAX };
        losses.draw();
        losses
    }

    fn draw(&mut self) {
        if self.probability > 0.0 {
            // Geometric: the number of survivors before a loss.
            let survivors = (1.0 - self.random.unit()).ln() / (1.0 - self.probability).ln();
            self.left = survivors as u64;
        }
    }

    /// Whether one of the next `segments` is lost.
    fn hit(&mut self, mut segments: u64) -> bool {
        let mut is_hit = false;
        while self.left < segments {
            segments -= self.left + 1;
            is_hit = true;
            self.draw();
        }
        self.left -= segments;
        is_hit
    }
}

#[cfg(test)]
mod tests;
