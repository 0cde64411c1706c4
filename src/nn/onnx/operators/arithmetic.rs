//! Sums, products and powers: polynomials of one tensor, affine functions, residual additions.

use crate::nn::graph::Op;
use crate::nn::onnx::constant::Constant;
use crate::nn::onnx::fold::expanded;
use crate::nn::onnx::import::{Context, Value};
use crate::nn::onnx::index::{Rearrangement, common_dims};
use crate::nn::onnx::network::Network;
use crate::nn::onnx::view::{View, product, sum};
use crate::protocol::Polynomial;

/// `Add`, `Sub`, `Mul`, `Div`, and `Sum` and `Mean` of any number.
pub(super) fn combine(context: &mut Context<'_, '_>) -> Result<Value, String> {
    let (operator, name) = (context.node.operator, context.name());
    let any_number = matches!(operator, "Sum" | "Mean");
    if !any_number && context.inputs.len() != 2 {
        return Err(format!("has {} inputs, expected 2", context.inputs.len()));
    }
    let operator = if any_number { "Add" } else { operator };
    let mut result = context.input(0)?.clone();
    for index in 1..context.inputs.len() {
        let next = context.input(index)?.clone();
        result = two(context.network, operator, &result, &next, &name)?;
    }
    if context.node.operator == "Mean" {
        let count = Constant::floats(vec![], vec![context.inputs.len() as f32]);
        result = two(context.network, "Div", &result, &Value::Constant(count), &name)?;
    }
    Ok(result)
}

fn two(network: &mut Network, operator: &str, a: &Value, b: &Value, name: &str) -> Result<Value, String> {
    let dims = common_dims(a.dims(), b.dims())?;
    let view = match (a, b) {
        (Value::Constant(a), Value::Constant(b)) => {
            let known = crate::nn::onnx::fold::binary(operator, a, b).ok_or("is unknown")?;
            return known.map(Value::Constant);
        }
        (Value::View(a), Value::View(b)) => {
            let (a, b) = (broadcast(network, a, &dims, name)?, broadcast(network, b, &dims, name)?);
            match operator {
                "Add" => add(network, &a, &b, name)?,
                "Sub" => {
                    let minus = by_constant(network, "Mul", &b, &Constant::floats(vec![], vec![-1.0]), name)?;
                    add(network, &a, &minus, name)?
                }
                "Mul" => multiply(network, &a, &b, name)?,
                _ => return Err("divides by a value that depends on the image, which no protocol computes".to_string()),
            }
        }
        (Value::View(a), Value::Constant(b)) => {
            let a = broadcast(network, a, &dims, name)?;
            by_constant(network, operator, &a, b, name)?
        }
        (Value::Constant(a), Value::View(b)) => {
            let b = broadcast(network, b, &dims, name)?;
            match operator {
                "Add" | "Mul" => by_constant(network, operator, &b, a, name)?,
                "Sub" => {
                    let minus = by_constant(network, "Mul", &b, &Constant::floats(vec![], vec![-1.0]), name)?;
                    by_constant(network, "Add", &minus, a, name)?
                }
                _ => return Err("divides by a value that depends on the image, which no protocol computes".to_string()),
            }
        }
    };
    Ok(Value::View(view))
}

fn broadcast(network: &mut Network, view: &View, dims: &[usize], name: &str) -> Result<View, String> {
    if view.len() == dims.iter().product::<usize>() {
        return Ok(view.with_dims(dims.to_vec()));
    }
    match Rearrangement::broadcast(&view.dims, dims)? {
        None => Ok(view.clone()),
        Some(by) => Ok(network.plain(view, name)?.rearranged(&by)),
    }
}

/// The view plus, minus, times or divided by a constant.
pub(super) fn by_constant(
    network: &mut Network,
    operator: &str,
    view: &View,
    constant: &Constant,
    name: &str,
) -> Result<View, String> {
    if let Some(index) = constant.numbers().position(|value| !value.is_finite()) {
        return Err(format!("has the constant {} at index {index}, expected a finite number", constant.number(index)));
    }
    if operator == "Div" && constant.numbers().any(|value| value == 0.0) {
        return Err("divides by a constant that is zero".to_string());
    }
    let parts = |value: f64| match operator {
        "Add" => (1.0, value),
        "Sub" => (1.0, -value),
        "Mul" => (value, 0.0),
        _ => (1.0 / value, 0.0),
    };
    if let Some(value) = constant.uniform() {
        let (scale, shift) = parts(value);
        return Ok(view.then([shift, scale]));
    }
    let constant = expanded(constant, &view.dims)?;
    affine(network, view, |i| parts(constant.number(i)).0, |i| parts(constant.number(i)).1, name)
}

