//! Pools: average and maximum, over windows or the whole image.

use std::sync::Arc;

use super::windows::Geometry;
use crate::nn::graph::{Op, TensorShape, Windows};
use crate::nn::onnx::constant::elements;
use crate::nn::onnx::import::Context;
use crate::nn::onnx::index::Rearrangement;
use crate::nn::onnx::network::{Network, image_shape};
use crate::nn::onnx::proto::Node;
use crate::nn::onnx::realise::no_image;
use crate::nn::onnx::view::View;

fn geometry(node: &Node<'_>, dims: &[usize]) -> Result<(TensorShape, Geometry), String> {
    let shape = image_shape(dims).filter(|_| dims.len() == 4).ok_or_else(|| no_image(dims))?;
    let whole = [shape.h, shape.w];
    let kernel = if node.operator.starts_with("Global") { whole } else { node.pair("kernel_shape", 0)? };
    let geometry = Geometry::of(node, whole, kernel)?;
    elements(&[shape.c, geometry.output[0], geometry.output[1]])?;
    elements(&[geometry.output[0] * geometry.kernel[0], geometry.output[1] * geometry.kernel[1]])?;
    Ok((shape, geometry))
}

pub(super) fn average(context: &mut Context<'_, '_>) -> Result<View, String> {
    let (name, view) = (context.name(), context.view(0)?);
    let (shape, geometry) = geometry(context.node, &view.dims)?;
    let include = context.node.flag("count_include_pad", false);
    let op = average_op(&geometry, include);
    averaged(context.network, &view, shape, op, &name)
}

/// The average as the network has it.
fn average_op(geometry: &Geometry, include: bool) -> Op {
    let Geometry { input, kernel, stride, padding, output, declared, .. } = *geometry;
    if output == [1, 1] && kernel == input && padding == [0; 4] {
        return Op::GlobalAvgPool;
    }
    if geometry.is_simple() && padding == declared && (include || padding == [0; 4]) {
        return Op::AvgPool { kernel: kernel[0], stride: stride[0], padding: padding[0] };
    }
    // Beyond the declared padding, where windows in ceil_mode reach, pixels never count.
    let counts = |axis: usize, window: usize| {
        let limit = input[axis] + padding[axis] + declared[axis + 2];
        let inside = |tap: &usize| match include {
            true => window * stride[axis] + tap * geometry.dilation[axis] < limit,
            false => geometry.position(axis, window, *tap).is_some(),
        };
        (0..kernel[axis]).filter(inside).count()
    };
    let mut windows = Windows { h: output[0], w: output[1], pixels: Vec::new(), divisors: Vec::new() };
    for (y, x) in (0..output[0]).flat_map(|y| (0..output[1]).map(move |x| (y, x))) {
        let rows = (0..kernel[0]).filter_map(|tap| geometry.position(0, y, tap));
        let columns = |row: usize| {
            let columns = (0..kernel[1]).filter_map(|tap| geometry.position(1, x, tap));
            columns.map(move |column| (row * input[1] + column) as u32)
        };
        windows.pixels.push(rows.flat_map(columns).collect());
        windows.divisors.push((counts(0, y) * counts(1, x)).max(1) as u32);
    }
    Op::AvgWindows(Arc::new(windows))
}

/// An average of a view; of a function of degree 1, the function of the average.
pub(super) fn averaged(
    network: &mut Network,
    view: &View,
    shape: TensorShape,
    op: Op,
    name: &str,
) -> Result<View, String> {
    let split = network.split(view, false, name)?;
    let node = network.push(name, op.clone(), &[split.base])?;
    let TensorShape { h, w, c } = network.shape(node);
    let result = View::of(node, vec![1, c, h, w]);
    let Some((scale, shift)) = split.affine else { return Ok(result) };
    let pixels = shape.h * shape.w;
    let image: Vec<f64> = (0..pixels * c).map(|i| shift[i % c * pixels + i / c]).collect();
    let mean = crate::nn::plain::map(&op, &image, shape)?;
    Ok(result.affine(|i| scale[i / (h * w)], |i| mean[i % (h * w) * c + i / (h * w)]))
}

