//! Results for the tests of this module.

use super::Results;
use crate::report::{Host, LayerRecord, Manifest, RunRecord, fixture};
use crate::units::Nanos;
use std::time::UNIX_EPOCH;

const PROTOCOLS: [&str; 5] = ["fused", "espn", "gmw", "gc", "fss"];
const LINKS: [&str; 2] = ["lan", "wan"];

/// Five protocols on two links, seven runs each, times within 2 % of their median.
pub fn results() -> Results {
    let cells = LINKS.into_iter().flat_map(|link| PROTOCOLS.into_iter().map(move |protocol| (link, protocol)));
    let runs = cells.clone().flat_map(|(link, protocol)| (0..7).map(move |repetition| run(link, protocol, repetition)));
    let layers = cells.flat_map(|(link, protocol)| [0, 1].map(|index| layer(link, protocol, index)));
    Results { manifest: manifest("Example CPU"), runs: runs.collect(), layers: Some(layers.collect()) }
}

/// Times of 100 to 500 ms by protocol, and a calibration of 2 ms, that jitter apart from each other.
fn run(link: &str, protocol: &str, repetition: u32) -> RunRecord {
    let scale = 1 + PROTOCOLS.iter().position(|known| *known == protocol).expect("one of them") as u64;
    let jitter = |nanos: u64, step: u64| Nanos(nanos * (980 + (u64::from(repetition) * step) % 41) / 1000);
    let mut run = fixture::run(protocol, repetition, 0);
    run.link = link.into();
    run.online_server_compute_s = Some(jitter(60_000_000 * scale, 17));
    run.online_client_compute_s = Some(jitter(40_000_000 * scale, 23));
    run.offline_compute_s = Some(jitter(200_000_000 * scale, 29));
    run.online_s = Nanos(run.online_floor_s.0 + jitter(90_000_000 * scale, 19).0);
    run.calibration_s = Some(jitter(2_000_000, 13));
    run
}

fn layer(link: &str, protocol: &str, index: u32) -> LayerRecord {
    let mut layer = fixture::layer(protocol, index);
    layer.link = link.into();
    layer
}

pub fn manifest(cpu: &str) -> Manifest {
    let host =
        Host { cpu_model: Some(cpu.into()), cores: Some(2), cpu_features: vec!["aes".into()], os: "test".into() };
    let scenario = serde_json::json!({ "name": "quickstart", "seed": 1, "repetitions": 7 });
    Manifest::begin(UNIX_EPOCH, host, 1, blake3::hash(b"scenario"), scenario)
}

impl Results {
    /// Multiplies the times of the runs that `choose` picks, computing and above the floor alike.
    pub fn slow(mut self, percent: u64, choose: impl Fn(&RunRecord) -> bool) -> Results {
        let slower = |time: Nanos| Nanos(time.0 * percent / 100);
        for run in self.runs.iter_mut().filter(|run| choose(run)) {
            run.online_server_compute_s = run.online_server_compute_s.map(slower);
            run.online_client_compute_s = run.online_client_compute_s.map(slower);
            run.offline_compute_s = run.offline_compute_s.map(slower);
            run.online_s = Nanos(run.online_floor_s.0 + slower(Nanos(run.online_s.0 - run.online_floor_s.0)).0);
        }
        self
    }

    /// As measured on a machine that needs `percent` of the time for everything, the calibration included.
    pub fn on_a_slower_machine(mut self, percent: u64) -> Results {
        for run in &mut self.runs {
            run.calibration_s = run.calibration_s.map(|time| Nanos(time.0 * percent / 100));
        }
        self.slow(percent, |_| true)
    }
}
