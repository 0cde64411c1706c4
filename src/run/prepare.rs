//! Everything that can be found wrong before anything runs or is written: networks, images, plans.

use super::{RunError, Selection, Unit};
use crate::nn::NnError;
use crate::nn::arch::{self, Options, Pool, TrainedWith};
use crate::nn::data::{self, CIFAR10_SHAPE, Image, Normalization};
use crate::nn::graph::{Graph, TensorShape};
use crate::nn::onnx;
use crate::nn::secure::{Method, Plan, PlanError, ServerWeights, Slot, lower, lower_batch, lower_whole};
use crate::protocol::Function;
use crate::protocol::activation::{self, Family};
use crate::scenario::{At, ImageSource, Link, Model, Network, Protocol, Scenario, Split, Weights};
use std::collections::BTreeSet;
use tokio_util::sync::CancellationToken;

/// A scenario whose networks, weights and images are loaded and fit together.
pub struct Prepared<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) selection: Selection,
    pub(super) models: Vec<PreparedModel<'a>>,
}

/// One model, ready to run with every protocol.
pub(super) struct PreparedModel<'a> {
    pub model: &'a Model,
    /// The network, or one for each kind of pooling and file of weights that the protocols ask for.
    pub variants: Vec<Variant>,
    /// Normalised images, `[h][w][c]`, with their labels.
    pub images: Vec<Image>,
    /// One per protocol that the model runs with.
    pub protocols: Vec<PreparedProtocol<'a>>,
    /// The links it runs over.
    pub units: Vec<PreparedUnit<'a>>,
}

/// One link of a model, with the protocols that run over it.
pub(super) struct PreparedUnit<'a> {
    pub link: &'a Link,
    /// Indices into the model's protocols.
    pub protocols: Vec<usize>,
}

impl PreparedModel<'_> {
    /// The kind of pooling that `protocol` runs with, where the network leaves the choice.
    pub fn pool(&self, protocol: &PreparedProtocol) -> Option<&'static str> {
        match self.model.network {
            Network::Arch { pool: Some(_), .. } => Some(self.variants[protocol.variant].pool.name()),
            _ => None,
        }
    }
}

/// For whom a scenario is prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All parties: everything must be there.
    Whole,
    /// The server: weights, no images.
    Server,
    /// The client: images; weights only where they are at hand, to check the results.
    Client,
    /// The dealer: shapes.
    Dealer,
}

impl Part {
    fn has_images(self) -> bool {
        matches!(self, Part::Whole | Part::Client)
    }

    fn needs_weights(self) -> bool {
        matches!(self, Part::Whole | Part::Server)
    }
}

/// A network with what the server needs of it, whatever the protocol.
pub(super) struct Variant {
    /// Whether the weights are those of the scenario; otherwise only the shapes are.
    pub known: bool,
    pool: Pool,
    /// Whose weights it has, where each family has its own.
    family: Option<Family>,
    pub graph: Graph,
    pub weights: ServerWeights,
}

pub(super) struct PreparedProtocol<'a> {
    pub protocol: &'a Protocol,
    /// Which network of the model.
    pub variant: usize,
    /// What each activation slot computes.
    pub functions: Vec<Function>,
    pub plan: Plan,
}

/// Loads what the selected cells of `scenario` name and plans every execution; nothing is run and nothing written.
///
/// # Errors
/// What is wrong with a weights file, a data set or a combination of model and protocol; a filter without any cell.
pub fn prepare<'a>(
    scenario: &'a Scenario,
    selection: &Selection,
    part: Part,
    cancel: &CancellationToken,
) -> Result<Prepared<'a>, RunError> {
    let units = selection.units(scenario);
    if units.is_empty() && !selection.filters.is_empty() && selection.shard.is_none() {
        return Err(RunError::nothing_selected(scenario, selection));
    }
    let by_model = units.chunk_by(|a, b| a.model == b.model);
    let models =
        by_model.map(|units| prepare_model(scenario, units, part, cancel)).collect::<Result<Vec<_>, RunError>>()?;
    match scenario.protocols.iter().find(|protocol| !fits(protocol, &models)) {
        // Of what was left out nobody knows the slots.
        Some(protocol) if selection.is_whole() => Err(RunError::Slots { protocol: protocol.name.clone() }),
        _ => Ok(Prepared { scenario, selection: selection.clone(), models }),
    }
}