/// `scale(i) x + shift(i)`; of a linear layer's result it is made part of the layer.
fn affine(
    network: &mut Network,
    view: &View,
    scale: impl Fn(usize) -> f64,
    shift: impl Fn(usize) -> f64,
    name: &str,
) -> Result<View, String> {
    let view = if view.degree() > 1 { network.plain(view, name)? } else { view.clone() };
    let changed = view.affine(scale, shift);
    if network.folds(view.base)
        && let Ok(folded) = network.plain(&changed, name)
    {
        return Ok(folded);
    }
    Ok(changed)
}

fn add(network: &mut Network, a: &View, b: &View, name: &str) -> Result<View, String> {
    if a.same_argument(b) {
        return Ok(a.with_polynomial(sum(&a.content.polynomial, &b.content.polynomial)));
    }
    let (a, b) = (network.plain(a, name)?, network.plain(b, name)?);
    if a.map == b.map && network.shape(a.base) == network.shape(b.base) {
        let node = network.push(name, Op::Add, &[a.base, b.base])?;
        return Ok(View { base: node, ..a });
    }
    let (left, right) = (network.materialised(&a, name)?, network.materialised(&b, name)?);
    let node = network.push(name, Op::Add, &[left, right])?;
    Ok(View::of(node, a.dims))
}

fn multiply(network: &mut Network, a: &View, b: &View, name: &str) -> Result<View, String> {
    if a.same_argument(b) {
        return Ok(a.with_polynomial(product(&a.content.polynomial, &b.content.polynomial)?));
    }
    // Two ways to write the same argument may come out as one node.
    let (a, b) = (network.plain(a, name)?, network.plain(b, name)?);
    if !a.same_argument(&b) {
        return Err(
            "multiplies two different tensors that depend on the image; an activation is a polynomial of one tensor with the \
             same coefficients for all channels (no gates, attention or squeeze-and-excitation)"
                .to_string(),
        );
    }
    Ok(a.with_polynomial(vec![0.0, 0.0, 1.0]))
}

/// `Pow` with a known exponent.
pub(super) fn pow(context: &mut Context<'_, '_>) -> Result<View, String> {
    let view = context.view(0)?;
    let exponent = context.constant(1, "the exponent")?;
    let known = exponent.uniform().filter(|&e| (0.0..=Polynomial::MAX_DEGREE as f64).contains(&e) && e.fract() == 0.0);
    let Some(exponent) = known else {
        let shown: Vec<f64> = exponent.numbers().take(4).collect();
        return Err(format!(
            "has the exponent {shown:?}, expected one whole number from 0 to {}",
            Polynomial::MAX_DEGREE
        ));
    };
    if exponent == 0.0 {
        return Ok(view.with_polynomial(vec![1.0, 0.0]));
    }
    let base = &view.content.polynomial;
    let mut power = base.clone();
    for _ in 1..exponent as usize {
        power = product(&power, base)?;
    }
    Ok(view.with_polynomial(power))
}

pub(super) fn neg(context: &mut Context<'_, '_>) -> Result<View, String> {
    let (name, view) = (context.name(), context.view(0)?);
    by_constant(context.network, "Mul", &view, &Constant::floats(vec![], vec![-1.0]), &name)
}

pub(super) fn batch_norm(context: &mut Context<'_, '_>) -> Result<View, String> {
    let (name, view) = (context.name(), context.view(0)?);
    // Before opset 14 only the further outputs say so.
    let statistics = context.node.outputs.iter().skip(1).any(|output| !output.is_empty());
    if statistics || context.node.flag("training_mode", false) {
        return Err("it is in training mode: it normalises by the batch; export the network in eval mode".to_string());
    }
    let Some(&channels) = view.dims.get(1) else {
        return Err(format!("works on a tensor of shape {:?}, expected one with channels", view.dims));
    };
    let read = |index: usize, what: &str| {
        let values = context.constant(index, what)?;
        match values.len() {
            actual if actual == channels => Ok(values),
            actual => Err(format!("{what} holds {actual} values, expected {channels}, one per channel")),
        }
    };
    let (gamma, beta) = (read(1, "the scale")?, read(2, "the bias")?);
    let (mean, variance) = (read(3, "the mean")?, read(4, "the variance")?);
    let epsilon = context.node.float("epsilon", 1e-5);
    if let Some(channel) = variance.numbers().position(|v| v + epsilon <= 0.0 || v.is_nan()) {
        return Err(format!("the variance is {} at channel {channel}, expected >= 0", variance.number(channel)));
    }
    let scale: Vec<f64> = (0..channels).map(|c| gamma.number(c) / (variance.number(c) + epsilon).sqrt()).collect();
    let shift: Vec<f64> = (0..channels).map(|c| beta.number(c) - mean.number(c) * scale[c]).collect();
    let pixels: usize = view.dims[2..].iter().product();
    affine(context.network, &view, |i| scale[i / pixels], |i| shift[i / pixels], &name)
}
