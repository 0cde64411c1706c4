//! ResNet-18 for CIFAR.
//!
//! He et al., *Deep Residual Learning for Image Recognition*, CVPR 2016, table 1, with the changes usual for 32 x 32
//! images: a 3x3 stem without stride, and no pooling behind it. Shortcuts that change shape are 1x1 convolutions.
//! Tensor names are those of kuangliu/pytorch-cifar.

use super::residual::{basic_block, conv3x3};
use super::{Architecture, Options, Shortcut};
use crate::nn::NnError;
use crate::nn::builder::GraphBuilder;
use crate::nn::data::CIFAR10_SHAPE;
use crate::nn::graph::{Graph, Op};
use crate::nn::weights::{WeightSource, conv_with_batch_norm, dense};

const CLASSES: usize = 10;
const BLOCKS: usize = 2;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    id: "resnet18",
    summary: "ResNet-18 for CIFAR, 1x1 shortcuts: 17 activation layers, 557,056 activations",
    input: CIFAR10_SHAPE,
    classes: CLASSES,
    pools: &[],
    shortcuts: &[],
    build,
};

fn build(options: &Options, source: &mut dyn WeightSource) -> Result<Graph, NnError> {
    let mut b = GraphBuilder::new(CIFAR10_SHAPE);
    let input = b.input();
    let x = conv_with_batch_norm(&mut b, source, ("conv1", "bn1"), input, conv3x3(64, 1))?;
    let mut x = b.activation("act1", x)?;
    for (stage, planes) in [64, 128, 256, 512].into_iter().enumerate() {
        for block in 0..BLOCKS {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let name = format!("layer{}.{block}", stage + 1);
            x = basic_block(&mut b, source, &name, x, (planes, stride), Shortcut::B)?;
        }
    }
    let x = b.push("pool", Op::GlobalAvgPool, &[x])?;
    let pooled = b.shape(x);
    dense(&mut b, source, ("linear", "linear"), x, pooled, options.classes.unwrap_or(CLASSES))?;
    b.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::weights::Zeros;

    #[test]
    fn sizes() {
        let graph = build(&Options::default(), &mut Zeros).unwrap();
        // 3x3 layers: 3 -> 64 and four 64 -> 64, then per stage c -> 2c and three 2c -> 2c; 1x1 layers c -> 2c.
        let widths = [64, 128, 256];
        let stages: usize = widths.map(|c| 9 * (2 * c * c + 3 * 4 * c * c) + 2 * c * c).iter().sum();
        let weights = 9 * (3 * 64 + 4 * 64 * 64) + stages;
        // Output channels: the stem and four layers of 64, then five layers of each width.
        let channels = 5 * 64 + 5 * (128 + 256 + 512);
        let dense = 512 * 10 + 10;
        // The original has a gamma and a beta per channel, 11,173,962 parameters; folded, one bias is left of them.
        assert_eq!(weights + 2 * channels + dense, 11_173_962);
        assert_eq!(graph.parameters(), 11_173_962 - channels);
        let mut expected = vec![64 * 32 * 32; 5];
        for (c, side) in [(128, 16), (256, 8), (512, 4)] {
            expected.extend([c * side * side; 4]);
        }
        assert_eq!(graph.activation_sizes(), expected);
    }
}
