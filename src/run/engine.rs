//! Runs a scenario: every cell, repetitions interleaved over the protocols so that a drift of the machine
//! hits all of them alike, results on disk as they come.

use super::prepare::{Prepared, PreparedModel, PreparedProtocol};
use super::records::{CellLayers, CellNames, run_record};
use super::reference::Reference;
use super::{Measurement, RunError};
use crate::crypto::Seed;
use crate::link::{ClockMode, ComputeMode, LinkConfig, LinkParameters, Phase, find_model};
use crate::nn::data::Image;
use crate::nn::secure::{Audit, Query, infer};
use crate::protocol::Function;
use crate::report::{
    Comparison, LayerRecord, Manifest, ResultsDir, RunRecord, SpeedupRecord, SummaryRecord, speedups, summarize,
};
use crate::scenario::{Clock, Compute, Link, Scenario};
use std::collections::HashSet;
use std::time::{Duration, Instant, SystemTime};
use tokio_util::sync::CancellationToken;

/// Rows are written at least this often; every write is a whole file.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// Is told how a run proceeds.
pub trait Observer {
    /// Before the first execution: how many there will be, warm-up included.
    fn planned(&mut self, executions: u64);
    /// Before each execution.
    fn starting(&mut self, cell: &str, repetition: Option<u32>);
    /// After each execution.
    fn finished(&mut self);
    /// Something that the user should know.
    fn warning(&mut self, text: &str);
}

/// What a run leaves behind besides the files.
pub struct Outcome {
    /// A row per cell.
    pub summaries: Vec<SummaryRecord>,
    /// A row per model, link and baseline.
    pub speedups: Vec<SpeedupRecord>,
    /// A row per cell and layer.
    pub layers: Vec<LayerRecord>,
}

/// Runs a scenario and writes its results.
///
/// # Errors
/// The first failure; rows measured before it are on disk. Without any, the folder is as it was.
pub fn run(
    prepared: &Prepared<'_>,
    results: &mut ResultsDir,
    manifest: &mut Manifest,
    observer: &mut dyn Observer,
    cancel: &CancellationToken,
) -> Result<Outcome, RunError> {
    let Prepared { scenario, models } = prepared;
    let rounds = u64::from(scenario.repetitions + scenario.warmup);
    let cells = |model: &PreparedModel| (scenario.links.len() * model.protocols.len() * model.images.len()) as u64;
    observer.planned(models.iter().map(|model| rounds * cells(model)).sum());
    let mut engine = Engine {
        scenario,
        results,
        manifest,
        observer,
        cancel,
        pending: Vec::new(),
        layers: Vec::new(),
        flushed: Instant::now(),
        references: Vec::new(),
        doubted: HashSet::new(),
    };
    let ended = models.iter().try_for_each(|model| engine.model(model));
    engine.finish(ended)
}

struct Engine<'a> {
    scenario: &'a Scenario,
    results: &'a mut ResultsDir,
    manifest: &'a mut Manifest,
    observer: &'a mut dyn Observer,
    cancel: &'a CancellationToken,
    /// Rows that are not on disk yet.
    pending: Vec<RunRecord>,
    layers: Vec<CellLayers>,
    flushed: Instant,
    /// Plaintext runs of the current model, by what they depend on, and image.
    references: Vec<(ReferenceKey, Vec<Reference>)>,
    /// Cells of which the user has been told that a run went wrong.
    doubted: HashSet<usize>,
}

