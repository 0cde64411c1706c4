//! VGG-16 for CIFAR.
//!
//! Simonyan and Zisserman, *Very Deep Convolutional Networks for Large-Scale Image Recognition*, ICLR 2015,
//! configuration D, in the form of Ng and Chow, *GForce: GPU-Friendly Oblivious and Rapid Neural Network Inference*,
//! USENIX Security 2021: batch norm, a classifier 512 wide, and pooling before the activation, so that the activation
//! works on a quarter of the values. With maxima that order changes nothing, as ReLU is monotone. Tensors are named by
//! position in torchvision's `vgg16_bn`.

use super::residual::conv3x3;
use super::{Architecture, Options, Pool};
use crate::nn::NnError;
use crate::nn::builder::GraphBuilder;
use crate::nn::data::CIFAR10_SHAPE;
use crate::nn::graph::{Graph, Op};
use crate::nn::weights::{WeightSource, biased_conv_with_batch_norm, dense};

const CLASSES: usize = 10;
/// Width and convolutions of each stage; a pool ends it.
const STAGES: [(usize, usize); 5] = [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)];
/// Width of the classifier's hidden layers.
const HIDDEN: usize = 512;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    id: "vgg16",
    summary: "VGG-16 for CIFAR with batch norm, pooling before activations: 15 activation layers, 183,808 activations",
    input: CIFAR10_SHAPE,
    classes: CLASSES,
    pools: &[Pool::Average, Pool::Max],
    shortcuts: &[],
    build,
};

fn build(options: &Options, source: &mut dyn WeightSource) -> Result<Graph, NnError> {
    let pool = match options.pool {
        Pool::Average => Op::AvgPool { kernel: 2, stride: 2, padding: 0 },
        Pool::Max => Op::MaxPool { kernel: 2, stride: 2, padding: 0 },
    };
    let mut b = GraphBuilder::new(CIFAR10_SHAPE);
    let mut x = b.input();
    // Convolution, batch norm, activation and pool each take a position.
    let mut position = 0;
    for (stage, (width, convolutions)) in (1..).zip(STAGES) {
        for layer in 1..=convolutions {
            let tensors = (format!("features.{position}"), format!("features.{}", position + 1));
            let name = format!("conv{stage}_{layer}");
            x = biased_conv_with_batch_norm(&mut b, source, &name, (&tensors.0, &tensors.1), x, conv3x3(width, 1))?;
            if layer == convolutions {
                x = b.push(&format!("pool{stage}"), pool.clone(), &[x])?;
            }
            x = b.activation(&format!("act{stage}_{layer}"), x)?;
            position += 3;
        }
        position += 1;
    }
    let flattened = b.shape(x);
    let x = b.push("flatten", Op::Flatten, &[x])?;
    let x = dense(&mut b, source, ("linear1", "classifier.0"), x, flattened, HIDDEN)?;
    let x = b.activation("act6", x)?;
    let hidden = b.shape(x);
    let x = dense(&mut b, source, ("linear2", "classifier.3"), x, hidden, HIDDEN)?;
    let x = b.activation("act7", x)?;
    dense(&mut b, source, ("linear3", "classifier.6"), x, hidden, options.classes.unwrap_or(CLASSES))?;
    b.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::NnError;
    use crate::nn::weights::{Fill, Zeros};

    #[test]
    fn sizes() {
        // The pooled layers work on a quarter: 16, 8, 4, 2 and 1 pixels a side.
        let side = |c: usize, side: usize| c * side * side;
        let expected = [
            [side(64, 32), side(64, 16), side(128, 16)],
            [side(128, 8), side(256, 8), side(256, 8)],
            [side(256, 4), side(512, 4), side(512, 4)],
            [side(512, 2), side(512, 2), side(512, 2)],
            [side(512, 1), 512, 512],
        ];
        for pool in [Pool::Average, Pool::Max] {
            let graph = build(&Options { pool, ..Options::default() }, &mut Zeros).unwrap();
            let pairs = 3 * 64 + 64 * 64 + 64 * 128 + 128 * 128 + 128 * 256 + 2 * 256 * 256 + 256 * 512 + 5 * 512 * 512;
            let biases = 2 * 64 + 2 * 128 + 3 * 256 + 6 * 512;
            let classifier = 2 * (512 * 512 + 512) + 512 * 10 + 10;
            assert_eq!(graph.parameters(), 9 * pairs + biases + classifier);
            assert_eq!(graph.activation_sizes(), expected.as_flattened());
        }
    }

    #[test]
    fn positions_are_those_of_vgg16_bn() {
        struct Names(Vec<String>);
        impl WeightSource for Names {
            fn tensor(&mut self, name: &str, shape: &[usize], fill: Fill) -> Result<Vec<f32>, NnError> {
                self.0.extend(name.strip_suffix(".weight").filter(|_| shape.len() > 1).map(str::to_string));
                Zeros.tensor(name, shape, fill)
            }
        }
        let mut names = Names(Vec::new());
        build(&Options::default(), &mut names).unwrap();
        let features = [0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40].map(|i| format!("features.{i}"));
        let classifier = [0, 3, 6].map(|i| format!("classifier.{i}"));
        assert_eq!(names.0, [features.as_slice(), &classifier].concat());
    }
}
