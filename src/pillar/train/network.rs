//! A network in training: its tensors, and the forward pass by batch statistics or by running ones.

use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::module::{avg_pool2d, max_pool2d};
use burn::tensor::{Tensor, TensorData};

use super::backend::{ActivationSpec, TrainBackend};
use super::layout::{Layout, LinearLayer, NormLayer};
use crate::nn::graph::{Node, Op, TensorShape};
use crate::ring::ConvShape;

/// The `eps` of PyTorch's batch norm.
const EPS: f32 = 1e-5;
/// How far running statistics move towards those of a batch, as in PyTorch.
const STATISTICS_STEP: f32 = 0.1;

/// The tensors of a network, all of one dimension and in the order of the layout.
#[derive(Clone, Debug)]
pub struct Tensors<B: Backend>(pub Vec<Tensor<B, 1>>);

impl<B: Backend> Tensors<B> {
    /// From values.
    pub fn new(values: &[Vec<f32>], device: &B::Device) -> Tensors<B> {
        let tensor = |values: &Vec<f32>| Tensor::from_data(TensorData::new(values.clone(), [values.len()]), device);
        Tensors(values.iter().map(tensor).collect())
    }

    /// The values.
    pub fn values(&self) -> Vec<Vec<f32>> {
        let values = |tensor: &Tensor<B, 1>| tensor.to_data().convert::<f32>().to_vec().expect("numbers as f32");
        self.0.iter().map(values).collect()
    }
}

/// What a forward pass returns.
#[derive(Debug)]
pub struct Output<B: Backend> {
    /// `[image][class]`.
    pub logits: Tensor<B, 2>,
    /// Per slot, as [`Activated::seen`](super::backend::Activated::seen).
    pub seen: Vec<Tensor<B, 1>>,
    /// What is to be added to the loss.
    pub penalties: Vec<Tensor<B, 1>>,
}

/// How batch norms get their statistics.
trait Statistics<B: TrainBackend> {
    /// The layer, with its batch norm if it has one.
    fn linear(&mut self, layer: &LinearLayer, x: Tensor<B, 4>) -> Tensor<B, 4>;
}

/// From the batch; the running ones move.
struct OfBatch<'a, B: AutodiffBackend> {
    tensors: &'a Tensors<B>,
    running: &'a mut Tensors<B::InnerBackend>,
}

/// From the running ones: the batch norm is part of the weights.
struct Running<'a, B: Backend> {
    tensors: &'a Tensors<B>,
}

/// The forward pass of training: batch statistics, which move the running ones in `running`.
pub fn train_forward<B: TrainBackend + AutodiffBackend>(
    layout: &Layout,
    tensors: &Tensors<B>,
    running: &mut Tensors<B::InnerBackend>,
    images: Tensor<B, 4>,
    specs: &[ActivationSpec],
) -> Output<B> {
    forward(layout, &mut OfBatch { tensors, running }, images, specs)
}

/// The forward pass of use: running statistics.
pub fn eval_forward<B: TrainBackend>(
    layout: &Layout,
    tensors: &Tensors<B>,
    images: Tensor<B, 4>,
    specs: &[ActivationSpec],
) -> Output<B> {
    forward(layout, &mut Running { tensors }, images, specs)
}

impl<B: TrainBackend + AutodiffBackend> Statistics<B> for OfBatch<'_, B> {
    fn linear(&mut self, layer: &LinearLayer, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let Tensors(tensors) = self.tensors;
        let y = convolve(&layer.shape, x, tensors[layer.weight].clone(), layer.bias.map(|bias| tensors[bias].clone()));
        let Some(NormLayer { gamma, beta, mean, variance }) = layer.norm else { return y };
        let [images, h, w, _] = y.dims();
        let count = (images * h * w) as f32;
        let normed = B::batch_norm(y, tensors[gamma].clone(), tensors[beta].clone(), EPS);
        let mut step = |index: usize, towards: Tensor<B, 1>| {
            let running = &mut self.running.0[index];
            *running = running.clone() * (1.0 - STATISTICS_STEP) + towards.inner() * STATISTICS_STEP;
        };
        step(mean, normed.mean);
        // What the batch was drawn from varies a little more than the batch.
        step(variance, normed.variance * (count / (count - 1.0).max(1.0)));
        normed.y
    }
}