pub(super) fn max(context: &mut Context<'_, '_>) -> Result<View, String> {
    let (name, view) = (context.name(), context.view(0)?);
    if context.node.outputs.iter().skip(1).any(|output| !output.is_empty()) {
        return Err("has a second output, the positions of the maxima; expected only the maxima".to_string());
    }
    let (shape, geometry) = geometry(context.node, &view.dims)?;
    maximum(context.network, &view, shape, &geometry, &name)
}

/// Maxima of a view; an increasing function of degree 1 is applied afterwards.
pub(super) fn maximum(
    network: &mut Network,
    view: &View,
    shape: TensorShape,
    geometry: &Geometry,
    name: &str,
) -> Result<View, String> {
    let view = match increasing(view, shape) {
        true => view.clone(),
        false => network.plain(view, name)?,
    };
    let bare = view.without_content();
    let [h, w] = geometry.output;
    let dims = vec![1, shape.c, h, w];
    let result = if geometry.is_simple() && geometry.kernel[0] > 1 {
        let input = network.as_shape(&bare, shape, name)?;
        let op = Op::MaxPool { kernel: geometry.kernel[0], stride: geometry.stride[0], padding: geometry.padding[0] };
        View::of(network.push(name, op, &[input])?, dims)
    } else {
        let side = geometry.kernel[0].max(geometry.kernel[1]);
        let gathered = bare.rearranged(&gathered(&view.dims, geometry, side)?);
        match side {
            1 => gathered.with_dims(dims),
            _ => {
                let input = network.materialised(&gathered, name)?;
                let op = Op::MaxPool { kernel: side, stride: side, padding: 0 };
                View::of(network.push(name, op, &[input])?, dims)
            }
        }
    };
    if view.content.inner.is_none() {
        return Ok(result.with_content(view.content));
    }
    let (scale, shift) = view.scale_and_shift();
    let first = |i: usize| i / (h * w) * shape.h * shape.w;
    Ok(result.affine(|i| scale[first(i)], |i| shift[first(i)]))
}

/// Whether a view is one increasing function of degree 1 per channel.
fn increasing(view: &View, shape: TensorShape) -> bool {
    let polynomial = &view.content.polynomial;
    if polynomial.len() > 2 || view.content.inner.is_none() {
        return polynomial.len() == 2 && polynomial[1] > 0.0;
    }
    let (scale, shift) = view.scale_and_shift();
    let pixels = shape.h * shape.w;
    let uniform = |values: &[f64]| values.iter().all(|&value| value == values[0]);
    scale.chunks_exact(pixels).all(|channel| channel[0] > 0.0 && uniform(channel))
        && shift.chunks_exact(pixels).all(uniform)
        && !view.has_holes()
}

/// Every window written out as a square of this side, one beside the other: what is in the padding, or beyond a window
/// that is no square, is a pixel that the window has anyway, so that maxima stay the same.
fn gathered(dims: &[usize], geometry: &Geometry, side: usize) -> Result<Rearrangement, String> {
    let along = |axis: usize| -> Result<Vec<Option<usize>>, String> {
        let mut positions = Vec::new();
        for window in 0..geometry.output[axis] {
            let taps: Vec<usize> =
                (0..geometry.kernel[axis]).filter_map(|tap| geometry.position(axis, window, tap)).collect();
            let last = *taps.last().ok_or("has a window that lies in the padding")?;
            positions.extend((0..side).map(|tap| Some(taps.get(tap).copied().unwrap_or(last))));
        }
        Ok(positions)
    };
    let all = (0..dims[1]).map(Some).collect();
    Rearrangement::along_axes(dims, &[vec![Some(0)], all, along(0)?, along(1)?])
}
