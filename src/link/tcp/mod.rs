//! `tcp`: what one direction of a TCP connection over a link of constant latency and rate does to messages.
//!
//! A message is cut into segments. A segment leaves when it was sent, the one before has left, and fewer than a
//! window of segments are unacknowledged; each pays its headers. The window follows Linux's CUBIC (`window`), so that
//! a message on a fresh connection takes several round trips where latency and rate alone say one. Segments wait before
//! the link in a queue; one that finds it full is lost, and so are random ones if the link loses any: what
//! follows is held back until it was sent again. Acknowledgements cost nothing but the way back. A message larger
//! than a few dozen segments is treated in pieces of up to 1/64 of the window, so that the work does not grow with the window.
//!
//! The connection exists when the phase begins; its handshake is not counted.

mod window;

use std::collections::VecDeque;

use super::model::{LinkModel, LinkParameters, ModelEntry};
use crate::units::{BitRate, Bytes, Nanos};
use window::{Ack, Window};

pub(super) const ENTRY: ModelEntry = ModelEntry {
    id: "tcp",
    summary: "a TCP connection: slow start, CUBIC, queue with tail drop, restart after idleness",
    transport: true,
    build: |parameters| Box::new(Tcp::new(*parameters)),
};

/// Payload of a segment on Ethernet, with TCP's time stamps.
const SEGMENT: Bytes = Bytes(1448);
/// Headers of IPv4 and TCP with time stamps.
const HEADERS: Bytes = Bytes(52);
/// A window is sent in so many pieces at least.
const PIECES: u64 = 64;
/// A warm connection has carried as much as the path holds so many times,
const WARM_PIPES: u64 = 5;
/// and at least this.
const WARM_BYTES: u64 = 4_000_000;
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

/// Segments sent as one.
struct Piece {
    segments: u64,
    sent_at: u64,
    arrived_at: u64,
    /// Not yet known of half of an exchange: the acknowledgement waits behind what the receiver is sending.
    acknowledged_at: Option<u64>,
}

struct Tcp {
    latency: u64,
    rate: BitRate,
    back: BitRate,
    segment: u64,
    headers: u64,
    parameters: TcpParameters,
    window: Window,
    /// When the last bit handed to the link has left, ps.
    free_at: u64,
    /// The same of the way back, as far as it carries the other halves of exchanges, ps.
    back_free_at: u64,
    /// The message being sent is half of an exchange.
    is_exchange: bool,
    /// When the phase begins, ns.
    origin: u64,
    /// The sender's time, ns: nothing leaves before it.
    now: u64,
    last_sent: Option<u64>,
    under_way: VecDeque<Piece>,
    segments_under_way: u64,
    sent: u64,
    acknowledged: u64,
    /// Later bytes are not delivered before: what was lost has come then.
    hole_until: u64,
    /// No second loss is noticed until everything sent before the first is acknowledged.
    recovered_at: u64,
    losses: Losses,
}

impl Tcp {
    fn new(link: LinkParameters) -> Tcp {
        let parameters = link.tcp;
        let (segment, headers) = match link.packet_payload {
            Some(payload) => (payload.0.max(1), link.packet_overhead.0),
            None => (SEGMENT.0, HEADERS.0),
        };
        let round_trip = Nanos(2 * link.latency.0);
        let most = parameters.max_window.0 / segment;
        let mut tcp = Tcp {
            latency: link.latency.0,
            rate: link.rate,
            back: link.back,
            segment,
            headers,
            parameters,
            window: Window::new(parameters.initial_window, most, round_trip),
            free_at: 0,
            back_free_at: 0,
            is_exchange: false,
            origin: 0,
            now: 0,
            last_sent: None,
            under_way: VecDeque::new(),
            segments_under_way: 0,
            sent: 0,
            acknowledged: 0,
            hole_until: 0,
            recovered_at: 0,
            losses: Losses::new(parameters.loss, link.seed),
        };
        if parameters.warm {
            tcp.warm_up(round_trip, most);
        }
        tcp
    }

    /// Sends a good deal that means nothing, and hears that it has arrived: what the window is like then, it is when the
    /// phase begins.
    fn warm_up(&mut self, round_trip: Nanos, most: u64) {
        let per_segment = self.duration(self.segment + self.headers).max(1);
        let pipe = (round_trip.0.saturating_mul(PS_PER_NS) / per_segment).min(most);
        let bytes = (WARM_PIPES * pipe * self.segment).max(WARM_BYTES);
        self.message(Nanos(0), bytes);
        while let Some(last) = self.under_way.back() {
            self.now = self.now.max(last.acknowledged_at.unwrap_or(last.arrived_at));
            self.listen();
        }
        self.origin = self.now;
    }

    /// What `bytes` take to leave, ps.
    fn duration(&self, bytes: u64) -> u64 {
        duration(self.rate, bytes)
    }

    /// When an acknowledgement arrives that the receiver wants to send now, ns.
    fn back_at(&self, arrived_at: u64) -> u64 {
        arrived_at.max(self.back_free_at.div_ceil(PS_PER_NS)) + self.latency
    }

