//! The plan of a private inference: what every party does in which order, without weights.

use super::local::LocalOp;
use crate::nn::graph::{NodeId, TensorShape};
use crate::protocol::activation::{ActivationSpec, ProtocolEntry, Settings};
use crate::protocol::{Cost, Function};
use crate::ring::LinearShape;
use std::ops::Range;

/// Why a network cannot be executed as asked.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A weight or bias does not fit the ring.
    #[error("{node}: {what} {index} is {value}, which does not fit fixed point with {bits} fractional bits")]
    Range {
        /// Node.
        node: String,
        /// "weight" or "bias".
        what: &'static str,
        /// Which one.
        index: usize,
        /// Its value.
        value: f64,
        /// Fractional bits asked for.
        bits: u32,
    },
    /// The protocol cannot compute an activation.
    #[error("{node}: {reason}")]
    Activation {
        /// Node.
        node: String,
        /// What would have to change.
        reason: String,
    },
    /// Too many fractional bits pile up between activations.
    #[error(
        "{node}: {bits} fractional bits leave no room in the 64-bit ring; put an activation between the linear layers or lower frac_bits"
    )]
    Scale {
        /// Node.
        node: String,
        /// Fractional bits needed.
        bits: u32,
    },
    /// A choice names a slot that is not there.
    #[error("there is no activation slot {slot}: the network has {slots}, counted from 0")]
    NoSlot {
        /// Named.
        slot: usize,
        /// How many there are.
        slots: usize,
    },
    /// One choice is needed per slot.
    #[error("the network has {expected} activation slots, {actual} choices were given")]
    Slots {
        /// Slots.
        expected: usize,
        /// Choices.
        actual: usize,
    },
}

/// Index of a value (a shared tensor).
pub(super) type ValueId = usize;

/// A shared tensor, of each image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    /// Of one image.
    pub shape: TensorShape,
    /// Fractional bits.
    pub bits: u32,
    /// The client knows its share offline.
    pub known: bool,
}

#[derive(Clone, Debug)]
pub(super) enum StepKind {
    /// The client sends `x_c - r`; its share becomes `r`.
    Remask,
    /// Linear layer `index`.
    Linear { index: usize },
    /// An activation, by method `method` of the plan.
    Activation { spec: ActivationSpec, method: usize },
    /// A layer that streams: see [`Stream`].
    Stream(Stream),
    /// No communication.
    Local(LocalOp),
    /// The client learns the value.
    Reveal,
}

#[derive(Clone, Debug)]
pub(super) struct Step {
    pub kind: StepKind,
    pub inputs: Vec<ValueId>,
    pub output: ValueId,
    /// Which layer of the report it is booked on.
    pub layer: u32,
}

/// An activation layer in chunks, with the linear layer before it and the re-masking after it where there are any: the
/// server sends a chunk's opening as soon as it has computed these rows, and the client answers each chunk as it comes.
///
/// Inputs of the step: what the linear layer reads, or else the pre-activations; then the other operand of the addition.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub linear: Option<StreamedLinear>,
    /// Bits to lift the linear layer's result and the other operand by, which is then added.
    pub add: Option<[u32; 2]>,
    /// The whole layer.
    pub spec: ActivationSpec,
    pub method: usize,
    /// Elements of every chunk but the last.
    pub chunk: usize,
    /// The layer that the re-masking is booked on.
    pub remask: Option<u32>,
}

/// The linear layer of a [`Stream`].
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamedLinear {
    pub index: usize,
    /// Outputs per row: the channels of a convolution, 1 for a dense layer.
    pub channels: usize,
    pub layer: u32,
}

impl Stream {
    /// Where the chunks are in the layer.
    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let n = self.spec.elements;
        (0..n).step_by(self.chunk).map(move |start| start..n.min(start + self.chunk))
    }

    /// The chunks as layers of their own.
    pub fn chunks(&self) -> Vec<ActivationSpec> {
        self.ranges().map(|range| ActivationSpec { elements: range.len(), ..self.spec.clone() }).collect()
    }
}

/// A row of the layer report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerInfo {
    /// The node's name.
    pub name: String,
    /// Kind of operation.
    pub kind: &'static str,
    /// Elements of the result.
    pub elements: usize,
}

/// An activation protocol as a scenario sets it up; every activation layer that uses it shares one setup.
#[derive(Clone, Copy)]
pub struct Method {
    /// The protocol.
    pub entry: &'static ProtocolEntry,
    /// What the scenario sets for it.
    pub settings: Settings,
}

/// How one activation slot is computed.
#[derive(Clone, Debug)]
pub struct Slot {
    /// The function.
    pub function: Function,
    /// The protocol that computes it.
    pub method: Method,
}

impl PartialEq for Method {
    fn eq(&self, other: &Method) -> bool {
        (self.entry.id, self.settings) == (other.entry.id, other.settings)
    }
}

impl std::fmt::Debug for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.entry.id, self.settings)
    }
}

/// A linear layer of the plan.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlannedLinear {
    pub shape: LinearShape,
    /// Where its weights are in the graph.
    pub node: NodeId,
    /// Fractional bits of its result and bias.
    pub bias_bits: u32,
    /// What its weights are multiplied with: what average pools before and after it leave of their divisions.
    pub weight_scale: f64,
    /// What its bias is multiplied with: the part of a pool after it.
    pub bias_scale: f64,
}

/// The public part: shapes and scales, no weights. All three parties walk it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Fractional bits of weights, inputs and activations.
    pub frac_bits: u32,
    /// Layers, in the order of the steps' layer numbers.
    pub layers: Vec<LayerInfo>,
    /// Images that one execution carries. They share every message, so that rounds do not grow with them; a value is the
    /// images' tensors one after the other, each with masks of its own.
    pub images: usize,
    /// Largest magnitude that each slot's pre-activations may have, and the logits' after them.
    pub range_limits: Vec<f64>,
    /// The activation protocols in use, each set up once.
    pub(super) methods: Vec<Method>,
    pub(super) linears: Vec<PlannedLinear>,
    pub(super) values: Vec<Value>,
    pub(super) steps: Vec<Step>,
}

impl Plan {
    /// What each activation layer costs in the chunks it is cut into, comparisons of max pooling included.
    pub fn activation_costs(&self) -> impl Iterator<Item = (&ActivationSpec, Cost)> {
        self.steps.iter().filter_map(|step| match &step.kind {
            StepKind::Activation { spec, method } => Some((spec, self.methods[*method].entry.protocol.cost(spec))),
            StepKind::Stream(stream) => {
                let protocol = self.methods[stream.method].entry.protocol;
                Some((&stream.spec, protocol.cost_of_chunks(&stream.chunks())))
            }
            _ => None,
        })
    }

    /// Elements of a value, of all images.
    pub(super) fn elements(&self, value: ValueId) -> usize {
        self.images * self.values[value].shape.elements()
    }

    pub(super) fn last_uses(&self) -> Vec<Vec<ValueId>> {
        let mut last = vec![None; self.values.len()];
        for (index, step) in self.steps.iter().enumerate() {
            step.inputs.iter().for_each(|&value| last[value] = Some(index));
        }
        let mut freed = vec![Vec::new(); self.steps.len()];
        for (value, step) in last.into_iter().enumerate() {
            if let Some(step) = step {
                freed[step].push(value);
            }
        }
        freed
    }
}
