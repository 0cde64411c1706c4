//! One recorded execution over many links: a grid of round-trip times, bandwidths and link models.

use crate::link::{LinkParameters, ModelEntry, Phase, ReplayLink, Schedule, TcpParameters};
use crate::units::{BitRate, Nanos};

/// A point of the grid.
#[derive(Clone, Copy)]
pub struct Condition {
    /// Link model.
    pub model: &'static ModelEntry,
    /// One way, the same in both directions.
    pub latency: Nanos,
    /// Of each direction.
    pub rate: BitRate,
}

/// What an execution takes there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConditionTimes {
    /// Until the client has its logits.
    pub online: Nanos,
    /// The same, were computing free.
    pub online_floor: Nanos,
    /// What must be done before, for each query.
    pub offline: Nanos,
}

/// What all points of a grid have in common.
#[derive(Clone, Copy, Debug, Default)]
pub struct SweepOptions {
    /// For models that have a transport.
    pub tcp: TcpParameters,
    /// Computing takes so many times as long as it did when it was recorded.
    pub compute_scale: f64,
}

/// The times of an execution at every point, in order, on all cores.
pub fn sweep(schedule: &Schedule, conditions: &[Condition], options: SweepOptions) -> Vec<ConditionTimes> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = conditions.len().div_ceil(cores).max(1);
    std::thread::scope(|scope| {
        let workers: Vec<_> =
            conditions.chunks(share).map(|part| scope.spawn(move || times(schedule, part, options))).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a replay does not panic")).collect()
    })
}

fn times(schedule: &Schedule, conditions: &[Condition], options: SweepOptions) -> Vec<ConditionTimes> {
    let mut arrivals = Vec::new();
    let at = |condition: &Condition| {
        let direction = LinkParameters { tcp: options.tcp, ..LinkParameters::new(condition.latency, condition.rate) };
        let link =
            ReplayLink { model: condition.model, up: direction, down: direction, compute_scale: options.compute_scale };
        let free = ReplayLink { compute_scale: 0.0, ..link };
        ConditionTimes {
            online: schedule.time(Phase::Online, &link, &mut arrivals),
            online_floor: schedule.time(Phase::Online, &free, &mut arrivals),
            offline: schedule.time(Phase::Offline, &link, &mut arrivals),
        }
    };
    conditions.iter().map(at).collect()
}
