//! From a float graph to steps on shares: scales, masks and local operations made explicit.
//!
//! * A tensor that a linear layer reads is re-masked right after it is made (the client sends `x_c - r`),
//!   once however many layers read it, and every reader uses the re-masked sharing. So the client's share
//!   of each tensor is `known` offline wherever a protocol needs it, across residual additions too.
//! * Every value has its own number of fractional bits: a linear layer adds `f`, average pooling over a
//!   power of two only moves the point, an addition lifts the coarser operand, an activation truncates.

use super::local::LocalOp;
use crate::nn::graph::{Graph, Op, TensorShape};
use crate::protocol::Function;
use crate::protocol::activation::{ActivationProtocol, ActivationSpec, Settings};
use crate::ring::{LinearShape, PackedWeights, encode_slice};

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
        value: f32,
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
    /// One function is needed per slot.
    #[error("the network has {expected} activation slots, {actual} functions were given")]
    Slots {
        /// Slots.
        expected: usize,
        /// Functions.
        actual: usize,
    },
}

/// Index of a value (a shared tensor).
pub(super) type ValueId = usize;

/// A shared tensor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
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
    /// An activation.
    Activation { spec: ActivationSpec },
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

/// The public part: shapes and scales, no weights. All three parties walk it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Fractional bits of weights, inputs and activations.
    pub frac_bits: u32,
    /// Layers, in the order of the steps' layer numbers.
    pub layers: Vec<LayerInfo>,
    /// Largest magnitude that each slot's pre-activations may have, and the logits' after them.
    pub range_limits: Vec<f64>,
    /// What the scenario sets for the protocol.
    pub settings: Settings,
    pub(super) linears: Vec<LinearShape>,
    pub(super) values: Vec<Value>,
    pub(super) steps: Vec<Step>,
}

/// The private part: what only the server is given.
pub struct ServerWeights {
    pub(super) layers: Vec<ServerLayer>,
}

pub(super) struct ServerLayer {
    pub weights: Vec<u64>,
    pub packed: PackedWeights,
    pub bias: Vec<u64>,
}

impl Plan {
    /// The layer that each step is booked on, in execution order.
    pub fn step_layers(&self) -> impl Iterator<Item = u32> + '_ {
        self.steps.iter().map(|step| step.layer)
    }

    /// The activation layers with their scales.
    pub fn activations(&self) -> impl Iterator<Item = &ActivationSpec> {
        self.steps.iter().filter_map(|step| match &step.kind {
            StepKind::Activation { spec } => Some(spec),
            _ => None,
        })
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

/// Lowers `graph` with one function per activation slot.
///
/// # Errors
/// See [`PlanError`].
pub fn lower(
    graph: &Graph,
    functions: &[Function],
    frac_bits: u32,
    protocol: &dyn ActivationProtocol,
    settings: Settings,
) -> Result<(Plan, ServerWeights), PlanError> {
    let slots = graph.nodes.iter().filter(|node| matches!(node.op, Op::Activation { .. })).count();
    if slots != functions.len() {
        return Err(PlanError::Slots { expected: slots, actual: functions.len() });
    }
    let mut lowering = Lowering::new(graph, functions, frac_bits, protocol, settings);
    for id in 0..graph.nodes.len() {
        let value = lowering.node(id)?;
        let value = lowering.remask_if_needed(id, value);
        lowering.value_of.push(value);
    }
    lowering.finish()
}

pub(super) struct Lowering<'a> {
    pub(super) graph: &'a Graph,
    functions: &'a [Function],
    pub(super) protocol: &'a dyn ActivationProtocol,
    pub(super) plan: Plan,
    weights: Vec<ServerLayer>,
    /// The sharing that readers of a node use.
    value_of: Vec<ValueId>,
    /// First linear node that reads a node, through views.
    linear_reader: Vec<Option<usize>>,
}

