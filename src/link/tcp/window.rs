//! The sender's window: slow start, HyStart, CUBIC, restart after idleness, as Linux has them.
//!
//! In segments. Sources: RFC 5681 (slow start; 4.1 restart after idleness), RFC 6928 (ten segments to begin with),
//! RFC 9438 (CUBIC), Ha and Rhee, *Taming the elephants: New TCP slow start*, 2011 (HyStart, with the constants of the
//! Linux kernel), RFC 9406; RFC 9293 (what the receiver has room for).

use crate::units::Nanos;

/// CUBIC: what is left of the window after a loss.
const BETA: f64 = 0.7;
/// CUBIC: segments per second cubed.
const C: f64 = 0.4;
/// CUBIC: growth per round trip of the window that standard TCP would have, with the same average rate.
const RENO_GROWTH: f64 = 3.0 * (1.0 - BETA) / (1.0 + BETA);
/// HyStart does nothing below this window.
const HYSTART_LEAST: f64 = 16.0;
/// HyStart: acknowledgements of one train are closer than this.
const TRAIN_GAP: u64 = 2_000_000;
/// HyStart: at the start of each round, 8 acknowledgements of two segments each are samples of the round-trip time.
const SAMPLES: u64 = 16;
/// The receiver makes more room once a flight of more than such a part of it has come, 20 segments of 62. Linux looks for ten, when a round trip is over and
/// its application has read them, on a fast link too late for the flight after (measured).
const ROOM_GROWS: u64 = 3;
/// A retransmission time-out is at least this much longer than the round trip (Linux).
const RTO_MARGIN: u64 = 200_000_000;

/// What is known when an acknowledgement arrives.
#[derive(Clone, Copy)]
pub(super) struct Ack {
    pub now: u64,
    /// Segments that it acknowledges, and since the start of the connection.
    pub segments: u64,
    pub total: u64,
    /// Segments sent since the start of the connection.
    pub sent: u64,
    /// From the sending of its last segment to now, ns.
    pub round_trip: u64,
    /// How far apart acknowledgements are because several segments are treated as one, ns.
    pub gap: u64,
}

/// What makes a window grow and shrink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Congestion {
    /// RFC 9438 with HyStart.
    Cubic,
    /// BBR, version 1 (Cardwell et al. 2016), without its probes of the round trip: the window doubles until it holds the path twice, and
    /// stays there; neither losses nor idleness close it. Data is paced, so that nothing waits behind it.
    Bbr,
}

/// What bounds a window, in segments.
pub(super) struct Limits {
    /// Buffers.
    pub most: u64,
    /// What a fresh connection's receiver has room for.
    pub room: u64,
    /// What the path holds.
    pub path: u64,
}

/// BBR: the window holds so many paths.
const BBR_PATHS: f64 = 2.0;

pub(super) struct Window {
    congestion: Congestion,
    size: f64,
    /// Slow start below it.
    threshold: f64,
    /// What the receiver has room for.
    room: u64,
    initial: f64,
    most: f64,
    /// Shortest round trip that is possible, ns.
    round_trip: u64,
    /// Average of those measured (RFC 6298), ns.
    smoothed: f64,
    round: Round,
    /// Most segments under way in this round and the one before.
    peak: [u64; 2],
    cubic: Cubic,
}

/// One window's worth of segments, for HyStart.
#[derive(Default)]
struct Round {
    started: u64,
    last_ack: u64,
    /// Segments acknowledged before it.
    before: u64,
    /// The round ends when more segments than this have been acknowledged.
    end: u64,
    shortest: u64,
    samples: u64,
}

#[derive(Default)]
struct Cubic {
    /// Window before the last loss.
    most: f64,
    epoch: Option<Epoch>,
}

struct Epoch {
    started: u64,
    /// Seconds until the window before the loss is reached again.
    k: f64,
    origin: f64,
    /// What standard TCP would have.
    reno: f64,
}

impl Window {
    /// A window of `initial` segments.
    pub(super) fn new(congestion: Congestion, initial: u64, limits: Limits, round_trip: Nanos) -> Window {
        let Limits { most, room, path } = limits;
        let most = match congestion {
            Congestion::Cubic => most.max(1) as f64,
            Congestion::Bbr => (most.max(1) as f64).min((BBR_PATHS * path as f64).max(initial as f64)),
        };
        Window {
            congestion,
            size: (initial.max(1) as f64).min(most),
            threshold: f64::INFINITY,
            room: room.max(1),
            initial: (initial.max(1) as f64).min(most),
            most,
            round_trip: round_trip.0,
            smoothed: round_trip.0 as f64,
            round: Round::default(),
            peak: [0; 2],
            cubic: Cubic::default(),
        }
    }

