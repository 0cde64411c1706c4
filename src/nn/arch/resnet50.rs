//! ResNet-50 for ImageNet, 224 x 224.
//!
//! He et al., *Deep Residual Learning for Image Recognition*, CVPR 2016, table 1: a 7x7 stem and 3, 4, 6 and 3
//! bottleneck blocks. Tensor names, and the stride on the 3x3 convolution of a block rather than on its first 1x1,
//! are torchvision's. The pool behind the stem is 3x3 with stride 2 and padding 1: the maximum, as published, or the
//! average over nine values, zeros in the padding, for networks of polynomials.

use super::{Architecture, Options, Pool};
use crate::nn::NnError;
use crate::nn::builder::GraphBuilder;
use crate::nn::graph::{Graph, NodeId, Op, TensorShape};
use crate::nn::weights::{Conv, WeightSource, conv_with_batch_norm, dense};

const INPUT: TensorShape = TensorShape { h: 224, w: 224, c: 3 };
const CLASSES: usize = 1000;
/// Blocks and inner channels of each stage.
const STAGES: [(usize, usize); 4] = [(3, 64), (4, 128), (6, 256), (3, 512)];
/// Output channels of a block per inner channel.
const EXPANSION: usize = 4;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    id: "resnet50",
    summary: "ResNet-50 for ImageNet: 49 activation layers, 9,608,704 activations",
    input: INPUT,
    classes: CLASSES,
    pools: &[Pool::Average, Pool::Max],
    shortcuts: &[],
    build,
};

fn build(options: &Options, source: &mut dyn WeightSource) -> Result<Graph, NnError> {
    let mut b = GraphBuilder::new(INPUT);
    let input = b.input();
    let stem = Conv { out_c: 64, kernel: 7, stride: 2, padding: 3 };
    let x = conv_with_batch_norm(&mut b, source, ("conv1", "bn1"), input, stem)?;
    let x = b.activation("act1", x)?;
    let pool = match options.pool {
        Pool::Average => Op::AvgPool { kernel: 3, stride: 2, padding: 1 },
        Pool::Max => Op::MaxPool { kernel: 3, stride: 2, padding: 1 },
    };
    let mut x = b.push("pool1", pool, &[x])?;
    for (stage, (blocks, planes)) in STAGES.into_iter().enumerate() {
        for block in 0..blocks {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            x = bottleneck(&mut b, source, &format!("layer{}.{block}", stage + 1), x, (planes, stride))?;
        }
    }
    let x = b.push("pool", Op::GlobalAvgPool, &[x])?;
    let pooled = b.shape(x);
    dense(&mut b, source, ("fc", "fc"), x, pooled, options.classes.unwrap_or(CLASSES))?;
    b.finish()
}

/// Adds the block `name`: 1x1, 3x3 and 1x1 convolutions and the shortcut around them.
fn bottleneck(
    b: &mut GraphBuilder,
    source: &mut dyn WeightSource,
    name: &str,
    input: NodeId,
    (planes, stride): (usize, usize),
) -> Result<NodeId, NnError> {
    let part = |part: &str| format!("{name}.{part}");
    let out_c = EXPANSION * planes;
    let convolutions = [(planes, 1, 1), (planes, 3, stride), (out_c, 1, 1)];
    let mut x = input;
    for (index, (out_c, kernel, stride)) in (1..).zip(convolutions) {
        let (conv, bn) = (part(&format!("conv{index}")), part(&format!("bn{index}")));
        let shape = Conv { out_c, kernel, stride, padding: kernel / 2 };
        x = conv_with_batch_norm(b, source, (&conv, &bn), x, shape)?;
        if index < convolutions.len() {
            x = b.activation(&part(&format!("act{index}")), x)?;
        }
    }
    let shortcut = if b.shape(input) == b.shape(x) {
        input
    } else {
        let conv = Conv { out_c, kernel: 1, stride, padding: 0 };
        conv_with_batch_norm(b, source, (&part("downsample.0"), &part("downsample.1")), input, conv)?
    };
    let x = b.push(&part("add"), Op::Add, &[x, shortcut])?;
    b.activation(&part("act3"), x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::weights::Zeros;

    #[test]
    fn sizes() {
        let graph = build(&Options::default(), &mut Zeros).unwrap();
        // Per stage with inner width p and n blocks: n 3x3 layers p -> p, n 1x1 layers p -> 4p, n - 1 1x1 layers
        // 4p -> p, and from the c channels before it one 1x1 layer c -> p and the shortcut c -> 4p.
        let stages = [(3, 64, 64), (4, 128, 256), (6, 256, 512), (3, 512, 1024)];
        let weights = |(n, p, c): (usize, usize, usize)| 9 * n * p * p + (2 * n - 1) * 4 * p * p + c * p + c * 4 * p;
        let weights = 49 * 3 * 64 + stages.map(weights).iter().sum::<usize>();
        // Each block has p + p + 4p output channels, each shortcut 4p.
        let channels = 64 + stages.map(|(n, p, _)| n * 6 * p + 4 * p).iter().sum::<usize>();
        assert_eq!((weights, channels), (23_454_912, 26_560));
        let dense = 2048 * 1000 + 1000;
        // torchvision counts a gamma and a beta per channel, 25,557,032 in all; folded, one bias is left of them.
        assert_eq!(weights + 2 * channels + dense, 25_557_032);
        assert_eq!(graph.parameters(), 25_557_032 - channels);

        let mut expected = vec![64 * 112 * 112];
        for ((n, p, _), side) in stages.into_iter().zip([56, 28, 14, 7]) {
            // The first block of a later stage takes its stride in the second layer.
            let first = if p == 64 { side } else { 2 * side };
            expected.extend([p * first * first, p * side * side, 4 * p * side * side]);
            for _ in 1..n {
                expected.extend([p * side * side, p * side * side, 4 * p * side * side]);
            }
        }
        assert_eq!(graph.activation_sizes(), expected);
    }
}
