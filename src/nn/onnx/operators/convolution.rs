//! `Conv`: grouped and dilated kernels are written out, scales and shifts of the input go into the weights.

use super::windows::Geometry;
use crate::nn::graph::{NodeId, Op, TensorShape};
use crate::nn::onnx::constant::{Constant, MAX_ELEMENTS};
use crate::nn::onnx::import::Context;
use crate::nn::onnx::index::Rearrangement;
use crate::nn::onnx::network::{MAX_WEIGHTS, Network, bias_of, image_shape};
use crate::nn::onnx::proto::Node;
use crate::nn::onnx::realise::{Split, no_image};
use crate::nn::onnx::view::View;
use crate::ring::{ConvShape, LinearShape};

/// A convolution with dense kernels in the order `[h][w][in][out]`.
struct Kernels {
    size: [usize; 2],
    in_c: usize,
    out_c: usize,
    weights: Vec<f32>,
}

pub(super) fn conv(context: &mut Context<'_, '_>) -> Result<View, String> {
    let (name, view) = (context.name(), context.view(0)?);
    let weights = context.constant(1, "the weights")?;
    let bias = context.optional_constant(2, "the bias")?;
    let shape = image_shape(&view.dims).filter(|_| view.dims.len() == 4).ok_or_else(|| no_image(&view.dims))?;
    let [out_c, per_group, kernel_h, kernel_w] = weights.dims[..] else {
        return Err(format!("has weights of shape {:?}, expected [out, in / group, height, width]", weights.dims));
    };
    if let Some(kernel_shape) = context.node.ints("kernel_shape")
        && kernel_shape != [kernel_h as i64, kernel_w as i64]
    {
        return Err(format!(
            "attribute kernel_shape = {kernel_shape:?}, but its weights have shape {:?}",
            weights.dims
        ));
    }
    let bias = match bias {
        None => vec![0.0; out_c],
        Some(bias) if bias.len() == out_c => bias.numbers().collect(),
        Some(bias) => return Err(format!("has {} biases, expected {out_c}", bias.len())),
    };
    let geometry = Geometry::of(context.node, [shape.h, shape.w], [kernel_h, kernel_w])?;
    let kernels = dense_kernels(context.node, &weights, (shape.c, per_group), geometry.dilation)?;
    convolve(context.network, &view, (shape, kernels, &bias), &geometry, &name)
}

/// Writes groups and dilation out as zeros.
fn dense_kernels(
    node: &Node<'_>,
    weights: &Constant,
    (in_c, per_group): (usize, usize),
    dilation: [usize; 2],
) -> Result<Kernels, String> {
    let (out_c, taps_h, taps_w) = (weights.dims[0], weights.dims[2], weights.dims[3]);
    let groups = usize::try_from(node.int("group", 1)).unwrap_or(0);
    if groups == 0 || per_group == 0 || groups.checked_mul(per_group) != Some(in_c) || out_c % groups != 0 || out_c == 0
    {
        return Err(format!("has {groups} groups and weights of shape {:?} for {in_c} channels", weights.dims));
    }
    let size = [(taps_h - 1) * dilation[0] + 1, (taps_w - 1) * dilation[1] + 1];
    let count = [size[0], size[1], in_c, out_c].into_iter().try_fold(1usize, usize::checked_mul);
    let count = count
        .filter(|&count| count <= MAX_WEIGHTS)
        .ok_or("has more weights than longhaul takes (2^28), groups and dilation written out")?;
    let values = weights.as_floats().ok_or("has weights that are integers")?;
    let mut dense = vec![0.0f32; count];
    for (i, &weight) in values.iter().enumerate() {
        let (x, y) = (i % taps_w, i / taps_w % taps_h);
        let (within, output) = (i / (taps_w * taps_h) % per_group, i / (taps_w * taps_h * per_group));
        let input = output / (out_c / groups) * per_group + within;
        let tap = y * dilation[0] * size[1] + x * dilation[1];
        dense[(tap * in_c + input) * out_c + output] = weight;
    }
    Ok(Kernels { size, in_c, out_c, weights: dense })
}