/// Whether every choice for some slots has one in a model that runs with the protocol.
fn fits(protocol: &Protocol, models: &[PreparedModel]) -> bool {
    let natives: Vec<Vec<Function>> = models
        .iter()
        .filter_map(|model| {
            let prepared = model.protocols.iter().find(|prepared| prepared.protocol.name == protocol.name)?;
            Some(model.variants[prepared.variant].graph.functions())
        })
        .collect();
    let includes =
        |at: &At| natives.iter().any(|slots| (0..).zip(slots).any(|(slot, native)| at.includes(slot, native)));
    natives.is_empty() || protocol.slots.iter().all(|choice| includes(&choice.at))
}

fn prepare_model<'a>(
    scenario: &'a Scenario,
    units: &[Unit],
    part: Part,
    cancel: &CancellationToken,
) -> Result<PreparedModel<'a>, RunError> {
    let model = &scenario.models[units[0].model];
    let mut prepared =
        PreparedModel { model, variants: Vec::new(), images: Vec::new(), protocols: Vec::new(), units: Vec::new() };
    let used: BTreeSet<usize> = units.iter().flat_map(|unit| unit.protocols.iter().copied()).collect();
    for unit in units {
        let place = |protocol| used.iter().position(|used| used == protocol).expect("all of them are used");
        let protocols = unit.protocols.iter().map(place).collect();
        prepared.units.push(PreparedUnit { link: &scenario.links[unit.link], protocols });
    }
    for protocol in used.into_iter().map(|index| &scenario.protocols[index]) {
        if cancel.is_cancelled() {
            return Err(RunError::Cancelled);
        }
        let choice = (pool(model, protocol), family(model, protocol));
        let variant = match prepared.variants.iter().position(|variant| (variant.pool, variant.family) == choice) {
            Some(variant) => variant,
            None => {
                prepared.variants.push(variant(scenario, model, protocol, choice, part)?);
                prepared.variants.len() - 1
            }
        };
        let graph = &prepared.variants[variant].graph;
        let (plan, functions) = plan(scenario, protocol, graph).map_err(|error| plan_error(model, protocol, error))?;
        prepared.protocols.push(PreparedProtocol { protocol, variant, functions, plan });
    }
    let first = prepared.variants.first().expect("a model runs with a protocol");
    if part.has_images() {
        prepared.images = images(scenario, model, &first.graph).map_err(RunError::Input)?;
    }
    Ok(prepared)
}

/// The pooling of `model` under `protocol`; of no effect where there is no choice.
fn pool(model: &Model, protocol: &Protocol) -> Pool {
    let entry = activation::find(&protocol.choice.id).expect("the scenario was checked against the registry");
    match model.network {
        Network::Arch { pool: Some(choice), .. } => choice.under(entry.family),
        _ => Pool::default(),
    }
}

/// The family of `protocol`, if the families' weights differ.
fn family(model: &Model, protocol: &Protocol) -> Option<Family> {
    let entry = activation::find(&protocol.choice.id).expect("the scenario was checked against the registry");
    matches!(model.network, Network::Arch { weights: Weights::Family { .. } | Weights::Trained, .. })
        .then_some(entry.family)
}

fn variant(
    scenario: &Scenario,
    model: &Model,
    protocol: &Protocol,
    (pool, family): (Pool, Option<Family>),
    part: Part,
) -> Result<Variant, RunError> {
    let missing = match &model.network {
        Network::Arch { weights: Weights::File(path), .. } => Some(path),
        Network::Arch { weights: Weights::Family { polynomial, relu }, .. } => {
            Some(if family == Some(Family::Relu) { relu } else { polynomial })
        }
        _ => None,
    };
    let known = part.needs_weights() || missing.is_none_or(|path| path.exists());
    let graph = build(scenario, model, (pool, family), known)
        .map_err(|error| RunError::Model { model: model.name.clone(), error: Box::new(error) })?;
    let weights = plan(scenario, protocol, &graph).and_then(|(plan, _)| ServerWeights::encode(&graph, &plan));
    let weights = weights.map_err(|error| plan_error(model, protocol, error))?;
    Ok(Variant { known, pool, family, graph, weights })
}

/// The plan of an execution that carries several images of a model at once.
pub(super) fn batch_plan(
    scenario: &Scenario,
    model: &PreparedModel,
    prepared: &PreparedProtocol,
    images: usize,
) -> Result<Plan, RunError> {
    let graph = &model.variants[prepared.variant].graph;
    let plan = slots(prepared.protocol, graph).and_then(|slots| lower_batch(graph, &slots, scenario.frac_bits, images));
    plan.map_err(|error| plan_error(model.model, prepared.protocol, error))
}