impl<'a> Lowering<'a> {
    fn new(
        graph: &'a Graph,
        functions: &'a [Function],
        frac_bits: u32,
        protocol: &'a dyn ActivationProtocol,
        settings: Settings,
    ) -> Lowering<'a> {
        let layers = graph.nodes.iter().map(|node| LayerInfo {
            name: node.name.clone(),
            kind: kind(&node.op),
            elements: node.shape.elements(),
        });
        let mut layers: Vec<LayerInfo> = layers.collect();
        layers.push(LayerInfo {
            name: "logits".into(),
            kind: "reveal",
            elements: graph.nodes.last().map_or(0, |node| node.shape.elements()),
        });
        let mut linear_reader = vec![None; graph.nodes.len()];
        for (id, node) in graph.nodes.iter().enumerate().rev() {
            let reader = match node.op {
                Op::Linear { .. } => Some(id),
                Op::Flatten => linear_reader[id],
                _ => None,
            };
            for &input in &node.inputs {
                linear_reader[input] = reader.or(linear_reader[input]);
            }
        }
        let plan = Plan {
            frac_bits,
            layers,
            range_limits: vec![0.0; functions.len()],
            settings,
            linears: Vec::new(),
            values: Vec::new(),
            steps: Vec::new(),
        };
        Lowering { graph, functions, protocol, plan, weights: Vec::new(), value_of: Vec::new(), linear_reader }
    }

    pub(super) fn push(&mut self, kind: StepKind, inputs: Vec<ValueId>, layer: usize, value: Value) -> ValueId {
        self.plan.values.push(value);
        let output = self.plan.values.len() - 1;
        self.plan.steps.push(Step { kind, inputs, output, layer: layer as u32 });
        output
    }

    pub(super) fn remask(&mut self, value: ValueId, layer: usize) -> ValueId {
        let masked = Value { known: true, ..self.plan.values[value] };
        self.push(StepKind::Remask, vec![value], layer, masked)
    }

    /// Linear layers read directly re-masked tensors, because the dealer must know the mask.
    fn remask_if_needed(&mut self, id: usize, value: ValueId) -> ValueId {
        match self.linear_reader[id] {
            Some(reader) if !matches!(self.graph.nodes[id].op, Op::Flatten) => self.remask(value, reader),
            _ => value,
        }
    }

    fn node(&mut self, id: usize) -> Result<ValueId, PlanError> {
        let node = &self.graph.nodes[id];
        let inputs: Vec<ValueId> = node.inputs.iter().map(|&input| self.value_of[input]).collect();
        let value = |bits, known| Value { shape: node.shape, bits, known };
        match &node.op {
            Op::Input => {
                self.plan.values.push(value(self.plan.frac_bits, false));
                Ok(self.plan.values.len() - 1)
            }
            Op::Flatten => {
                // A view: the same sharing; shapes are read off the graph.
                Ok(inputs[0])
            }
            Op::Linear { shape, weights, bias } => self.linear(id, inputs[0], shape, weights, bias),
            Op::Activation { slot, .. } => self.activation(id, *slot, inputs[0]),
            Op::AvgPool { kernel, stride, padding } => {
                self.sum_pool(id, inputs[0], (*kernel, *kernel), (*stride, *padding))
            }
            Op::GlobalAvgPool => {
                let side = self.graph.nodes[node.inputs[0]].shape;
                self.sum_pool(id, inputs[0], (side.h, side.w), (1, 0))
            }
            Op::MaxPool { kernel, stride, padding } => self.max_pool(id, inputs[0], (*kernel, *stride, *padding)),
            Op::Add => self.add(id, inputs[0], inputs[1]),
            Op::PadShortcut { stride, before, after } => {
                let input = self.plan.values[inputs[0]];
                let op = LocalOp::PadShortcut {
                    input: self.graph.nodes[node.inputs[0]].shape,
                    stride: *stride,
                    before: *before,
                    after: *after,
                };
                Ok(self.push(StepKind::Local(op), inputs, id, value(input.bits, input.known)))
            }
        }
    }

    fn linear(
        &mut self,
        id: usize,
        input: ValueId,
        shape: &LinearShape,
        weights: &[f32],
        bias: &[f32],
    ) -> Result<ValueId, PlanError> {
        let node = &self.graph.nodes[id];
        let frac_bits = self.plan.frac_bits;
        let bits = self.checked_bits(id, self.plan.values[input].bits + frac_bits)?;
        let encode = |what, values: &[f32], bits| {
            let doubles: Vec<f64> = values.iter().map(|&v| v as f64).collect();
            encode_slice(&doubles, bits).map_err(|index| PlanError::Range {
                node: node.name.clone(),
                what,
                index,
                value: values[index],
                bits,
            })
        };
        let (weights, bias) = (encode("weight", weights, frac_bits)?, encode("bias", bias, bits)?);
        let packed = PackedWeights::pack(shape, &weights);
        self.weights.push(ServerLayer { weights, packed, bias });
        self.plan.linears.push(*shape);
        let index = self.plan.linears.len() - 1;
        Ok(self.push(StepKind::Linear { index }, vec![input], id, Value { shape: node.shape, bits, known: true }))
    }

    fn checked_bits(&self, id: usize, bits: u32) -> Result<u32, PlanError> {
        if bits > 52 { Err(PlanError::Scale { node: self.graph.nodes[id].name.clone(), bits }) } else { Ok(bits) }
    }

    fn activation(&mut self, id: usize, slot: usize, input: ValueId) -> Result<ValueId, PlanError> {
        let node = &self.graph.nodes[id];
        let input = if self.plan.values[input].known { input } else { self.remask(input, id) };
        let spec = ActivationSpec {
            function: self.functions[slot].clone(),
            elements: node.shape.elements(),
            input_bits: self.plan.values[input].bits,
            output_bits: self.plan.frac_bits,
            settings: self.plan.settings,
        };
        let refuse = |reason| Err(PlanError::Activation { node: node.name.clone(), reason });
        if spec.input_bits <= spec.output_bits {
            return refuse("an activation must follow a linear layer (there is nothing to truncate)".into());
        }
        if let Err(reason) = self.protocol.supports(&spec) {
            return refuse(reason);
        }
        self.plan.range_limits[slot] = (spec.range_bits() as f64 - spec.input_bits as f64).exp2();
        let output = Value { shape: node.shape, bits: spec.output_bits, known: false };
        Ok(self.push(StepKind::Activation { spec }, vec![input], id, output))
    }

    /// Sum over windows; a divisor that is a power of two moves the point, another one becomes a constant
    /// factor with `frac_bits` more fractional bits.
    fn sum_pool(
        &mut self,
        id: usize,
        input: ValueId,
        kernel: (usize, usize),
        (stride, padding): (usize, usize),
    ) -> Result<ValueId, PlanError> {
        let from = self.plan.values[input];
        let divisor = kernel.0 * kernel.1;
        let (factor, more_bits) = if divisor.is_power_of_two() {
            (1, divisor.trailing_zeros())
        } else {
            (((1u64 << self.plan.frac_bits) as f64 / divisor as f64).round() as u64, self.plan.frac_bits)
        };
        let bits = self.checked_bits(id, from.bits + more_bits)?;
        let shape = self.graph.nodes[self.graph.nodes[id].inputs[0]].shape;
        let op = LocalOp::SumPool { input: shape, kernel, stride, padding, factor };
        let output = Value { shape: self.graph.nodes[id].shape, bits, known: from.known };
        Ok(self.push(StepKind::Local(op), vec![input], id, output))
    }

    fn add(&mut self, id: usize, a: ValueId, b: ValueId) -> Result<ValueId, PlanError> {
        // One known and one unknown operand would make the sum unknown: mask the unknown one.
        let (known_a, known_b) = (self.plan.values[a].known, self.plan.values[b].known);
        let a = if !known_a && known_b { self.remask(a, id) } else { a };
        let b = if known_a && !known_b { self.remask(b, id) } else { b };
        let (left, right) = (self.plan.values[a], self.plan.values[b]);
        let bits = left.bits.max(right.bits);
        let op = LocalOp::Add { lift: [bits - left.bits, bits - right.bits] };
        Ok(self.push(StepKind::Local(op), vec![a, b], id, Value { shape: left.shape, bits, known: left.known }))
    }

    fn finish(mut self) -> Result<(Plan, ServerWeights), PlanError> {
        let logits = *self.value_of.last().expect("a graph has at least its input");
        let layer = self.graph.nodes.len();
        let value = self.plan.values[logits];
        self.plan.range_limits.push((63.0 - value.bits as f64).exp2());
        self.push(StepKind::Reveal, vec![logits], layer, value);
        Ok((self.plan, ServerWeights { layers: self.weights }))
    }
}

fn kind(op: &Op) -> &'static str {
    match op {
        Op::Input => "input",
        Op::Linear { shape: LinearShape::Conv2d(_), .. } => "conv2d",
        Op::Linear { .. } => "linear",
        Op::Activation { .. } => "activation",
        Op::AvgPool { .. } => "avg_pool",
        Op::MaxPool { .. } => "max_pool",
        Op::GlobalAvgPool => "global_avg_pool",
        Op::Add => "add",
        Op::PadShortcut { .. } => "pad_shortcut",
        Op::Flatten => "flatten",
    }
}
