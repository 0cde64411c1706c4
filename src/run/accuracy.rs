//! How many labelled images a network gets right: in plaintext with ReLU, in plaintext with a protocol's activations, and
//! under the protocol.
//!
//! Several images travel in one execution and share its rounds; a few travel alone, too, so that both latencies are known.

use super::forecast::Forecast;
use super::links::link_config;
use super::prepare::{Prepared, PreparedModel, PreparedProtocol, batch_plan, relu_network};
use super::records::{CellNames, argmax, max_abs_error};
use super::{Measurement, Observer, RunError, Stage};
use crate::crypto::Seed;
use crate::link::{ClockMode, Phase};
use crate::nn::data::Image;
use crate::nn::graph::Graph;
use crate::nn::plain::forward_observed;
use crate::nn::secure::{Audit, Plan, Query, infer};
use crate::protocol::Function;
use crate::report::{AccuracyRecord, Interval, Latencies, PredictionRecord, wilson_interval, write_records};
use crate::scenario::{Link, Scenario};
use crate::units::Nanos;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Files are written this often at most.
const WRITE_EVERY: Duration = Duration::from_secs(2);

/// Offline bytes that the largest layer of an execution may have: a layer's material is one message.
const LAYER_BYTES: u64 = 256_000_000;

/// How accuracy is measured.
#[derive(Clone, Copy, Debug)]
pub struct AccuracyOptions {
    /// Images per execution, at least 1; fewer where a layer's material would be too large for memory.
    pub batch: usize,
    /// Images that also travel alone.
    pub singles: usize,
    /// Pre-activations of polynomials beyond this magnitude count as outside.
    pub range: f64,
}

/// Evaluates every selected model and protocol, over the first selected link that they share, on all of the scenario's
/// images. `predictions.csv` and `accuracy.csv` in `out` grow as it goes and always fit together.
///
/// # Errors
/// [`RunError::NoLabels`]; the first failure; what was evaluated before it is on disk.
pub fn accuracy(
    prepared: &Prepared<'_>,
    options: &AccuracyOptions,
    out: &Path,
    observer: &mut dyn Observer,
    cancel: &CancellationToken,
) -> Result<Vec<AccuracyRecord>, RunError> {
    let labelled = |model: &PreparedModel| model.images.iter().all(|image| image.label.is_some());
    if !prepared.models.iter().all(labelled) {
        return Err(RunError::NoLabels);
    }
    let mut evaluation = Evaluation {
        scenario: prepared.scenario,
        options: *options,
        out,
        observer,
        cancel,
        forecast: Forecast::default(),
        cells: Vec::new(),
        predictions: Vec::new(),
        written: Instant::now(),
    };
    let batches = evaluation.plan(prepared)?;
    let mut batches = batches.into_iter();
    for (index, model) in prepared.models.iter().enumerate() {
        let plans = batches.by_ref().take(model.protocols.len()).collect::<Vec<_>>();
        let ended = evaluation.model(index, model, &plans);
        evaluation.write()?;
        ended?;
    }
    Ok(evaluation.cells.iter().filter_map(Cell::record).collect())
}

struct Evaluation<'a> {
    scenario: &'a Scenario,
    options: AccuracyOptions,
    out: &'a Path,
    observer: &'a mut dyn Observer,
    cancel: &'a CancellationToken,
    forecast: Forecast,
    cells: Vec<Cell>,
    predictions: Vec<PredictionRecord>,
    written: Instant,
}

impl<'a> Evaluation<'a> {
    /// The plan of a whole batch for every protocol of every model.
    fn plan(&mut self, prepared: &Prepared<'_>) -> Result<Vec<Plan>, RunError> {
        let mut plans = Vec::new();
        for (index, model) in prepared.models.iter().enumerate() {
            for (place, protocol) in model.protocols.iter().enumerate() {
                let plan = self.batch(model, protocol)?;
                let images = model.images.len();
                self.forecast.plan((index, place, Some(0)), images.div_ceil(plan.images) as u64);
                self.forecast.plan((index, place, Some(1)), self.options.singles.min(images) as u64);
                plans.push(plan);
            }
        }
        self.observer.planned(self.forecast.executions(), 0);
        Ok(plans)
    }

