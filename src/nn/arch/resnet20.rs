//! ResNet-20 for CIFAR-10 with parameter-free shortcuts.
//!
//! He et al., *Deep Residual Learning for Image Recognition*, CVPR 2016, section 4.2, option A: a shortcut
//! that changes shape takes every second pixel and pads with zero channels. Tensor names and the placing of
//! the zero channels, half in front and half behind, are those of akamaster/pytorch_resnet_cifar10.

use super::Architecture;
use crate::nn::NnError;
use crate::nn::builder::GraphBuilder;
use crate::nn::data::CIFAR10_SHAPE;
use crate::nn::graph::{Graph, NodeId, Op};
use crate::nn::weights::{Conv, WeightSource, conv_with_batch_norm, dense};

const BLOCKS: usize = 3;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    id: "resnet20",
    summary: "ResNet-20 for CIFAR-10, option-A shortcuts: 19 activation layers, 188,416 activations",
    input: CIFAR10_SHAPE,
    classes: 10,
    build,
};

fn build(source: &mut dyn WeightSource) -> Result<Graph, NnError> {
    let mut b = GraphBuilder::new(CIFAR10_SHAPE);
    let input = b.input();
    let x = conv_with_batch_norm(&mut b, source, ("conv1", "bn1"), input, conv3x3(16, 1))?;
    let mut x = b.activation("act1", x)?;
    for (stage, planes) in [16, 32, 64].into_iter().enumerate() {
        for block in 0..BLOCKS {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let name = format!("layer{}.{block}", stage + 1);
            x = basic_block(&mut b, source, &name, x, planes, stride)?;
        }
    }
    let x = b.push("pool", Op::GlobalAvgPool, &[x])?;
    let pooled = b.shape(x);
    dense(&mut b, source, ("linear", "linear"), x, pooled, 10)?;
    b.finish()
}

/// Two 3x3 convolutions and the shortcut around them.
fn basic_block(
    b: &mut GraphBuilder,
    source: &mut dyn WeightSource,
    name: &str,
    input: NodeId,
    planes: usize,
    stride: usize,
) -> Result<NodeId, NnError> {
    let part = |part: &str| format!("{name}.{part}");
    let (conv1, bn1) = (part("conv1"), part("bn1"));
    let x = conv_with_batch_norm(b, source, (&conv1, &bn1), input, conv3x3(planes, stride))?;
    let x = b.activation(&part("act1"), x)?;
    let (conv2, bn2) = (part("conv2"), part("bn2"));
    let x = conv_with_batch_norm(b, source, (&conv2, &bn2), x, conv3x3(planes, 1))?;
    let shortcut = if stride == 1 {
        input
    } else {
        let op = Op::PadShortcut { stride, before: planes / 4, after: planes / 4 };
        b.push(&part("shortcut"), op, &[input])?
    };
    let x = b.push(&part("add"), Op::Add, &[x, shortcut])?;
    b.activation(&part("act2"), x)
}

fn conv3x3(out_c: usize, stride: usize) -> Conv {
    Conv { out_c, kernel: 3, stride, padding: 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::random::RandomWeights;

    #[test]
    fn sizes() {
        let graph = build(&mut RandomWeights::new(0)).unwrap();
        // One 3x3 layer 3 -> 16; six 16 -> 16; 16 -> 32 and five 32 -> 32; 32 -> 64 and five 64 -> 64.
        let pairs = 3 * 16 + 6 * 16 * 16 + 16 * 32 + 5 * 32 * 32 + 32 * 64 + 5 * 64 * 64;
        let biases = 7 * 16 + 6 * 32 + 6 * 64;
        assert_eq!(graph.parameters(), 9 * pairs + biases + 64 * 10 + 10);
        let sizes = graph.activation_sizes();
        assert_eq!((graph.activation_layers(), graph.activations()), (19, 188_416));
        assert_eq!(sizes[..7], [16_384; 7]);
        assert_eq!(sizes[7..13], [8192; 6]);
        assert_eq!(sizes[13..], [4096; 6]);
    }
}
