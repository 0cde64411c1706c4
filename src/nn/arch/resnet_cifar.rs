//! ResNets of `6n + 2` layers for CIFAR: 20, 32, 44, 56 and 110.
//!
//! He et al., *Deep Residual Learning for Image Recognition*, CVPR 2016, section 4.2: three stages of `n` blocks
//! with 16, 32 and 64 channels. Shortcut A, the paper's choice, takes every second pixel and pads with zero
//! channels, half in front and half behind; shortcut B is a 1x1 convolution. Tensor names, and the placing of the
//! zero channels, are those of akamaster/pytorch_resnet_cifar10.

use super::residual::{basic_block, conv3x3};
use super::{Architecture, Options, Shortcut};
use crate::nn::NnError;
use crate::nn::builder::GraphBuilder;
use crate::nn::data::CIFAR10_SHAPE;
use crate::nn::graph::{Graph, Op};
use crate::nn::weights::{WeightSource, conv_with_batch_norm, dense};

const CLASSES: usize = 10;

/// The member with `BLOCKS` blocks a stage.
pub(super) const fn architecture<const BLOCKS: usize>(id: &'static str, summary: &'static str) -> Architecture {
    Architecture {
        id,
        summary,
        input: CIFAR10_SHAPE,
        classes: CLASSES,
        pools: &[],
        shortcuts: &[Shortcut::A, Shortcut::B],
        build: build::<BLOCKS>,
    }
}

fn build<const BLOCKS: usize>(options: &Options, source: &mut dyn WeightSource) -> Result<Graph, NnError> {
    let mut b = GraphBuilder::new(CIFAR10_SHAPE);
    let input = b.input();
    let x = conv_with_batch_norm(&mut b, source, ("conv1", "bn1"), input, conv3x3(16, 1))?;
    let mut x = b.activation("act1", x)?;
    for (stage, planes) in [16, 32, 64].into_iter().enumerate() {
        for block in 0..BLOCKS {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let name = format!("layer{}.{block}", stage + 1);
            x = basic_block(&mut b, source, &name, x, (planes, stride), options.shortcut)?;
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

    fn sizes<const BLOCKS: usize>(shortcut: Shortcut) {
        let options = Options { shortcut, ..Options::default() };
        let graph = build::<BLOCKS>(&options, &mut Zeros).unwrap();
        // 3x3 layers: 3 -> 16 and 2n 16 -> 16; 16 -> 32 and 2n - 1 32 -> 32; 32 -> 64 and 2n - 1 64 -> 64.
        let layers = 2 * BLOCKS;
        let pairs = 3 * 16 + layers * 16 * 16 + 16 * 32 + (layers - 1) * 32 * 32 + 32 * 64 + (layers - 1) * 64 * 64;
        let biases = 16 + layers * (16 + 32 + 64);
        // Shortcut B: 1x1 layers 16 -> 32 and 32 -> 64.
        let projections = if shortcut == Shortcut::B { 16 * 32 + 32 + 32 * 64 + 64 } else { 0 };
        assert_eq!(graph.parameters(), 9 * pairs + biases + projections + 64 * 10 + 10);
        let mut expected = vec![16 * 32 * 32; layers + 1];
        expected.extend(vec![32 * 16 * 16; layers]);
        expected.extend(vec![64 * 8 * 8; layers]);
        assert_eq!(graph.activation_sizes(), expected);
    }

    #[test]
    fn sizes_of_every_member() {
        for shortcut in [Shortcut::A, Shortcut::B] {
            sizes::<3>(shortcut);
            sizes::<5>(shortcut);
            sizes::<7>(shortcut);
            sizes::<9>(shortcut);
            sizes::<18>(shortcut);
        }
    }
}