/// The network of `model` as protocols that compute ReLU run it.
pub(super) fn relu_network(scenario: &Scenario, model: &Model) -> Result<Graph, RunError> {
    let (pool, family) = match &model.network {
        Network::Arch { pool, weights, .. } => (
            pool.map_or(Pool::default(), |choice| choice.under(Family::Relu)),
            matches!(weights, Weights::Family { .. } | Weights::Trained).then_some(Family::Relu),
        ),
        Network::Onnx { .. } => (Pool::default(), None),
    };
    build(scenario, model, (pool, family), true)
        .map_err(|error| RunError::Model { model: model.name.clone(), error: Box::new(error) })
}

/// The plan of a network under `protocol`, and the function of each slot.
fn plan(scenario: &Scenario, protocol: &Protocol, graph: &Graph) -> Result<(Plan, Vec<Function>), PlanError> {
    let slots = slots(protocol, graph)?;
    let plan = match scenario.stream {
        true => lower(graph, &slots, scenario.frac_bits)?,
        false => lower_whole(graph, &slots, scenario.frac_bits)?,
    };
    Ok((plan, slots.into_iter().map(|slot| slot.function).collect()))
}

fn plan_error(model: &Model, protocol: &Protocol, error: PlanError) -> RunError {
    RunError::Plan { model: model.name.clone(), protocol: protocol.name.clone(), error }
}

/// What `protocol` chooses for every activation slot of a network.
fn slots(protocol: &Protocol, graph: &Graph) -> Result<Vec<Slot>, PlanError> {
    let natives = graph.functions();
    for choice in &protocol.slots {
        if let At::Slots(slots) = &choice.at
            && let Some(&slot) = slots.iter().find(|&&slot| slot >= natives.len())
        {
            return Err(PlanError::NoSlot { slot, slots: natives.len() });
        }
    }
    let slot = |(slot, native): (usize, &Function)| {
        let (choice, function) = protocol.choice(slot, native);
        let entry = activation::find(&choice.id).expect("the scenario was checked against the registry");
        Slot { function, method: Method { entry, settings: choice.settings } }
    };
    Ok(natives.iter().enumerate().map(slot).collect())
}

fn normalization(model: &Model) -> Normalization {
    let (mean, std) = model.normalize.mean_and_std();
    Normalization { mean, std }
}

/// The network; if the weights are not `known`, random ones stand for them.
fn build(
    scenario: &Scenario,
    model: &Model,
    (pool, family): (Pool, Option<Family>),
    known: bool,
) -> Result<Graph, NnError> {
    match &model.network {
        Network::Arch { arch, weights, classes, shortcut, .. } => {
            let architecture = arch::find(arch).expect("the scenario was checked against the registry");
            let options = Options { classes: *classes, pool, shortcut: shortcut.unwrap_or_default() };
            match weights {
                Weights::File(_) | Weights::Family { .. } if !known => {
                    Ok(architecture.random(&options, scenario.seed, &normalization(model)))
                }
                Weights::Random => Ok(architecture.random(&options, scenario.seed, &normalization(model))),
                Weights::Trained => {
                    let activation = match family {
                        Some(Family::Relu) => TrainedWith::Relu,
                        _ => TrainedWith::Polynomial,
                    };
                    architecture.trained(&options, activation).expect("the scenario was checked against the registry")
                }
                Weights::File(path) => architecture.load(&options, path),
                Weights::Family { polynomial, relu } => match family {
                    Some(Family::Relu) => architecture.load(&options, relu),
                    _ => architecture.load(&options, polynomial),
                },
            }
        }
        Network::Onnx { onnx } => onnx::load(onnx),
    }
}

fn images(scenario: &Scenario, model: &Model, graph: &Graph) -> Result<Vec<Image>, NnError> {
    let mut images = match &scenario.input.source {
        ImageSource::Random => data::random_images(graph.input_shape(), scenario.seed, scenario.input.images),
        ImageSource::Samples => data::samples().images().take(scenario.input.images).collect(),
        ImageSource::Cifar10 { path, split } => {
            let split = match split {
                Split::Test => data::Split::Test,
                Split::Train => data::Split::Train,
            };
            data::read_cifar10(path, split, scenario.input.images)?
        }
    };
    let TensorShape { h, w, c } = graph.input_shape();
    if !matches!(scenario.input.source, ImageSource::Random) && graph.input_shape() != CIFAR10_SHAPE {
        let (model, expected, actual) = (model.name.clone(), format!("{h}x{w}x{c}"), "32x32x3".to_string());
        return Err(NnError::ImageShape { model, expected, actual });
    }
    let normalization = normalization(model);
    if normalization != Normalization::NONE && c != 3 {
        return Err(NnError::NormalizedChannels { model: model.name.clone(), actual: c });
    }
    images.iter_mut().for_each(|image| normalization.apply(&mut image.pixels));
    Ok(images)
}
