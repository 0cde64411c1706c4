//! What each operator does to known tensors and to views, a file for each kind.

mod activation;
mod arithmetic;
mod convolution;
mod dense;
mod known;
mod pool;
mod reduce;
mod shape;
mod windows;

use super::import::{Context, Value};
use super::network::{Network, image_shape};
use super::view::View;
use crate::nn::graph::{NodeId, TensorShape};

type Outputs = Result<Vec<Value>, String>;

/// Operators that networks may have; others only where all operands are known.
pub(super) const SUPPORTED: &[&str] = &[
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "CastLike",
    "Clip",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Conv",
    "DepthToSpace",
    "Div",
    "Dropout",
    "Expand",
    "Flatten",
    "Gather",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Identity",
    "MatMul",
    "Max",
    "MaxPool",
    "Mean",
    "Min",
    "Mul",
    "Neg",
    "Pad",
    "Pow",
    "ReduceMax",
    "ReduceMean",
    "ReduceSum",
    "Relu",
    "Reshape",
    "Shape",
    "Slice",
    "SpaceToDepth",
    "Split",
    "Squeeze",
    "Sub",
    "Sum",
    "Tile",
    "Transpose",
    "Unsqueeze",
];

/// The outputs of a node.
///
/// # Errors
/// Why no network can have it.
pub(super) fn apply(context: &mut Context<'_, '_>) -> Outputs {
    if let Some(known) = known::known(context) {
        return known;
    }
    let one = |value: Result<View, String>| value.map(|view| vec![Value::View(view)]);
    match context.node.operator {
        "Conv" => one(convolution::conv(context)),
        "BatchNormalization" => one(arithmetic::batch_norm(context)),
        "Gemm" => one(dense::gemm(context)),
        "MatMul" => one(dense::mat_mul(context)),
        "Relu" => one(activation::relu(context)),
        "Clip" => one(activation::clip(context)),
        "Max" | "Min" => one(activation::bound(context)),
        "Add" | "Sub" | "Mul" | "Div" | "Sum" | "Mean" => arithmetic::combine(context).map(|value| vec![value]),
        "Pow" => one(arithmetic::pow(context)),
        "Neg" => one(arithmetic::neg(context)),
        "AveragePool" | "GlobalAveragePool" => one(pool::average(context)),
        "MaxPool" | "GlobalMaxPool" => one(pool::max(context)),
        "ReduceMean" | "ReduceSum" | "ReduceMax" => one(reduce::reduce(context)),
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Identity" | "Dropout" | "Cast" | "CastLike" => {
            shape::reshape(context).map(|value| vec![value])
        }
        "Transpose" | "Slice" | "Split" | "Gather" | "Expand" | "Tile" | "DepthToSpace" | "SpaceToDepth" => {
            shape::rearrange(context)
        }
        "Pad" => shape::pad(context).map(|value| vec![value]),
        "Concat" => shape::concat(context).map(|value| vec![value]),
        _ => Err(refusal(context.node.operator)),
    }
}

fn refusal(operator: &str) -> String {
    let remedy = match operator {
        "Softmax" | "LogSoftmax" | "ArgMax" | "TopK" | "Hardmax" => {
            "the client learns the logits and does the rest itself: export the network without it"
        }
        "Sigmoid" | "Tanh" | "Gelu" | "Erf" | "Elu" | "Selu" | "Softplus" | "HardSigmoid" | "HardSwish" | "Swish"
        | "Mish" | "LeakyRelu" | "PRelu" | "Exp" | "Softsign" | "Celu" | "Abs" => {
            "activations are ReLU, ReLU6 (or Clip) and polynomials of degree up to 8: put one of these in its place"
        }
        "InstanceNormalization" | "LayerNormalization" | "GroupNormalization" | "LpNormalization" | "LRN" => {
            "it normalises by the image's own statistics; use BatchNormalization"
        }
        "If" | "Loop" | "Scan" => "control flow cannot depend on the image; export the network for one fixed path",
        _ => "",
    };
    match remedy {
        "" => format!("is no operator that longhaul knows; known: {}", SUPPORTED.join(", ")),
        remedy => format!("is not supported: {remedy}"),
    }
}

/// The node whose values, in order, are the logits.
///
/// # Errors
/// Why there is none.
pub(super) fn logits(network: &mut Network, view: &View, name: &str) -> Result<NodeId, String> {
    let batch_dims = usize::from(view.dims.len() > 1);
    if view.dims.iter().skip(batch_dims).product::<usize>() != view.len() {
        return Err(format!("has shape {:?}, expected [1, classes]", view.dims));
    }
    let plain = network.plain(view, name)?;
    let shape = TensorShape { h: 1, w: 1, c: view.len() };
    match image_shape(&view.dims) {
        Some(TensorShape { h: 1, w: 1, .. }) => network.natural(&plain, name),
        _ => network.as_shape(&plain, shape, name),
    }
}
