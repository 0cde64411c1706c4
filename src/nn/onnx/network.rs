//! The graph under construction: nodes, and each thing made only once.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::index::HOLE;
use super::view::{Map, View};
use crate::nn::NnError;
use crate::nn::graph::{Graph, Node, NodeId, Op, TensorShape};
use crate::protocol::{Function, Polynomial};
use crate::ring::{ConvShape, LinearShape};

/// Fractional bits of a polynomial's coefficients, where fewer do not hold them exactly; and the most, for small ones.
const PRECISION_BITS: [u32; 2] = [20, 40];

/// Relative error of a coefficient beyond which it gets more bits.
const COEFFICIENT_ERROR: f64 = 1.0 / 4096.0;

/// Weights of one layer beyond which a file is not believed.
pub(super) const MAX_WEIGHTS: usize = 1 << 28;

/// Weights and elements of all layers together beyond which a file is not believed: one of 23 million weights has some 40
/// million, with those of batch norms not yet folded twice that.
const MAX_SIZE: usize = 1 << 30;

/// Nodes beyond which a file is not believed.
const MAX_NODES: usize = 1 << 15;

/// A graph under construction.
pub(super) struct Network {
    nodes: Vec<Node>,
    /// Of every node: whether its values have more fractional bits than an activation's, whose truncation needs some to
    /// remove.
    spare_bits: Vec<bool>,
    /// The names taken, and the number to try next after each.
    names: HashMap<String, u32>,
    /// Weights and elements of all nodes.
    size: usize,
    activations: Vec<(NodeId, Function, NodeId)>,
    rearranged: HashMap<(NodeId, TensorShape, Rc<Vec<u32>>), NodeId>,
    /// Scale per channel and shift per element, as bits.
    pub(super) scaled: HashMap<(NodeId, Vec<u64>), NodeId>,
    flattened: HashMap<NodeId, NodeId>,
}

impl Network {
    pub fn new(input: TensorShape) -> Network {
        let input = Node { name: "input".to_string(), op: Op::Input, inputs: Vec::new(), shape: input };
        Network {
            nodes: vec![input],
            spare_bits: vec![false],
            names: HashMap::from([("input".to_string(), 2)]),
            size: 0,
            activations: Vec::new(),
            rearranged: HashMap::new(),
            scaled: HashMap::new(),
            flattened: HashMap::new(),
        }
    }

    pub fn shape(&self, node: NodeId) -> TensorShape {
        self.nodes[node].shape
    }

    pub fn node(&self, node: NodeId) -> &Node {
        &self.nodes[node]
    }

    /// Adds a node under this name, or a number after it if it is taken.
    ///
    /// # Errors
    /// If the operands do not fit the operation.
    pub fn push(&mut self, name: &str, op: Op, inputs: &[NodeId]) -> Result<NodeId, String> {
        let shapes: Vec<TensorShape> = inputs.iter().map(|&input| self.shape(input)).collect();
        let shape = op.output_shape(&shapes)?;
        let weights = if let Op::Linear { weights, bias, .. } = &op { weights.len() + bias.len() } else { 0 };
        self.size = self.size.saturating_add(weights).saturating_add(shape.elements());
        if self.size > MAX_SIZE || self.nodes.len() >= MAX_NODES {
            return Err(format!(
                "makes the network larger than longhaul takes ({MAX_NODES} layers, {MAX_SIZE} weights and elements)"
            ));
        }
        let name = self.free_name(name);
        self.spare_bits.push(match op {
            Op::Linear { .. } => true,
            Op::Activation { .. } => false,
            _ => inputs.iter().any(|&input| self.spare_bits[input]),
        });
        self.nodes.push(Node { name, op, inputs: inputs.to_vec(), shape });
        Ok(self.nodes.len() - 1)
    }

    fn free_name(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_string();
        while self.names.contains_key(&name) {
            let number = self.names.entry(wanted.to_string()).or_insert(2);
            name = format!("{wanted}#{number}");
            *number += 1;
        }
        self.names.insert(name.clone(), 2);
        name
    }

    /// The node as a vector in its own order `[h][w][c]`.
    pub fn flattened(&mut self, node: NodeId, name: &str) -> Result<NodeId, String> {
        let TensorShape { h: 1, w: 1, .. } = self.shape(node) else {
            if let Some(&known) = self.flattened.get(&node) {
                return Ok(known);
            }
            let flat = self.push(&format!("{name}.flatten"), Op::Flatten, &[node])?;
            self.flattened.insert(node, flat);
            return Ok(flat);
        };
        Ok(node)
    }