impl<B: TrainBackend> Statistics<B> for Running<'_, B> {
    fn linear(&mut self, layer: &LinearLayer, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let Tensors(tensors) = self.tensors;
        let (weights, bias) = (tensors[layer.weight].clone(), layer.bias.map(|bias| tensors[bias].clone()));
        let Some(NormLayer { gamma, beta, mean, variance }) = layer.norm else {
            return convolve(&layer.shape, x, weights, bias);
        };
        let out_c = layer.shape.out_c;
        let scale = tensors[gamma].clone() / (tensors[variance].clone() + EPS).sqrt();
        let weights = weights.reshape([-1, out_c as i32]) * scale.clone().reshape([1, out_c]);
        let centre = match bias {
            Some(bias) => bias - tensors[mean].clone(),
            None => -tensors[mean].clone(),
        };
        let shift = tensors[beta].clone() + centre * scale;
        convolve(&layer.shape, x, weights.reshape([-1]), Some(shift))
    }
}

fn convolve<B: TrainBackend>(
    shape: &ConvShape,
    x: Tensor<B, 4>,
    weights: Tensor<B, 1>,
    bias: Option<Tensor<B, 1>>,
) -> Tensor<B, 4> {
    let bias = bias.unwrap_or_else(|| Tensor::zeros([shape.out_c], &x.device()));
    if shape.in_h * shape.in_w > 1 {
        return B::conv(shape, x, weights, bias);
    }
    // A dense layer.
    let images = x.dims()[0];
    let y = x.reshape([images, shape.in_c]).matmul(weights.reshape([shape.in_c, shape.out_c]));
    (y + bias.reshape([1, shape.out_c])).reshape([images, 1, 1, shape.out_c])
}

fn forward<B: TrainBackend>(
    layout: &Layout,
    statistics: &mut dyn Statistics<B>,
    images: Tensor<B, 4>,
    specs: &[ActivationSpec],
) -> Output<B> {
    let graph = &layout.graph;
    let users = graph.users();
    let mut values: Vec<Option<Tensor<B, 4>>> = vec![None; graph.nodes.len()];
    let (mut seen, mut penalties) = (vec![None; specs.len()], Vec::new());
    let mut layers = layout.layers.iter();
    for (id, node) in graph.nodes.iter().enumerate() {
        let operand = |index: usize| values[node.inputs[index]].clone().expect("operands come first");
        let shape = |index: usize| graph.nodes[node.inputs[index]].shape;
        let value = match &node.op {
            Op::Input => images.clone(),
            Op::Linear { .. } => {
                let layer = layers.next().expect("one for each linear node");
                debug_assert_eq!(layer.node, id);
                statistics.linear(layer, operand(0))
            }
            Op::Activation { slot, .. } => {
                let activated = B::activation(operand(0), &specs[*slot]);
                seen[*slot] = Some(activated.seen);
                penalties.extend(activated.loss);
                activated.y
            }
            Op::Add => operand(0) + operand(1),
            _ => reshape(node, operand(0), shape(0)),
        };
        values[id] = Some(value);
        for &input in &node.inputs {
            if users[input].last() == Some(&id) {
                values[input] = None;
            }
        }
    }
    let logits = values.pop().flatten().expect("a graph has at least its input");
    Output {
        logits: logits.reshape([-1, graph.classes() as i32]),
        seen: seen.into_iter().map(|seen| seen.expect("every slot is in the graph")).collect(),
        penalties,
    }
}

/// Every operation without parameters but the activation and the sum.
fn reshape<B: TrainBackend>(node: &Node, x: Tensor<B, 4>, from: TensorShape) -> Tensor<B, 4> {
    match &node.op {
        Op::GlobalAvgPool => x.mean_dim(1).mean_dim(2),
        Op::Flatten => x.reshape([-1, 1, 1, from.elements() as i32]),
        &Op::AvgPool { kernel, stride, padding } => {
            let x = x.permute([0, 3, 1, 2]);
            let y = avg_pool2d(x, [kernel, kernel], [stride, stride], [padding, padding], true, false);
            y.permute([0, 2, 3, 1])
        }
        &Op::MaxPool { kernel, stride, padding } => {
            let x = x.permute([0, 3, 1, 2]);
            let y = max_pool2d(x, [kernel, kernel], [stride, stride], [padding, padding], [1, 1], false);
            y.permute([0, 2, 3, 1])
        }
        &Op::PadShortcut { stride, before, .. } => {
            // A 1x1 convolution with ones where channels stay.
            let shape = ConvShape { padding: [0; 4], ..ConvShape::same(from.h, from.c, node.shape.c, 1, stride) };
            let mut weights = vec![0.0; from.c * node.shape.c];
            (0..from.c).for_each(|c| weights[c * node.shape.c + before + c] = 1.0);
            let weights = Tensor::from_floats(weights.as_slice(), &x.device());
            convolve(&shape, x, weights, None)
        }
        op => unreachable!("no architecture trains with {}", op.kind()),
    }
}
