//! Where an architecture's tensors come from, and how PyTorch's layers become graph nodes.
//!
//! Architectures ask for tensors by their PyTorch names and in PyTorch's layouts (convolutions
//! `[out][in][h][w]`, dense `[out][in]`); the functions here turn them into ours (`[h][w][in][out]`) and
//! fold batch norms.

use super::NnError;
use super::builder::GraphBuilder;
use super::graph::{NodeId, Op, TensorShape};
use crate::ring::{ConvShape, LinearShape};

/// The `eps` of PyTorch's batch norm.
const BATCH_NORM_EPS: f64 = 1e-5;

/// What a generated tensor holds; a tensor that is read ignores it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// Zero mean, variance `2 / fan_in`, where `fan_in` is the product of all dimensions but the first.
    He,
    /// All zero.
    Zero,
    /// All one.
    One,
}

/// Gives an architecture its tensors.
pub trait WeightSource {
    /// The row-major values of the tensor called `name`, which has this shape.
    ///
    /// # Errors
    /// If the tensor is missing, has another shape, or holds a value that is not finite.
    fn tensor(&mut self, name: &str, shape: &[usize], fill: Fill) -> Result<Vec<f32>, NnError>;
}

/// Zeros, and ones where scales belong, for what depends on shapes alone.
#[derive(Clone, Copy, Debug)]
pub struct Zeros;

impl WeightSource for Zeros {
    fn tensor(&mut self, _: &str, shape: &[usize], fill: Fill) -> Result<Vec<f32>, NnError> {
        let value = if fill == Fill::One { 1.0 } else { 0.0 };
        Ok(vec![value; shape.iter().product()])
    }
}

/// A square convolution with equal padding on all sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    /// Output channels.
    pub out_c: usize,
    /// Kernel side.
    pub kernel: usize,
    /// Stride in both directions.
    pub stride: usize,
    /// Zero pixels on every side.
    pub padding: usize,
}

impl Conv {
    /// The full shape on a given input.
    fn on(&self, input: TensorShape) -> ConvShape {
        ConvShape {
            in_h: input.h,
            in_w: input.w,
            in_c: input.c,
            out_c: self.out_c,
            kernel_h: self.kernel,
            kernel_w: self.kernel,
            stride: self.stride,
            padding: [self.padding; 4],
        }
    }
}

/// Adds node `name`: the convolution `tensor.weight` with bias `tensor.bias`.
///
/// # Errors
/// If the source has no such tensors or the layer does not fit.
pub fn conv_with_bias(
    builder: &mut GraphBuilder,
    source: &mut dyn WeightSource,
    (name, tensor): (&str, &str),
    input: NodeId,
    conv: Conv,
) -> Result<NodeId, NnError> {
    let shape = conv.on(builder.shape(input));
    let weights = conv_weights(source, tensor, &shape)?;
    let bias = source.tensor(&format!("{tensor}.bias"), &[conv.out_c], Fill::Zero)?;
    let op = Op::Linear { shape: LinearShape::Conv2d(shape), weights, bias };
    builder.push(name, op, &[input])
}

/// Adds node `name`: the convolution `name.weight`, without bias, and the batch norm `batch_norm` after it.
///
/// # Errors
/// If the source has no such tensors, the layer does not fit, or a running variance is negative.
pub fn conv_with_batch_norm(
    builder: &mut GraphBuilder,
    source: &mut dyn WeightSource,
    (name, batch_norm): (&str, &str),
    input: NodeId,
    conv: Conv,
) -> Result<NodeId, NnError> {
    let shape = conv.on(builder.shape(input));
    let mut weights = conv_weights(source, name, &shape)?;
    let bias = fold_batch_norm(source, batch_norm, &mut weights, &vec![0.0; conv.out_c])?;
    let op = Op::Linear { shape: LinearShape::Conv2d(shape), weights, bias };
    builder.push(name, op, &[input])
}

