//! Runs a scenario: every cell, repetitions interleaved over the protocols so that a drift of the machine
//! hits all of them alike, results on disk as they come.

use super::calibrate::Calibration;
use super::executor::{Executor, Local, Place};
use super::forecast::{Forecast, Kind};
use super::journal::{Execution, Header, Journal};
use super::links::link_config;
use super::prepare::{Prepared, PreparedModel, PreparedProtocol, PreparedUnit};
use super::records::{
    CellLayers, CellNames, CellTimes, execution_seed, joined, layer_figures, message_records, run_record,
};
use super::reference::Reference;
use super::traces::Traces;
use super::{Measurement, RunError};
use crate::link::{Phase, TraceHeader};
use crate::nn::data::Image;
use crate::nn::secure::{Audit, Inference, Query};
use crate::protocol::Function;
use crate::report::{
    Comparison, LayerRecord, Manifest, ResultsDir, RunRecord, ShardRecord, SpeedupRecord, SummaryRecord,
    first_difference, oddities, read_manifest, relative_half_width, speedups, summarize,
};
use crate::scenario::{Clock, Compute, Link, Repetitions, Scenario};
use crate::units::Nanos;
use std::collections::HashSet;
use std::ops::Range;
use std::time::{Duration, Instant, SystemTime};
use tokio_util::sync::CancellationToken;

/// Rows are written this often, or less often once writing, which is of the whole file, takes long.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// At most one part in so many of the time goes into writing.
const FLUSH_SHARE: u32 = 20;

/// What of a cell is executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Not counted.
    WarmUp,
    /// A counted repetition, from 0, of how many.
    Repetition(u32, u32),
    /// These images, of how many.
    Images(Range<usize>, usize),
}

/// Is told how a run proceeds.
pub trait Observer {
    /// Before the first execution, and when it changes: how many there will be, warm-up included, and how many of them
    /// were made by an earlier, interrupted run.
    fn planned(&mut self, executions: u64, made_before: u64);
    /// Before each execution: its cell, what of it, and about how long all that is left will take.
    fn starting(&mut self, cell: &str, stage: Stage, left: Option<Duration>);
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
    /// Online times by run, for whoever wants histograms.
    pub times: Vec<CellTimes>,
}

/// What is wanted besides the results.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunOptions {
    /// Go on where the journal in the folder ends.
    pub resume: bool,
    /// Keep the trace of each cell's typical run.
    pub trace: bool,
}

/// Runs a scenario and writes its results.
///
/// # Errors
/// The first failure; rows measured before it are on disk. Without any, the folder is as it was.
pub fn run(
    prepared: &Prepared<'_>,
    results: &mut ResultsDir,
    manifest: &mut Manifest,
    options: RunOptions,
    observer: &mut dyn Observer,
    cancel: &CancellationToken,
) -> Result<Outcome, RunError> {
    run_with(&Local, prepared, results, manifest, options, observer, cancel)
}

/// The same, wherever the parties are.
pub(super) fn run_with(
    executor: &dyn Executor,
    prepared: &Prepared<'_>,
    results: &mut ResultsDir,
    manifest: &mut Manifest,
    options: RunOptions,
    observer: &mut dyn Observer,
    cancel: &CancellationToken,
) -> Result<Outcome, RunError> {
    let Prepared { scenario, selection, models } = prepared;
    manifest.selection = (!selection.is_whole()).then(|| selection.to_string());
    manifest.shard = selection.shard.map(|shard| ShardRecord { index: shard.index + 1, count: shard.count });
    let traces = options.trace.then(|| Traces::new(results.path(), options.resume));
    let mut engine = Engine {
        executor,
        scenario,
        header: Header::new(scenario.digest(), selection.to_string()),
        results,
        manifest,
        observer,
        cancel,
        journal: None,
        made: HashSet::new(),
        forecast: Forecast::default(),
        pending: Vec::new(),
        layers: Vec::new(),
        flushed: Instant::now(),
        flush_after: FLUSH_EVERY,
        references: Vec::new(),
        doubted: HashSet::new(),
        calibration: Calibration::default(),
        traces,
    };
    engine.plan(models);
    if options.resume {
        engine.resume()?;
    }
    engine.observer.planned(engine.forecast.executions() + engine.made.len() as u64, engine.made.len() as u64);
    let ended = (0..).zip(models).try_for_each(|(index, model)| engine.model(index, model));
    engine.finish(ended)
}

