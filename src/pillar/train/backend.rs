//! The operations of training that decide its speed, for any burn backend.
//!
//! Each has a definition in burn's own operations, which every backend can run (a GPU does); a backend may bring a
//! faster one. Tensors are `[image][h][w][c]`, convolution weights `[h][w][in][out]` in one row.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;

use crate::protocol::{Function, Polynomial};
use crate::ring::ConvShape;

/// What a layer of activations computes in training, and what it records.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivationSpec {
    /// The function.
    pub curve: Curve,
    /// Pre-activations of larger magnitude are counted, and clipped if `clip` is set.
    pub range: f32,
    /// Whether a polynomial sees its input clipped.
    pub clip: bool,
    /// The penalty on large pre-activations.
    pub penalty: Option<Penalty>,
}

/// A function with its derivative.
#[derive(Clone, Debug, PartialEq)]
pub enum Curve {
    /// `max(x, 0)`.
    Relu,
    /// A polynomial with quantised coefficients, constant first.
    Polynomial {
        /// Of the polynomial.
        coefficients: Vec<f32>,
        /// Of its derivative.
        derivative: Vec<f32>,
    },
}

impl Curve {
    /// The polynomial with exactly the coefficients that the protocols will use.
    pub fn of(polynomial: &Polynomial) -> Curve {
        let unit = (-f64::from(polynomial.precision_bits)).exp2();
        let coefficients: Vec<f32> = polynomial.coefficients.iter().map(|&c| (c as f64 * unit) as f32).collect();
        let derivative = coefficients.iter().enumerate().skip(1).map(|(k, c)| k as f32 * c).collect();
        Curve::Polynomial { coefficients, derivative }
    }
}

impl From<&Function> for Curve {
    fn from(function: &Function) -> Curve {
        match function {
            Function::Polynomial(polynomial) => Curve::of(polynomial),
            Function::Relu | Function::Relu6 => Curve::Relu,
        }
    }
}

/// `weight` times the mean over images of the sum of `|x / range|^power`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Penalty {
    /// Where it starts to hurt.
    pub range: f64,
    /// An even number from 2.
    pub power: u32,
    /// Its share of the loss.
    pub weight: f64,
}

/// The output of a batch norm.
#[derive(Debug)]
pub struct Normed<B: Backend> {
    /// `gamma (x - mean) / sqrt(variance + eps) + beta`.
    pub y: Tensor<B, 4>,
    /// Mean of the batch, per channel; not followed by autodiff.
    pub mean: Tensor<B, 1>,
    /// Its variance, likewise.
    pub variance: Tensor<B, 1>,
}

/// The output of an activation layer.
#[derive(Debug)]
pub struct Activated<B: Backend> {
    /// The function of `x`.
    pub y: Tensor<B, 4>,
    /// `[penalty, outside, largest]`: the unweighted sum of the batch, how many pre-activations were outside the range,
    /// and the largest magnitude; not followed by autodiff.
    pub seen: Tensor<B, 1>,
    /// The weighted penalty, to be added to the loss; `None` if the backward pass of `y` adds its gradient by itself.
    pub loss: Option<Tensor<B, 1>>,
}

/// A backend that can train.
pub trait TrainBackend: Backend {
    /// A convolution with bias; padding must be the same at both ends.
    fn conv(shape: &ConvShape, x: Tensor<Self, 4>, weights: Tensor<Self, 1>, bias: Tensor<Self, 1>) -> Tensor<Self, 4> {
        generic_conv(shape, x, weights, bias)
    }

    /// Batch norm by the statistics of the batch.
    fn batch_norm(x: Tensor<Self, 4>, gamma: Tensor<Self, 1>, beta: Tensor<Self, 1>, eps: f32) -> Normed<Self> {
        generic_batch_norm(x, gamma, beta, eps)
    }

    /// A layer of activations.
    fn activation(x: Tensor<Self, 4>, spec: &ActivationSpec) -> Activated<Self> {
        generic_activation(x, spec)
    }
}

/// The definition of [`TrainBackend::conv`].
pub fn generic_conv<B: Backend>(
    shape: &ConvShape,
    x: Tensor<B, 4>,
    weights: Tensor<B, 1>,
    bias: Tensor<B, 1>,
) -> Tensor<B, 4> {
    let ConvShape { in_c, out_c, kernel_h, kernel_w, stride, padding, .. } = *shape;
    let [top, left, bottom, right] = padding;
    assert!(top == bottom && left == right, "padding must be symmetric: {shape:?}");
    let weights = weights.reshape([kernel_h, kernel_w, in_c, out_c]).permute([3, 2, 0, 1]);
    let options = ConvOptions::new([stride, stride], [top, left], [1, 1], 1);
    conv2d(x.permute([0, 3, 1, 2]), weights, Some(bias), options).permute([0, 2, 3, 1])
}

/// The definition of [`TrainBackend::batch_norm`].
pub fn generic_batch_norm<B: Backend>(x: Tensor<B, 4>, gamma: Tensor<B, 1>, beta: Tensor<B, 1>, eps: f32) -> Normed<B> {
    let dims = x.dims();
    let channels = dims[3];
    let pixels = x.reshape([-1, channels as i32]);
    let mean = pixels.clone().mean_dim(0);
    let centred = pixels - mean.clone();
    let variance = centred.clone().square().mean_dim(0);
    let scale = gamma.reshape([1, channels]) / (variance.clone() + eps).sqrt();
    let y = centred * scale + beta.reshape([1, channels]);
    Normed {
        y: y.reshape(dims),
        mean: mean.reshape([channels]).detach(),
        variance: variance.reshape([channels]).detach(),
    }
}

/// The definition of [`TrainBackend::activation`].
pub fn generic_activation<B: Backend>(x: Tensor<B, 4>, spec: &ActivationSpec) -> Activated<B> {
    let images = x.dims()[0];
    let magnitude = x.clone().detach().abs();
    let outside = magnitude.clone().greater_elem(spec.range).float().sum();
    let (penalty, loss) = match spec.penalty {
        Some(Penalty { range, power, weight }) => {
            let square = (x.clone() / range).square();
            let powers = (1..power / 2).fold(square.clone(), |product, _| product * square.clone());
            let sum = powers.sum();
            (sum.clone().detach(), Some(sum * (weight / images as f64)))
        }
        None => (Tensor::zeros([1], &x.device()), None),
    };
    let seen = Tensor::cat(vec![penalty, outside, magnitude.max()], 0);
    let y = match &spec.curve {
        Curve::Relu => burn::tensor::activation::relu(x),
        Curve::Polynomial { coefficients, .. } => {
            let x = if spec.clip { x.clamp(-spec.range, spec.range) } else { x };
            let (last, rest) = coefficients.split_last().expect("a polynomial has coefficients");
            rest.iter().rev().fold(x.zeros_like() + *last, |sum, &c| sum * x.clone() + c)
        }
    };
    Activated { y, seen, loss }
}

#[cfg(feature = "cuda")]
mod cuda {
    use super::TrainBackend;
    use burn::backend::{Autodiff, Cuda};

    impl TrainBackend for Cuda {}
    impl TrainBackend for Autodiff<Cuda> {}
}
