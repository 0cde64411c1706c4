//! Records for the tests of this module.

use super::record::{LayerRecord, MessageRecord, RunRecord};
use crate::units::Nanos;

/// One run of scenario `quickstart`, resnet20 over `wan`, that took `online_ms` online.
pub fn run(protocol: &str, repetition: u32, online_ms: u64) -> RunRecord {
    RunRecord {
        scenario: "quickstart".into(),
        model: "resnet20".into(),
        protocol: protocol.into(),
        link: "wan".into(),
        repetition,
        image: 0,
        online_s: Nanos(online_ms * 1_000_000),
        offline_s: Nanos(500_000_000),
        online_floor_s: Nanos(1_900_000_001),
        online_server_compute_s: Some(Nanos(30_000_000)),
        online_client_compute_s: Some(Nanos(7)),
        online_rounds: 39,
        online_bytes_up: 1_000_000,
        online_bytes_down: 500_000,
        offline_rounds: 2,
        offline_bytes_up: 800,
        offline_bytes_down: 64_000,
        setup_s: Nanos(1_250_000_000),
        setup_bytes_up: 0,
        setup_bytes_down: 2_170_000,
        dealer_bytes_server: 32,
        dealer_bytes_client: 4_096,
        label: None,
        prediction: Some(1),
        reference_prediction: Some(1),
        max_abs_error: 0.000_031,
        overflowed_activations: 0,
        transcript_blake3: blake3::hash(&repetition.to_le_bytes()),
        wrapped_activations: Some(0),
        pool: None,
        online_messages_up: Some(20),
        online_messages_down: Some(20),
        offline_messages_up: Some(1),
        offline_messages_down: Some(19),
        offline_floor_s: Some(Nanos(400_000_000)),
        offline_compute_s: Some(Nanos(90_000_000)),
        calibration_s: Some(Nanos(2_000_000)),
    }
}

/// Three repetitions each of `fused`, `gc` (10 times slower) and `gmw` (24 times slower).
pub fn three_protocols() -> Vec<RunRecord> {
    let mut runs = Vec::new();
    for (protocol, factor, bytes) in [("fused", 1, 1), ("gc", 10, 16), ("gmw", 24, 3)] {
        for repetition in 0..3 {
            let fused_ms = 2000 + 100 * u64::from(repetition);
            let mut run = run(protocol, repetition, factor * fused_ms);
            run.online_bytes_up *= bytes;
            run.online_bytes_down *= bytes;
            runs.push(run);
        }
    }
    runs
}

/// One layer of the cell of [`run`].
pub fn layer(protocol: &str, layer: u32) -> LayerRecord {
    LayerRecord {
        scenario: "quickstart".into(),
        model: "resnet20".into(),
        protocol: protocol.into(),
        link: "wan".into(),
        layer,
        name: format!("layer1.{layer}.relu"),
        kind: "activation".into(),
        elements: 16_384,
        online_s_median: Nanos(50_123_456_789),
        online_s_p95: Nanos(60_000_000_000),
        offline_s_median: None,
        online_rounds: 1,
        offline_rounds: 0,
        online_bytes_up: 0,
        online_bytes_down: 131_072,
        offline_bytes_up: 131_072,
        offline_bytes_down: 0,
        online_path_server_s: Nanos(100_000_000),
        online_path_client_s: Nanos(23_456_789),
        online_path_latency_s: Nanos(50_000_000_000),
        online_path_bandwidth_s: Nanos(0),
        online_s_p50: Some(Nanos(50_123_000_000)),
        online_s_p90: Some(Nanos(55_000_000_000)),
        online_s_p99: Some(Nanos(60_000_000_000)),
    }
}

/// One message of the cell of [`run`].
pub fn message(protocol: &str) -> MessageRecord {
    MessageRecord {
        scenario: "quickstart".into(),
        model: "resnet20".into(),
        protocol: protocol.into(),
        link: "wan".into(),
        phase: "online".into(),
        from: "client".into(),
        to: "server".into(),
        layer: 0,
        name: "conv1".into(),
        kind: "conv2d".into(),
        messages: 1,
        bytes: 24_576,
        round: 1,
        sent_s: Nanos(1_000),
        arrives_s: Nanos(51_967_080),
    }
}
