//! Link models: pure state machines, one per direction.

use super::jitter::Jittered;
use super::tcp::TcpParameters;
use super::{ideal, tcp};
use crate::units::{BitRate, Bytes, Nanos};

/// When a message arrives. Implementations never sleep and never read a clock.
pub trait LinkModel: Send {
    /// The arrival of the last byte of a message of `bytes` handed to the link at `sent_at`.
    ///
    /// Calls come in sending order, with `sent_at` never decreasing; arrivals never decrease either.
    fn arrival(&mut self, sent_at: Nanos, bytes: u64) -> Nanos;
}

/// The parameters of one direction of a link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkParameters {
    /// One-way propagation delay.
    pub latency: Nanos,
    /// Rate of this direction, in bits per second on the wire.
    pub rate: BitRate,
    /// Payload bytes per packet; `None`: no packet overhead.
    pub packet_payload: Option<Bytes>,
    /// Bytes on the wire per packet beyond its payload.
    pub packet_overhead: Bytes,
    /// Messages arrive up to this much later, each by a random time, in order all the same.
    pub jitter: Nanos,
    /// What is random follows from it.
    pub seed: u64,
    /// What only model `tcp` has.
    pub tcp: TcpParameters,
}

impl LinkParameters {
    /// A direction of this latency and rate, without packets, jitter or loss.
    pub fn new(latency: Nanos, rate: BitRate) -> LinkParameters {
        LinkParameters {
            latency,
            rate,
            packet_payload: None,
            packet_overhead: Bytes(0),
            jitter: Nanos(0),
            seed: 0,
            tcp: TcpParameters::default(),
        }
    }
}

/// A registered link model.
pub struct ModelEntry {
    /// The `model = "..."` of a scenario.
    pub id: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// Whether it heeds [`LinkParameters::tcp`].
    pub transport: bool,
    /// A fresh, idle direction, without jitter.
    pub(super) build: fn(&LinkParameters) -> Box<dyn LinkModel>,
    /// For models whose two directions depend on each other: a fresh, idle connection, of what each side sends over. Only a clock
    /// that knows what both sides do can use it.
    pub(super) connect: Option<Connect>,
}

/// Makes a connection.
pub(super) type Connect = fn([&LinkParameters; 2]) -> Box<dyn Connection>;

/// One end of a connection, 0 or 1.
pub(super) type Side = usize;

/// Something that will happen on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Happening {
    /// ns.
    pub at: u64,
    /// Who has sent what it is about.
    pub side: Side,
    pub what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A part of a message is on the other side.
    Arrives,
    /// The sender hears of it.
    Acknowledged,
    /// The side's next message is whole on the other side.
    Delivered,
}

/// Both directions of a link, whose calls come in the order of time. Each call adds what will happen because of it.
pub(super) trait Connection {
    /// A side hands over a message.
    fn send(&mut self, side: Side, sent_at: u64, bytes: u64, happenings: &mut Vec<Happening>);

    /// Something happens that an earlier call told of.
    fn happen(&mut self, happening: Happening, happenings: &mut Vec<Happening>);
}

impl ModelEntry {
    /// A fresh, idle direction.
    pub fn direction(&self, parameters: &LinkParameters) -> Box<dyn LinkModel> {
        let model = (self.build)(parameters);
        if parameters.jitter == Nanos(0) { model } else { Box::new(Jittered::new(model, parameters)) }
    }
}