struct Engine<'a> {
    executor: &'a dyn Executor,
    scenario: &'a Scenario,
    header: Header,
    results: &'a mut ResultsDir,
    manifest: &'a mut Manifest,
    observer: &'a mut dyn Observer,
    cancel: &'a CancellationToken,
    /// From the first counted execution on.
    journal: Option<Journal>,
    /// Cell, repetition and image of every counted execution that an interrupted run made.
    made: HashSet<(usize, u32, usize)>,
    forecast: Forecast,
    /// Rows that are not on disk yet.
    pending: Vec<RunRecord>,
    /// By cell, in the order of execution.
    layers: Vec<CellLayers>,
    flushed: Instant,
    flush_after: Duration,
    /// Plaintext runs of the current model, by what they depend on, and image.
    references: Vec<(ReferenceKey, Vec<Reference>)>,
    /// Cells of which the user has been told that a run went wrong.
    doubted: HashSet<usize>,
    calibration: Calibration,
    traces: Option<Traces>,
}

impl<'a> Engine<'a> {
    /// Numbers the cells: by model, link and protocol.
    fn plan(&mut self, models: &[PreparedModel]) {
        for (index, model) in models.iter().enumerate() {
            for unit in &model.units {
                for prepared in unit.protocols.iter().map(|protocol| &model.protocols[*protocol]) {
                    let names = CellNames::new(self.scenario, model, prepared, unit.link);
                    let rounds = u64::from(self.scenario.warmup) + u64::from(self.scenario.repetitions.least());
                    self.forecast.plan(self.kind(index, &names), rounds * model.images.len() as u64);
                    self.layers.push(CellLayers::new(names, &prepared.plan.layers));
                }
            }
        }
    }

    /// What executions take about equally long: on the wall clock those of a link.
    fn kind(&self, model: usize, names: &CellNames) -> Kind {
        let position = |found: Option<usize>| found.expect("it is in the scenario");
        let protocol = position(self.scenario.protocols.iter().position(|protocol| protocol.name == names.protocol));
        let link = || position(self.scenario.links.iter().position(|link| link.name == names.link));
        (model, protocol, (self.scenario.clock != Clock::Virtual).then(link))
    }

    /// Takes over what the journal of an interrupted run holds.
    fn resume(&mut self) -> Result<(), RunError> {
        let path = self.results.journal();
        let folder = self.results.path().to_owned();
        let refused = |reason: String| RunError::Resume { path: folder.clone(), reason };
        let earlier = read_manifest(folder.join("manifest.json")).ok();
        let changed = |earlier: &Option<Manifest>, now: &Manifest| {
            let key = earlier.as_ref().and_then(|earlier| first_difference(&earlier.scenario, &now.scenario));
            refused(format!("the scenario has changed since: {}", key.as_deref().unwrap_or("it is another one")))
        };
        if !path.exists() {
            return match &earlier {
                Some(complete) if complete.scenario_digest != self.manifest.scenario_digest => {
                    Err(changed(&earlier, self.manifest))
                }
                Some(complete) if complete.finished_at.is_some() => Err(refused("its run is complete".to_string())),
                _ => Ok(()),
            };
        }
        let (journal, header, executions) = Journal::open(path)?;
        if header.scenario_digest != self.header.scenario_digest {
            return Err(changed(&earlier, self.manifest));
        }
        if header != self.header {
            let reason = format!("it was begun with {}, this is {}", header.selection, self.header.selection);
            return Err(refused(reason));
        }
        if let Some(earlier) = earlier {
            self.manifest.resume(earlier);
        }
        self.results.write_manifest(self.manifest)?;
        self.journal = Some(journal);
        for execution in executions {
            let place = |layers: &CellLayers| layers.names().are_of(&execution.row);
            let cell = self.layers.iter().position(place).expect("the scenario and the selection are the same");
            self.made.insert((cell, execution.row.repetition, execution.row.image as usize));
            let names = self.layers[cell].names().clone();
            let model = self.scenario.models.iter().position(|model| model.name == names.model);
            self.forecast.drop(self.kind(model.expect("named in the scenario"), &names), 1);
            self.keep(cell, execution);
        }
        Ok(())
    }

    fn model(&mut self, index: usize, model: &PreparedModel) -> Result<(), RunError> {
        self.references.clear();
        for prepared in &model.protocols {
            self.reference(model, prepared)?;
        }
        model.units.iter().try_for_each(|unit| self.unit(index, model, unit))
    }