/// Adds node `name`: the convolution `tensor.weight` with bias `tensor.bias`, and the batch norm `batch_norm` after it.
///
/// # Errors
/// As [`conv_with_batch_norm`].
pub fn biased_conv_with_batch_norm(
    builder: &mut GraphBuilder,
    source: &mut dyn WeightSource,
    name: &str,
    (tensor, batch_norm): (&str, &str),
    input: NodeId,
    conv: Conv,
) -> Result<NodeId, NnError> {
    let shape = conv.on(builder.shape(input));
    let mut weights = conv_weights(source, tensor, &shape)?;
    let bias = source.tensor(&format!("{tensor}.bias"), &[conv.out_c], Fill::Zero)?;
    let bias = fold_batch_norm(source, batch_norm, &mut weights, &bias)?;
    let op = Op::Linear { shape: LinearShape::Conv2d(shape), weights, bias };
    builder.push(name, op, &[input])
}

/// Adds node `name`: the dense layer `tensor` on the flattened view of a tensor of shape `flattened`.
///
/// PyTorch flattens in `[c][h][w]` order and we in `[h][w][c]` order, so the columns are permuted.
///
/// # Errors
/// If the source has no such tensors or the layer does not fit.
pub fn dense(
    builder: &mut GraphBuilder,
    source: &mut dyn WeightSource,
    (name, tensor): (&str, &str),
    input: NodeId,
    flattened: TensorShape,
    outputs: usize,
) -> Result<NodeId, NnError> {
    let inputs = flattened.elements();
    let torch = source.tensor(&format!("{tensor}.weight"), &[outputs, inputs], Fill::He)?;
    let bias = source.tensor(&format!("{tensor}.bias"), &[outputs], Fill::Zero)?;
    let TensorShape { h, w, c } = flattened;
    let mut weights = Vec::with_capacity(torch.len());
    for row in torch.chunks_exact(inputs) {
        for pixel in 0..h * w {
            weights.extend((0..c).map(|channel| row[channel * h * w + pixel]));
        }
    }
    let op = Op::Linear { shape: LinearShape::Dense { inputs, outputs }, weights, bias };
    builder.push(name, op, &[input])
}

/// `tensor.weight`, from `[out][in][h][w]` to `[h][w][in][out]`.
fn conv_weights(source: &mut dyn WeightSource, tensor: &str, shape: &ConvShape) -> Result<Vec<f32>, NnError> {
    let dimensions = [shape.out_c, shape.in_c, shape.kernel_h, shape.kernel_w];
    let torch = source.tensor(&format!("{tensor}.weight"), &dimensions, Fill::He)?;
    let taps = shape.kernel_h * shape.kernel_w;
    let mut weights = Vec::with_capacity(torch.len());
    for tap in 0..taps {
        for in_c in 0..shape.in_c {
            weights.extend((0..shape.out_c).map(|o| torch[(o * shape.in_c + in_c) * taps + tap]));
        }
    }
    Ok(weights)
}

