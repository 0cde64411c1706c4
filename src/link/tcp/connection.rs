//! Both directions of a connection together: what one party has to acknowledge waits behind what it is sending itself.

use super::flow::{Flow, Pipe, Sent};
use super::window::Congestion;
use crate::link::jitter::Delays;
use crate::link::model::{Connection, Happening, LinkParameters, Side, What};
use crate::units::Nanos;

/// Headers of an acknowledgement without data, one for two segments (RFC 5681, 4.2).
const ACK_BYTES_PER_SEGMENT: u64 = 26;

/// A TCP connection. Each side sends; an index is that of the sender.
pub(super) struct TcpConnection {
    congestion: Congestion,
    flows: [Flow; 2],
    pipes: [Pipe; 2],
    delays: [Delays; 2],
    /// Of the pieces under way, how many are on the other side and not yet acknowledged.
    arrived: [usize; 2],
    /// When the phase begins, ns.
    origin: u64,
}

impl TcpConnection {
    pub fn new(congestion: Congestion, sides: [&LinkParameters; 2]) -> TcpConnection {
        let mut flows = sides.map(|link| Flow::new(congestion, link));
        let mut origin = 0;
        for (flow, link) in flows.iter_mut().zip(sides) {
            if link.tcp.warm {
                origin = origin.max(flow.warm_up(link));
            }
        }
        flows.iter_mut().for_each(|flow| flow.begin(origin));
        TcpConnection {
            congestion,
            flows,
            pipes: sides.map(Pipe::new),
            delays: sides.map(Delays::new),
            arrived: [0; 2],
            origin,
        }
    }

    fn pump(&mut self, side: Side, now: u64, happenings: &mut Vec<Happening>) {
        let TcpConnection { flows, pipes, delays, origin, .. } = self;
        flows[side].pump(now, &mut pipes[side], &mut |sent| {
            let (at, what) = match sent {
                Sent::Piece(at) => (at, What::Arrives),
                Sent::Delivered(at) => (delays[side].delay(Nanos(at)).0, What::Delivered),
            };
            happenings.push(Happening { at: at - *origin, side, what });
        });
    }
}

impl Connection for TcpConnection {
    fn send(&mut self, side: Side, sent_at: u64, bytes: u64, happenings: &mut Vec<Happening>) {
        let now = self.origin + sent_at;
        self.flows[side].offer(now, bytes);
        self.pump(side, now, happenings);
    }

    fn happen(&mut self, Happening { at, side, what }: Happening, happenings: &mut Vec<Happening>) {
        let now = self.origin + at;
        match what {
            What::Arrives => {
                let piece = &self.flows[side].under_way[self.arrived[side]];
                let bytes = piece.segments * ACK_BYTES_PER_SEGMENT;
                self.arrived[side] += 1;
                let back_at = match self.congestion {
                    Congestion::Cubic => self.pipes[1 - side].pass(now, bytes),
                    Congestion::Bbr => self.pipes[1 - side].slip_in(now, bytes),
                };
                happenings.push(Happening { at: back_at - self.origin, side, what: What::Acknowledged });
            }
            What::Acknowledged => {
                self.arrived[side] -= 1;
                self.flows[side].acknowledge(now, &self.pipes[side]);
                self.pump(side, now, happenings);
            }
            What::Delivered => {}
        }
    }
}