    /// Segments that may be under way.
    pub(super) fn segments(&self) -> u64 {
        (self.size as u64).min(self.room)
    }

    /// After so long without sending, ns, the window shrinks.
    pub(super) fn time_out(&self) -> u64 {
        self.smoothed as u64 + RTO_MARGIN
    }

    /// Nothing was sent for `idle`, ns, and nothing is under way: half the window for every time-out that went by.
    pub(super) fn restart(&mut self, idle: u64) {
        if self.congestion == Congestion::Bbr {
            return;
        }
        self.threshold = self.threshold.max(0.75 * self.size);
        let mut left = idle;
        while left > self.time_out() && self.size > self.initial {
            left -= self.time_out();
            self.size /= 2.0;
        }
        self.size = self.size.max(self.initial);
        self.cubic.epoch = None;
    }

    /// `under_way` segments are, now.
    pub(super) fn sent(&mut self, under_way: u64) {
        self.peak[0] = self.peak[0].max(under_way);
    }

    pub(super) fn acknowledged(&mut self, ack: Ack) {
        self.smoothed += (ack.round_trip as f64 - self.smoothed) / 8.0;
        // With the first acknowledgement of the next flight.
        if ack.total > self.round.end {
            let before = ack.total - ack.segments;
            if before - self.round.before > self.room / ROOM_GROWS {
                self.room = u64::MAX;
            }
            self.round =
                Round { started: ack.now, last_ack: ack.now, before, end: ack.sent, shortest: u64::MAX, samples: 0 };
            self.peak = [0, self.peak[0]];
        }
        let peak = self.peak[0].max(self.peak[1]) as f64;
        if self.size < self.threshold {
            // A sender that does not fill its window learns nothing about a larger one.
            if self.size < 2.0 * peak {
                self.size = (self.size + ack.segments as f64).min(self.threshold);
            }
            let has_hystart = self.congestion == Congestion::Cubic && self.size >= HYSTART_LEAST;
            if has_hystart && self.fills_the_pipe(ack) {
                self.threshold = self.size;
            }
        } else if peak + 1.0 >= self.size.floor() {
            self.size += self.cubic.growth(self.size, ack, self.round_trip);
        }
        self.size = self.size.min(self.most);
    }

    /// HyStart: acknowledgements have come without a break for half a round trip, or later than in earlier rounds.
    fn fills_the_pipe(&mut self, ack: Ack) -> bool {
        let round = &mut self.round;
        if ack.now - round.last_ack <= TRAIN_GAP + ack.gap {
            round.last_ack = ack.now;
            if ack.now - round.started > self.round_trip / 2 {
                return true;
            }
        }
        if round.samples < SAMPLES {
            round.samples += ack.segments;
            round.shortest = round.shortest.min(ack.round_trip);
            return false;
        }
        round.shortest > self.round_trip + (self.round_trip / 8).clamp(4_000_000, 16_000_000)
    }

    /// A segment was lost.
    pub(super) fn lost(&mut self) {
        if self.congestion == Congestion::Bbr {
            return;
        }
        let known = self.cubic.most;
        self.cubic.most = if self.size < known { self.size * (1.0 + BETA) / 2.0 } else { self.size };
        self.size = (self.size * BETA).max(2.0);
        self.threshold = self.size;
        self.cubic.epoch = None;
    }
}

impl Cubic {
    /// By how many segments a window of `size` grows.
    fn growth(&mut self, size: f64, ack: Ack, round_trip: u64) -> f64 {
        let most = self.most;
        let epoch = self.epoch.get_or_insert_with(|| match size < most {
            true => Epoch { started: ack.now, k: ((most - size) / C).cbrt(), origin: most, reno: size },
            false => Epoch { started: ack.now, k: 0.0, origin: size, reno: size },
        });
        let acknowledged = ack.segments as f64;
        epoch.reno += RENO_GROWTH * acknowledged / size;
        let t = (ack.now - epoch.started + round_trip) as f64 / 1e9;
        let target = (epoch.origin + C * (t - epoch.k).powi(3)).max(epoch.reno);
        // Per acknowledged segment; at most half a segment, and while no loss is known a twentieth at least.
        let least = if most == 0.0 { 0.05 } else { 0.01 / size };
        acknowledged * ((target - size) / size).clamp(least, 0.5)
    }
}
