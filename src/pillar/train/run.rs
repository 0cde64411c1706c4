//! A training run: epochs over the training images, tests, records, checkpoints.

use std::path::Path;
use std::time::Instant;

use burn::tensor::activation::log_softmax;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{ElementConversion, Int, Tensor};
use tokio_util::sync::CancellationToken;

use super::TrainError;
use super::backend::{ActivationSpec, TrainBackend};
use super::batches::{Batch, Epoch};
use super::checkpoint::Checkpoint;
use super::layout::Layout;
use super::monitor::Seen;
use super::network::{Tensors, eval_forward, train_forward};
use super::optimizer::{Average, Sgd};
use super::schedule::{Phase, evaluation_spec, learning_rate, phase, training_spec};
use super::settings::Settings;
use crate::nn::data::{Dataset, Normalization};
use crate::nn::graph::Op;
use crate::pillar::records::{EpochRecord, RangeRecord};

/// Test images that go through the network at once.
const TEST_BATCH: usize = 250;

/// What is trained, on what.
#[derive(Debug)]
pub struct Run<'a> {
    /// Choices.
    pub settings: &'a Settings,
    /// The architecture.
    pub layout: &'a Layout,
    /// Initial values of every tensor, in the order of training.
    pub initial: &'a [Vec<f32>],
    /// Training images.
    pub train: &'a Dataset,
    /// Test images.
    pub test: &'a Dataset,
    /// The checkpoint: read if it is to be resumed, written after each epoch.
    pub checkpoint: &'a Path,
    /// Whether to go on from the checkpoint.
    pub resume: bool,
    /// Stops between two steps.
    pub cancel: &'a CancellationToken,
}

/// What a run reports while it goes on.
#[derive(Debug)]
pub enum Progress<'a> {
    /// One step is done.
    Step {
        /// From 0.
        epoch: u32,
        /// Steps done.
        step: usize,
        /// Steps of the epoch.
        steps: usize,
        /// Loss of the step.
        loss: f32,
    },
    /// One epoch is done; its checkpoint is written next.
    Epoch {
        /// Its row.
        record: &'a EpochRecord,
        /// A row per activation layer.
        ranges: &'a [RangeRecord],
    },
}

/// The state of a run.
struct State<A: AutodiffBackend> {
    tensors: Tensors<A>,
    running: Tensors<A::InnerBackend>,
    sgd: Sgd<A::InnerBackend>,
    average: Option<Average<A::InnerBackend>>,
}

/// Sums over the steps of an epoch.
#[derive(Default)]
struct Sums {
    loss: f64,
    correct: f64,
    lr: f64,
    seen: Vec<Seen>,
}

/// The result of a test.
struct Test {
    accuracy: f64,
    seen: Vec<Seen>,
}

