//! From a float graph to steps on shares: scales, masks and local operations made explicit.
//!
//! * A tensor that a linear layer reads is re-masked right after it is made (the client sends `x_c - r`),
//!   once however many layers read it, and every reader uses the re-masked sharing. So the client's share
//!   of each tensor is `known` offline wherever a protocol needs it, across residual additions too.
//! * Every value has its own number of fractional bits: a linear layer adds `f`, an addition lifts the coarser operand, an
//!   activation truncates. An average pool sums and moves the point by the power of two that is at least its divisor; what
//!   is left of the division, a factor below 2, goes into the weights of the linear layers that read it or of the one that
//!   it reads.

use super::local::LocalOp;
use super::plan::{LayerInfo, Method, Plan, PlanError, PlannedLinear, Slot, Step, StepKind, Value, ValueId};
use super::stream;
use crate::nn::graph::{Graph, Op, TensorShape, Windows};
use crate::protocol::Function;
use crate::protocol::activation::ActivationSpec;
use crate::ring::LinearShape;
use std::sync::Arc;

/// Lowers `graph` with one choice per activation slot. Max pooling is done by the first method of the ReLU family.
/// Layers stream in chunks wherever the protocol allows.
///
/// # Errors
/// See [`PlanError`].
pub fn lower(graph: &Graph, slots: &[Slot], frac_bits: u32) -> Result<Plan, PlanError> {
    let mut plan = lower_whole(graph, slots, frac_bits)?;
    stream::join(&mut plan);
    Ok(plan)
}

/// The same with every layer a step of its own: a layer is computed and sent as a whole before the next one begins.
///
/// # Errors
/// See [`PlanError`].
pub fn lower_whole(graph: &Graph, slots: &[Slot], frac_bits: u32) -> Result<Plan, PlanError> {
    if slots.len() != graph.activation_layers() {
        return Err(PlanError::Slots { expected: graph.activation_layers(), actual: slots.len() });
    }
    let mut lowering = Lowering::new(graph, slots, frac_bits);
    for id in 0..graph.nodes.len() {
        let value = lowering.node(id)?;
        let value = lowering.remask_if_needed(id, value);
        lowering.value_of.push(value);
    }
    Ok(lowering.finish())
}

/// As [`lower_whole`], for an execution that carries so many images at once.
///
/// # Errors
/// See [`PlanError`].
pub fn lower_batch(graph: &Graph, slots: &[Slot], frac_bits: u32, images: usize) -> Result<Plan, PlanError> {
    let mut plan = lower_whole(graph, slots, frac_bits)?;
    plan.images = images;
    for step in &mut plan.steps {
        if let StepKind::Activation { spec, .. } = &mut step.kind {
            spec.elements *= images;
        }
    }
    Ok(plan)
}

pub(super) struct Lowering<'a> {
    pub(super) graph: &'a Graph,
    slots: &'a [Slot],
    pub(super) plan: Plan,
    /// The sharing that readers of a node use.
    value_of: Vec<ValueId>,
    /// First linear node that reads a node, through views.
    linear_reader: Vec<Option<usize>>,
    users: Vec<Vec<usize>>,
    /// Whether all that read a node, through views, are linear layers.
    only_linear: Vec<bool>,
}

