//! The operations of training on the processor, by our own kernels: burn's autodiff records them as single steps.

mod activation;
mod conv;
mod norm;
#[cfg(test)]
mod tests;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Shape, Tensor, TensorData, TensorPrimitive};

use super::backend::{Activated, ActivationSpec, Normed, TrainBackend};
use crate::ring::ConvShape;

impl TrainBackend for Flex {
    fn conv(shape: &ConvShape, x: Tensor<Self, 4>, weights: Tensor<Self, 1>, bias: Tensor<Self, 1>) -> Tensor<Self, 4> {
        tensor(conv_forward(shape, &primitive(x), &primitive(weights), &primitive(bias)))
    }

    fn batch_norm(x: Tensor<Self, 4>, gamma: Tensor<Self, 1>, beta: Tensor<Self, 1>, eps: f32) -> Normed<Self> {
        let (y, statistics) = norm_forward(&primitive(x), &primitive(gamma), &primitive(beta), eps);
        let Statistics { mean, variance, .. } = statistics;
        Normed { y: tensor(y), mean: vector(&mean), variance: vector(&variance) }
    }

    fn activation(x: Tensor<Self, 4>, spec: &ActivationSpec) -> Activated<Self> {
        let (y, seen) = activation_forward(spec, &primitive(x));
        Activated { y: tensor(y), seen: record(&seen), loss: None }
    }
}

impl<C: CheckpointStrategy> TrainBackend for Autodiff<Flex, C> {
    fn conv(shape: &ConvShape, x: Tensor<Self, 4>, weights: Tensor<Self, 1>, bias: Tensor<Self, 1>) -> Tensor<Self, 4> {
        let (x, weights, bias) = (tracked(x), tracked(weights), tracked(bias));
        let y = conv_forward(shape, &x.primitive, &weights.primitive, &bias.primitive);
        let nodes = [x.node.clone(), weights.node.clone(), bias.node.clone()];
        tensor(match ConvStep.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((*shape, x.primitive, weights.primitive), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        })
    }

    fn batch_norm(x: Tensor<Self, 4>, gamma: Tensor<Self, 1>, beta: Tensor<Self, 1>, eps: f32) -> Normed<Self> {
        let (x, gamma, beta) = (tracked(x), tracked(gamma), tracked(beta));
        let (y, statistics) = norm_forward(&x.primitive, &gamma.primitive, &beta.primitive, eps);
        let (mean, variance) = (vector(&statistics.mean), vector(&statistics.variance));
        let nodes = [x.node.clone(), gamma.node.clone(), beta.node.clone()];
        let y = tensor(match NormStep.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((x.primitive, gamma.primitive, statistics), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        });
        Normed { y, mean, variance }
    }

    fn activation(x: Tensor<Self, 4>, spec: &ActivationSpec) -> Activated<Self> {
        let x = tracked(x);
        let (y, seen) = activation_forward(spec, &x.primitive);
        let y = match ActivationStep.prepare::<C>([x.node.clone()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((spec.clone(), x.primitive), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        };
        Activated { y: tensor(y), seen: record(&seen), loss: None }
    }
}

#[derive(Debug)]
struct ConvStep;

impl Backward<Flex, 3> for ConvStep {
    type State = (ConvShape, FlexTensor, FlexTensor);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (shape, x, weights) = ops.state;
        let gradient = grads.consume::<Flex>(&ops.node).to_contiguous();
        let [to_x, to_weights, to_bias] = ops.parents;
        if let Some(node) = to_bias {
            let sums = norm::sums(values(&gradient), images(&gradient), shape.out_c);
            grads.register::<Flex>(node.id, flat(sums));
        }
        if let Some(node) = to_weights {
            let mut result = vec![0.0; values(&weights).len()];
            conv::weight_gradient(&shape, values(&x), values(&gradient), &mut result);
            grads.register::<Flex>(node.id, flat(result));
        }
        if let Some(node) = to_x {
            let mut result = vec![0.0; values(&x).len()];
            conv::input_gradient(&shape, values(&weights), values(&gradient), &mut result);
            grads.register::<Flex>(node.id, shaped(result, x.layout().shape().clone()));
        }
    }
}

#[derive(Debug)]
struct NormStep;

impl Backward<Flex, 3> for NormStep {
    type State = (FlexTensor, FlexTensor, Statistics);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (x, gamma, statistics) = ops.state;
        let mut gradient = grads.consume::<Flex>(&ops.node).to_contiguous();
        let count = images(&x);
        let Statistics { mean, inverse, .. } = &statistics;
        let result = norm::backward(values(&x), values(&gamma), mean, inverse, count, gradient.storage_mut::<f32>());
        let [to_x, to_gamma, to_beta] = ops.parents;
        if let Some(node) = to_x {
            grads.register::<Flex>(node.id, gradient);
        }
        if let Some(node) = to_gamma {
            grads.register::<Flex>(node.id, flat(result.gamma));
        }
        if let Some(node) = to_beta {
            grads.register::<Flex>(node.id, flat(result.beta));
        }
    }
}

