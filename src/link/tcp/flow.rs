//! One direction of a connection: the link it passes, and the sender with its window.

use super::window::{Ack, Congestion, Limits, Window};
use super::{Losses, PS_PER_NS, TcpParameters};
use crate::link::model::LinkParameters;
use crate::units::{BitRate, Bytes, Nanos};
use std::collections::VecDeque;

/// Payload of a segment on Ethernet, with TCP's time stamps.
pub(super) const SEGMENT: Bytes = Bytes(1448);
/// Headers of IPv4 and TCP with time stamps.
const HEADERS: Bytes = Bytes(52);
/// What a fresh connection's receiver has room for (Linux: 128 KiB of memory, two thirds of it for payload, in steps of 8 KiB).
const FIRST_ROOM: Bytes = Bytes(88 << 10);
/// A window is sent in so many pieces at least.
const PIECES: u64 = 64;
/// A warm connection has carried as much as the path holds so many times,
const WARM_PIPES: u64 = 5;
/// and at least this.
const WARM_BYTES: u64 = 4_000_000;

/// What the segments of a direction, and the acknowledgements of the other, pass one after the other.
pub(super) struct Pipe {
    /// ns.
    pub latency: u64,
    rate: BitRate,
    queue: Option<Bytes>,
    /// When the last bit handed to it has left, ps.
    free_at: u64,
}

impl Pipe {
    pub fn new(link: &LinkParameters) -> Pipe {
        Pipe { latency: link.latency.0, rate: link.rate, queue: link.tcp.queue, free_at: 0 }
    }

    /// What `bytes` take to leave, ps.
    fn duration(&self, bytes: u64) -> u64 {
        match self.rate {
            BitRate::UNLIMITED => 0,
            BitRate(rate) => (bytes as u128 * 8 * 1_000_000_000_000).div_ceil(rate.max(1) as u128) as u64,
        }
    }

    /// When `bytes` handed to it at `now` are on the other side, ns.
    pub fn pass(&mut self, now: u64, bytes: u64) -> u64 {
        self.free_at = self.free_at.max(now * PS_PER_NS) + self.duration(bytes);
        self.free_at.div_ceil(PS_PER_NS) + self.latency
    }

    /// The same for something that finds no queue, because those who send more pace themselves.
    pub fn slip_in(&mut self, now: u64, bytes: u64) -> u64 {
        let duration = self.duration(bytes);
        self.free_at = self.free_at.max(now * PS_PER_NS) + duration;
        (now * PS_PER_NS + duration).div_ceil(PS_PER_NS) + self.latency
    }

    /// Whether the next segment finds no room.
    fn is_full(&self, now: u64) -> bool {
        let waiting = self.free_at.saturating_sub(now * PS_PER_NS);
        self.queue.is_some_and(|queue| waiting > self.duration(queue.0))
    }
}

/// Segments sent as one.
pub(super) struct Piece {
    pub segments: u64,
    pub arrived_at: u64,
    sent_at: u64,
}

/// What is left to send of a message.
struct Outgoing {
    segments: u64,
    bytes: u64,
}

/// What a sender did.
pub(super) enum Sent {
    /// A piece, which is on the other side at this time.
    Piece(u64),
    /// The last one of a message, which is whole there at this time.
    Delivered(u64),
}

/// The sender.
pub(super) struct Flow {
    segment: u64,
    headers: u64,
    idle_restart: bool,
    window: Window,
    backlog: VecDeque<Outgoing>,
    pub under_way: VecDeque<Piece>,
    segments_under_way: u64,
    sent: u64,
    acknowledged: u64,
    last_sent: Option<u64>,
    /// Later bytes are not delivered before: what was lost has come then.
    hole_until: u64,
    /// No second loss is noticed until everything sent before the first is acknowledged.
    recovered_at: u64,
    losses: Losses,
}

/// Segments of `bytes` that are on their way there and back when the link is full.
fn path(link: &LinkParameters, bytes: u64) -> u64 {
    (2 * link.latency.0).saturating_mul(PS_PER_NS) / Pipe::new(link).duration(bytes).max(1)
}

