//! Why a run stopped.

use super::Selection;
use crate::link::{LinkError, PartyFailure};
use crate::net::NetError;
use crate::nn::NnError;
use crate::nn::secure::PlanError;
use crate::protocol::ProtocolError;
use crate::protocol::activation::Setting;
use crate::report::ReportError;
use crate::scenario::{Choice, Network, Scenario};
use std::path::PathBuf;

/// A failed run. What was measured before stays on disk.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A network or data set cannot be used.
    #[error("model `{model}`: {error}")]
    Model {
        /// Its name in the scenario.
        model: String,
        /// Why.
        error: Box<NnError>,
    },
    /// The images cannot be read.
    #[error("input: {0}")]
    Input(NnError),
    /// A network cannot be computed with a protocol.
    #[error("model `{model}` with protocol `{protocol}`: {error}")]
    Plan {
        /// The model's name.
        model: String,
        /// The protocol's name.
        protocol: String,
        /// Why.
        error: PlanError,
    },
    /// Accuracy needs classes to compare with.
    #[error("the images have no labels; write dataset = \"cifar10\" or \"samples\"")]
    NoLabels,
    /// A choice for some slots fits none.
    #[error(
        "protocol `{protocol}`: one of its [[protocol.slots]] fits no activation slot of the models it runs with; \
         `longhaul inspect` shows them"
    )]
    Slots {
        /// The protocol's name.
        protocol: String,
    },
    /// No cell matches.
    #[error("no cell of the scenario matches {filters}; its models: {models}; protocols: {protocols}; links: {links}")]
    NothingSelected {
        /// The filters.
        filters: String,
        /// Names of the models.
        models: String,
        /// Names of the protocols.
        protocols: String,
        /// Names of the links.
        links: String,
    },
    /// The folder holds the unfinished run of something else.
    #[error("{}: cannot be resumed: {reason}; use --out with another folder, or leave out --resume to start anew", path.display())]
    Resume {
        /// The results folder.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// The other parties could not be reached, or do not take part.
    #[error("{cell}: {source}")]
    Net {
        /// Model, protocol and link.
        cell: String,
        /// Why.
        source: NetError,
    },
    /// An execution failed.
    #[error("{cell}: {failure}")]
    Cell {
        /// Model, protocol and link.
        cell: String,
        /// The first party's failure.
        failure: PartyFailure<ProtocolError>,
    },
    /// Results cannot be written or summarised.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The user asked to stop.
    #[error("interrupted")]
    Cancelled,
}

impl RunError {
    /// Whether the user's files are to blame, rather than the machine or a peer.
    pub fn is_bad_input(&self) -> bool {
        matches!(
            self,
            RunError::Model { .. }
                | RunError::Input(_)
                | RunError::Plan { .. }
                | RunError::NoLabels
                | RunError::Slots { .. }
                | RunError::NothingSelected { .. }
                | RunError::Resume { .. }
                | RunError::Report(ReportError::Folder { .. })
        )
    }

    /// The key of `scenario` to blame, for example `model[0].weights`, if the scenario is at fault.
    pub fn key(&self, scenario: &Scenario) -> Option<String> {
        let weights = |name: &str| {
            let index = scenario.models.iter().position(|m| m.name == name)?;
            let key = if matches!(scenario.models[index].network, Network::Onnx { .. }) { "onnx" } else { "weights" };
            Some(format!("model[{index}].{key}"))
        };
        let normalize = |name: &str| {
            let index = scenario.models.iter().position(|m| m.name == name)?;
            Some(format!("model[{index}].normalize"))
        };
        let activation = |name: &str| {
            let index = scenario.protocols.iter().position(|p| p.name == name)?;
            let Choice { polynomial, settings, .. } = &scenario.protocols[index].choice;
            let key = match (settings.width, polynomial) {
                (Some(_), Some(_)) => Setting::WireBits.key(),
                (Some(_), None) => Setting::Width.key(),
                (None, Some(_)) => "polynomial",
                (None, None) => "id",
            };
            Some(format!("protocol[{index}].{key}"))
        };
        let slots = |name: &str| {
            let index = scenario.protocols.iter().position(|p| p.name == name)?;
            Some(format!("protocol[{index}].slots"))
        };
        match self {
            RunError::Model { model, .. } => weights(model),
            RunError::Input(NnError::ImageShape { model, .. }) => weights(model),
            RunError::Input(NnError::NormalizedChannels { model, .. }) => normalize(model),
            RunError::Input(_) => Some("input.path".to_string()),
            RunError::Plan { model, protocol, error } => match error {
                PlanError::Range { .. } => weights(model),
                PlanError::Activation { .. } => activation(protocol),
                PlanError::Scale { .. } => Some("fixed_point.frac_bits".to_string()),
                PlanError::NoSlot { .. } => slots(protocol),
                PlanError::Slots { .. } => None,
            },
            RunError::NoLabels => Some("input.dataset".to_string()),
            RunError::Slots { protocol } => slots(protocol),
            RunError::NothingSelected { .. }
            | RunError::Resume { .. }
            | RunError::Net { .. }
            | RunError::Cell { .. }
            | RunError::Report(_)
            | RunError::Cancelled => None,
        }
    }

    pub(super) fn nothing_selected(scenario: &Scenario, selection: &Selection) -> RunError {
        fn list<T>(items: &[T], text: impl Fn(&T) -> String) -> String {
            items.iter().map(text).collect::<Vec<_>>().join(", ")
        }
        RunError::NothingSelected {
            filters: list(&selection.filters, |filter| format!("\"{filter}\"")),
            models: list(&scenario.models, |model| model.name.clone()),
            protocols: list(&scenario.protocols, |protocol| protocol.name.clone()),
            links: list(&scenario.links, |link| link.name.clone()),
        }
    }

    pub(super) fn cell(cell: String, failure: PartyFailure<ProtocolError>) -> RunError {
        match failure {
            PartyFailure::Link(LinkError::Cancelled) => RunError::Cancelled,
            PartyFailure::Party { error: ProtocolError::Link(LinkError::Cancelled), .. } => RunError::Cancelled,
            failure => RunError::Cell { cell, failure },
        }
    }
}