#[derive(Debug)]
struct ActivationStep;

impl Backward<Flex, 1> for ActivationStep {
    type State = (ActivationSpec, FlexTensor);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (spec, x) = ops.state;
        let mut gradient = grads.consume::<Flex>(&ops.node).to_contiguous();
        if let [Some(node)] = ops.parents {
            activation::backward(&spec, values(&x), images(&x), gradient.storage_mut::<f32>());
            grads.register::<Flex>(node.id, gradient);
        }
    }
}

/// Per channel, of one batch.
#[derive(Clone, Debug)]
struct Statistics {
    mean: Vec<f32>,
    variance: Vec<f32>,
    /// `1 / sqrt(variance + eps)`.
    inverse: Vec<f32>,
}

fn conv_forward(shape: &ConvShape, x: &FlexTensor, weights: &FlexTensor, bias: &FlexTensor) -> FlexTensor {
    let count = images(x);
    let (out_h, out_w) = (shape.out_h(), shape.out_w());
    let mut y = vec![0.0; count * out_h * out_w * shape.out_c];
    conv::forward(shape, values(weights), values(bias), values(x), &mut y);
    shaped(y, Shape::new([count, out_h, out_w, shape.out_c]))
}

fn norm_forward(x: &FlexTensor, gamma: &FlexTensor, beta: &FlexTensor, eps: f32) -> (FlexTensor, Statistics) {
    let count = images(x);
    let (gamma, beta) = (values(gamma), values(beta));
    let (mean, variance) = norm::moments(values(x), count, gamma.len());
    let inverse: Vec<f32> = variance.iter().map(|variance| 1.0 / (variance + eps).sqrt()).collect();
    let scale: Vec<f32> = gamma.iter().zip(&inverse).map(|(gamma, inverse)| gamma * inverse).collect();
    let shift: Vec<f32> = (0..scale.len()).map(|c| beta[c] - mean[c] * scale[c]).collect();
    let mut y = vec![0.0; values(x).len()];
    norm::affine(values(x), &scale, &shift, count, &mut y);
    (shaped(y, x.layout().shape().clone()), Statistics { mean, variance, inverse })
}

fn activation_forward(spec: &ActivationSpec, x: &FlexTensor) -> (FlexTensor, activation::Seen) {
    let mut y = vec![0.0; values(x).len()];
    let seen = activation::forward(spec, values(x), images(x), &mut y);
    (shaped(y, x.layout().shape().clone()), seen)
}

/// `[penalty, pre-activations outside, largest magnitude]`, as [`Activated::seen`].
fn record<B: Backend>(seen: &activation::Seen) -> Tensor<B, 1> {
    vector(&[seen.penalty as f32, seen.outside as f32, seen.max_abs])
}

fn images(x: &FlexTensor) -> usize {
    x.layout().shape()[0]
}

/// # Panics
/// If the tensor is not contiguous; the tensors kept for the backward pass are made so.
fn values(x: &FlexTensor) -> &[f32] {
    x.as_slice().expect("a contiguous tensor of f32")
}

fn flat(values: Vec<f32>) -> FlexTensor {
    let shape = Shape::new([values.len()]);
    shaped(values, shape)
}

fn shaped(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

fn vector<B: Backend>(values: &[f32]) -> Tensor<B, 1> {
    Tensor::from_floats(values, &B::Device::default())
}

/// The tensor with its elements in order, as the kernels need them.
fn primitive<const D: usize>(x: Tensor<Flex, D>) -> FlexTensor {
    x.into_primitive().tensor().to_contiguous()
}

/// The same of a tensor that autodiff follows: the copy stands for it in the graph.
fn tracked<C: CheckpointStrategy, const D: usize>(x: Tensor<Autodiff<Flex, C>, D>) -> FloatTensor<Autodiff<Flex, C>> {
    let mut x = x.into_primitive().tensor();
    x.primitive = x.primitive.to_contiguous();
    x
}

fn tensor<B: Backend, const D: usize>(x: B::FloatTensorPrimitive) -> Tensor<B, D> {
    Tensor::from_primitive(TensorPrimitive::Float(x))
}
