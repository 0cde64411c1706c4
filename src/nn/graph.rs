//! A network as a directed acyclic graph of float operations, in topological order.
//!
//! Tensors are `[height][width][channels]`; flat vectors have `h = w = 1`.

use crate::ring::LinearShape;

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
        /// One value per output channel.
        bias: Vec<f32>,
    },
    /// An activation slot, filled by the scenario's protocol; slots are numbered from 0.
    Activation {
        /// Which slot.
        slot: usize,
    },
    /// Average pooling over `kernel x kernel` windows, no padding.
    AvgPool {
        /// Window side.
        kernel: usize,
        /// Step.
        stride: usize,
    },
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
    /// View as a vector (`[h][w][c]` order).
    Flatten,
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
