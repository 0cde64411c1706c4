//! Link models: pure state machines, one per direction.

use super::ideal;
use crate::units::{BitRate, Bytes, Nanos};

/// When a message arrives. Implementations never sleep and never read a clock.
pub trait LinkModel: Send {
    /// The arrival of the last byte of a message of `bytes` handed to the link at `sent_at`.
    ///
    /// Calls come in sending order, with `sent_at` never decreasing; arrivals never decrease either.
    fn arrival(&mut self, sent_at: Nanos, bytes: u64) -> Nanos;
}

/// The parameters of one direction of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkParameters {
    /// One-way propagation delay.
    pub latency: Nanos,
    /// Rate of this direction, in bits per second on the wire.
    pub rate: BitRate,
    /// Payload bytes per packet; `None`: no packet overhead.
    pub packet_payload: Option<Bytes>,
    /// Bytes on the wire per packet beyond its payload.
    pub packet_overhead: Bytes,
}

/// A registered link model.
pub struct ModelEntry {
    /// The `model = "..."` of a scenario.
    pub id: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// A fresh, idle direction.
    pub build: fn(&LinkParameters) -> Box<dyn LinkModel>,
}

/// Every link model: one line each.
static MODELS: &[ModelEntry] = &[ideal::ENTRY];

/// Every link model.
pub fn models() -> &'static [ModelEntry] {
    MODELS
}

/// The link model with this id.
pub fn find_model(id: &str) -> Option<&'static ModelEntry> {
    MODELS.iter().find(|entry| entry.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn arrivals(entry: &ModelEntry, parameters: &LinkParameters, sends: &[(u64, u64)]) -> Vec<u64> {
        let mut model = (entry.build)(parameters);
        let mut now = 0;
        sends
            .iter()
            .map(|&(gap, bytes)| {
                now += gap;
                model.arrival(Nanos(now), bytes).0
            })
            .collect()
    }

    proptest! {
        /// FIFO, never earlier than latency, never faster than the rate, monotone in every parameter.
        #[test]
        fn every_model_is_a_physical_link(
            sends in prop::collection::vec((0u64..5_000_000, 0u64..200_000), 1..20),
            latency in 0u64..50_000_000, rate in 10_000u64..10_000_000_000, overhead in 0u64..100,
        ) {
            let base = LinkParameters { latency: Nanos(latency), rate: BitRate(rate), packet_payload: Some(Bytes(1448)), packet_overhead: Bytes(overhead) };
            for entry in models() {
                let at = arrivals(entry, &base, &sends);
                prop_assert!(at.is_sorted());
                let (mut now, mut total) = (0u128, 0u128);
                for (&(gap, bytes), &arrived) in sends.iter().zip(&at) {
                    now += gap as u128;
                    total += bytes as u128;
                    prop_assert!(arrived as u128 >= now + latency as u128);
                    prop_assert!((arrived as u128) * rate as u128 >= (total * 8 * 1_000_000_000).saturating_sub(rate as u128));
                }
                let later = |p: LinkParameters| arrivals(entry, &p, &sends).iter().zip(&at).all(|(a, b)| a >= b);
                for slower in [
                    LinkParameters { latency: Nanos(latency + 1000), ..base },
                    LinkParameters { rate: BitRate(rate / 2 + 1), ..base },
                    LinkParameters { packet_overhead: Bytes(overhead + 10), ..base },
                ] {
                    prop_assert!(later(slower));
                }
            }
        }
    }
}