impl Engine<'_> {
    fn model(&mut self, model: &PreparedModel) -> Result<(), RunError> {
        self.references.clear();
        for prepared in &model.protocols {
            self.reference(model, prepared)?;
        }
        let scenario = self.scenario;
        for link in &scenario.links {
            let first = self.layers.len();
            for prepared in &model.protocols {
                self.layers
                    .push(CellLayers::new(CellNames::new(scenario, model, prepared, link), &prepared.plan.layers));
            }
            for round in 0..scenario.warmup + scenario.repetitions {
                for (index, prepared) in model.protocols.iter().enumerate() {
                    for image in 0..model.images.len() {
                        self.execute(Run { model, prepared, link, round, image, cell: first + index })?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The plaintext network with the protocol's functions on every image, once per functions and ranges.
    fn reference(&mut self, model: &PreparedModel, prepared: &PreparedProtocol) -> Result<(), RunError> {
        let key = reference_key(prepared);
        if self.references.iter().any(|(known, _)| *known == key) {
            return Ok(());
        }
        let reference = |image: &Image| {
            self.go_on()?;
            let Image { pixels, .. } = image;
            Ok(Reference::new(&model.variants[prepared.variant].graph, &prepared.plan, &prepared.functions, pixels))
        };
        let references = model.images.iter().map(reference);
        let references = references.collect::<Result<Vec<_>, RunError>>()?;
        for (image, reference) in references.iter().enumerate() {
            if let Some((layer, count)) = reference.first_overflow(&prepared.plan) {
                self.warn(format!(
                    "model `{}`, image {image}: {count} values of layer `{layer}` leave the range of the ring in the plaintext network; \
                     its prediction is left empty (see overflowed_activations)",
                    model.model.name
                ));
            }
        }
        self.references.push((key, references));
        Ok(())
    }

    /// Fails once the user has asked to stop.
    fn go_on(&self) -> Result<(), RunError> {
        match self.cancel.is_cancelled() {
            true => Err(RunError::Cancelled),
            false => Ok(()),
        }
    }

    fn warn(&mut self, text: String) {
        self.observer.warning(&text);
        self.manifest.warnings.push(text);
    }

    /// Tells of the first run of a cell that went wrong though the ring could hold every value.
    fn doubt(&mut self, cell: usize, names: &CellNames, row: &RunRecord) {
        let at = format!("{names}, repetition {}, image {}", row.repetition, row.image);
        let wrapped = row.wrapped_activations;
        let text = match row.prediction {
            _ if row.overflowed_activations > 0 => return,
            Some(prediction) if prediction != row.reference_prediction => {
                let counted = wrapped.map_or(String::new(), |wrapped| format!(" ({wrapped} wrapped activations)"));
                format!("{at}: class {prediction}, the plaintext network says {}{counted}", row.reference_prediction)
            }
            _ => match wrapped {
                Some(wrapped) if wrapped > 0 => format!("{at}: {wrapped} activations wrapped around"),
                _ => return,
            },
        };
        if self.doubted.insert(cell) {
            self.warn(format!("{text}; later runs of the cell are only counted, in runs.csv"));
        }
    }

    fn execute(&mut self, run: Run) -> Result<(), RunError> {
        self.go_on()?;
        let Run { model, prepared, link, round, image, cell } = run;
        let names = self.layers[cell].names().clone();
        let repetition = round.checked_sub(self.scenario.warmup);
        self.observer.starting(&names.to_string(), repetition);
        let pixels = &model.images[image].pixels;
        let audit = Audit::default();
        let query = Query {
            plan: &prepared.plan,
            weights: &model.variants[prepared.variant].weights,
            image: pixels,
            link: &link_config(self.scenario, link, self.cancel),
            seed: Seed::from_u64(self.scenario.seed).derive(&format!("{names} / {round} / {image}")),
            material_bytes: self.scenario.memory.material.0,
            audit: Some(&audit),
        };
        let inference = infer(&query).map_err(|failure| RunError::cell(names.to_string(), failure))?;
        let measurement = Measurement::new(&prepared.plan, &inference);
        self.observer.finished();
        let online = measurement.phase(Phase::Online);
        tracing::debug!(%names, round, image, online_ns = online.time.0, rounds = online.rounds, "executed");
        let Some(repetition) = repetition else {
            return Ok(());
        };
        let key = reference_key(prepared);
        let (_, references) =
            self.references.iter().find(|(known, _)| *known == key).expect("made before the first run");
        let row = run_record(
            &names,
            (repetition, image),
            self.scenario.compute,
            &model.images[image],
            &references[image],
            &measurement,
            (self.scenario.clock == Clock::Virtual).then(|| audit.wrapped_activations()),
        );
        self.doubt(cell, &names, &row);
        self.pending.push(row);
        self.layers[cell].record(&measurement);
        if self.flushed.elapsed() >= FLUSH_EVERY {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), RunError> {
        if self.results.runs().is_empty() {
            // Before the first rows: whatever happens next, a reader knows what ran.
            self.results.write_manifest(self.manifest)?;
        }
        self.results.append_runs(&std::mem::take(&mut self.pending))?;
        self.flushed = Instant::now();
        Ok(())
    }

    /// Writes what there is, also after a failure, and then tells of the failure.
    fn finish(mut self, ended: Result<(), RunError>) -> Result<Outcome, RunError> {
        let ended = match ended {
            // Nothing was measured: the results of an earlier run are worth more than empty files.
            Err(error) if self.pending.is_empty() && self.results.runs().is_empty() => {
                return Err(error);
            }
            ended => ended,
        };
        self.flush()?;
        let rows: Vec<LayerRecord> = self.layers.iter().flat_map(CellLayers::rows).collect();
        self.results.append_layers(&rows)?;
        let summaries = summarize(self.results.runs())?;
        let speedups = match &self.scenario.speedup {
            Some(compared) => {
                let comparison =
                    Comparison { subject: compared.subject.clone(), baselines: Some(compared.baselines.clone()) };
                speedups(self.results.runs(), &comparison)?
            }
            None => Vec::new(),
        };
        if ended.is_ok() {
            self.manifest.finish(SystemTime::now());
        }
        self.results.write_all(&summaries, &speedups, self.manifest)?;
        ended?;
        Ok(Outcome { summaries, speedups, layers: rows })
    }
}

/// One execution.
struct Run<'a> {
    model: &'a PreparedModel<'a>,
    prepared: &'a PreparedProtocol<'a>,
    link: &'a Link,
    /// Counts warm-up too, so that no two executions share their randomness.
    round: u32,
    image: usize,
    cell: usize,
}

/// What a plaintext run depends on: the network, the functions, and the ranges that values must fit.
type ReferenceKey = (usize, Vec<Function>, Vec<f64>);

fn reference_key(prepared: &PreparedProtocol) -> ReferenceKey {
    (prepared.variant, prepared.functions.clone(), prepared.plan.range_limits.clone())
}

fn link_config(scenario: &Scenario, link: &Link, cancel: &CancellationToken) -> LinkConfig {
    let direction = |rate| LinkParameters {
        latency: link.latency,
        rate,
        packet_payload: link.packet_payload,
        packet_overhead: link.packet_overhead,
    };
    LinkConfig {
        model: find_model(&link.model).expect("the scenario was checked against the registry"),
        up: direction(link.up),
        down: direction(link.down),
        clock: match scenario.clock {
            Clock::Virtual => ClockMode::Virtual,
            Clock::Wall => ClockMode::Wall,
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
