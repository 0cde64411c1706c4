//! Random weights whose activations stay in range.
//!
//! Weights are drawn as for training (He et al., *Delving Deep into Rectifiers*, ICCV 2015, uniform draws),
//! then each layer is scaled and shifted until the pre-activations of every output channel have zero mean
//! and unit variance on a few random images, with ReLU as the activation. Such a network has the dynamic
//! range of a trained one with batch norm, which is all that timing needs.

use super::NnError;
use super::data::Image;
use super::graph::{Graph, NodeId, Op, TensorShape};
use super::plain;
use super::seeded::Uniform;
use super::weights::{Fill, WeightSource};
use crate::protocol::Function;

/// A shortcut with at least this variance leaves the residual branch only [`SMALL_BRANCH`].
const LARGE_SHORTCUT: f64 = 0.9;
/// Variance of the residual branch beside a shortcut that is already large.
const SMALL_BRANCH: f64 = 0.1;
/// Variance of a shortcut that is itself a linear layer, so half of the sum's.
const PROJECTION: f64 = 0.5;
/// A channel with less variance is constant; scaling it would only amplify rounding.
const CONSTANT: f64 = 1e-12;

/// Draws every tensor from a seed and the tensor's name.
#[derive(Debug)]
pub struct RandomWeights {
    seed: u64,
}

impl RandomWeights {
    /// The tensors of this seed.
    pub fn new(seed: u64) -> RandomWeights {
        RandomWeights { seed }
    }
}

impl WeightSource for RandomWeights {
    fn tensor(&mut self, name: &str, shape: &[usize], fill: Fill) -> Result<Vec<f32>, NnError> {
        let count = shape.iter().product();
        Ok(match fill {
            Fill::Zero => vec![0.0; count],
            Fill::One => vec![1.0; count],
            Fill::He => {
                let fan_in: usize = shape.iter().skip(1).product();
                // A uniform draw from [-b, b) has variance b^2 / 3.
                let bound = (6.0 / fan_in as f64).sqrt();
                let uniform = Uniform::new(self.seed, &format!("weights {name}")).draw(count);
                let centred = uniform.into_iter().map(|u| (2.0 * u - 1.0) * bound);
                centred.map(|v| v as f32).collect()
            }
        })
    }
}

/// Scales and shifts the linear layers so that, on these images and with ReLU, the inputs of every activation
/// layer have zero mean and unit variance per channel, and the logits unit variance over all.
///
/// Where an activation follows the sum of a residual branch and a shortcut, the branch is adjusted. An
/// activation fed by anything else than a linear layer or such a sum is left alone, and so is a channel
/// that is constant.
///
/// # Panics
/// If the graph is not valid or an image does not fit it.
pub fn normalise(graph: &mut Graph, images: &[Image]) {
    let users = graph.users();
    let last = graph.nodes.len() - 1;
    let mut values: Vec<Batch> = vec![Batch::new(); graph.nodes.len()];
    for id in 0..=last {
        let mut result = evaluate(graph, id, &values, images);
        let feeds_activation =
            (users[id].iter()).any(|&user| matches!(graph.nodes[user].op, Op::Activation { .. }));
        match graph.nodes[id].op {
            Op::Linear { .. } if feeds_activation => {
                standardise(graph, id, &mut result, 1.0);
            }
            Op::Linear { .. } if id == last => scale_logits(graph, id, &result),
            Op::Add if feeds_activation => {
                if normalise_sum(graph, id, &users, &mut values) {
                    result = evaluate(graph, id, &values, images);
                }
            }
            _ => {}
        }
        values[id] = result;
        for &operand in &graph.nodes[id].inputs {
            if users[operand].last() == Some(&id) {
                values[operand] = Batch::new();
            }
        }
    }
}

/// One node's values, an entry per image.
type Batch = Vec<Vec<f64>>;

fn evaluate(graph: &Graph, id: NodeId, values: &[Batch], images: &[Image]) -> Batch {
    let node = &graph.nodes[id];
    let shapes: Vec<TensorShape> = node.inputs.iter().map(|&i| graph.nodes[i].shape).collect();
    let one = |(image, picture): (usize, &Image)| {
        let operands: Vec<&[f64]> = (node.inputs.iter())
            .map(|&i| values[i][image].as_slice())
            .collect();
        match node.op {
            Op::Input => picture.pixels.clone(),
            Op::Activation { .. } => plain::activate(&Function::Relu, operands[0]),
            _ => plain::evaluate(node, &shapes, &operands),
        }
    };
    images.iter().enumerate().map(one).collect()
}