    /// `function` of every element of a plain view.
    ///
    /// # Errors
    /// If the view cannot be made a node.
    pub fn activate(&mut self, view: &View, function: Function, name: &str) -> Result<View, String> {
        let elements = self.shape(view.base).elements();
        // What the view leaves out should cost nothing, and what it adds is the function of zero.
        if view.len() < elements || (view.has_holes() && function.eval(0.0) != 0.0) {
            let node = self.materialised(view, name)?;
            return self.activate(&View::of(node, view.dims.clone()), function, name);
        }
        if function == Function::Relu && self.is_rectified(view.base) {
            return Ok(view.clone());
        }
        let known = self.activations.iter().find(|(base, known, _)| *base == view.base && *known == function);
        let node = match known {
            Some((_, _, node)) => *node,
            None => {
                let input = if self.spare_bits[view.base] { view.base } else { self.copied(view.base, name)? };
                let node = self.push(name, Op::Activation { slot: 0, function: function.clone() }, &[input])?;
                self.activations.push((view.base, function, node));
                node
            }
        };
        Ok(View { base: node, ..view.clone() })
    }

    /// Whether no element can be negative because all come out of a ReLU.
    fn is_rectified(&self, mut node: NodeId) -> bool {
        loop {
            match &self.nodes[node].op {
                Op::Activation { function, .. } => return matches!(function, Function::Relu | Function::Relu6),
                Op::MaxPool { .. } | Op::AvgPool { .. } | Op::GlobalAvgPool | Op::Rearrange { .. } | Op::Flatten => {
                    node = self.nodes[node].inputs[0];
                }
                _ => return false,
            }
        }
    }

    /// The same values as the result of a linear layer.
    fn copied(&mut self, node: NodeId, name: &str) -> Result<NodeId, String> {
        let TensorShape { h, w, c } = self.shape(node);
        self.diagonal(node, &vec![1.0; c], &vec![0.0; h * w * c], name)
    }

    /// Scales every channel and adds to every element (in the order `[channel][row][column]`) by a 1x1 convolution.
    pub fn diagonal(&mut self, node: NodeId, scale: &[f64], shift: &[f64], name: &str) -> Result<NodeId, String> {
        let TensorShape { h, w, c } = self.shape(node);
        if c.checked_mul(c).is_none_or(|weights| weights > MAX_WEIGHTS) {
            return Err(format!("scales {c} channels that no linear layer makes; longhaul takes up to 16384"));
        }
        let mut weights = vec![0.0f32; c * c];
        (0..c).for_each(|channel| weights[channel * (c + 1)] = scale[channel] as f32);
        let shape =
            ConvShape { in_h: h, in_w: w, in_c: c, out_c: c, kernel_h: 1, kernel_w: 1, stride: 1, padding: [0; 4] };
        let op = Op::Linear { shape: LinearShape::Conv2d(shape), weights, bias: bias_of(shift, h * w, c) };
        self.push(&format!("{name}.scale"), op, &[node])
    }

    /// A plain view as a node of the shape of its dimensions, or a vector if they are those of no image.
    pub fn materialised(&mut self, view: &View, name: &str) -> Result<NodeId, String> {
        let shape = image_shape(&view.dims).unwrap_or(TensorShape { h: 1, w: 1, c: view.len() });
        self.as_shape(view, shape, name)
    }

    /// A plain view as a node of this shape; elements in the order `[channel][row][column]`.
    pub fn as_shape(&mut self, view: &View, shape: TensorShape, name: &str) -> Result<NodeId, String> {
        let from = self.shape(view.base);
        if view.map == Map::All && (shape == from) {
            return Ok(view.base);
        }
        if shape.elements() == 0 {
            return Err(format!("has shape {:?}, which has no elements", view.dims));
        }
        let index: Rc<Vec<u32>> = Rc::new(our_order(view, from, shape));
        let key = (view.base, shape, Rc::clone(&index));
        if let Some(&known) = self.rearranged.get(&key) {
            return Ok(known);
        }
        let op = match as_pad_shortcut(&index, from, shape) {
            Some(op) => op,
            None => Op::Rearrange { from: Arc::from(index.as_slice()), shape },
        };
        let node = self.push(&format!("{name}.move"), op, &[view.base])?;
        self.rearranged.insert(key, node);
        Ok(node)
    }