    /// As many images as are asked for, there and fit.
    fn batch(&self, model: &PreparedModel, prepared: &PreparedProtocol) -> Result<Plan, RunError> {
        let single = batch_plan(self.scenario, model, prepared, 1)?;
        let bytes = single.activation_costs().map(|(_, cost)| cost.offline.up.max(cost.offline.down));
        let fit = (LAYER_BYTES / bytes.max().unwrap_or(0).max(1)).max(1);
        let images = self.options.batch.min(model.images.len()).min(usize::try_from(fit).unwrap_or(usize::MAX));
        batch_plan(self.scenario, model, prepared, images)
    }

    fn model(&mut self, index: usize, model: &PreparedModel, plans: &[Plan]) -> Result<(), RunError> {
        let relu = relu_network(self.scenario, model.model)?;
        let functions: Vec<Function> = relu.functions().iter().map(relu_in_place_of_polynomial).collect();
        // Every polynomial's network runs on the same images, with ReLU as well.
        let mut plain = Plaintext { options: self.options, known: Vec::new() };
        for (place, prepared) in model.protocols.iter().enumerate() {
            let unit =
                model.units.iter().find(|unit| unit.protocols.contains(&place)).expect("every protocol has a link");
            let names = CellNames::new(self.scenario, model, prepared, unit.link);
            self.cells.push(Cell::new(names, prepared, &self.options, plans[place].images));
            let cell = Work { kind: (index, place), model, prepared, link: unit.link };
            for image in 0..self.options.singles.min(model.images.len()) {
                self.single(&cell, image)?;
            }
            let count = model.images.len();
            for start in (0..count).step_by(plans[place].images) {
                let images = start..count.min(start + plans[place].images);
                let rest = match images.len() == plans[place].images {
                    true => None,
                    false => Some(batch_plan(self.scenario, model, prepared, images.len())?),
                };
                let batch = &model.images[images.clone()];
                let with_relu = plain.outcomes((&relu, &functions, &[]), images.start, batch);
                let graph = &model.variants[prepared.variant].graph;
                let expected =
                    plain.outcomes((graph, &prepared.functions, &prepared.plan.range_limits), images.start, batch);
                let (measurement, wrapped) =
                    self.execute(&cell, rest.as_ref().unwrap_or(&plans[place]), images.clone())?;
                self.keep(model, (images, batch), (&with_relu, &expected), &measurement, wrapped);
                self.write_now_and_then()?;
            }
        }
        Ok(())
    }

    /// Runs these images in one execution; counts the activations that wrapped around, under the virtual clock.
    fn execute(
        &mut self,
        work: &Work,
        plan: &Plan,
        images: std::ops::Range<usize>,
    ) -> Result<(Measurement, Option<u64>), RunError> {
        if self.cancel.is_cancelled() {
            return Err(RunError::Cancelled);
        }
        let started = Instant::now();
        let &Work { kind: (model, place), model: of, prepared, link } = work;
        let names = &self.cells.last().expect("a cell is under way").names;
        let stage = Stage::Images(images.clone(), of.images.len());
        self.observer.starting(&names.to_string(), stage, self.forecast.time());
        let pixels: Vec<f64> =
            of.images[images.clone()].iter().flat_map(|image| image.pixels.iter().copied()).collect();
        let audit = Audit::default();
        let link = link_config(self.scenario, link, self.cancel);
        let purpose = format!("{names} / accuracy / {} images from {}", plan.images, images.start);
        let query = Query {
            plan,
            weights: &of.variants[prepared.variant].weights,
            image: &pixels,
            link: &link,
            seed: Seed::from_u64(self.scenario.seed).derive(&purpose),
            material_bytes: self.scenario.memory.material.0,
            audit: Some(&audit),
        };
        let inference = infer(&query).map_err(|failure| RunError::cell(names.to_string(), failure))?;
        self.observer.finished();
        let alone = std::ptr::eq(plan, &prepared.plan);
        self.forecast.done((model, place, Some(usize::from(alone))), started.elapsed());
        let wrapped = (link.clock == ClockMode::Virtual).then(|| audit.wrapped_activations());
        Ok((Measurement::new(plan, &inference), wrapped))
    }

    /// One image alone, as `longhaul run` sends it; it is part of a batch, too, where its class counts.
    fn single(&mut self, work: &Work, image: usize) -> Result<(), RunError> {
        let (measurement, _) = self.execute(work, &work.prepared.plan, image..image + 1)?;
        let cell = self.cells.last_mut().expect("a cell is under way");
        cell.single.record(&measurement, 1);
        Ok(())
    }

