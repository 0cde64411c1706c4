//! A network as a directed acyclic graph of float operations, in topological order.
//!
//! Tensors are `[height][width][channels]`; flat vectors have `h = w = 1`.

use std::sync::Arc;

use crate::protocol::Function;
use crate::ring::LinearShape;

/// In [`Op::Rearrange`], in place of an element: a zero.
pub const ZERO: u32 = u32::MAX;

/// The shape of one tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TensorShape {
    /// Height.
    pub h: usize,
    /// Width.
    pub w: usize,
    /// Channels.
    pub c: usize,
}

impl TensorShape {
    /// Elements.
    pub fn elements(&self) -> usize {
        self.h * self.w * self.c
    }
}

/// Index of a node in its graph.
pub type NodeId = usize;

/// One operation.
#[derive(Clone, Debug)]
pub enum Op {
    /// The image (node 0, and only node 0).
    Input,
    /// A convolution or fully connected layer; batch norm is already folded in.
    Linear {
        /// The map; weights in its documented order.
        shape: LinearShape,
        /// `shape.weights()` values.
        weights: Vec<f32>,
        /// One value per output channel, or one per element of the result.
        bias: Vec<f32>,
    },
    /// An activation slot, filled by the scenario's protocol; slots are numbered from 0.
    Activation {
        /// Which slot.
        slot: usize,
        /// What the network was trained with.
        function: Function,
    },
    /// Average over `kernel x kernel` windows; pixels in the padding count as zeros, so that every window is divided
    /// by `kernel^2` (PyTorch's default, `count_include_pad`).
    AvgPool {
        /// Window side.
        kernel: usize,
        /// Step.
        stride: usize,
        /// Zero pixels around the tensor, fewer than `kernel`.
        padding: usize,
    },
    /// Maximum over `kernel x kernel` windows; pixels in the padding do not count.
    MaxPool {
        /// Window side.
        kernel: usize,
        /// Step.
        stride: usize,
        /// Pixels around the tensor, fewer than `kernel`.
        padding: usize,
    },
    /// Average over windows of any kind: see [`Windows`].
    AvgWindows(Arc<Windows>),
    /// Mean over height and width.
    GlobalAvgPool,
    /// Sum of two tensors of one shape.
    Add,
    /// Option-A shortcut: every `stride`-th pixel, zero channels before and after.
    PadShortcut {
        /// Subsampling step.
        stride: usize,
        /// Zero channels in front.
        before: usize,
        /// Zero channels behind.
        after: usize,
    },
    /// Elements of the operand in any order, left out or repeated, and zeros.
    Rearrange {
        /// For each element of the result, which of the operand it is, or [`ZERO`].
        from: Arc<[u32]>,
        /// Shape of the result.
        shape: TensorShape,
    },
    /// View as a vector (`[h][w][c]` order).
    Flatten,
}

/// The windows of an average whose sizes, steps or divisors are not all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Height of the result.
    pub h: usize,
    /// Width of the result.
    pub w: usize,
    /// For each pixel of the result, the pixels of the operand that are summed.
    pub pixels: Vec<Vec<u32>>,
    /// What each sum is divided by, above zero.
    pub divisors: Vec<u32>,
}

/// One node.
#[derive(Clone, Debug)]
pub struct Node {
    /// Unique readable name, for example `layer1.0.conv1`.
    pub name: String,
    /// The operation.
    pub op: Op,
    /// Operands, all earlier in the graph.
    pub inputs: Vec<NodeId>,
    /// Shape of the result.
    pub shape: TensorShape,
}

/// A network: nodes in topological order, the last one the logits.
#[derive(Clone, Debug)]
pub struct Graph {
    /// Nodes, operands before users; node 0 is the input.
    pub nodes: Vec<Node>,
}

impl Op {
    /// The kind of operation in one lower-case word, as in reports.
    pub fn kind(&self) -> &'static str {
        match self {
            Op::Input => "input",
            Op::Linear { shape, .. } => match shape {
                LinearShape::Conv2d(_) => "conv2d",
                LinearShape::Dense { .. } => "linear",
            },
            Op::Activation { .. } => "activation",
            Op::AvgPool { .. } | Op::AvgWindows(_) => "avg_pool",
            Op::MaxPool { .. } => "max_pool",
            Op::GlobalAvgPool => "global_avg_pool",
            Op::Add => "add",
            Op::PadShortcut { .. } => "pad_shortcut",
            Op::Rearrange { .. } => "rearrange",
            Op::Flatten => "flatten",
        }
    }

    /// Weights and biases; a bias that differs between pixels counts once per channel.
    pub fn parameters(&self) -> usize {
        match self {
            Op::Linear { shape, weights, bias } => weights.len() + bias.len().min(shape.channels()),
            _ => 0,
        }
    }
}

impl Graph {
    /// Shape of the image.
    pub fn input_shape(&self) -> TensorShape {
        self.nodes[0].shape
    }

    /// Number of logits.
    pub fn classes(&self) -> usize {
        self.logits().shape.elements()
    }

    /// The last node.
    pub fn logits(&self) -> &Node {
        self.nodes.last().expect("a graph has at least its input")
    }

    /// Weights and biases, batch norm folded in.
    pub fn parameters(&self) -> usize {
        self.nodes.iter().map(|node| node.op.parameters()).sum()
    }

    /// Activation slots.
    pub fn activation_layers(&self) -> usize {
        self.activation_sizes().len()
    }

    /// Activations of one inference, all slots together.
    pub fn activations(&self) -> usize {
        self.activation_sizes().iter().sum()
    }

    /// What each activation slot was trained with, by slot number.
    pub fn functions(&self) -> Vec<Function> {
        let mut slots: Vec<(usize, &Function)> = self
            .nodes
            .iter()
            .filter_map(|node| match &node.op {
                Op::Activation { slot, function } => Some((*slot, function)),
                _ => None,
            })
            .collect();
        slots.sort_unstable_by_key(|(slot, _)| *slot);
        slots.into_iter().map(|(_, function)| function.clone()).collect()
    }

    /// Elements of each activation slot, by slot number.
    pub fn activation_sizes(&self) -> Vec<usize> {
        let mut slots: Vec<(usize, usize)> = self
            .nodes
            .iter()
            .filter_map(|node| match node.op {
                Op::Activation { slot, .. } => Some((slot, node.shape.elements())),
                _ => None,
            })
            .collect();
        slots.sort_unstable();
        slots.into_iter().map(|(_, elements)| elements).collect()
    }

    /// For each node, the nodes that read it, in order; a value is dead after its last reader.
    pub fn users(&self) -> Vec<Vec<NodeId>> {
        let mut users = vec![Vec::new(); self.nodes.len()];
        for (id, node) in self.nodes.iter().enumerate() {
            for &input in &node.inputs {
                users[input].push(id);
            }
        }
        users
    }
}
