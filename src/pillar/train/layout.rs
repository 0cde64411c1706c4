//! What is trained: the tensors of an architecture, and which belong to which layer of its graph.
//!
//! Architectures ask for their tensors one after the other while they build a graph, into which batch norms are folded.
//! Training listens: a tensor of two or more dimensions begins the next linear layer, and the vectors after it are its
//! bias and its batch norm.

use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};

use super::TrainError;
use crate::nn::NnError;
use crate::nn::arch::{Architecture, Options};
use crate::nn::graph::{Graph, NodeId, Op, TensorShape};
use crate::nn::weights::{Fill, WeightSource};
use crate::ring::{ConvShape, LinearShape};

/// One tensor of the weights file.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorInfo {
    /// Its name, as in PyTorch.
    pub name: String,
    /// Its shape there.
    pub shape: Vec<usize>,
}

/// The tensors of one linear layer, by index.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearLayer {
    /// Its node in the graph.
    pub node: NodeId,
    /// The layer as a convolution; a dense layer is one on an image of one pixel.
    pub shape: ConvShape,
    /// Weights.
    pub weight: usize,
    /// Bias, if it has one of its own.
    pub bias: Option<usize>,
    /// The batch norm behind it.
    pub norm: Option<NormLayer>,
    /// Of a dense layer: the shape that is flattened in front of it.
    flattened: Option<TensorShape>,
}

/// The tensors of one batch norm, by index.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormLayer {
    /// Scale.
    pub gamma: usize,
    /// Shift.
    pub beta: usize,
    /// Running mean.
    pub mean: usize,
    /// Running variance.
    pub variance: usize,
}

/// An architecture, laid out for training.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The graph; its weights mean nothing.
    pub graph: Graph,
    /// Every tensor, in the order of the weights file.
    pub tensors: Vec<TensorInfo>,
    /// The linear layers, in the order of the graph.
    pub layers: Vec<LinearLayer>,
}

/// Passes tensors on and writes them down.
struct Recorder<'a> {
    inner: &'a mut dyn WeightSource,
    tensors: Vec<TensorInfo>,
    values: Vec<Vec<f32>>,
}

impl WeightSource for Recorder<'_> {
    fn tensor(&mut self, name: &str, shape: &[usize], fill: Fill) -> Result<Vec<f32>, NnError> {
        let values = self.inner.tensor(name, shape, fill)?;
        self.tensors.push(TensorInfo { name: name.to_owned(), shape: shape.to_vec() });
        self.values.push(values.clone());
        Ok(values)
    }
}

impl Layout {
    /// The layout of an architecture, and the values that `source` gives its tensors, in the order of training
    /// (convolutions `[h][w][in][out]`, dense layers `[in][out]` with the inputs in the order `[h][w][c]`).
    ///
    /// # Errors
    /// If the source lacks a tensor.
    pub fn new(
        architecture: &Architecture,
        options: &Options,
        source: &mut dyn WeightSource,
    ) -> Result<(Layout, Vec<Vec<f32>>), NnError> {
        let mut recorder = Recorder { inner: source, tensors: Vec::new(), values: Vec::new() };
        let graph = (architecture.build)(options, &mut recorder)?;
        let Recorder { tensors, values, .. } = recorder;
        let starts: Vec<usize> = (0..tensors.len()).filter(|&index| tensors[index].shape.len() > 1).collect();
        let nodes = graph.nodes.iter().enumerate().filter_map(|(id, node)| match &node.op {
            Op::Linear { shape, .. } => Some((id, shape)),
            _ => None,
        });
        let nodes: Vec<(NodeId, &LinearShape)> = nodes.collect();
        assert_eq!(nodes.len(), starts.len(), "every linear layer has one tensor of weights");
        let layers = nodes.into_iter().zip(&starts).enumerate().map(|(layer, ((node, shape), &weight))| {
            let end = starts.get(layer + 1).copied().unwrap_or(tensors.len());
            let part = |suffix: &str, from: usize| {
                (from..end).find(|&index| tensors[index].name.rsplit('.').next() == Some(suffix))
            };
            let gamma = part("weight", weight + 1);
            let norm = gamma.map(|gamma| NormLayer {
                gamma,
                beta: part("bias", gamma).expect("a batch norm has a shift"),
                mean: part("running_mean", gamma).expect("a batch norm has a running mean"),
                variance: part("running_var", gamma).expect("a batch norm has a running variance"),
            });
            let bias = (weight + 1..gamma.unwrap_or(end)).next();
            let (shape, flattened) = match shape {
                LinearShape::Conv2d(shape) => (*shape, None),
                LinearShape::Dense { inputs, outputs } => {
                    (ConvShape::same(1, *inputs, *outputs, 1, 1), Some(before_flatten(&graph, node)))
                }
            };
            LinearLayer { node, shape, weight, bias, norm, flattened }
        });
        let layers = layers.collect();
        let layout = Layout { graph, tensors, layers };
        let values = values.into_iter().enumerate().map(|(index, values)| layout.reorder(index, &values, true));
        let values = values.collect();
        Ok((layout, values))
    }

    /// Whether the tensor is trained; running statistics are not.
    pub fn trained(&self, tensor: usize) -> bool {
        !self.layers.iter().filter_map(|layer| layer.norm).any(|norm| [norm.mean, norm.variance].contains(&tensor))
    }

    /// A tensor's values from the order of the weights file to that of training, or back.
    fn reorder(&self, tensor: usize, values: &[f32], to_training: bool) -> Vec<f32> {
        let Some(layer) = self.layers.iter().find(|layer| layer.weight == tensor) else {
            return values.to_vec();
        };
        let ConvShape { in_c, out_c, kernel_h, kernel_w, .. } = layer.shape;
        let (taps, channels) = match layer.flattened {
            // The file flattens [c][h][w], the graph [h][w][c].
            Some(shape) => (shape.h * shape.w, shape.c),
            None => (kernel_h * kernel_w, in_c),
        };
        let mut result = vec![0.0; values.len()];
        for out in 0..out_c {
            for channel in 0..channels {
                for tap in 0..taps {
                    let file = (out * channels + channel) * taps + tap;
                    let training = (tap * channels + channel) * out_c + out;
                    let (from, to) = if to_training { (file, training) } else { (training, file) };
                    result[to] = values[from];
                }
            }
        }
        result
    }

    /// Writes a weights file that the architecture can load; `values` are in the order of training.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(
        &self,
        path: &Path,
        values: &[Vec<f32>],
        metadata: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), TrainError> {
        let bytes: Vec<Vec<u8>> = (values.iter().enumerate())
            .map(|(index, values)| bytemuck::cast_slice(&self.reorder(index, values, false)).to_vec())
            .collect();
        let views = self.tensors.iter().zip(&bytes).map(|(info, bytes)| {
            let view = TensorView::new(Dtype::F32, info.shape.clone(), bytes).expect("the values fit their shape");
            (info.name.as_str(), view)
        });
        super::checkpoint::write_safetensors(path, views, metadata)
    }
}

/// The shape of the tensor that is flattened for the dense layer `node`.
fn before_flatten(graph: &Graph, node: NodeId) -> TensorShape {
    let mut at = graph.nodes[node].inputs[0];
    while let Op::Flatten = graph.nodes[at].op {
        at = graph.nodes[at].inputs[0];
    }
    graph.nodes[at].shape
}