    fn keep(
        &mut self,
        model: &PreparedModel,
        (images, batch): (std::ops::Range<usize>, &[Image]),
        (with_relu, expected): (&[Outcome], &[Outcome]),
        measurement: &Measurement,
        wrapped: Option<u64>,
    ) {
        let cell = self.cells.last_mut().expect("a cell is under way");
        cell.together.record(measurement, batch.len() as u64);
        let online = measurement.phase(Phase::Online);
        cell.bytes = (online.bytes_up / batch.len() as u64, online.bytes_down / batch.len() as u64);
        cell.wrapped = cell.wrapped.zip(wrapped).map(|(before, now)| before + now);
        let classes = measurement.logits.len() / batch.len();
        let logits = measurement.logits.chunks_exact(classes);
        for ((index, image), (private, (relu, plain))) in
            images.zip(batch).zip(logits.zip(with_relu.iter().zip(expected)))
        {
            let row = PredictionRecord {
                model: model.model.name.clone(),
                protocol: cell.names.protocol.clone(),
                image: index as u64,
                label: image.label.map(u32::from).expect("checked at the beginning"),
                relu_prediction: argmax(&relu.logits),
                plain_prediction: argmax(&plain.logits),
                private_prediction: argmax(private),
                max_abs_error: max_abs_error(private, &plain.logits),
            };
            cell.count(&row, plain);
            self.predictions.push(row);
        }
    }

    fn write_now_and_then(&mut self) -> Result<(), RunError> {
        if self.written.elapsed() < WRITE_EVERY {
            return Ok(());
        }
        self.write()
    }

    fn write(&mut self) -> Result<(), RunError> {
        let records: Vec<AccuracyRecord> = self.cells.iter().filter_map(Cell::record).collect();
        if records.is_empty() {
            return Ok(());
        }
        write_records(self.out, &self.predictions)?;
        write_records(self.out, &records)?;
        self.written = Instant::now();
        Ok(())
    }
}

/// What a protocol's polynomials replace.
fn relu_in_place_of_polynomial(function: &Function) -> Function {
    match function {
        Function::Polynomial(_) => Function::Relu,
        function => function.clone(),
    }
}

/// What is executed for one cell.
struct Work<'a> {
    /// Indices of the model and the protocol.
    kind: (usize, usize),
    model: &'a PreparedModel<'a>,
    prepared: &'a PreparedProtocol<'a>,
    link: &'a Link,
}

/// A plaintext network: graph, functions by slot, and the ranges that values must fit (none: not counted).
type Network<'a> = (&'a Graph, &'a [Function], &'a [f64]);

/// What the plaintext networks of one model say about its images, each evaluated once.
struct Plaintext {
    options: AccuracyOptions,
    /// By network: outcomes of the first images.
    known: Vec<(NetworkKey, Vec<Outcome>)>,
}

/// A [`Network`] to be found again: whose graph, functions, ranges.
type NetworkKey = (*const Graph, Vec<Function>, Vec<f64>);

/// What one of them says about one image.
#[derive(Clone, Default)]
struct Outcome {
    logits: Vec<f64>,
    /// Pre-activations of polynomials.
    watched: u64,
    /// Those of them outside the range.
    outside: u64,
    /// Pre-activations and logits that the ring cannot hold.
    overflowed: u64,
}

impl Plaintext {
    /// Outcomes of images `start` and following. Images are asked for in order, again only for another protocol.
    fn outcomes(&mut self, network: Network, start: usize, images: &[Image]) -> Vec<Outcome> {
        let (graph, functions, limits) = network;
        let key = (std::ptr::from_ref(graph), functions.to_vec(), limits.to_vec());
        let place = self.known.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            self.known.push((key, Vec::new()));
            self.known.len() - 1
        });
        let known = &mut self.known[place].1;
        let missing = known.len().saturating_sub(start).min(images.len());
        let evaluated = on_all_cores(&images[missing..], |image| outcome(network, &image.pixels, self.options.range));
        known.extend(evaluated);
        known[start..start + images.len()].to_vec()
    }
}

fn outcome((graph, functions, limits): Network, pixels: &[f64], range: f64) -> Outcome {
    let beyond = |values: &[f64], limit: f64| values.iter().filter(|x| x.is_nan() || x.abs() >= limit).count() as u64;
    let mut outcome = Outcome::default();
    let logits = forward_observed(graph, pixels, functions, &mut |slot, values| {
        if matches!(functions[slot], Function::Polynomial(_)) {
            outcome.watched += values.len() as u64;
            outcome.outside += values.iter().filter(|x| x.is_nan() || x.abs() > range).count() as u64;
        }
        outcome.overflowed += limits.get(slot).map_or(0, |limit| beyond(values, *limit));
    });
    outcome.overflowed += limits.get(functions.len()).map_or(0, |limit| beyond(&logits, *limit));
    Outcome { logits, ..outcome }
}

