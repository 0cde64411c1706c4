//! `preset = "..."`: links that are common, and those of published measurements.

use crate::units::{BitRate, Nanos};

/// A link's figures under a name; keys beside `preset` replace them one by one.
#[derive(Clone, Copy, Debug)]
pub struct LinkPreset {
    /// The `preset = "..."` of a scenario.
    pub id: &'static str,
    /// One way.
    pub latency: Nanos,
    /// Client to server.
    pub up: BitRate,
    /// Server to client.
    pub down: BitRate,
    /// Messages arrive up to this much later.
    pub jitter: Nanos,
    /// Probability that a segment is lost; for models with a transport.
    pub loss: f64,
    /// One line for people.
    pub summary: &'static str,
}

const MBIT: u64 = 1_000_000;
const GBIT: u64 = 1000 * MBIT;

const fn preset(id: &'static str, rtt_us: u64, rate: BitRate, summary: &'static str) -> LinkPreset {
    let latency = Nanos(rtt_us * 500);
    LinkPreset { id, latency, up: rate, down: rate, jitter: Nanos(0), loss: 0.0, summary }
}

/// Every preset.
pub static LINK_PRESETS: &[LinkPreset] = &[
    preset("lan", 250, BitRate(10 * GBIT), "two machines in one rack"),
    preset("metro", 3_000, BitRate(GBIT), "two data centres of one city"),
    preset("continental", 35_000, BitRate(500 * MBIT), "across one continent"),
    preset("intercontinental", 150_000, BitRate(200 * MBIT), "across an ocean"),
    LinkPreset {
        up: BitRate(10 * MBIT),
        jitter: Nanos(10_000_000),
        loss: 0.001,
        ..preset("mobile-4g", 50_000, BitRate(40 * MBIT), "a telephone and a data centre")
    },
    LinkPreset {
        up: BitRate(5 * MBIT),
        jitter: Nanos(5_000_000),
        loss: 0.0005,
        ..preset("satellite", 600_000, BitRate(50 * MBIT), "over a geostationary satellite")
    },
    preset("paper-lan", 250, BitRate::UNLIMITED, "Diaa et al. 2024: delays alone, LAN"),
    preset("paper-50ms", 50_000, BitRate::UNLIMITED, "Diaa et al. 2024: delays alone, 50 ms"),
    preset("paper-100ms", 100_000, BitRate::UNLIMITED, "Diaa et al. 2024: delays alone, 100 ms"),
    preset("cheetah-lan", 300, BitRate(3 * GBIT), "Huang et al. 2022 (OpenCheetah), LAN"),
    preset("cheetah-wan", 40_000, BitRate(400 * MBIT), "Huang et al. 2022 (OpenCheetah), WAN"),
    preset("coinn-lan", 125, BitRate(10 * GBIT), "Hussain et al. 2021 (COINN), LAN"),
    preset("coinn-wan", 50_000, BitRate(GBIT), "Hussain et al. 2021 (COINN), WAN"),
];
