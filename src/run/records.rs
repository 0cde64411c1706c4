//! From measurements to the rows of the results.

use super::prepare::{PreparedModel, PreparedProtocol};
use super::reference::Reference;
use super::{LayerCost, Measurement};
use crate::link::{Party, Phase, Spent};
use crate::nn::data::Image;
use crate::nn::secure::LayerInfo;
use crate::report::{Latencies, LayerRecord, RunRecord};
use crate::scenario::{Compute, Link, Scenario};
use crate::units::Nanos;

/// What names a cell in every row.
#[derive(Clone)]
pub(super) struct CellNames {
    pub scenario: String,
    pub model: String,
    pub protocol: String,
    pub link: String,
    /// Kind of pooling, where the network leaves the choice.
    pub pool: Option<&'static str>,
}

impl CellNames {
    pub(super) fn new(
        scenario: &Scenario,
        model: &PreparedModel,
        prepared: &PreparedProtocol,
        link: &Link,
    ) -> CellNames {
        CellNames {
            scenario: scenario.name.clone(),
            model: model.model.name.clone(),
            protocol: prepared.protocol.name.clone(),
            link: link.name.clone(),
            pool: model.pool(prepared),
        }
    }
}

impl std::fmt::Display for CellNames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} / {} / {}", self.model, self.protocol, self.link)
    }
}

/// The row of one execution.
pub(super) fn run_record(
    names: &CellNames,
    (repetition, image_index): (u32, usize),
    compute: Compute,
    image: &Image,
    reference: &Reference,
    measurement: &Measurement,
    wrapped_activations: Option<u64>,
) -> RunRecord {
    let (setup, offline, online) =
        (measurement.phase(Phase::Setup), measurement.phase(Phase::Offline), measurement.phase(Phase::Online));
    let measured = |time| (compute == Compute::Measured).then_some(time);
    let overflowed = reference.overflowed() > 0;
    RunRecord {
        scenario: names.scenario.clone(),
        model: names.model.clone(),
        protocol: names.protocol.clone(),
        link: names.link.clone(),
        repetition,
        image: image_index as u32,
        online_s: online.time,
        offline_s: offline.time,
        online_floor_s: online.floor,
        online_server_compute_s: measured(online.server_compute),
        online_client_compute_s: measured(online.client_compute),
        online_rounds: online.rounds.into(),
        online_bytes_up: online.bytes_up,
        online_bytes_down: online.bytes_down,
        offline_rounds: offline.rounds.into(),
        offline_bytes_up: offline.bytes_up,
        offline_bytes_down: offline.bytes_down,
        setup_s: setup.time,
        setup_bytes_up: setup.bytes_up,
        setup_bytes_down: setup.bytes_down,
        dealer_bytes_server: setup.dealer_server + offline.dealer_server,
        dealer_bytes_client: setup.dealer_client + offline.dealer_client,
        label: image.label.map(u32::from),
        // Past the ring the shares hold no result: better an empty cell than a wrong one.
        prediction: (!overflowed).then(|| argmax(&measurement.logits)),
        reference_prediction: argmax(&reference.logits),
        max_abs_error: if overflowed { f64::NAN } else { max_abs_error(&measurement.logits, &reference.logits) },
        overflowed_activations: reference.overflowed(),
        transcript_blake3: measurement.transcript,
        wrapped_activations,
        pool: names.pool.map(str::to_string),
    }
}

/// The index of the largest logit, the first of several.
fn argmax(logits: &[f64]) -> u32 {
    let larger = |best: usize, i: usize| if logits[i] > logits[best] { i } else { best };
    (0..logits.len()).fold(0, larger) as u32
}

fn max_abs_error(actual: &[f64], expected: &[f64]) -> f64 {
    actual.iter().zip(expected).map(|(a, e)| (a - e).abs()).fold(0.0, f64::max)
}

/// Times of every layer of one cell over its runs.
pub(super) struct CellLayers {
    names: CellNames,
    infos: Vec<LayerInfo>,
    /// By layer, then run. [`Latencies`] are for the rows only: a histogram per layer and cell would fill the memory.
    online: Vec<Vec<Nanos>>,
    offline: Vec<Vec<Nanos>>,
    /// Exact figures of the last run.
    costs: Vec<(LayerCost, LayerCost)>,
    /// Online time of every run, and what each layer contributes to it.
    paths: Vec<(Nanos, Vec<Spent>)>,
}

impl CellLayers {
    pub(super) fn new(names: CellNames, infos: &[LayerInfo]) -> CellLayers {
        let times = || vec![Vec::new(); infos.len()];
        CellLayers {
            names,
            infos: infos.to_vec(),
            online: times(),
            offline: times(),
            costs: Vec::new(),
            paths: Vec::new(),
        }
    }

    pub(super) fn names(&self) -> &CellNames {
        &self.names
    }

    pub(super) fn record(&mut self, measurement: &Measurement) {
        for (layers, costs) in
            [(&mut self.online, &measurement.online_layers), (&mut self.offline, &measurement.offline_layers)]
        {
            layers.iter_mut().zip(costs).for_each(|(times, cost)| times.push(cost.time));
        }
        self.paths.push((measurement.phase(Phase::Online).time, measurement.online_path.clone()));
        self.costs =
            measurement.online_layers.iter().copied().zip(measurement.offline_layers.iter().copied()).collect();
    }

    /// The rows, once there was a run.
    pub(super) fn rows(&self) -> Vec<LayerRecord> {
        let Some(path) = self.median_path() else {
            return Vec::new();
        };
        let costs = self.costs.iter().zip(path).enumerate();
        costs.filter_map(|(layer, (costs, spent))| self.row(layer, costs, spent)).collect()
    }

    /// The path of the run with the median online time, of an even number the lower: parts of one run add up.
    fn median_path(&self) -> Option<&[Spent]> {
        let mut paths: Vec<&(Nanos, Vec<Spent>)> = self.paths.iter().collect();
        paths.sort_by_key(|(online, _)| *online);
        let (_, path) = paths.get(paths.len().saturating_sub(1) / 2)?;
        Some(path)
    }

    fn row(&self, layer: usize, (online, offline): &(LayerCost, LayerCost), spent: &Spent) -> Option<LayerRecord> {
        let CellNames { scenario, model, protocol, link, .. } = self.names.clone();
        let info = &self.infos[layer];
        let latencies = |times: &[Nanos]| times.iter().copied().collect::<Latencies>();
        let (online_times, offline_times) = (latencies(&self.online[layer]), latencies(&self.offline[layer]));
        Some(LayerRecord {
            scenario,
            model,
            protocol,
            link,
            layer: layer as u32,
            name: info.name.clone(),
            kind: info.kind.into(),
            elements: info.elements as u64,
            online_s_median: online_times.median()?,
            online_s_p95: online_times.p95()?,
            offline_s_median: offline_times.median(),
            online_rounds: online.rounds.into(),
            offline_rounds: offline.rounds.into(),
            online_bytes_up: online.bytes_up,
            online_bytes_down: online.bytes_down,
            offline_bytes_up: offline.bytes_up,
            offline_bytes_down: offline.bytes_down,
            online_path_server_s: spent.compute[Party::Server as usize],
            online_path_client_s: spent.compute[Party::Client as usize],
            online_path_latency_s: spent.latency,
            online_path_bandwidth_s: spent.bandwidth,
        })
    }
}