impl Flow {
    pub fn new(congestion: Congestion, link: &LinkParameters) -> Flow {
        let TcpParameters { initial_window, max_window, idle_restart, loss, .. } = link.tcp;
        let (segment, headers) = match link.packet_payload {
            Some(payload) => (payload.0.max(1), link.packet_overhead.0),
            None => (SEGMENT.0, HEADERS.0),
        };
        let limits =
            Limits { most: max_window.0 / segment, room: FIRST_ROOM.0 / segment, path: path(link, segment + headers) };
        Flow {
            segment,
            headers,
            idle_restart,
            window: Window::new(congestion, initial_window, limits, Nanos(2 * link.latency.0)),
            backlog: VecDeque::new(),
            under_way: VecDeque::new(),
            segments_under_way: 0,
            sent: 0,
            acknowledged: 0,
            last_sent: None,
            hole_until: 0,
            recovered_at: 0,
            losses: Losses::new(loss, link.seed),
        }
    }

    /// Sends a good deal that means nothing over a way of its own, and hears that it has arrived. The time when it has: what
    /// the window is like then, it is when the phase begins.
    pub fn warm_up(&mut self, link: &LinkParameters) -> u64 {
        let mut pipe = Pipe::new(link);
        let path = path(link, self.segment + self.headers);
        let most = link.tcp.max_window.0 / self.segment;
        self.offer(0, (WARM_PIPES * path.min(most) * self.segment).max(WARM_BYTES));
        self.pump(0, &mut pipe, &mut |_| {});
        let mut now = 0;
        while let Some(first) = self.under_way.front() {
            now = first.arrived_at + pipe.latency;
            self.acknowledge(now, &pipe);
            self.pump(now, &mut pipe, &mut |_| {});
        }
        now
    }

    /// The phase begins.
    pub fn begin(&mut self, now: u64) {
        self.last_sent = self.last_sent.map(|_| now);
    }

    /// A message to be sent.
    pub fn offer(&mut self, now: u64, bytes: u64) {
        if let Some(idle) = self.last_sent.map(|last| now - last)
            && self.idle_restart
            && self.under_way.is_empty()
            && self.backlog.is_empty()
            && idle > self.window.time_out()
        {
            self.window.restart(idle);
        }
        self.backlog.push_back(Outgoing { segments: bytes.div_ceil(self.segment).max(1), bytes });
    }

    /// Sends what the window allows.
    pub fn pump(&mut self, now: u64, pipe: &mut Pipe, done: &mut impl FnMut(Sent)) {
        while let Some(message) = self.backlog.front_mut() {
            let window = self.window.segments().max(1);
            let room = window.saturating_sub(self.segments_under_way);
            if room == 0 {
                return;
            }
            let segments = (window / PIECES).max(1).min(room).min(message.segments);
            let bytes = (segments * self.segment).min(message.bytes);
            (message.segments, message.bytes) = (message.segments - segments, message.bytes - bytes);
            let is_last = message.segments == 0;
            let arrived_at = self.transmit(now, pipe, (segments, bytes), is_last);
            done(Sent::Piece(arrived_at));
            if is_last {
                self.backlog.pop_front();
                done(Sent::Delivered(arrived_at.max(self.hole_until)));
            }
        }
    }

    /// Hands segments to the link; the time when they are on the other side, ns.
    fn transmit(&mut self, now: u64, pipe: &mut Pipe, (segments, bytes): (u64, u64), is_last: bool) -> u64 {
        let is_dropped = pipe.is_full(now);
        let arrived_at = pipe.pass(now, bytes + segments * self.headers);
        if is_dropped | self.losses.hit(segments) {
            // Later segments tell of the loss a round trip after it; with none to tell, a probe does after two.
            let notices = if is_last { 3 } else { 1 };
            self.hole_until = self.hole_until.max(arrived_at + 2 * notices * pipe.latency);
            if now >= self.recovered_at {
                self.window.lost();
                self.recovered_at = arrived_at + pipe.latency;
            }
        }
        self.under_way.push_back(Piece { segments, sent_at: now, arrived_at });
        self.segments_under_way += segments;
        self.sent += segments;
        self.window.sent(self.segments_under_way);
        self.last_sent = Some(now);
        arrived_at
    }

    /// The first piece under way is acknowledged.
    pub fn acknowledge(&mut self, now: u64, pipe: &Pipe) {
        let piece = self.under_way.pop_front().expect("something is acknowledged");
        self.segments_under_way -= piece.segments;
        self.acknowledged += piece.segments;
        let gap = match piece.segments {
            1 => 0,
            segments => pipe.duration(segments * (self.segment + self.headers)) / PS_PER_NS,
        };
        self.window.acknowledged(Ack {
            now,
            segments: piece.segments,
            total: self.acknowledged,
            sent: self.sent,
            round_trip: now - piece.sent_at,
            gap,
        });
    }
}