/// Adjusts the residual branch of the sum `id` and its values; false if neither operand can be adjusted.
fn normalise_sum(
    graph: &mut Graph,
    id: NodeId,
    users: &[Vec<NodeId>],
    values: &mut [Batch],
) -> bool {
    let adjustable = |operand: NodeId| {
        users[operand] == [id] && matches!(graph.nodes[operand].op, Op::Linear { .. })
    };
    let [left, right] = graph.nodes[id].inputs[..] else {
        unreachable!("a sum has two operands");
    };
    let (branch, shortcut) = match (adjustable(left), adjustable(right)) {
        (true, _) => (left, right),
        (false, true) => (right, left),
        (false, false) => return false,
    };
    if adjustable(shortcut) {
        let mut projection = std::mem::take(&mut values[shortcut]);
        standardise(graph, shortcut, &mut projection, PROJECTION);
        values[shortcut] = projection;
    }
    let channels = graph.nodes[id].shape.c;
    let adjustments: Vec<Affine> = (0..channels)
        .map(|c| {
            fit_branch(&Moments::of(
                &values[branch],
                &values[shortcut],
                channels,
                c,
            ))
        })
        .collect();
    apply_to_layer(graph, branch, &adjustments);
    apply_to_values(&mut values[branch], &adjustments);
    true
}

/// Gives every channel of a linear layer zero mean and this variance.
fn standardise(graph: &mut Graph, id: NodeId, values: &mut Batch, variance: f64) {
    let channels = graph.nodes[id].shape.c;
    let adjustments: Vec<Affine> = (0..channels)
        .map(|c| {
            let moments = Moments::of(values, values, channels, c);
            let scale = if moments.variance[0] < CONSTANT {
                1.0
            } else {
                (variance / moments.variance[0]).sqrt()
            };
            Affine {
                scale,
                shift: -scale * moments.mean[0],
            }
        })
        .collect();
    apply_to_layer(graph, id, &adjustments);
    apply_to_values(values, &adjustments);
}

/// Gives the logits unit variance over all classes and images, their mean being left as it falls.
fn scale_logits(graph: &mut Graph, id: NodeId, values: &Batch) {
    let moments = Moments::of(values, values, 1, 0);
    if moments.variance[0] >= CONSTANT {
        let scale = 1.0 / moments.variance[0].sqrt();
        let adjustment = Affine { scale, shift: 0.0 };
        let channels = graph.nodes[id].shape.c;
        apply_to_layer(graph, id, &vec![adjustment; channels]);
    }
}

/// `scale x + shift`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Affine {
    scale: f64,
    shift: f64,
}

/// The adjustment of the branch (0) after which its sum with the shortcut (1) has zero mean and unit
/// variance: the positive root of `v0 s^2 + 2 cov s + v1 = 1`.
fn fit_branch(moments: &Moments) -> Affine {
    let [branch, shortcut] = moments.variance;
    let scale = if branch < CONSTANT {
        1.0
    } else if shortcut >= LARGE_SHORTCUT {
        (SMALL_BRANCH / branch).sqrt()
    } else {
        let covariance = moments.covariance;
        let root = (covariance * covariance + branch * (1.0 - shortcut)).sqrt();
        (root - covariance) / branch
    };
    Affine {
        scale,
        shift: -(moments.mean[1] + scale * moments.mean[0]),
    }
}

/// Means, variances and covariance of two tensors over one channel's pixels in all images.
#[derive(Debug)]
struct Moments {
    mean: [f64; 2],
    variance: [f64; 2],
    covariance: f64,
}

impl Moments {
    fn of(a: &Batch, b: &Batch, channels: usize, channel: usize) -> Moments {
        let pick = |batch: &Batch| -> Vec<f64> {
            let pixels = batch.iter().flat_map(|image| image.chunks_exact(channels));
            pixels.map(|pixel| pixel[channel]).collect()
        };
        let (a, b) = (pick(a), pick(b));
        let count = a.len() as f64;
        let mean = [&a, &b].map(|v| v.iter().sum::<f64>() / count);
        let product = |x: &[f64], y: &[f64], m: [f64; 2]| {
            let terms = x.iter().zip(y).map(|(x, y)| (x - m[0]) * (y - m[1]));
            terms.sum::<f64>() / count
        };
        Moments {
            mean,
            variance: [product(&a, &a, [mean[0]; 2]), product(&b, &b, [mean[1]; 2])],
            covariance: product(&a, &b, mean),
        }
    }
}