/// Every link model: one line each.
static MODELS: &[ModelEntry] = &[ideal::ENTRY, tcp::ENTRY, tcp::BBR_ENTRY];

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
        let mut model = entry.direction(parameters);
        let mut now = 0;
        sends
            .iter()
            .map(|&(gap, bytes)| {
                now += gap;
                model.arrival(Nanos(now), bytes).0
            })
            .collect()
    }

    fn links() -> impl Strategy<Value = LinkParameters> {
        let tcp =
            (1u64..20, 20_000u64..10_000_000, prop::option::of(10_000u64..1_000_000), any::<bool>(), any::<bool>())
                .prop_map(|(initial_window, max_window, queue, idle_restart, warm)| TcpParameters {
                    initial_window,
                    max_window: Bytes(max_window),
                    queue: queue.map(Bytes),
                    idle_restart,
                    warm,
                    loss: 0.0,
                });
        let loss = prop_oneof![Just(0.0), 0.0f64..0.05];
        let jitter = prop_oneof![Just(0), 0u64..20_000_000];
        (0u64..50_000_000, 10_000u64..10_000_000_000, 0u64..100, jitter, any::<u64>(), tcp, loss).prop_map(
            |(latency, rate, overhead, jitter, seed, tcp, loss)| LinkParameters {
                packet_payload: Some(Bytes(1448)),
                packet_overhead: Bytes(overhead),
                jitter: Nanos(jitter),
                seed,
                tcp: TcpParameters { loss, ..tcp },
                ..LinkParameters::new(Nanos(latency), BitRate(rate))
            },
        )
    }

    /// The same link, a little worse in one respect.
    fn worse(base: LinkParameters) -> [LinkParameters; 4] {
        [
            LinkParameters { latency: Nanos(base.latency.0 + 1000), ..base },
            LinkParameters { rate: BitRate(base.rate.0 / 2 + 1), ..base },
            LinkParameters { packet_overhead: Bytes(base.packet_overhead.0 + 10), ..base },
            LinkParameters { jitter: Nanos(base.jitter.0 * 2), ..base },
        ]
    }

    fn sends() -> impl Strategy<Value = Vec<(u64, u64)>> {
        prop::collection::vec((0u64..5_000_000, 0u64..200_000), 1..20)
    }

    fn is_later(left: &[u64], right: &[u64]) -> bool {
        left.iter().zip(right).all(|(left, right)| left >= right)
    }

    proptest! {
        /// First in first out, never earlier than latency, never faster than the rate.
        #[test]
        fn every_model_is_a_physical_link(sends in sends(), base in links()) {
            for entry in models() {
                let at = arrivals(entry, &base, &sends);
                prop_assert!(at.is_sorted());
                let (mut now, mut total) = (0u128, 0u128);
                for (&(gap, bytes), &arrived) in sends.iter().zip(&at) {
                    now += gap as u128;
                    total += bytes as u128;
                    prop_assert!(arrived as u128 >= now + base.latency.0 as u128);
                    let (arrived, rate) = (arrived as u128, base.rate.0 as u128);
                    prop_assert!(arrived * rate >= (total * 8 * 1_000_000_000).saturating_sub(rate));
                }
            }
        }

        /// Whatever is sent: monotone in latency, in the time of a bit, in headers, in jitter, and in bytes.
        #[test]
        fn the_ideal_link_is_monotone(sends in sends(), base in links(), more in 0u64..10_000) {
            let entry = find_model("ideal").expect("registered");
            let at = arrivals(entry, &base, &sends);
            for worse in worse(base) {
                prop_assert!(is_later(&arrivals(entry, &worse, &sends), &at));
            }
            let larger: Vec<_> = sends.iter().map(|&(gap, bytes)| (gap, bytes + more)).collect();
            prop_assert!(is_later(&arrivals(entry, &base, &larger), &at));
        }

        /// No model is faster than the ideal one. (Over several messages TCP is not monotone by itself: a larger message
        /// opens the window for the next, and a slower link leaves less time to be idle in.)
        #[test]
        fn no_model_is_faster_than_the_ideal_one(sends in sends(), base in links()) {
            let ideal = arrivals(find_model("ideal").expect("registered"), &base, &sends);
            for entry in models() {
                prop_assert!(is_later(&arrivals(entry, &base, &sends), &ideal), "{}", entry.id);
            }
        }

        /// One message, without loss: monotone for every model.
        #[test]
        fn one_message_takes_longer_on_a_worse_link(bytes in 0u64..3_000_000, more in 0u64..100_000, base in links()) {
            let lossless = LinkParameters { tcp: TcpParameters { loss: 0.0, queue: None, warm: false, ..base.tcp }, ..base };
            for entry in models() {
                let at = arrivals(entry, &lossless, &[(0, bytes)]);
                for worse in worse(lossless) {
                    let later = arrivals(entry, &worse, &[(0, bytes)]);
                    prop_assert!(is_later(&later, &at), "{}: {at:?}, {later:?}", entry.id);
                }
                prop_assert!(is_later(&arrivals(entry, &lossless, &[(0, bytes + more)]), &at), "{}", entry.id);
            }
        }
    }
}