fn convolve(
    network: &mut Network,
    view: &View,
    (shape, kernels, bias): (TensorShape, Kernels, &[f64]),
    geometry: &Geometry,
    name: &str,
) -> Result<View, String> {
    let stride = gcd(geometry.stride[0], geometry.stride[1]);
    let of = |in_h, in_w, padding| ConvShape {
        in_h,
        in_w,
        in_c: kernels.in_c,
        out_c: kernels.out_c,
        kernel_h: kernels.size[0],
        kernel_w: kernels.size[1],
        stride,
        padding,
    };
    let logical = of(shape.h, shape.w, geometry.padding);
    let (out_h, out_w) = (logical.out_h(), logical.out_w());
    let outputs = [out_h, out_w, kernels.out_c].into_iter().try_fold(1usize, usize::checked_mul);
    if outputs.is_none_or(|outputs| outputs > MAX_ELEMENTS) {
        return Err(format!("has a result of {out_h}x{out_w}x{}, more than longhaul takes", kernels.out_c));
    }
    let Split { base, padding, affine } = network.split(view, true, name)?;
    let mut weights = kernels.weights;
    let mut shift: Vec<f64> = bias.iter().flat_map(|&b| std::iter::repeat_n(b, out_h * out_w)).collect();
    if let Some((scale, added)) = &affine {
        if added.iter().any(|&value| value != 0.0) {
            add_convolved(&mut shift, &logical, &weights, added);
        }
        for (i, weight) in weights.iter_mut().enumerate() {
            *weight = (f64::from(*weight) * scale[i / kernels.out_c % kernels.in_c]) as f32;
        }
    }
    let from = network.shape(base);
    let total = std::array::from_fn(|side| geometry.padding[side] + padding[side]);
    let op = Op::Linear {
        shape: LinearShape::Conv2d(of(from.h, from.w, total)),
        weights,
        bias: bias_of(&shift, out_h * out_w, kernels.out_c),
    };
    let node = network.push(name, op, &[base])?;
    let result = View::of(node, vec![1, kernels.out_c, out_h, out_w]);
    thinned(&result, geometry, stride)
}

/// Adds what the shift of the input becomes; both in the order `[channel][row][column]`. Weights that are zero, as most of
/// a dilated or grouped kernel's are, cost nothing.
fn add_convolved(shift: &mut [f64], conv: &ConvShape, weights: &[f32], added: &[f64]) {
    let ConvShape { in_h, in_w, in_c, out_c, kernel_w, stride, padding: [top, left, ..], .. } = *conv;
    let (out_h, out_w) = (conv.out_h(), conv.out_w());
    for (i, &weight) in weights.iter().enumerate().filter(|(_, weight)| **weight != 0.0) {
        let (output, input, tap) = (i % out_c, i / out_c % in_c, i / (out_c * in_c));
        let within = |at: usize, before: usize, size: usize| at.checked_sub(before).filter(|&at| at < size);
        for row in 0..out_h {
            let Some(y) = within(row * stride + tap / kernel_w, top, in_h) else { continue };
            let from = &added[(input * in_h + y) * in_w..][..in_w];
            let to = &mut shift[(output * out_h + row) * out_w..][..out_w];
            for (column, to) in to.iter_mut().enumerate() {
                if let Some(x) = within(column * stride + tap % kernel_w, left, in_w) {
                    *to += f64::from(weight) * from[x];
                }
            }
        }
    }
}

/// The rows and columns that strides of different size leave of those of their common divisor.
fn thinned(view: &View, geometry: &Geometry, stride: usize) -> Result<View, String> {
    let [down, across] = geometry.stride.map(|s| s / stride);
    if (down, across) == (1, 1) {
        return Ok(view.clone());
    }
    let every = |dim: usize, step: usize| (0..dim).step_by(step).map(Some).collect();
    let all = (0..view.dims[1]).map(Some).collect();
    let positions = [vec![Some(0)], all, every(view.dims[2], down), every(view.dims[3], across)];
    Ok(view.rearranged(&Rearrangement::along_axes(&view.dims, &positions)?))
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A convolution with 1x1 kernels of a node, weights in the order `[in][out]`.
///
/// # Errors
/// If it does not fit.
pub(super) fn pointwise(
    network: &mut Network,
    view: &View,
    (weights, bias): (Vec<f32>, &[f64]),
    name: &str,
) -> Result<(NodeId, usize), String> {
    let shape = image_shape(&view.dims).ok_or_else(|| no_image(&view.dims))?;
    let (in_c, out_c) = (shape.c, bias.len());
    let kernels = Kernels { size: [1, 1], in_c, out_c, weights };
    let input = [shape.h, shape.w];
    let geometry = Geometry {
        input,
        kernel: [1, 1],
        stride: [1, 1],
        dilation: [1, 1],
        padding: [0; 4],
        output: input,
        declared: [0; 4],
    };
    let result = convolve(network, view, (shape, kernels, bias), &geometry, name)?;
    Ok((result.base, out_c))
}
