//! The seven-activation CIFAR-10 network of MiniONN.
//!
//! Liu et al., *Oblivious Neural Network Predictions via MiniONN Transformations*, CCS 2017, figure 13.
//! Tensors are named by position in DELPHI's `Sequential`: convolutions 0, 2, 5, 7, 10 (3x3), 12 and 14
//! (1x1), dense 17. Every convolution is followed by an activation, and those of 2 and 7 by 2x2 average
//! pooling.

use super::{Architecture, Options};
use crate::nn::NnError;
use crate::nn::builder::GraphBuilder;
use crate::nn::data::CIFAR10_SHAPE;
use crate::nn::graph::{Graph, Op};
use crate::nn::weights::{Conv, WeightSource, conv_with_bias, dense};

const CLASSES: usize = 10;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    id: "minionn",
    summary: "MiniONN's network for CIFAR-10: 7 activation layers, 173,056 activations",
    input: CIFAR10_SHAPE,
    classes: CLASSES,
    pools: &[],
    shortcuts: &[],
    build,
};

/// Position, kernel side, output channels and whether pooling follows the activation.
const CONVOLUTIONS: [(usize, usize, usize, bool); 7] = [
    (0, 3, 64, false),
    (2, 3, 64, true),
    (5, 3, 64, false),
    (7, 3, 64, true),
    (10, 3, 64, false),
    (12, 1, 64, false),
    (14, 1, 16, false),
];

fn build(options: &Options, source: &mut dyn WeightSource) -> Result<Graph, NnError> {
    let mut b = GraphBuilder::new(CIFAR10_SHAPE);
    let mut x = b.input();
    for (position, kernel, out_c, pooled) in CONVOLUTIONS {
        let conv = Conv { out_c, kernel, stride: 1, padding: kernel / 2 };
        let name = format!("conv{position}");
        x = conv_with_bias(&mut b, source, (&name, &position.to_string()), x, conv)?;
        x = b.activation(&format!("act{}", position + 1), x)?;
        if pooled {
            let op = Op::AvgPool { kernel: 2, stride: 2, padding: 0 };
            x = b.push(&format!("pool{}", position + 2), op, &[x])?;
        }
    }
    let flattened = b.shape(x);
    let x = b.push("flatten16", Op::Flatten, &[x])?;
    dense(&mut b, source, ("linear17", "17"), x, flattened, options.classes.unwrap_or(CLASSES))?;
    b.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::weights::Zeros;

    #[test]
    fn sizes() {
        let graph = build(&Options::default(), &mut Zeros).unwrap();
        let weights = 9 * (3 * 64 + 4 * 64 * 64) + 64 * 64 + 64 * 16 + 1024 * 10;
        assert_eq!(graph.parameters(), weights + 6 * 64 + 16 + 10);
        let sizes = [65_536, 65_536, 16_384, 16_384, 4096, 4096, 1024];
        assert_eq!(graph.activation_sizes(), sizes);
        assert_eq!((graph.activation_layers(), graph.activations()), (7, 173_056));
    }
}
