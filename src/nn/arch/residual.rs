//! Residual blocks of two 3x3 convolutions.

use super::Shortcut;
use crate::nn::NnError;
use crate::nn::builder::GraphBuilder;
use crate::nn::graph::{NodeId, Op};
use crate::nn::weights::{Conv, WeightSource, conv_with_batch_norm};

/// Adds the block `name`: two 3x3 convolutions, the shortcut around them, and the activations after each.
///
/// Where the block changes shape, shortcut A is node `name.shortcut` and shortcut B the convolution
/// `name.shortcut.0` with batch norm `name.shortcut.1`.
pub(super) fn basic_block(
    b: &mut GraphBuilder,
    source: &mut dyn WeightSource,
    name: &str,
    input: NodeId,
    (planes, stride): (usize, usize),
    shortcut: Shortcut,
) -> Result<NodeId, NnError> {
    let part = |part: &str| format!("{name}.{part}");
    let (conv1, bn1) = (part("conv1"), part("bn1"));
    let x = conv_with_batch_norm(b, source, (&conv1, &bn1), input, conv3x3(planes, stride))?;
    let x = b.activation(&part("act1"), x)?;
    let (conv2, bn2) = (part("conv2"), part("bn2"));
    let x = conv_with_batch_norm(b, source, (&conv2, &bn2), x, conv3x3(planes, 1))?;
    let in_c = b.shape(input).c;
    let shortcut = match shortcut {
        _ if (in_c, stride) == (planes, 1) => input,
        Shortcut::A => {
            let zeros = planes - in_c;
            let op = Op::PadShortcut { stride, before: zeros / 2, after: zeros - zeros / 2 };
            b.push(&part("shortcut"), op, &[input])?
        }
        Shortcut::B => {
            let conv = Conv { out_c: planes, kernel: 1, stride, padding: 0 };
            conv_with_batch_norm(b, source, (&part("shortcut.0"), &part("shortcut.1")), input, conv)?
        }
    };
    let x = b.push(&part("add"), Op::Add, &[x, shortcut])?;
    b.activation(&part("act2"), x)
}

pub(super) fn conv3x3(out_c: usize, stride: usize) -> Conv {
    Conv { out_c, kernel: 3, stride, padding: 1 }
}