    /// Repetitions interleaved over the protocols of one model and link.
    fn unit(&mut self, index: usize, model: &PreparedModel, unit: &PreparedUnit) -> Result<(), RunError> {
        let of_link = |layers: &CellLayers| {
            let names = layers.names();
            (&names.model, &names.link) == (&model.model.name, &unit.link.name)
        };
        let first = self.layers.iter().position(of_link).expect("planned");
        let cells = first..first + unit.protocols.len();
        let (warmup, started) = (self.scenario.warmup, Instant::now());
        for round in 0.. {
            if round >= warmup && self.is_enough(cells.clone(), round - warmup, started.elapsed()) {
                break;
            }
            for (cell, prepared) in cells.clone().zip(unit.protocols.iter().map(|protocol| &model.protocols[*protocol]))
            {
                for image in 0..model.images.len() {
                    let run = Run { model, index, prepared, link: unit.link, round, image, cell };
                    if self.is_left(cells.clone(), &run) {
                        self.execute(run)?;
                    }
                }
            }
        }
        if let Some(traces) = &mut self.traces {
            for cell in cells {
                let CellNames { model, protocol, link, .. } = self.layers[cell].names();
                traces.write(cell, &format!("{model}.{protocol}.{link}"))?;
            }
        }
        Ok(())
    }

    /// Whether a run must still be made. Warm-up runs are repeated after an interruption, unless the cells need no more runs.
    fn is_left(&self, cells: Range<usize>, run: &Run) -> bool {
        match run.round.checked_sub(self.scenario.warmup) {
            Some(repetition) => !self.made.contains(&(run.cell, repetition, run.image)),
            None => {
                let wanted = self.scenario.repetitions.least() as usize * run.model.images.len();
                cells.into_iter().any(|cell| self.layers[cell].runs() < wanted)
            }
        }
    }

    /// Whether `repetitions` counted ones are enough for `cells`, after `elapsed` of real time.
    fn is_enough(&mut self, cells: Range<usize>, repetitions: u32, elapsed: Duration) -> bool {
        let auto = match self.scenario.repetitions {
            Repetitions::Fixed(count) => return repetitions >= count,
            Repetitions::Auto(auto) => auto,
        };
        if repetitions < auto.least {
            return false;
        }
        let widest = |widest: Option<(usize, f64)>, cell: usize| {
            let width = relative_half_width(&self.layers[cell].online()).unwrap_or(0.0);
            if widest.is_some_and(|(_, most)| most >= width) { widest } else { Some((cell, width)) }
        };
        let (cell, width) = cells.clone().fold(None, widest).expect("a unit has a cell");
        if width <= auto.within {
            return true;
        }
        if repetitions < auto.most && elapsed.as_secs_f64() < auto.budget_s {
            return false;
        }
        self.warn(format!(
            "{}: after {repetitions} repetitions the median online time is known to {:.1} %, not to {:.1} %; \
             raise `budget` or `most` in [auto], or make the machine quieter",
            self.layers[cell].names(),
            100.0 * width,
            100.0 * auto.within
        ));
        true
    }

    /// The plaintext network with the protocol's functions on every image, once per functions and ranges.
    fn reference(&mut self, model: &PreparedModel, prepared: &PreparedProtocol) -> Result<(), RunError> {
        let key = reference_key(prepared);
        if !model.variants[prepared.variant].known {
            self.warn(format!(
                "model `{}`: its weights are not here, so results are not compared with the plaintext network",
                model.model.name
            ));
            return Ok(());
        }
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
        if !self.manifest.warnings.contains(&text) {
            self.observer.warning(&text);
            self.manifest.warnings.push(text);
        }
    }

