//! `ideal`: a first-in first-out pipe with constant latency and rate.
//!
//! A message starts to leave when it is sent or when the one before has left, whichever is later,
//! takes `wire bytes * 8 / rate`, and arrives one latency after its last bit left. Wire bytes are the
//! payload plus `packet_overhead` for every started packet of `packet_payload` bytes.

use super::model::{LinkModel, LinkParameters, ModelEntry};
use crate::units::{BitRate, Nanos};

pub(super) const ENTRY: ModelEntry = ModelEntry {
    id: "ideal",
    summary: "constant latency and rate, first in first out",
    transport: false,
    build: |parameters| Box::new(Ideal::new(*parameters)),
    connect: None,
};

struct Ideal {
    parameters: LinkParameters,
    /// When the last bit of the last message left; picoseconds, so that small messages on fast links add up.
    free_at_ps: u128,
}

impl Ideal {
    fn new(parameters: LinkParameters) -> Ideal {
        Ideal { parameters, free_at_ps: 0 }
    }

    fn wire_bytes(&self, bytes: u64) -> u64 {
        match self.parameters.packet_payload {
            Some(payload) => bytes + bytes.div_ceil(payload.0.max(1)).max(1) * self.parameters.packet_overhead.0,
            None => bytes,
        }
    }
}

impl LinkModel for Ideal {
    fn arrival(&mut self, sent_at: Nanos, bytes: u64) -> Nanos {
        let bits = self.wire_bytes(bytes) as u128 * 8;
        let duration_ps = match self.parameters.rate {
            BitRate(u64::MAX) => 0,
            BitRate(rate) => (bits * 1_000_000_000_000).div_ceil(rate.max(1) as u128),
        };
        self.free_at_ps = self.free_at_ps.max(sent_at.0 as u128 * 1000) + duration_ps;
        Nanos((self.free_at_ps.div_ceil(1000)) as u64 + self.parameters.latency.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Bytes;

    fn wan() -> LinkParameters {
        // 50 ms one way, 100 Mbit/s: a byte takes 80 ns.
        LinkParameters::new(Nanos(50_000_000), BitRate(100_000_000))
    }

    #[test]
    fn an_idle_link_adds_latency_and_transmission() {
        // 1000 B * 80 ns = 80 us, sent at 5 ns.
        assert_eq!(Ideal::new(wan()).arrival(Nanos(5), 1000), Nanos(50_080_005));
    }

    #[test]
    fn a_busy_link_queues() {
        let mut link = Ideal::new(wan());
        link.arrival(Nanos(0), 1000);
        // Sent at 10 us, waits until 80 us, leaves by 160 us.
        assert_eq!(link.arrival(Nanos(10_000), 1000), Nanos(50_160_000));
        // Sent after the queue drained: no waiting.
        assert_eq!(link.arrival(Nanos(1_000_000), 0), Nanos(51_000_000));
    }

    #[test]
    fn small_messages_on_a_fast_link_add_up_exactly() {
        let mut link = Ideal::new(LinkParameters { rate: BitRate(10_000_000_000), latency: Nanos(0), ..wan() });
        // 8 B at 10 Gbit/s is 6.4 ns; ten of them 64 ns, not ten times 7.
        let last = (0..10).map(|_| link.arrival(Nanos(0), 8)).last();
        assert_eq!(last, Some(Nanos(64)));
    }

    #[test]
    fn packets_pay_their_overhead() {
        let parameters = LinkParameters {
            packet_payload: Some(Bytes(1000)),
            packet_overhead: Bytes(50),
            latency: Nanos(0),
            ..wan()
        };
        // 1001 B is two packets: 1101 B on the wire, 88,080 ns. An empty message still costs a packet: 4,000 ns.
        assert_eq!(Ideal::new(parameters).arrival(Nanos(0), 1001), Nanos(88_080));
        assert_eq!(Ideal::new(parameters).arrival(Nanos(0), 0), Nanos(4_000));
    }

    #[test]
    fn an_unlimited_link_only_has_latency() {
        assert_eq!(
            Ideal::new(LinkParameters { rate: BitRate(u64::MAX), ..wan() }).arrival(Nanos(1), u32::MAX as u64),
            Nanos(50_000_001)
        );
    }
}