impl<'a> Lowering<'a> {
    fn new(graph: &'a Graph, slots: &'a [Slot], frac_bits: u32) -> Lowering<'a> {
        let layers = graph.nodes.iter().map(|node| LayerInfo {
            name: node.name.clone(),
            kind: node.op.kind(),
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
        let mut only_linear = vec![false; graph.nodes.len()];
        let users = graph.users();
        for (id, users) in users.iter().enumerate().rev() {
            let linear = |&user: &usize| match graph.nodes[user].op {
                Op::Linear { .. } => true,
                Op::Flatten => only_linear[user],
                _ => false,
            };
            only_linear[id] = !users.is_empty() && users.iter().all(linear);
        }
        let plan = Plan {
            frac_bits,
            layers,
            images: 1,
            range_limits: vec![0.0; slots.len()],
            methods: distinct(slots),
            linears: Vec::new(),
            values: Vec::new(),
            steps: Vec::new(),
        };
        Lowering { graph, slots, plan, value_of: Vec::new(), linear_reader, users, only_linear }
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
            Op::Linear { shape, .. } => self.linear(id, inputs[0], *shape),
            Op::Activation { slot, .. } => self.activation(id, *slot, inputs[0]),
            Op::AvgPool { kernel, stride, padding } => {
                self.sum_pool(id, inputs[0], (*kernel, *kernel), (*stride, *padding))
            }
            Op::GlobalAvgPool => {
                let side = self.graph.nodes[node.inputs[0]].shape;
                self.sum_pool(id, inputs[0], (side.h, side.w), (1, 0))
            }
            Op::MaxPool { kernel, stride, padding } => self.max_pool(id, inputs[0], (*kernel, *stride, *padding)),
            Op::AvgWindows(windows) => self.window_averages(id, inputs[0], windows),
            Op::Rearrange { from, .. } => {
                let input = self.plan.values[inputs[0]];
                let op = LocalOp::Rearrange(Arc::clone(from));
                Ok(self.push(StepKind::Local(op), inputs, id, value(input.bits, input.known)))
            }
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

    fn linear(&mut self, id: usize, input: ValueId, shape: LinearShape) -> Result<ValueId, PlanError> {
        let bits = self.checked_bits(id, self.plan.values[input].bits + self.plan.frac_bits)?;
        let before = self.left_of_division(self.graph.nodes[id].inputs[0]);
        let after = match self.users[id][..] {
            [user] if self.linear_divides(user) => self.rest(user),
            _ => 1.0,
        };
        let planned =
            PlannedLinear { shape, node: id, bias_bits: bits, weight_scale: before * after, bias_scale: after };
        self.plan.linears.push(planned);
        let index = self.plan.linears.len() - 1;
        let output = Value { shape: self.graph.nodes[id].shape, bits, known: true };
        Ok(self.push(StepKind::Linear { index }, vec![input], id, output))
    }

    fn checked_bits(&self, id: usize, bits: u32) -> Result<u32, PlanError> {
        if bits > 52 { Err(PlanError::Scale { node: self.graph.nodes[id].name.clone(), bits }) } else { Ok(bits) }
    }

    fn activation(&mut self, id: usize, slot: usize, input: ValueId) -> Result<ValueId, PlanError> {
        let Slot { function, method } = &self.slots[slot];
        let input = if self.plan.values[input].known { input } else { self.remask(input, id) };
        let Value { shape, bits, .. } = self.plan.values[input];
        let refuse = |reason| PlanError::Activation { node: self.graph.nodes[id].name.clone(), reason };
        if bits <= self.plan.frac_bits {
            return Err(refuse("an activation must follow a linear layer (there is nothing to truncate)".into()));
        }
        let range_bits = f64::from(method.settings.width() - 2) - f64::from(bits);
        self.plan.range_limits[slot] = range_bits.exp2();
        if *function != Function::Relu6 {
            return self.activate(id, input, function.clone(), *method);
        }
        // min(max(x, 0), 6) = relu(x) - relu(x - 6): one layer of twice the size.
        self.plan.range_limits[slot] -= 6.0;
        let elements = shape.elements();
        let pair = Value { shape: TensorShape { h: 2, w: 1, c: elements }, bits, known: true };
        let pair = self.push(StepKind::Local(LocalOp::Relu6Pair { six: 6 << bits }), vec![input], id, pair);
        let both = self.activate(id, pair, Function::Relu, *method)?;
        let output = Value { shape, ..self.plan.values[both] };
        Ok(self.push(StepKind::Local(LocalOp::Differences { elements }), vec![both], id, output))
    }

    fn activate(
        &mut self,
        id: usize,
        input: ValueId,
        function: Function,
        method: Method,
    ) -> Result<ValueId, PlanError> {
        let Value { shape, bits, .. } = self.plan.values[input];
        let spec = ActivationSpec {
            function,
            elements: shape.elements(),
            input_bits: bits,
            output_bits: self.plan.frac_bits,
            settings: method.settings,
        };
        if let Err(reason) = method.entry.protocol.supports(&spec) {
            return Err(PlanError::Activation { node: self.graph.nodes[id].name.clone(), reason });
        }
        let output = Value { shape, bits: spec.output_bits, known: false };
        let method = self.method(method);
        Ok(self.push(StepKind::Activation { spec, method }, vec![input], id, output))
    }

    /// The place of `method` in the plan.
    fn method(&self, method: Method) -> usize {
        self.plan.methods.iter().position(|known| *known == method).expect("the slots' methods are all there")
    }

    /// The divisor of an average pool that all its windows have.
    fn divisor(&self, id: usize) -> Option<usize> {
        match &self.graph.nodes[id].op {
            Op::AvgPool { kernel, .. } => Some(kernel * kernel),
            Op::GlobalAvgPool => {
                let TensorShape { h, w, .. } = self.graph.nodes[self.graph.nodes[id].inputs[0]].shape;
                Some(h * w)
            }
            Op::AvgWindows(windows) => {
                let first = *windows.divisors.first()?;
                windows.divisors.iter().all(|&divisor| divisor == first).then_some(first as usize)
            }
            _ => None,
        }
    }

    /// What is left of a pool's division once the point has moved.
    fn rest(&self, pool: usize) -> f64 {
        self.divisor(pool).map_or(1.0, |divisor| divisor.next_power_of_two() as f64 / divisor as f64)
    }

    /// Whether the linear layer that a pool reads takes the rest of its division: those that read the pool cannot, and
    /// nothing else reads the layer.
    fn linear_divides(&self, pool: usize) -> bool {
        let input = self.graph.nodes[pool].inputs[0];
        self.divisor(pool).is_some()
            && !self.only_linear[pool]
            && matches!(self.graph.nodes[input].op, Op::Linear { .. })
            && self.users[input].len() == 1
    }

    /// The bits by which the point of a pool moves if linear layers take the rest of its division.
    fn moved_bits(&self, pool: usize) -> Option<u32> {
        let divisor = self.divisor(pool)?;
        let taken = divisor.is_power_of_two() || self.only_linear[pool] || self.linear_divides(pool);
        taken.then(|| divisor.next_power_of_two().trailing_zeros())
    }

    /// The factor that linear layers reading node `id` have to take into their weights.
    fn left_of_division(&self, id: usize) -> f64 {
        match self.graph.nodes[id].op {
            Op::Flatten => self.left_of_division(self.graph.nodes[id].inputs[0]),
            _ if self.only_linear[id] => self.rest(id),
            _ => 1.0,
        }
    }

    /// Sum over windows; where no linear layer can divide, a constant factor with `frac_bits` more fractional bits does.
    fn sum_pool(
        &mut self,
        id: usize,
        input: ValueId,
        kernel: (usize, usize),
        (stride, padding): (usize, usize),
    ) -> Result<ValueId, PlanError> {
        let from = self.plan.values[input];
        let constant = || {
            let divisor = (kernel.0 * kernel.1) as f64;
            (((1u64 << self.plan.frac_bits) as f64 / divisor).round() as u64, self.plan.frac_bits)
        };
        let (factor, more_bits) = self.moved_bits(id).map_or_else(constant, |bits| (1, bits));
        let bits = self.checked_bits(id, from.bits + more_bits)?;
        let shape = self.graph.nodes[self.graph.nodes[id].inputs[0]].shape;
        let op = LocalOp::SumPool { input: shape, kernel, stride, padding, factor };
        let output = Value { shape: self.graph.nodes[id].shape, bits, known: from.known };
        Ok(self.push(StepKind::Local(op), vec![input], id, output))
    }

    /// As [`Self::sum_pool`]; different divisors that are powers of two move the point by the largest of them.
    fn window_averages(&mut self, id: usize, input: ValueId, windows: &Arc<Windows>) -> Result<ValueId, PlanError> {
        let from = self.plan.values[input];
        let divisors = &windows.divisors;
        let more_bits = match divisors.iter().all(|divisor| divisor.is_power_of_two()) {
            true => divisors.iter().map(|divisor| divisor.trailing_zeros()).max().unwrap_or(0),
            false => self.plan.frac_bits,
        };
        let factor = |divisor: &u32| ((1u64 << more_bits) as f64 / f64::from(*divisor)).round() as u64;
        let (more_bits, factors) = match self.moved_bits(id) {
            Some(bits) => (bits, vec![1; divisors.len()].into()),
            None => (more_bits, divisors.iter().map(factor).collect()),
        };
        let bits = self.checked_bits(id, from.bits + more_bits)?;
        let output = Value { shape: self.graph.nodes[id].shape, bits, known: from.known };
        let op = LocalOp::SumWindows { windows: Arc::clone(windows), factors, channels: output.shape.c };
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

    fn finish(mut self) -> Plan {
        let logits = *self.value_of.last().expect("a graph has at least its input");
        let layer = self.graph.nodes.len();
        let value = self.plan.values[logits];
        self.plan.range_limits.push((63.0 - value.bits as f64).exp2());
        self.push(StepKind::Reveal, vec![logits], layer, value);
        self.plan
    }
}

/// Every method once, in the order of the slots.
fn distinct(slots: &[Slot]) -> Vec<Method> {
    let mut methods: Vec<Method> = Vec::new();
    for slot in slots {
        if !methods.contains(&slot.method) {
            methods.push(slot.method);
        }
    }
    methods
}