/// `work` on every item, in the items' order.
fn on_all_cores<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = items.len().div_ceil(cores).max(1);
    let work = &work;
    std::thread::scope(|scope| {
        let workers: Vec<_> =
            items.chunks(share).map(|part| scope.spawn(move || part.iter().map(work).collect())).collect();
        let results = workers.into_iter().map(|worker| worker.join().expect("the work does not panic"));
        results.flat_map(|part: Vec<R>| part).collect()
    })
}

/// Times of executions, per image.
#[derive(Default)]
struct Times {
    online: Latencies,
    offline: Latencies,
}

impl Times {
    fn record(&mut self, measurement: &Measurement, images: u64) {
        self.online.record(Nanos(measurement.phase(Phase::Online).time.0 / images));
        self.offline.record(Nanos(measurement.phase(Phase::Offline).time.0 / images));
    }
}

/// A model under a protocol, as far as it is evaluated.
struct Cell {
    names: CellNames,
    batch: usize,
    range: Option<f64>,
    images: u64,
    /// Right in plaintext with ReLU, in plaintext, under the protocol; and the last two agree.
    correct: [u64; 4],
    max_abs_error: f64,
    watched: u64,
    outside: u64,
    overflowed: u64,
    wrapped: Option<u64>,
    together: Times,
    single: Times,
    /// Online bytes of one image, up and down.
    bytes: (u64, u64),
}

impl Cell {
    fn new(names: CellNames, prepared: &PreparedProtocol, options: &AccuracyOptions, batch: usize) -> Cell {
        let polynomials = prepared.functions.iter().any(|function| matches!(function, Function::Polynomial(_)));
        Cell {
            names,
            batch,
            range: polynomials.then_some(options.range),
            images: 0,
            correct: [0; 4],
            max_abs_error: 0.0,
            watched: 0,
            outside: 0,
            overflowed: 0,
            wrapped: Some(0),
            together: Times::default(),
            single: Times::default(),
            bytes: (0, 0),
        }
    }

    fn count(&mut self, row: &PredictionRecord, plain: &Outcome) {
        self.images += 1;
        let right = [
            row.relu_prediction == row.label,
            row.plain_prediction == row.label,
            row.private_prediction == row.label,
            row.private_prediction == row.plain_prediction,
        ];
        self.correct.iter_mut().zip(right).for_each(|(count, right)| *count += u64::from(right));
        if plain.overflowed == 0 {
            self.max_abs_error = self.max_abs_error.max(row.max_abs_error);
        }
        self.watched += plain.watched;
        self.outside += plain.outside;
        self.overflowed += plain.overflowed;
    }

    /// `None` without images.
    fn record(&self) -> Option<AccuracyRecord> {
        let online_amortised_s = self.together.online.median()?;
        let share = |count: u64| count as f64 / self.images as f64;
        let [relu, plain, private, agreement] = self.correct.map(|count| {
            let Interval { low, high } = wilson_interval(count, self.images);
            (share(count), low, high)
        });
        Some(AccuracyRecord {
            scenario: self.names.scenario.clone(),
            model: self.names.model.clone(),
            protocol: self.names.protocol.clone(),
            link: self.names.link.clone(),
            images: self.images,
            relu_accuracy: relu.0,
            relu_accuracy_low: relu.1,
            relu_accuracy_high: relu.2,
            plain_accuracy: plain.0,
            plain_accuracy_low: plain.1,
            plain_accuracy_high: plain.2,
            private_accuracy: private.0,
            private_accuracy_low: private.1,
            private_accuracy_high: private.2,
            agreement: agreement.0,
            agreement_low: agreement.1,
            agreement_high: agreement.2,
            max_abs_error: self.max_abs_error,
            range: self.range,
            outside_share: self.range.map(|_| self.outside as f64 / self.watched.max(1) as f64),
            overflowed_activations: self.overflowed,
            wrapped_activations: self.wrapped,
            batch: self.batch as u64,
            online_amortised_s,
            online_single_s: self.single.online.median(),
            offline_amortised_s: self.together.offline.median()?,
            offline_single_s: self.single.offline.median(),
            online_bytes_up: self.bytes.0,
            online_bytes_down: self.bytes.1,
        })
    }
}
