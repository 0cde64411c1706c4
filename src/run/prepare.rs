//! Everything that can be found wrong before anything runs or is written: networks, images, plans.

use super::RunError;
use crate::nn::NnError;
use crate::nn::arch::{self, Options};
use crate::nn::data::{self, Image, Normalization};
use crate::nn::graph::Graph;
use crate::nn::secure::{Plan, ServerWeights, lower};
use crate::protocol::activation::{self, ProtocolEntry};
use crate::scenario::{ImageSource, Model, Protocol, Scenario, Split, Weights};
use tokio_util::sync::CancellationToken;

/// A scenario whose networks, weights and images are loaded and fit together.
pub struct Prepared<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) models: Vec<PreparedModel<'a>>,
}

/// One model, ready to run with every protocol.
pub(super) struct PreparedModel<'a> {
    pub model: &'a Model,
    pub graph: Graph,
    /// Normalised images, `[h][w][c]`, with their labels.
    pub images: Vec<Image>,
    /// One per protocol of the scenario.
    pub protocols: Vec<PreparedProtocol<'a>>,
}

pub(super) struct PreparedProtocol<'a> {
    pub protocol: &'a Protocol,
    pub entry: &'static ProtocolEntry,
    pub plan: Plan,
    pub weights: ServerWeights,
}

/// Loads what `scenario` names and plans every execution; nothing is run and nothing written.
///
/// # Errors
/// What is wrong with a weights file, a data set or a combination of model and protocol.
pub fn prepare<'a>(scenario: &'a Scenario, cancel: &CancellationToken) -> Result<Prepared<'a>, RunError> {
    let prepare = |model| prepare_model(scenario, model, cancel);
    let models = scenario.models.iter().map(prepare);
    Ok(Prepared { scenario, models: models.collect::<Result<_, RunError>>()? })
}

fn prepare_model<'a>(
    scenario: &'a Scenario,
    model: &'a Model,
    cancel: &CancellationToken,
) -> Result<PreparedModel<'a>, RunError> {
    let graph = build(scenario, model).map_err(|error| RunError::Model { model: model.name.clone(), error })?;
    let images = images(scenario, model, &graph).map_err(RunError::Input)?;
    let slots = graph.activation_layers();
    let protocol = |protocol: &'a Protocol| {
        if cancel.is_cancelled() {
            return Err(RunError::Cancelled);
        }
        let entry = activation::find(&protocol.id).expect("the scenario was checked against the registry");
        let functions = vec![protocol.function(); slots];
        let (plan, weights) = lower(&graph, &functions, scenario.frac_bits, entry.protocol, protocol.settings)
            .map_err(|error| RunError::Plan { model: model.name.clone(), protocol: protocol.name.clone(), error })?;
        Ok(PreparedProtocol { protocol, entry, plan, weights })
    };
    let protocols = scenario.protocols.iter().map(protocol).collect::<Result<_, RunError>>()?;
    Ok(PreparedModel { model, graph, images, protocols })
}

fn normalization(model: &Model) -> Normalization {
    let (mean, std) = model.normalize.mean_and_std();
    Normalization { mean, std }
}

fn build(scenario: &Scenario, model: &Model) -> Result<Graph, NnError> {
    let architecture = arch::find(&model.arch).expect("the scenario was checked against the registry");
    match &model.weights {
        Weights::Random => Ok(architecture.random(&Options::default(), scenario.seed, &normalization(model))),
        Weights::File(path) => architecture.load(&Options::default(), path),
    }
}

fn images(scenario: &Scenario, model: &Model, graph: &Graph) -> Result<Vec<Image>, NnError> {
    let mut images = match &scenario.input.source {
        ImageSource::Random => data::random_images(graph.input_shape(), scenario.seed, scenario.input.images),
        ImageSource::Cifar10 { path, split } => {
            let split = match split {
                Split::Test => data::Split::Test,
                Split::Train => data::Split::Train,
            };
            data::read_cifar10(path, split, scenario.input.images)?
        }
    };
    let normalization = normalization(model);
    images.iter_mut().for_each(|image| normalization.apply(&mut image.pixels));
    Ok(images)
}
