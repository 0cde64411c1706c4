//! ReLU, and bounds from below and above, which are ReLUs of something.

use crate::nn::graph::Op;
use crate::nn::onnx::import::{Context, Value};
use crate::nn::onnx::network::Network;
use crate::nn::onnx::view::View;
use crate::protocol::Function;

/// Bounds as large as this are none: exporters write the largest float.
const UNBOUNDED: f64 = 1e30;

pub(super) fn relu(context: &mut Context<'_, '_>) -> Result<View, String> {
    let (name, view) = (context.name(), context.view(0)?);
    let plain = context.network.plain(&view, &name)?;
    context.network.activate(&plain, Function::Relu, &name)
}

pub(super) fn clip(context: &mut Context<'_, '_>) -> Result<View, String> {
    let (name, view) = (context.name(), context.view(0)?);
    let bound = |attribute: &str, index: usize, default: f64| {
        if context.node.has(attribute) {
            return Ok(context.node.float(attribute, default));
        }
        match context.optional_constant(index, attribute)? {
            None => Ok(default),
            Some(value) => value.uniform().ok_or_else(|| format!("{attribute} (input {index}) is not one number")),
        }
    };
    let (low, high) = (bound("min", 1, f64::NEG_INFINITY)?, bound("max", 2, f64::INFINITY)?);
    clipped(context.network, &view, (low, high), &name)
}

/// `Max` and `Min` with a number.
pub(super) fn bound(context: &mut Context<'_, '_>) -> Result<View, String> {
    let name = context.name();
    let (view, constant) = match (context.input(0)?.clone(), context.input(1)?.clone()) {
        (Value::View(view), Value::Constant(constant)) | (Value::Constant(constant), Value::View(view)) => {
            (view, constant)
        }
        _ => return Err("compares two tensors that depend on the image; expected one number".to_string()),
    };
    if context.inputs.len() > 2 {
        return Err(format!("has {} operands, expected 2", context.inputs.len()));
    }
    let number = constant.uniform().ok_or("compares with different constants, expected one number")?;
    match context.node.operator {
        "Max" => clipped(context.network, &view, (number, f64::INFINITY), &name),
        _ => clipped(context.network, &view, (f64::NEG_INFINITY, number), &name),
    }
}

/// `min(max(x, low), high)`.
fn clipped(network: &mut Network, view: &View, (low, high): (f64, f64), name: &str) -> Result<View, String> {
    let (bounded_below, bounded_above) = (low > -UNBOUNDED, high < UNBOUNDED);
    if low.is_nan() || high.is_nan() || low >= high {
        return Err(format!("clips to [{low}, {high}], expected a lower bound below the upper one"));
    }
    match (bounded_below, bounded_above) {
        (false, false) => Ok(view.clone()),
        (true, false) => through(network, view, [-low, 1.0], Function::Relu, [low, 1.0], name),
        (false, true) => match beneath_relu(network, view) {
            // min(relu(x), high)
            Some(input) if high > 0.0 => clipped(network, &input, (0.0, high), name),
            _ => through(network, view, [high, -1.0], Function::Relu, [high, -1.0], name),
        },
        (true, true) => {
            let unit = (high - low) / 6.0;
            through(network, view, [-low / unit, 1.0 / unit], Function::Relu6, [low, unit], name)
        }
    }
}

/// The operand of the ReLU whose result a view is.
fn beneath_relu(network: &Network, view: &View) -> Option<View> {
    let node = network.node(view.base);
    let is_relu = matches!(&node.op, Op::Activation { function: Function::Relu, .. });
    (is_relu && view.is_plain() && !view.has_holes()).then(|| View { base: node.inputs[0], ..view.clone() })
}

/// `after(function(before(x)))`, both affine, constant first.
fn through(
    network: &mut Network,
    view: &View,
    before: [f64; 2],
    function: Function,
    after: [f64; 2],
    name: &str,
) -> Result<View, String> {
    let view = if view.degree() > 1 { network.plain(view, name)? } else { view.clone() };
    let plain = network.plain(&view.then(before), name)?;
    let result = network.activate(&plain, function, name)?;
    Ok(result.then(after))
}