    /// The graph that computes `logits`, with its slots numbered in order.
    ///
    /// # Errors
    /// If the graph breaks a rule, for example because the image is not used.
    pub fn finish(self, logits: NodeId) -> Result<Graph, NnError> {
        let mut needed = vec![false; self.nodes.len()];
        (needed[0], needed[logits]) = (true, true);
        for id in (0..=logits).rev().filter(|&id| id > 0) {
            if needed[id] {
                self.nodes[id].inputs.iter().for_each(|&input| needed[input] = true);
            }
        }
        let mut place = vec![0; self.nodes.len()];
        let mut nodes: Vec<Node> = Vec::new();
        let mut slots = 0;
        for (id, mut node) in self.nodes.into_iter().enumerate().filter(|(id, _)| needed[*id]) {
            node.inputs.iter_mut().for_each(|input| *input = place[*input]);
            if let Op::Activation { slot, .. } = &mut node.op {
                *slot = slots;
                slots += 1;
            }
            place[id] = nodes.len();
            nodes.push(node);
        }
        let graph = Graph { nodes };
        graph.validate()?;
        Ok(graph)
    }
}

/// One bias per channel if it is the same for all pixels, or else one per element in the order `[h][w][c]`.
pub(super) fn bias_of(shift: &[f64], pixels: usize, channels: usize) -> Vec<f32> {
    if shift.chunks_exact(pixels).all(|channel| channel.iter().all(|&value| value == channel[0])) {
        return shift.iter().step_by(pixels).map(|&value| value as f32).collect();
    }
    let pixel = |pixel: usize| (0..channels).map(move |channel| shift[channel * pixels + pixel] as f32);
    (0..pixels).flat_map(pixel).collect()
}

/// The shape of a tensor of one image; vectors have `h = w = 1`.
pub(super) fn image_shape(dims: &[usize]) -> Option<TensorShape> {
    let shape = match *dims {
        [1, c, h, w] => TensorShape { h, w, c },
        [1, c, w] => TensorShape { h: 1, w, c },
        [1, c] | [c] => TensorShape { h: 1, w: 1, c },
        _ => return None,
    };
    (shape.elements() > 0).then_some(shape)
}

/// The polynomial with these coefficients.
///
/// # Errors
/// If a coefficient is too large, or too small for fixed point.
pub(super) fn polynomial(coefficients: &[f64]) -> Result<Function, String> {
    let off = |bits: u32, error: f64| {
        let unit = f64::from(bits).exp2();
        coefficients.iter().position(|c| (c * unit - (c * unit).round()).abs() > c.abs() * unit * error)
    };
    let [usual, most] = PRECISION_BITS;
    let exact = (1..usual).find(|&bits| off(bits, 1e-7).is_none());
    let Some(bits) = exact.or_else(|| (usual..=most).find(|&bits| off(bits, COEFFICIENT_ERROR).is_none())) else {
        let power = off(most, COEFFICIENT_ERROR).expect("some coefficient needs more bits");
        return Err(format!(
            "has the coefficient {} of x^{power}, too small for {most} fractional bits; scale the activation's input up",
            coefficients[power]
        ));
    };
    let polynomial = Polynomial::from_floats(coefficients, bits).map_err(|error| error.to_string())?;
    Ok(Function::Polynomial(polynomial))
}

/// The sources of a view in the order `[h][w][c]` of `to`, themselves counted in that order.
fn our_order(view: &View, from: TensorShape, to: TensorShape) -> Vec<u32> {
    let (pixels, to_pixels) = (from.h * from.w, to.h * to.w);
    let source = |at: u32| match at {
        HOLE => HOLE,
        at => (at % pixels as u32) * from.c as u32 + at / pixels as u32,
    };
    let pixel = |pixel: usize| (0..to.c).map(move |channel| channel * to_pixels + pixel);
    (0..to_pixels).flat_map(pixel).map(|i| source(view.source(i))).collect()
}

/// The option-A shortcut that moves elements in this way.
fn as_pad_shortcut(index: &[u32], from: TensorShape, to: TensorShape) -> Option<Op> {
    let before = index.iter().position(|&at| at != HOLE)?;
    let after = to.c.checked_sub(before + from.c)?;
    let expected = |stride: usize, i: usize| {
        let (pixel, channel) = (i / to.c, i % to.c);
        let source = (pixel / to.w * stride) * from.w + pixel % to.w * stride;
        match channel.checked_sub(before).filter(|&channel| channel < from.c) {
            Some(channel) => (source * from.c + channel) as u32,
            None => HOLE,
        }
    };
    let fits = |stride: &usize| {
        (from.h.div_ceil(*stride), from.w.div_ceil(*stride)) == (to.h, to.w)
            && index.iter().enumerate().all(|(i, &at)| at == expected(*stride, i))
    };
    let stride = (1..=from.h.max(from.w)).find(fits)?;
    Some(Op::PadShortcut { stride, before, after })
}