    /// What has arrived so far is acknowledged behind what the receiver has sent so far.
    fn settle(&mut self) {
        if self.back_free_at == 0 {
            return;
        }
        let (now, back_free_at, latency) = (self.now, self.back_free_at.div_ceil(PS_PER_NS), self.latency);
        let open = self.under_way.iter_mut().skip_while(|piece| piece.acknowledged_at.is_some());
        for piece in open.take_while(|piece| piece.arrived_at <= now) {
            piece.acknowledged_at.get_or_insert(piece.arrived_at.max(back_free_at) + latency);
        }
    }

    /// Takes in what was acknowledged until now.
    fn listen(&mut self) {
        self.settle();
        let is_due = |piece: &mut Piece, now| piece.acknowledged_at.is_some_and(|at| at <= now);
        while let Some(piece) = self.under_way.pop_front_if(|piece| is_due(piece, self.now)) {
            let acknowledged_at = piece.acknowledged_at.expect("it is due");
            self.segments_under_way -= piece.segments;
            self.acknowledged += piece.segments;
            let gap = match piece.segments {
                1 => 0,
                segments => self.duration(segments * (self.segment + self.headers)) / PS_PER_NS,
            };
            self.window.acknowledged(Ack {
                now: acknowledged_at,
                segments: piece.segments,
                total: self.acknowledged,
                sent: self.sent,
                round_trip: acknowledged_at - piece.sent_at,
                gap,
            });
        }
    }

    /// Hands `segments` with `bytes` of payload to the link; they have arrived at the instant returned, ns.
    fn transmit(&mut self, segments: u64, bytes: u64, is_last: bool) -> u64 {
        let waiting_ps = self.free_at.saturating_sub(self.now * PS_PER_NS);
        let is_dropped = self.parameters.queue.is_some_and(|queue| waiting_ps > self.duration(queue.0));
        let size = bytes + segments * self.headers;
        self.free_at = self.free_at.max(self.now * PS_PER_NS) + self.duration(size);
        let arrived_at = self.free_at.div_ceil(PS_PER_NS) + self.latency;
        if self.is_exchange {
            self.back_free_at = self.back_free_at.max(self.now * PS_PER_NS) + duration(self.back, size);
        }
        if is_dropped | self.losses.hit(segments) {
            // Later segments tell of the loss a round trip after it; with none to tell, a probe does after two.
            let notices = if is_last { 3 } else { 1 };
            self.hole_until = self.hole_until.max(arrived_at + 2 * notices * self.latency);
            if self.now >= self.recovered_at {
                self.window.lost();
                self.recovered_at = self.back_at(arrived_at);
            }
        }
        let acknowledged_at = (!self.is_exchange).then(|| self.back_at(arrived_at));
        self.under_way.push_back(Piece { segments, sent_at: self.now, arrived_at, acknowledged_at });
        self.segments_under_way += segments;
        self.sent += segments;
        self.window.sent(self.segments_under_way);
        self.last_sent = Some(self.now);
        arrived_at.max(self.hole_until)
    }
}

/// What `bytes` take at a rate, ps.
fn duration(rate: BitRate, bytes: u64) -> u64 {
    match rate {
        BitRate::UNLIMITED => 0,
        BitRate(rate) => (bytes as u128 * 8 * 1_000_000_000_000).div_ceil(rate.max(1) as u128) as u64,
    }
}

impl LinkModel for Tcp {
    fn arrival(&mut self, sent_at: Nanos, bytes: u64) -> Nanos {
        self.is_exchange = false;
        self.message(sent_at, bytes)
    }

    fn exchange(&mut self, sent_at: Nanos, bytes: u64) -> Nanos {
        self.is_exchange = true;
        self.message(sent_at, bytes)
    }
}

impl Tcp {
    fn message(&mut self, sent_at: Nanos, bytes: u64) -> Nanos {
        self.now = self.now.max(self.origin + sent_at.0);
        self.listen();
        if let Some(idle) = self.last_sent.map(|last| self.now - last)
            && self.parameters.idle_restart
            && self.under_way.is_empty()
            && idle > self.window.time_out()
        {
            self.window.restart(idle);
        }
        let (mut segments, mut left) = (bytes.div_ceil(self.segment).max(1), bytes);
        loop {
            let room = self.window.segments().max(1).saturating_sub(self.segments_under_way);
            if room == 0 {
                let first = self.under_way.front().expect("a window has room for a segment");
                // Nothing more is sent before it comes.
                let acknowledged_at = first.acknowledged_at.unwrap_or_else(|| self.back_at(first.arrived_at));
                self.under_way.front_mut().expect("just seen").acknowledged_at = Some(acknowledged_at);
                self.now = acknowledged_at;
                self.listen();
                continue;
            }
            let piece = (self.window.segments() / PIECES).max(1).min(room).min(segments);
            let payload = (piece * self.segment).min(left);
            (segments, left) = (segments - piece, left - payload);
            let arrived_at = self.transmit(piece, payload, segments == 0);
            if segments == 0 {
                return Nanos(arrived_at - self.origin);
            }
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
