//! Means, sums and maxima over axes.

use super::arithmetic::by_constant;
use super::pool::{averaged, maximum};
use super::windows::Geometry;
use crate::nn::graph::{Op, TensorShape};
use crate::nn::onnx::constant::Constant;
use crate::nn::onnx::import::Context;
use crate::nn::onnx::index::{Rearrangement, axis};
use crate::nn::onnx::view::View;

/// The axes a reduction takes away, ascending; all if it names none.
///
/// # Errors
/// If there is no such axis.
pub(super) fn axes(context: &Context<'_, '_>, rank: usize) -> Result<Vec<usize>, String> {
    match context.ints("axes", 1)?.filter(|axes| !axes.is_empty()) {
        None if context.node.flag("noop_with_empty_axes", false) => Ok(Vec::new()),
        None => Ok((0..rank).collect()),
        Some(named) => {
            let mut axes: Vec<usize> = named.iter().map(|&at| axis(at, rank)).collect::<Result<_, _>>()?;
            axes.sort_unstable();
            axes.dedup();
            Ok(axes)
        }
    }
}

/// The shape without these axes, or with size 1 in their place.
pub(super) fn reduced_dims(dims: &[usize], axes: &[usize], keep: bool) -> Vec<usize> {
    let kept = dims.iter().enumerate().filter(|(at, _)| keep || !axes.contains(at));
    kept.map(|(at, &dim)| if axes.contains(&at) { 1 } else { dim }).collect()
}

pub(super) fn reduce(context: &mut Context<'_, '_>) -> Result<View, String> {
    let (name, view) = (context.name(), context.view(0)?);
    let axes = axes(context, view.dims.len())?;
    let dims = reduced_dims(&view.dims, &axes, context.node.flag("keepdims", true));
    let count: usize = axes.iter().map(|&at| view.dims[at]).product();
    if count == 0 {
        return Err(format!("reduces a tensor of shape {:?}, which is empty", view.dims));
    }
    if count == 1 {
        return Ok(view.with_dims(dims));
    }
    let network = &mut *context.network;
    let mut view = if view.degree() > 1 { network.plain(&view, &name)? } else { view };
    // The axes that go become the pixels, all others the channels.
    let kept = (0..view.dims.len()).filter(|at| !axes.contains(at));
    let order: Vec<usize> = kept.chain(axes.iter().copied()).collect();
    if !order.is_sorted() {
        view = view.rearranged(&Rearrangement::transpose(&view.dims, &order));
    }
    let channels = view.len() / count;
    let whole = network.shape(view.base);
    let (h, w) = if whole.c == channels && whole.h * whole.w == count { (whole.h, whole.w) } else { (1, count) };
    let shape = TensorShape { h, w, c: channels };
    let view = view.with_dims(vec![1, channels, h, w]);
    let result = match context.node.operator {
        "ReduceMax" => {
            let geometry = Geometry {
                input: [h, w],
                kernel: [h, w],
                stride: [1, 1],
                dilation: [1, 1],
                padding: [0; 4],
                output: [1, 1],
                declared: [0; 4],
            };
            maximum(network, &view, shape, &geometry, &name)?
        }
        "ReduceMean" => averaged(network, &view, shape, Op::GlobalAvgPool, &name)?,
        _ => {
            let mean = averaged(network, &view, shape, Op::GlobalAvgPool, &name)?;
            by_constant(network, "Mul", &mean, &Constant::floats(vec![], vec![count as f32]), &name)?
        }
    };
    Ok(result.with_dims(dims))
}
