//! From a scenario's link to the one that the parties talk over.

use crate::link::{ClockMode, ComputeMode, LinkConfig, LinkParameters, ModelEntry, TcpParameters, find_model};
use crate::scenario::{Clock, Compute, Link, Scenario};
use tokio_util::sync::CancellationToken;

/// A link's model, and its directions up and down; what is random about it follows from `seed`.
pub fn directions(link: &Link, seed: u64) -> (&'static ModelEntry, LinkParameters, LinkParameters) {
    let tcp = link.transport.map_or_else(TcpParameters::default, |transport| TcpParameters {
        initial_window: transport.initial_window,
        max_window: transport.max_window,
        queue: transport.queue,
        idle_restart: transport.idle_restart,
        warm: transport.warm,
        loss: transport.loss,
    });
    let up = LinkParameters {
        packet_payload: link.packet_payload,
        packet_overhead: link.packet_overhead,
        jitter: link.jitter,
        seed,
        tcp,
        ..LinkParameters::new(link.latency, link.up)
    };
    // Each direction loses and delays by numbers of its own.
    let down = LinkParameters { rate: link.down, seed: seed.rotate_left(32) ^ 1, ..up };
    (find_model(&link.model).expect("the scenario was checked against the registry"), up, down)
}

pub(super) fn link_config(scenario: &Scenario, link: &Link, cancel: &CancellationToken) -> LinkConfig {
    let (model, up, down) = directions(link, scenario.seed);
    LinkConfig {
        model,
        up,
        down,
        clock: match scenario.clock {
            Clock::Virtual => ClockMode::Virtual,
            Clock::Wall => ClockMode::Wall,
            Clock::Real => ClockMode::Real,
        },
        compute: match scenario.compute {
            Compute::Measured => ComputeMode::Measured { scale: scenario.compute_scale },
            Compute::None => ComputeMode::None,
        },
        in_flight_bytes: scenario.memory.in_flight.0,
        capture: false,
        cancel: cancel.clone(),
    }
}
