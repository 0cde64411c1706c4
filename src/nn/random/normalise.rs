//! Scales a network layer by layer until its activations stay in range.

use super::moments::{Affine, Moments, fit_branch};
use crate::nn::data::Image;
use crate::nn::graph::{Graph, NodeId, Op, TensorShape};
use crate::nn::plain;
use crate::ring::LinearShape;

/// Variance of a shortcut that is itself a linear layer, so half of the sum's.
const PROJECTION: f64 = 0.5;

/// Scales and shifts the linear layers so that, on these images and with ReLU, the inputs of every activation
/// layer have zero mean and unit variance per channel, and the logits unit variance over all.
///
/// Where an activation follows the sum of a residual branch and a shortcut, the branch is adjusted. Where pooling
/// stands between a linear layer and its activation, it is the pooled values that count. An activation fed by
/// anything else is left alone; a channel that is constant is shifted only. A shortcut that alone has (almost) unit
/// variance keeps it, and the variance of the sum is what comes of it.
///
/// # Panics
/// If the graph is not valid or an image does not fit it.
pub fn normalise(graph: &mut Graph, images: &[Image]) {
    let users = graph.users();
    let last = graph.nodes.len() - 1;
    let mut values: Vec<Batch> = vec![Batch::new(); graph.nodes.len()];
    for id in 0..=last {
        let mut result = evaluate(graph, id, &values, images);
        let feeds_activation = (users[id].iter()).any(|&user| matches!(graph.nodes[user].op, Op::Activation { .. }));
        match graph.nodes[id].op {
            Op::Linear { .. } if feeds_activation => {
                standardise(graph, id, &mut result, 1.0);
            }
            Op::AvgPool { .. } | Op::MaxPool { .. } | Op::GlobalAvgPool if feeds_activation => {
                if let Some(layer) = pooled_layer(graph, &users, id) {
                    standardise(graph, layer, &mut result, 1.0);
                }
            }
            Op::Linear { .. } if id == last => scale_logits(graph, id, &result),
            Op::Add if feeds_activation => {
                normalise_sum(graph, id, &users, &mut values);
                result = evaluate(graph, id, &values, images);
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
        let operands: Vec<&[f64]> = (node.inputs.iter()).map(|&i| values[i][image].as_slice()).collect();
        match &node.op {
            Op::Input => picture.pixels.clone(),
            Op::Activation { function, .. } => plain::activate(function, operands[0]),
            _ => plain::evaluate(node, &shapes, &operands),
        }
    };
    images.iter().enumerate().map(one).collect()
}

/// The linear layer whose values, and no others, reach the pool `id`, if only the pool reads them.
///
/// Averages and, as scales are positive, maxima change as their operands do, so the layer can be adjusted by what comes
/// out of the pool. (Zeros in an average's padding stay zeros, which a shift of the layer does not know of.)
fn pooled_layer(graph: &Graph, users: &[Vec<NodeId>], id: NodeId) -> Option<NodeId> {
    let operand = graph.nodes[id].inputs[0];
    if users[operand] != [id] {
        return None;
    }
    match graph.nodes[operand].op {
        Op::Linear { .. } => Some(operand),
        Op::AvgPool { .. } | Op::MaxPool { .. } | Op::GlobalAvgPool => pooled_layer(graph, users, operand),
        _ => None,
    }
}

/// Adjusts the residual branch of the sum `id` and its values.
fn normalise_sum(graph: &mut Graph, id: NodeId, users: &[Vec<NodeId>], values: &mut [Batch]) {
    let adjustable = |operand: NodeId| users[operand] == [id] && matches!(graph.nodes[operand].op, Op::Linear { .. });
    let [left, right] = graph.nodes[id].inputs[..] else {
        unreachable!("a sum has two operands");
    };
    let (branch, shortcut) = match (adjustable(left), adjustable(right)) {
        (true, _) => (left, right),
        (false, true) => (right, left),
        (false, false) => return,
    };
    if adjustable(shortcut) {
        let mut projection = std::mem::take(&mut values[shortcut]);
        standardise(graph, shortcut, &mut projection, PROJECTION);
        values[shortcut] = projection;
    }
    let channels = graph.nodes[id].shape.c;
    let moments = |c| Moments::of(&values[branch], &values[shortcut], channels, c);
    let adjustments: Vec<Affine> = (0..channels).map(|c| fit_branch(&moments(c))).collect();
    apply_to_layer(graph, branch, &adjustments);
    apply_to_values(&mut values[branch], &adjustments);
}

/// Changes a linear layer so that every channel of `values`, its own or what pooling makes of them, has zero mean and
/// this variance.
fn standardise(graph: &mut Graph, id: NodeId, values: &mut [Vec<f64>], variance: f64) {
    let channels = graph.nodes[id].shape.c;
    let adjustments: Vec<Affine> =
        (0..channels).map(|c| Affine::standardising(&Moments::of(values, values, channels, c), variance)).collect();
    apply_to_layer(graph, id, &adjustments);
    apply_to_values(values, &adjustments);
}

/// Gives the logits unit variance over all classes and images, their mean being left as it falls.
fn scale_logits(graph: &mut Graph, id: NodeId, values: &[Vec<f64>]) {
    let moments = Moments::of(values, values, 1, 0);
    if !moments.is_constant() {
        let scale = 1.0 / moments.variance[0].sqrt();
        let adjustment = Affine { scale, shift: 0.0 };
        let channels = graph.nodes[id].shape.c;
        apply_to_layer(graph, id, &vec![adjustment; channels]);
    }
}

/// Changes a linear layer so that each output channel is mapped by its adjustment.
fn apply_to_layer(graph: &mut Graph, id: NodeId, adjustments: &[Affine]) {
    let Op::Linear { shape, weights, bias } = &mut graph.nodes[id].op else {
        unreachable!("only linear layers are adjusted");
    };
    let channels = adjustments.len();
    // Output channels run fastest in a convolution and slowest in a dense layer.
    let run = match shape {
        LinearShape::Conv2d(_) => 1,
        LinearShape::Dense { inputs, .. } => *inputs,
    };
    for (i, weight) in weights.iter_mut().enumerate() {
        let scale = adjustments[i / run % channels].scale;
        *weight = (f64::from(*weight) * scale) as f32;
    }
    for (bias, Affine { scale, shift }) in bias.iter_mut().zip(adjustments) {
        *bias = (f64::from(*bias) * scale + shift) as f32;
    }
}

fn apply_to_values(values: &mut [Vec<f64>], adjustments: &[Affine]) {
    for pixel in (values.iter_mut()).flat_map(|image| image.chunks_exact_mut(adjustments.len())) {
        for (value, Affine { scale, shift }) in pixel.iter_mut().zip(adjustments) {
            *value = *value * scale + shift;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::arch::{self, Architecture, Options};
    use crate::nn::builder::GraphBuilder;
    use crate::nn::data::{Normalization, random_images};
    use crate::nn::random::RandomWeights;
    use crate::nn::weights::{Conv, conv_with_bias, dense};
    use crate::protocol::{Function, Polynomial};

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
        let moments =
            slots.iter().zip(channels).map(|(batch, n)| (0..n).map(|c| Moments::of(batch, batch, n, c)).collect());
        (moments.collect(), logits)
    }

    #[test]
    fn every_channel_is_standardised_on_other_images() {
        // The deeper and the wider ones have channels with few values per image, whose moments differ between images.
        for architecture in ["minionn", "resnet20"].map(|id| arch::find(id).expect("built in")) {
            for (name, normalization) in Normalization::PRESETS {
                let graph = architecture.random(&Options::default(), 3, &normalization);
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
                assert!((0.5..=1.5).contains(&variance), "{}: {variance}", architecture.id);
            }
        }
    }

    /// What pooling and shortcuts an architecture offers, one option at a time.
    fn variants(architecture: &Architecture) -> Vec<Options> {
        let pools = architecture.pools.iter().map(|&pool| Options { pool, ..Options::default() });
        let shortcuts = architecture.shortcuts.iter().map(|&shortcut| Options { shortcut, ..Options::default() });
        let mut all: Vec<Options> = pools.chain(shortcuts).collect();
        if all.is_empty() {
            all.push(Options::default());
        }
        all
    }

    #[test]
    fn every_architecture_is_standardised_and_stays_in_range() {
        for architecture in arch::all() {
            for options in variants(architecture) {
                let at = format!("{} {options:?}", architecture.id);
                let graph = architecture.random(&options, 3, &Normalization::NONE);
                let images = architecture.calibration_images(3, &Normalization::NONE);
                // Only in very deep networks do shortcuts grow to the variance that their sum should have.
                let variances = if graph.activation_layers() > 50 { 0.6..=4.0 } else { 0.999..=1.001 };
                let (slots, logits) = measure(&graph, &images);
                for moments in slots.iter().flatten() {
                    assert!(moments.mean[0].abs() < 1e-3, "{at}: {moments:?}");
                    assert!(variances.contains(&moments.variance[0]), "{at}: {moments:?}");
                }
                let variance = Moments::of(&logits, &logits, 1, 0).variance[0];
                assert!((variance - 1.0).abs() < 1e-3, "{at}: {variance}");

                let image = &random_images(architecture.input, 4, 1)[0];
                let d4 = Polynomial::named("relu-d4").expect("in the table");
                for (function, limit) in [(Function::Relu, 32.0), (Function::Polynomial(d4), 8.0)] {
                    let functions = vec![function; slots.len()];
                    let trace = plain::forward(&graph, &image.pixels, &functions, limit);
                    assert_eq!((trace.outside(), trace.logits_range.outside), (0, 0), "{at}: {:?}", trace.slots);
                }
            }
        }
    }

    /// conv -> pool -> act -> mean -> act -> dense.
    fn pooled_network(pool: Op) -> Graph {
        let mut b = GraphBuilder::new(TensorShape { h: 8, w: 8, c: 3 });
        let mut source = RandomWeights::new(6);
        let conv = Conv { out_c: 5, kernel: 3, stride: 1, padding: 1 };
        let x = conv_with_bias(&mut b, &mut source, ("conv", "0"), 0, conv).unwrap();
        let x = b.push("pool", pool, &[x]).unwrap();
        let x = b.activation("act", x).unwrap();
        let x = b.push("mean", Op::GlobalAvgPool, &[x]).unwrap();
        let mean = b.shape(x);
        dense(&mut b, &mut source, ("dense", "1"), x, mean, 4).unwrap();
        b.finish().unwrap()
    }

    #[test]
    fn the_pooled_values_count_where_a_pool_precedes_the_activation() {
        let pools = [
            Op::AvgPool { kernel: 2, stride: 2, padding: 0 },
            Op::MaxPool { kernel: 3, stride: 2, padding: 1 },
            Op::GlobalAvgPool,
        ];
        for pool in pools {
            let mut graph = pooled_network(pool);
            let images = random_images(graph.input_shape(), 1, 4);
            normalise(&mut graph, &images);
            let (slots, _) = measure(&graph, &images);
            for moments in slots.iter().flatten() {
                assert!(moments.mean[0].abs() < 1e-5, "{:?}: {moments:?}", graph.nodes[2].op);
                assert!((moments.variance[0] - 1.0).abs() < 1e-5, "{:?}: {moments:?}", graph.nodes[2].op);
            }
        }
    }

    /// conv -> act -> (conv + conv) -> act -> mean -> dense, the second convolution of the sum 1x1.
    fn projection_block() -> Graph {
        let mut b = GraphBuilder::new(TensorShape { h: 8, w: 8, c: 3 });
        let mut source = RandomWeights::new(6);
        let conv = |kernel: usize| Conv { out_c: 5, kernel, stride: 1, padding: kernel / 2 };
        let first = conv_with_bias(&mut b, &mut source, ("first", "0"), 0, conv(3)).unwrap();
        let act = b.activation("act", first).unwrap();
        let branch = conv_with_bias(&mut b, &mut source, ("branch", "1"), act, conv(3)).unwrap();
        let side = conv_with_bias(&mut b, &mut source, ("side", "2"), act, conv(1)).unwrap();
        let sum = b.push("sum", Op::Add, &[branch, side]).unwrap();
        let x = b.activation("act2", sum).unwrap();
        let x = b.push("mean", Op::GlobalAvgPool, &[x]).unwrap();
        let mean = b.shape(x);
        dense(&mut b, &mut source, ("dense", "3"), x, mean, 4).unwrap();
        b.finish().unwrap()
    }

    #[test]
    fn a_projection_shortcut_keeps_half_of_the_variance() {
        let mut graph = projection_block();
        let images = random_images(graph.input_shape(), 1, 4);
        normalise(&mut graph, &images);
        let (slots, logits) = measure(&graph, &images);
        for moments in slots.iter().flatten() {
            assert!(moments.mean[0].abs() < 1e-5, "{moments:?}");
            assert!((moments.variance[0] - 1.0).abs() < 1e-5, "{moments:?}");
        }
        let variance = Moments::of(&logits, &logits, 1, 0).variance[0];
        assert!((variance - 1.0).abs() < 1e-5, "{variance}");
        // The shortcut alone, read off by removing the branch from the sum.
        let Op::Linear { weights, bias, .. } = &mut graph.nodes[3].op else {
            panic!("node 3 is the branch");
        };
        weights.fill(0.0);
        bias.fill(0.0);
        let (slots, _) = measure(&graph, &images);
        for moments in &slots[1] {
            assert!((moments.variance[0] - PROJECTION).abs() < 1e-5, "{moments:?}");
        }
    }
}