/// Changes a linear layer so that each output channel is mapped by its adjustment.
fn apply_to_layer(graph: &mut Graph, id: NodeId, adjustments: &[Affine]) {
    let Op::Linear {
        shape,
        weights,
        bias,
    } = &mut graph.nodes[id].op
    else {
        unreachable!("only linear layers are adjusted");
    };
    let channels = adjustments.len();
    // Output channels run fastest in a convolution and slowest in a dense layer.
    let run = match shape {
        crate::ring::LinearShape::Conv2d(_) => 1,
        crate::ring::LinearShape::Dense { inputs, .. } => *inputs,
    };
    for (i, weight) in weights.iter_mut().enumerate() {
        let scale = adjustments[i / run % channels].scale;
        *weight = (f64::from(*weight) * scale) as f32;
    }
    for (bias, Affine { scale, shift }) in bias.iter_mut().zip(adjustments) {
        *bias = (f64::from(*bias) * scale + shift) as f32;
    }
}

fn apply_to_values(values: &mut Batch, adjustments: &[Affine]) {
    for pixel in (values.iter_mut()).flat_map(|image| image.chunks_exact_mut(adjustments.len())) {
        for (value, Affine { scale, shift }) in pixel.iter_mut().zip(adjustments) {
            *value = *value * scale + shift;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::arch;
    use crate::nn::data::{Normalization, random_images};

    /// Mean and variance per channel of every slot's pre-activations, and the logits, on fresh images.
    fn measure(graph: &Graph, images: &[Image]) -> (Vec<Vec<Moments>>, Batch) {
        let relu = vec![Function::Relu; graph.activation_layers()];
        let mut slots: Vec<Batch> = vec![Batch::new(); relu.len()];
        let logits = images
            .iter()
            .map(|image| {
                plain::forward_observed(graph, &image.pixels, &relu, &mut |slot, values| {
                    slots[slot].push(values.to_vec());
                })
            })
            .collect();
        let channels = graph.nodes.iter().filter_map(|node| match node.op {
            Op::Activation { .. } => Some(node.shape.c),
            _ => None,
        });
        let moments = slots
            .iter()
            .zip(channels)
            .map(|(batch, n)| (0..n).map(|c| Moments::of(batch, batch, n, c)).collect());
        (moments.collect(), logits)
    }

    #[test]
    fn every_channel_is_standardised_on_other_images() {
        for architecture in arch::all() {
            for (name, normalization) in Normalization::PRESETS {
                let graph = architecture.random(3, &normalization);
                let mut images = random_images(architecture.input, 4, 16);
                for image in &mut images {
                    normalization.apply(&mut image.pixels);
                }
                let (slots, logits) = measure(&graph, &images);
                for (slot, channels) in slots.iter().enumerate() {
                    for (channel, moments) in channels.iter().enumerate() {
                        let at = format!("{} {name} {slot}.{channel}", architecture.id);
                        let (mean, variance) = (moments.mean[0], moments.variance[0]);
                        assert!(mean.abs() < 0.5, "{at}: mean {mean}");
                        assert!((0.5..=1.5).contains(&variance), "{at}: variance {variance}");
                    }
                }
                let variance = Moments::of(&logits, &logits, 1, 0).variance[0];
                assert!(
                    (0.5..=1.5).contains(&variance),
                    "{}: {variance}",
                    architecture.id
                );
            }
        }
    }

    #[test]
    fn the_quadratic_gives_unit_variance() {
        let moments = Moments {
            mean: [2.0, 0.25],
            variance: [4.0, 0.5],
            covariance: -0.75,
        };
        let Affine { scale, shift } = fit_branch(&moments);
        let sum = 4.0 * scale * scale + 2.0 * -0.75 * scale + 0.5;
        assert!((sum - 1.0).abs() < 1e-12 && scale > 0.0, "{scale}");
        assert!((scale * 2.0 + shift + 0.25).abs() < 1e-12);
        let large = Moments {
            variance: [4.0, 1.7],
            ..moments
        };
        let expected = (SMALL_BRANCH / 4.0).sqrt();
        assert_eq!(fit_branch(&large).scale, expected);
    }

    #[test]
    fn weights_are_the_same_on_every_machine() {
        let digest = |seed| {
            let graph = arch::find("resnet20")
                .unwrap()
                .random(seed, &Normalization::NONE);
            let mut hasher = blake3::Hasher::new();
            for node in &graph.nodes {
                if let Op::Linear { weights, bias, .. } = &node.op {
                    for value in weights.iter().chain(bias) {
                        hasher.update(&value.to_le_bytes());
                    }
                }
            }
            hasher.finalize().to_hex()[..16].to_string()
        };
        assert_eq!(digest(1), "7f24fb1d05397e83");
        assert_ne!(digest(2), digest(1));
    }
}
