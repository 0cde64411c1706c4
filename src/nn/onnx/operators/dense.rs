//! `Gemm` and `MatMul`: the columns of a dense layer follow wherever the elements of its input are.

use super::convolution::pointwise;
use crate::nn::graph::{Op, TensorShape};
use crate::nn::onnx::constant::Constant;
use crate::nn::onnx::fold::expanded;
use crate::nn::onnx::import::Context;
use crate::nn::onnx::index::{HOLE, Rearrangement};
use crate::nn::onnx::network::{MAX_WEIGHTS, Network};
use crate::nn::onnx::view::View;
use crate::ring::LinearShape;

pub(super) fn gemm(context: &mut Context<'_, '_>) -> Result<View, String> {
    let (name, view) = (context.name(), context.view(0)?);
    let weights = context.constant(1, "the weights")?;
    if context.node.flag("transA", false) {
        return Err("attribute transA = 1, expected 0".to_string());
    }
    let [rows, columns] = weights.dims[..] else {
        return Err(format!("has weights of shape {:?}, expected two dimensions", weights.dims));
    };
    let transposed = context.node.flag("transB", false);
    let (inputs, outputs) = if transposed { (columns, rows) } else { (rows, columns) };
    let (alpha, beta) = (context.node.float("alpha", 1.0), context.node.float("beta", 1.0));
    let bias = match context.optional_constant(2, "the bias")? {
        None => vec![0.0; outputs],
        Some(bias) => expanded(&bias, &[1, outputs])?.numbers().map(|b| b * beta).collect(),
    };
    let values = scaled(&weights, alpha)?;
    let weight = |output: usize, input: usize| {
        if transposed { values[output * inputs + input] } else { values[input * outputs + output] }
    };
    dense(context.network, &view, (inputs, outputs), weight, &bias, &name)
}

pub(super) fn mat_mul(context: &mut Context<'_, '_>) -> Result<View, String> {
    let (name, view) = (
        context.name(),
        context.view(0).map_err(|_| {
            "multiplies a constant by a tensor that depends on the image; expected the constant on the right"
                .to_string()
        })?,
    );
    let weights = context.constant(1, "the matrix on the right")?;
    let [inputs, outputs] = weights.dims[..] else {
        return Err(format!("has a matrix of shape {:?}, expected two dimensions", weights.dims));
    };
    let values = scaled(&weights, 1.0)?;
    let bias = vec![0.0; outputs];
    if view.dims.last() == Some(&inputs) && view.len() > inputs {
        return of_rows(context.network, &view, (values, &bias), &name);
    }
    dense(context.network, &view, (inputs, outputs), |output, input| values[input * outputs + output], &bias, &name)
}

fn scaled(weights: &Constant, alpha: f64) -> Result<Vec<f32>, String> {
    let values = weights.as_floats().ok_or("has weights that are integers")?;
    Ok(values.iter().map(|&w| (f64::from(w) * alpha) as f32).collect())
}

/// Many rows by one matrix: the rows are the pixels of a 1x1 convolution.
fn of_rows(
    network: &mut Network,
    view: &View,
    (weights, bias): (Vec<f32>, &[f64]),
    name: &str,
) -> Result<View, String> {
    let view = if view.degree() > 1 { network.plain(view, name)? } else { view.clone() };
    let inputs = view.dims[view.dims.len() - 1];
    let rows = view.len() / inputs;
    let (h, w) = match view.dims[..] {
        [1, h, w, _] => (h, w),
        _ => (1, rows),
    };
    let by = Rearrangement::transpose(&[h, w, inputs], &[2, 0, 1]);
    let image = view.with_dims(vec![h, w, inputs]).rearranged(&by).with_dims(vec![1, inputs, h, w]);
    let (node, outputs) = pointwise(network, &image, (weights, bias), name)?;
    let back = Rearrangement::transpose(&[outputs, rows], &[1, 0]);
    let mut dims = view.dims.clone();
    dims.last_mut().into_iter().for_each(|last| *last = outputs);
    Ok(View::of(node, vec![outputs, rows]).rearranged(&back).with_dims(dims))
}

/// A dense layer on a view of one row.
fn dense(
    network: &mut Network,
    view: &View,
    (inputs, outputs): (usize, usize),
    weight: impl Fn(usize, usize) -> f32,
    bias: &[f64],
    name: &str,
) -> Result<View, String> {
    if view.len() != inputs || view.dims.last() != Some(&inputs) {
        return Err(format!("multiplies a tensor of shape {:?} by a matrix of {inputs}x{outputs}", view.dims));
    }
    if inputs == 0 || outputs == 0 {
        return Err(format!("has a matrix of {inputs}x{outputs}, expected some elements"));
    }
    let view = network.dense_input(view, name)?;
    let TensorShape { h, w, c } = network.shape(view.base);
    let (pixels, columns) = (h * w, h * w * c);
    if columns.checked_mul(outputs).is_none_or(|weights| weights > MAX_WEIGHTS) {
        return Err(format!("has {columns}x{outputs} weights, more than longhaul takes (2^28)"));
    }
    let is_plain = view.is_plain();
    let content = (!is_plain).then(|| view.scale_and_shift());
    let mut weights = vec![0.0f32; columns * outputs];
    let mut biases = Vec::with_capacity(outputs);
    let sources: Vec<u32> = view.sources().collect();
    for (output, row) in weights.chunks_exact_mut(columns).enumerate() {
        let mut sum = bias[output];
        for (input, &source) in sources.iter().enumerate() {
            let weight = weight(output, input);
            let (scale, shift) = content.as_ref().map_or((1.0, 0.0), |(scale, shift)| (scale[input], shift[input]));
            sum += f64::from(weight) * shift;
            if source != HOLE {
                let column = source as usize % pixels * c + source as usize / pixels;
                row[column] = (f64::from(row[column]) + f64::from(weight) * scale) as f32;
            }
        }
        biases.push(sum as f32);
    }
    let input = network.flattened(view.base, name)?;
    let op = Op::Linear { shape: LinearShape::Dense { inputs: columns, outputs }, weights, bias: biases };
    let node = network.push(name, op, &[input])?;
    let mut dims = view.dims.clone();
    dims.last_mut().into_iter().for_each(|last| *last = outputs);
    Ok(View::of(node, dims))
}