/// Scales each output channel of `weights` as the batch norm does; the result is the bias, `bias` being the layer's own.
fn fold_batch_norm(
    source: &mut dyn WeightSource,
    name: &str,
    weights: &mut [f32],
    bias: &[f32],
) -> Result<Vec<f32>, NnError> {
    let channels = bias.len();
    let mut read = |part: &str, fill| source.tensor(&format!("{name}.{part}"), &[channels], fill);
    let gamma = read("weight", Fill::One)?;
    let beta = read("bias", Fill::Zero)?;
    let mean = read("running_mean", Fill::Zero)?;
    let variance = read("running_var", Fill::One)?;
    if let Some(channel) = variance.iter().position(|&v| v < 0.0) {
        return Err(NnError::NegativeVariance { layer: name.to_string(), channel, actual: variance[channel] });
    }
    let scale: Vec<f64> =
        (gamma.iter().zip(&variance)).map(|(&g, &v)| f64::from(g) / (f64::from(v) + BATCH_NORM_EPS).sqrt()).collect();
    for row in weights.chunks_exact_mut(channels) {
        for (weight, s) in row.iter_mut().zip(&scale) {
            *weight = (f64::from(*weight) * s) as f32;
        }
    }
    let shifted = |c: usize| (f64::from(beta[c]) - (f64::from(mean[c]) - f64::from(bias[c])) * scale[c]) as f32;
    Ok((0..channels).map(shifted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::graph::Graph;

    /// Every tensor counts 0, 1, 2, ...; batch norm statistics are given.
    struct Counting {
        variance: f32,
    }

    impl WeightSource for Counting {
        fn tensor(&mut self, name: &str, shape: &[usize], _: Fill) -> Result<Vec<f32>, NnError> {
            let count = shape.iter().product();
            Ok(match name.rsplit('.').next() {
                Some("running_mean") => vec![2.0; count],
                Some("running_var") => vec![self.variance; count],
                _ => (0..count).map(|i| i as f32).collect(),
            })
        }
    }

    fn linear(graph: &Graph, id: NodeId) -> (&[f32], &[f32]) {
        let Op::Linear { weights, bias, .. } = &graph.nodes[id].op else {
            panic!("node {id} is not linear");
        };
        (weights, bias)
    }

    const CONV: Conv = Conv { out_c: 2, kernel: 2, stride: 1, padding: 0 };

    #[test]
    fn convolution_and_dense_layouts() {
        // The convolution has torch shape [2][3][2][2], the dense layer [5][8] from [2][2][2].
        let mut b = GraphBuilder::new(TensorShape { h: 3, w: 3, c: 3 });
        let mut source = Counting { variance: 0.0 };
        let x = conv_with_bias(&mut b, &mut source, ("conv", "0"), 0, CONV).unwrap();
        let shape = b.shape(x);
        let x = b.push("flatten", Op::Flatten, &[x]).unwrap();
        dense(&mut b, &mut source, ("dense", "1"), x, shape, 5).unwrap();
        let graph = b.finish().unwrap();
        let (weights, bias) = linear(&graph, 1);
        // [h][w][in][out]: at (0,0), in 0: out 0 is 0 and out 1 is 3*4 = 12; in 1: 4 and 16.
        assert_eq!(weights[..4], [0.0, 12.0, 4.0, 16.0]);
        // At (1,0), tap 2, in 2: 2*4 + 2 = 10 and 22.
        assert_eq!(weights[(2 * 3 + 2) * 2..][..2], [10.0, 22.0]);
        assert_eq!(bias, [0.0, 1.0]);
        let (weights, _) = linear(&graph, 3);
        // Pixel-major: channel 0 of a pixel is its index, channel 1 is 4 more.
        assert_eq!(weights[..8], [0.0, 4.0, 1.0, 5.0, 2.0, 6.0, 3.0, 7.0]);
        assert_eq!(weights[8..10], [8.0, 12.0]);
    }

    #[test]
    fn batch_norm_folds_into_scale_and_bias() {
        // gamma = beta = [0, 1], mean 2, variance 4 - eps: scale [0, 1/2], bias [0, 1 - 2/2].
        let mut b = GraphBuilder::new(TensorShape { h: 2, w: 2, c: 1 });
        let mut source = Counting { variance: (4.0 - BATCH_NORM_EPS) as f32 };
        conv_with_batch_norm(&mut b, &mut source, ("conv", "bn"), 0, CONV).unwrap();
        let graph = b.finish().unwrap();
        let (weights, bias) = linear(&graph, 1);
        let expected = [0.0, 2.0, 0.0, 2.5, 0.0, 3.0, 0.0, 3.5];
        for (actual, expected) in weights.iter().zip(expected) {
            assert!((actual - expected).abs() < 1e-6, "{weights:?}");
        }
        assert!(bias.iter().all(|b| b.abs() < 1e-6), "{bias:?}");
    }

    #[test]
    fn batch_norm_folds_a_bias_in() {
        // As above with bias [0, 1]: the second channel gains half of it.
        let mut b = GraphBuilder::new(TensorShape { h: 2, w: 2, c: 1 });
        let mut source = Counting { variance: (4.0 - BATCH_NORM_EPS) as f32 };
        biased_conv_with_batch_norm(&mut b, &mut source, "conv", ("0", "1"), 0, CONV).unwrap();
        let graph = b.finish().unwrap();
        let (weights, bias) = linear(&graph, 1);
        assert!((weights[1] - 2.0).abs() < 1e-6, "{weights:?}");
        assert!(bias[0].abs() < 1e-6 && (bias[1] - 0.5).abs() < 1e-6, "{bias:?}");
    }

    #[test]
    fn negative_variance_is_an_error() {
        let mut b = GraphBuilder::new(TensorShape { h: 2, w: 2, c: 1 });
        let mut source = Counting { variance: -1.0 };
        let result = conv_with_batch_norm(&mut b, &mut source, ("conv", "bn"), 0, CONV);
        let text = result.unwrap_err().to_string();
        assert!(text.contains("`bn`: running variance -1 at channel 0"), "{text}");
    }
}
