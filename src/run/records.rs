//! From measurements to the rows of the results.

use super::prepare::{PreparedModel, PreparedProtocol};
use super::reference::Reference;
use super::{LayerCost, Measurement};
use crate::crypto::Seed;
use crate::link::{Party, Phase, Sent, Spent};
use crate::nn::data::Image;
use crate::nn::secure::LayerInfo;
use crate::report::{Latencies, LayerRecord, MessageRecord, RunRecord};
use crate::scenario::{Compute, Link, Scenario};
use crate::units::Nanos;
use std::collections::BTreeMap;

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

impl CellNames {
    /// Whether `row` is one of this cell.
    pub(super) fn are_of(&self, row: &RunRecord) -> bool {
        (&self.model, &self.protocol, &self.link) == (&row.model, &row.protocol, &row.link)
    }
}

/// What all randomness of one execution follows from, where a scenario's seed decides. Rounds count warm-up too, so that no two
/// executions share theirs.
pub(super) fn execution_seed(seed: u64, names: impl std::fmt::Display, round: u32, image: usize) -> Seed {
    Seed::from_u64(seed).derive(&format!("{names} / {round} / {image}"))
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
    (image, reference): (&Image, Option<&Reference>),
    measurement: &Measurement,
    wrapped_activations: Option<u64>,
    calibration: Option<Nanos>,
) -> RunRecord {
    let (setup, offline, online) =
        (measurement.phase(Phase::Setup), measurement.phase(Phase::Offline), measurement.phase(Phase::Online));
    let measured = |time| (compute == Compute::Measured).then_some(time);
    // Without the plaintext network nobody knows.
    let overflowed_activations = reference.map_or(0, Reference::overflowed);
    let overflowed = overflowed_activations > 0;
    let error = reference.map(|reference| max_abs_error(&measurement.logits, &reference.logits));
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
        reference_prediction: reference.map(|reference| argmax(&reference.logits)),
        max_abs_error: error.filter(|_| !overflowed).unwrap_or(f64::NAN),
        overflowed_activations,
        transcript_blake3: measurement.transcript,
        wrapped_activations,
        pool: names.pool.map(str::to_string),
        online_messages_up: Some(online.messages_up),
        online_messages_down: Some(online.messages_down),
        offline_messages_up: Some(offline.messages_up),
        offline_messages_down: Some(offline.messages_down),
        offline_floor_s: Some(offline.floor),
        offline_compute_s: measured(Nanos(
            offline.server_compute.0 + offline.client_compute.0 + offline.dealer_compute.0,
        )),
        calibration_s: calibration,
    }
}

/// The rows of one execution's messages, each on its own.
pub(super) fn message_records(names: &CellNames, infos: &[LayerInfo], measurement: &Measurement) -> Vec<MessageRecord> {
    let row = |(from, sent): &(Party, Sent)| {
        let CellNames { scenario, model, protocol, link, .. } = names.clone();
        let info = &infos[sent.layer as usize];
        MessageRecord {
            scenario,
            model,
            protocol,
            link,
            phase: sent.phase.to_string(),
            from: from.to_string(),
            to: sent.to.to_string(),
            layer: sent.layer,
            name: info.name.clone(),
            kind: info.kind.into(),
            messages: 1,
            bytes: sent.bytes,
            round: sent.depth,
            sent_s: sent.sent_at,
            arrives_s: sent.arrives_at,
        }
    };
    measurement.messages.iter().map(row).collect()
}

/// Garbled circuits of a large network are 100,000 messages: of more alike than this, several share a row.
const ROWS_ALIKE: usize = 16;

/// The same rows with those alike in phase, direction, layer and round joined to at most 16.
pub(super) fn joined(messages: Vec<MessageRecord>) -> Vec<MessageRecord> {
    let mut alike: BTreeMap<_, Vec<MessageRecord>> = BTreeMap::new();
    for message in messages {
        let key = (message.phase.clone(), message.from.clone(), message.to.clone(), message.layer, message.round);
        alike.entry(key).or_default().push(message);
    }
    let phase = |message: &MessageRecord| Phase::ALL.iter().position(|phase| phase.to_string() == message.phase);
    let join = |part: &[MessageRecord]| MessageRecord {
        messages: part.iter().map(|message| message.messages).sum(),
        bytes: part.iter().map(|message| message.bytes).sum(),
        arrives_s: part.iter().map(|message| message.arrives_s).max().expect("a part is not empty"),
        ..part[0].clone()
    };
    let mut rows: Vec<MessageRecord> =
        alike.values().flat_map(|alike| alike.chunks(alike.len().div_ceil(ROWS_ALIKE)).map(join)).collect();
    rows.sort_by(|a, b| {
        let key = |row: &MessageRecord| (phase(row), row.sent_s, row.arrives_s);
        key(a).cmp(&key(b)).then_with(|| (&a.from, &a.to).cmp(&(&b.from, &b.to)))
    });
    rows
}

/// The index of the largest logit, the first of several.
pub(super) fn argmax(logits: &[f64]) -> u32 {
    let larger = |best: usize, i: usize| if logits[i] > logits[best] { i } else { best };
    (0..logits.len()).fold(0, larger) as u32
}

pub(super) fn max_abs_error(actual: &[f64], expected: &[f64]) -> f64 {
    actual.iter().zip(expected).map(|(a, e)| (a - e).abs()).fold(0.0, f64::max)
}

/// What one layer of one execution cost, and its share of the online time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LayerFigures {
    pub online: LayerCost,
    pub offline: LayerCost,
    pub spent: Spent,
}

/// The figures of every layer.
pub(super) fn layer_figures(measurement: &Measurement) -> Vec<LayerFigures> {
    let costs = measurement.online_layers.iter().zip(&measurement.offline_layers);
    costs
        .zip(&measurement.online_path)
        .map(|((online, offline), spent)| LayerFigures { online: *online, offline: *offline, spent: *spent })
        .collect()
}

/// Online times of one cell. [`Latencies`] of them are for one at a time: a histogram takes megabytes.
pub struct CellTimes {
    /// Model, protocol, link.
    pub cell: [String; 3],
    /// Of the whole network, by run.
    pub online: Vec<Nanos>,
    /// Of each layer, with its name.
    pub layers: Vec<(String, Vec<Nanos>)>,
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

    /// Adds a run that took `online` in all.
    pub(super) fn record(&mut self, online: Nanos, layers: &[LayerFigures]) {
        for (layer, figures) in layers.iter().enumerate() {
            self.online[layer].push(figures.online.time);
            self.offline[layer].push(figures.offline.time);
        }
        self.paths.push((online, layers.iter().map(|figures| figures.spent).collect()));
        self.costs = layers.iter().map(|figures| (figures.online, figures.offline)).collect();
    }

    /// How many runs there were.
    pub(super) fn runs(&self) -> usize {
        self.paths.len()
    }

    /// Online times of all runs.
    pub(super) fn online(&self) -> Latencies {
        self.paths.iter().map(|(online, _)| *online).collect()
    }

    /// What histograms are made of.
    pub(super) fn into_times(self) -> CellTimes {
        let CellNames { model, protocol, link, .. } = self.names;
        let names = self.infos.into_iter().map(|info| info.name);
        CellTimes {
            cell: [model, protocol, link],
            online: self.paths.into_iter().map(|(online, _)| online).collect(),
            layers: names.zip(self.online).collect(),
        }
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
            online_s_p50: online_times.quantile(0.5),
            online_s_p90: online_times.quantile(0.9),
            online_s_p99: online_times.quantile(0.99),
        })
    }
}