    /// Tells of the first run of a cell that went wrong though the ring could hold every value.
    fn doubt(&mut self, cell: usize, row: &RunRecord) {
        let at = format!("{}, repetition {}, image {}", self.layers[cell].names(), row.repetition, row.image);
        let wrapped = row.wrapped_activations;
        let text = match row.prediction {
            _ if row.overflowed_activations > 0 => return,
            Some(prediction) if row.reference_prediction.is_some_and(|reference| reference != prediction) => {
                let reference = row.reference_prediction.unwrap_or_default();
                let counted = wrapped.map_or(String::new(), |wrapped| format!(" ({wrapped} wrapped activations)"));
                format!("{at}: class {prediction}, the plaintext network says {reference}{counted}")
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
        let Run { model, index, prepared, link, round, image, cell } = run;
        let started = Instant::now();
        let names = self.layers[cell].names().clone();
        let repetition = round.checked_sub(self.scenario.warmup);
        let stage = repetition.map_or(Stage::WarmUp, |repetition| {
            Stage::Repetition(repetition, self.scenario.repetitions.least().max(repetition + 1))
        });
        self.observer.starting(&names.to_string(), stage, self.forecast.time());
        let audit = Audit::default();
        let query = Query {
            plan: &prepared.plan,
            weights: &model.variants[prepared.variant].weights,
            image: &model.images[image].pixels,
            link: &link_config(self.scenario, link, self.cancel),
            seed: execution_seed(self.scenario.seed, &names, round, image),
            material_bytes: self.scenario.memory.material.0,
            audit: Some(&audit),
        };
        let calibration = (self.scenario.compute == Compute::Measured).then(|| self.calibration.measure());
        let inference = self.executor.execute(&Place { names: &names, round, image }, &query)?;
        let measurement = Measurement::new(&prepared.plan, &inference);
        let online = measurement.phase(Phase::Online);
        tracing::debug!(%names, round, image, online_ns = online.time.0, rounds = online.rounds, "executed");
        if let Some(repetition) = repetition {
            let key = reference_key(prepared);
            let references = self.references.iter().find(|(known, _)| *known == key).map(|(_, references)| references);
            let is_first = (repetition, image) == (0, 0);
            let execution = Execution {
                row: run_record(
                    &names,
                    (repetition, image),
                    self.scenario.compute,
                    (&model.images[image], references.map(|references| &references[image])),
                    &measurement,
                    (self.scenario.clock == Clock::Virtual).then(|| audit.wrapped_activations()),
                    calibration,
                ),
                layers: layer_figures(&measurement),
                messages: match is_first {
                    true => joined(message_records(&names, &prepared.plan.layers, &measurement)),
                    false => Vec::new(),
                },
            };
            self.write_down(&execution)?;
            if image == 0 {
                self.trace(&run, repetition, execution.row.online_s, &inference);
            }
            self.keep(cell, execution);
        }
        self.observer.finished();
        self.forecast.done(self.kind(index, &names), started.elapsed());
        if self.flushed.elapsed() >= self.flush_after && !self.pending.is_empty() {
            self.flush()?;
        }
        Ok(())
    }

    fn trace(&mut self, run: &Run, repetition: u32, online: Nanos, inference: &Inference) {
        let Some(traces) = &mut self.traces else { return };
        let CellNames { model, protocol, link, .. } = self.layers[run.cell].names().clone();
        let header = TraceHeader {
            longhaul: env!("CARGO_PKG_VERSION").to_owned(),
            scenario: self.scenario.name.clone(),
            scenario_digest: self.scenario.digest().to_owned(),
            model,
            protocol,
            link,
            repetition,
            image: run.image,
            cpu: self.manifest.host.cpu_model.clone().unwrap_or_default(),
            layers: Vec::new(),
        };
        traces.keep(run.cell, online, header, &run.prepared.plan, inference);
    }

    /// Into the journal. The first one ends what an earlier run left in the folder.
    fn write_down(&mut self, execution: &Execution) -> Result<(), RunError> {
        if self.journal.is_none() {
            // Whatever happens next, a reader knows what ran.
            self.results.write_manifest(self.manifest)?;
            self.journal = Some(Journal::create(self.results.journal(), &self.header)?);
        }
        let journal = self.journal.as_mut().expect("created above");
        Ok(journal.append(execution)?)
    }

    fn keep(&mut self, cell: usize, execution: Execution) {
        let Execution { row, layers, messages } = execution;
        self.doubt(cell, &row);
        self.layers[cell].record(row.online_s, &layers);
        self.results.add_messages(messages);
        self.pending.push(row);
    }

    fn flush(&mut self) -> Result<(), RunError> {
        let started = Instant::now();
        if let Some(journal) = &mut self.journal {
            journal.sync()?;
        }
        self.results.append_runs(&std::mem::take(&mut self.pending))?;
        self.flush_after = FLUSH_EVERY.max(FLUSH_SHARE * started.elapsed());
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
        self.results.add_layers(&rows);
        let summaries = summarize(self.results.runs())?;
        if self.scenario.compute == Compute::Measured {
            oddities(self.results.runs()).into_iter().for_each(|text| self.warn(text));
        }
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
        if let Some(journal) = self.journal {
            journal.remove()?;
        }
        let times = self.layers.into_iter().map(CellLayers::into_times).collect();
        Ok(Outcome { summaries, speedups, layers: rows, times })
    }
}

/// One execution.
struct Run<'a> {
    model: &'a PreparedModel<'a>,
    /// The model's place among those that run.
    index: usize,
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