/// Trains, and returns the values of every tensor to save, in the order of training: the averaged ones if there are any.
///
/// # Errors
/// If the loss is no number any more, a checkpoint is unusable or cannot be written, `observe` fails, or the run is
/// cancelled.
pub fn train<A>(
    run: &Run<'_>,
    device: &A::Device,
    observe: &mut dyn FnMut(Progress<'_>) -> Result<(), TrainError>,
) -> Result<Vec<Vec<f32>>, TrainError>
where
    A: TrainBackend + AutodiffBackend,
    A::InnerBackend: TrainBackend,
{
    let settings = run.settings;
    let normalization = Normalization::named(&settings.normalize)
        .ok_or_else(|| TrainError::Settings(format!("no normalisation is called \"{}\"", settings.normalize)))?;
    let (mut state, first) = if run.resume { resume::<A>(run, device)? } else { (start::<A>(run, device), 0) };
    let slots = run.layout.graph.activation_layers();
    for epoch in first..settings.epochs {
        let clock = Instant::now();
        let phase = phase(settings, epoch);
        let images = Epoch::train(run.train, &normalization, (settings.seed, epoch), settings.augment);
        let sums = train_epoch(run, &mut state, (epoch, &phase), &images, device, observe)?;

        let images = Epoch::test(run.test, &normalization);
        let spec = vec![evaluation_spec(settings); slots];
        let last = merged(run.layout, &state);
        let test = |tensors: &Tensors<A::InnerBackend>| test::<A::InnerBackend>(run, tensors, &images, &spec, device);
        let last = test(&last)?;
        let average = state.average.as_ref().map(|average| test(&average.tensors)).transpose()?;
        let (record, ranges) = records(run, (epoch, &phase), &sums, &last, average.as_ref());
        let record = EpochRecord { seconds: clock.elapsed().as_secs_f64(), ..record };
        observe(Progress::Epoch { record: &record, ranges: &ranges })?;
        checkpoint(run, &state, epoch + 1).write(run.checkpoint)?;
    }
    Ok(state.average.as_ref().map_or_else(|| merged(run.layout, &state).values(), |average| average.tensors.values()))
}

fn start<A: AutodiffBackend>(run: &Run<'_>, device: &A::Device) -> State<A> {
    let settings = run.settings;
    let zeros: Vec<Vec<f32>> = run.initial.iter().map(|values| vec![0.0; values.len()]).collect();
    State {
        tensors: followed(run.layout, Tensors::new(run.initial, device)),
        running: Tensors::new(run.initial, device),
        sgd: Sgd {
            velocity: Tensors::new(&zeros, device),
            momentum: settings.momentum,
            weight_decay: settings.weight_decay,
        },
        average: (settings.ema > 0.0).then(|| Average {
            tensors: Tensors::new(run.initial, device),
            decay: settings.ema,
            steps: 0,
        }),
    }
}

/// The trained tensors, to be followed by autodiff.
fn followed<A: AutodiffBackend>(layout: &Layout, tensors: Tensors<A>) -> Tensors<A> {
    let tensors = tensors.0.into_iter().enumerate();
    Tensors(tensors.map(|(i, tensor)| if layout.trained(i) { tensor.require_grad() } else { tensor }).collect())
}

/// The state of the checkpoint, and the next epoch.
fn resume<A: AutodiffBackend>(run: &Run<'_>, device: &A::Device) -> Result<(State<A>, u32), TrainError> {
    let path = run.checkpoint;
    let checkpoint = Checkpoint::read(path)?;
    let part = |part| checkpoint.part::<A::InnerBackend>(part, run.initial, device, path);
    let settings = run.settings;
    let average = if settings.ema > 0.0 {
        Some(Average { tensors: part(3)?, decay: settings.ema, steps: checkpoint.average_steps })
    } else {
        None
    };
    let state = State {
        tensors: followed(run.layout, checkpoint.part::<A>(0, run.initial, device, path)?),
        running: part(1)?,
        sgd: Sgd { velocity: part(2)?, momentum: settings.momentum, weight_decay: settings.weight_decay },
        average,
    };
    Ok((state, checkpoint.epochs))
}

fn checkpoint<A: AutodiffBackend>(run: &Run<'_>, state: &State<A>, epochs: u32) -> Checkpoint {
    let tensors = Tensors(state.tensors.0.iter().map(|tensor| tensor.clone().inner()).collect());
    Checkpoint {
        settings: run.settings.clone(),
        epochs,
        average_steps: state.average.as_ref().map_or(0, |average| average.steps),
        parts: [
            tensors.values(),
            state.running.values(),
            state.sgd.velocity.values(),
            state.average.as_ref().map_or_else(Vec::new, |average| average.tensors.values()),
        ],
    }
}

/// Trained tensors and running statistics in one list.
fn merged<A: AutodiffBackend>(layout: &Layout, state: &State<A>) -> Tensors<A::InnerBackend> {
    let pairs = state.tensors.0.iter().zip(&state.running.0).enumerate();
    let pick = |(i, (trained, running)): (usize, (&Tensor<A, 1>, &Tensor<A::InnerBackend, 1>))| {
        if layout.trained(i) { trained.clone().inner() } else { running.clone() }
    };
    Tensors(pairs.map(pick).collect())
}

fn train_epoch<A: TrainBackend + AutodiffBackend>(
    run: &Run<'_>,
    state: &mut State<A>,
    (epoch, phase): (u32, &Phase),
    images: &Epoch<'_>,
    device: &A::Device,
    observe: &mut dyn FnMut(Progress<'_>) -> Result<(), TrainError>,
) -> Result<Sums, TrainError> {
    let settings = run.settings;
    let slots = run.layout.graph.activation_layers();
    let spec = vec![training_spec(settings, phase, slots); slots];
    let batches = images.batches::<A>(settings.batch, device);
    let steps = batches.len();
    let mut sums = Sums { seen: vec![Seen::default(); slots], ..Sums::default() };
    for (step, Batch { images, labels }) in batches.enumerate() {
        if run.cancel.is_cancelled() {
            return Err(TrainError::Interrupted);
        }
        let output = train_forward(run.layout, &state.tensors, &mut state.running, images, &spec);
        let cross_entropy = cross_entropy(output.logits.clone(), labels.clone(), settings.label_smoothing);
        let value: f32 = cross_entropy.clone().into_scalar().elem();
        let mut seen_penalty = 0.0;
        for (sum, seen) in sums.seen.iter_mut().zip(&output.seen) {
            let values: Vec<f32> = seen.to_data().convert::<f32>().to_vec().expect("numbers as f32");
            seen_penalty += values[0];
            sum.add(&values);
        }
        if !value.is_finite() || !seen_penalty.is_finite() {
            return Err(diverged(run, (epoch, step), if value.is_finite() { seen_penalty } else { value }, &sums));
        }
        // Without cross-entropy the gradients still come from the whole graph, through penalties that are part of it.
        let share = if phase.classify { 1.0 } else { 0.0 };
        let loss = output.penalties.into_iter().fold(cross_entropy * share, |sum, penalty| sum + penalty);
        let mut gradients = loss.backward();
        let lr = learning_rate(settings, f64::from(epoch) + step as f64 / steps as f64);
        let tensors = std::mem::replace(&mut state.tensors, Tensors(Vec::new()));
        state.tensors = state.sgd.step(tensors, &mut gradients, lr);
        if let Some(mut average) = state.average.take() {
            average.step(&merged(run.layout, state));
            state.average = Some(average);
        }
        sums.loss += f64::from(value) * labels.dims()[0] as f64;
        sums.correct += correct(output.logits, labels);
        sums.lr = lr;
        observe(Progress::Step { epoch, step: step + 1, steps, loss: value })?;
    }
    Ok(sums)
}

/// Mean over the batch of the cross-entropy with smoothed targets.
fn cross_entropy<B: Backend>(logits: Tensor<B, 2>, labels: Tensor<B, 1, Int>, smoothing: f64) -> Tensor<B, 1> {
    let images = logits.dims()[0];
    let log = log_softmax(logits, 1);
    let hit = log.clone().gather(1, labels.reshape([images, 1])).mean().neg();
    if smoothing == 0.0 { hit } else { hit * (1.0 - smoothing) - log.mean() * smoothing }
}

/// Images whose largest logit is the label's.
fn correct<B: Backend>(logits: Tensor<B, 2>, labels: Tensor<B, 1, Int>) -> f64 {
    let images = labels.dims()[0];
    let predictions = logits.argmax(1).reshape([images]);
    predictions.equal(labels).int().sum().into_scalar().elem::<i64>() as f64
}

fn test<B: TrainBackend>(
    run: &Run<'_>,
    tensors: &Tensors<B>,
    images: &Epoch<'_>,
    specs: &[ActivationSpec],
    device: &B::Device,
) -> Result<Test, TrainError> {
    let mut seen = vec![Seen::default(); specs.len()];
    let mut right = 0.0;
    for Batch { images, labels } in images.batches::<B>(TEST_BATCH, device) {
        if run.cancel.is_cancelled() {
            return Err(TrainError::Interrupted);
        }
        let output = eval_forward(run.layout, tensors, images, specs);
        for (sum, seen) in seen.iter_mut().zip(&output.seen) {
            sum.add(&seen.to_data().convert::<f32>().to_vec::<f32>().expect("numbers as f32"));
        }
        right += correct(output.logits, labels);
    }
    Ok(Test { accuracy: right / run.test.len() as f64, seen })
}

fn diverged(run: &Run<'_>, (epoch, step): (u32, usize), loss: f32, sums: &Sums) -> TrainError {
    let settings = run.settings;
    let worst = sums.seen.iter().enumerate().max_by(|a, b| a.1.max_abs.total_cmp(&b.1.max_abs));
    let place = worst.map_or(String::new(), |(slot, seen)| {
        format!("the largest pre-activation, {:.3e}, was in layer {slot}; ", seen.max_abs)
    });
    let mut advice = Vec::new();
    if settings.activation.function() != crate::protocol::Function::Relu {
        if !settings.clip {
            advice.push("turn clipping on".to_owned());
        }
        if settings.reg_coef == 0.0 {
            advice.push("turn the penalty on (--reg-coef)".to_owned());
        } else if !settings.reg_warmup {
            advice.push("let the penalty grow (no --no-reg-warmup)".to_owned());
        }
    }
    advice.push(format!("lower --lr (now {}) or raise --lr-warmup (now {})", settings.lr, settings.lr_warmup));
    TrainError::Diverged { epoch, step, loss, advice: format!("{place}{}", advice.join(", ")) }
}

fn records(
    run: &Run<'_>,
    (epoch, phase): (u32, &Phase),
    sums: &Sums,
    last: &Test,
    average: Option<&Test>,
) -> (EpochRecord, Vec<RangeRecord>) {
    let sizes = run.layout.graph.activation_sizes();
    let (trained, tested) = (run.train.len() as f64, run.test.len() as f64);
    let best = average.unwrap_or(last);
    let names = run.layout.graph.nodes.iter().filter_map(|node| match node.op {
        Op::Activation { slot, .. } => Some((slot, node.name.clone())),
        _ => None,
    });
    let mut names: Vec<(usize, String)> = names.collect();
    names.sort_unstable();
    let ranges = names.into_iter().map(|(slot, layer)| RangeRecord {
        epoch,
        slot,
        layer,
        train_outside: sums.seen[slot].outside / (trained * sizes[slot] as f64),
        train_max_abs: sums.seen[slot].max_abs,
        test_outside: best.seen[slot].outside / (tested * sizes[slot] as f64),
        test_max_abs: best.seen[slot].max_abs,
    });
    let ranges: Vec<RangeRecord> = ranges.collect();
    let penalty: f64 = sums.seen.iter().map(|seen| seen.penalty).sum();
    let record = EpochRecord {
        epoch,
        lr: sums.lr,
        reg_power: phase.power,
        reg_coef: phase.coef,
        loss: sums.loss / trained,
        penalty: penalty / (trained * sizes.len() as f64),
        train_accuracy: sums.correct / trained,
        test_accuracy: last.accuracy,
        average_test_accuracy: best.accuracy,
        test_outside: best.seen.iter().map(|seen| seen.outside).sum::<f64>()
            / (tested * sizes.iter().sum::<usize>() as f64),
        test_max_abs: best.seen.iter().map(|seen| seen.max_abs).fold(0.0, f64::max),
        seconds: 0.0,
    };
    (record, ranges)
}
