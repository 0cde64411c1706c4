//! Operators on known tensors, and those that make them.

use super::reduce::{axes, reduced_dims};
use super::{Outputs, SUPPORTED};
use crate::nn::onnx::constant::{Constant, Data, elements};
use crate::nn::onnx::fold;
use crate::nn::onnx::import::{Context, Value};
use crate::nn::onnx::index::Rearrangement;

/// Operators whose operands are all known, and those that make known tensors; `None` for any other.
pub(super) fn known(context: &Context<'_, '_>) -> Option<Outputs> {
    let one = |constant: Result<Constant, String>| Some(constant.map(|constant| vec![Value::Constant(constant)]));
    match context.node.operator {
        "Constant" => return one(constant(context)),
        "ConstantOfShape" => return one(constant_of_shape(context)),
        "Shape" => return one(shape_of(context)),
        "Size" => {
            return one(context
                .input(0)
                .map(|value| Constant::ints(vec![], vec![value.dims().iter().product::<usize>() as i64])));
        }
        _ => {}
    }
    let constants: Option<Vec<&Constant>> = (context.inputs.iter().flatten())
        .map(|value| match value {
            Value::Constant(constant) => Some(constant),
            Value::View(_) => None,
        })
        .collect();
    match (&constants?[..], context.node.operator) {
        ([a], operator) if let Some(result) = fold::unary(operator, a) => one(Ok(result)),
        ([a, b], operator) if let Some(result) = fold::binary(operator, a, b) => one(result),
        ([condition, a, b], "Where") => one(fold::choose(condition, a, b)),
        ([start, limit, step], "Range") => one(range(start, limit, step)),
        ([a, ..], operator @ ("ReduceProd" | "ReduceSum" | "ReduceL2" | "ReduceMean" | "ReduceMax" | "ReduceMin")) => {
            one(reduced(context, operator, a))
        }
        ([], operator) if !SUPPORTED.contains(&operator) => Some(Err("makes values from nothing".to_string())),
        _ => None,
    }
}

fn constant(context: &Context<'_, '_>) -> Result<Constant, String> {
    let node = context.node;
    if let Some(tensor) = node.tensor("value") {
        return Constant::read(tensor, context.beside).map_err(|problem| format!("attribute value {problem}"));
    }
    match node.attributes.first().map(|attribute| attribute.name) {
        Some("value_float") => Ok(Constant::floats(vec![], vec![node.float("value_float", 0.0) as f32])),
        Some("value_int") => Ok(Constant::ints(vec![], vec![node.int("value_int", 0)])),
        Some("value_ints") => {
            let ints = node.ints("value_ints").unwrap_or_default().to_vec();
            Ok(Constant::ints(vec![ints.len()], ints))
        }
        Some("value_floats") => {
            let floats = node.attribute_floats("value_floats").unwrap_or_default().to_vec();
            Ok(Constant::floats(vec![floats.len()], floats))
        }
        other => Err(format!("has its value in {other:?}, expected value, value_float(s) or value_int(s)")),
    }
}

fn constant_of_shape(context: &Context<'_, '_>) -> Result<Constant, String> {
    let dims = sizes(&context.constant(0, "the shape")?)?;
    let count = elements(&dims)?;
    let value = match context.node.tensor("value") {
        None => Constant::floats(vec![1], vec![0.0]),
        Some(tensor) => {
            Constant::read(tensor, context.beside).map_err(|problem| format!("attribute value {problem}"))?
        }
    };
    if value.len() != 1 {
        return Err(format!("attribute value has {} elements, expected 1", value.len()));
    }
    let by = Rearrangement { dims, index: vec![0; count] };
    Ok(by.of_constant(&value, 0.0))
}

pub(super) fn sizes(constant: &Constant) -> Result<Vec<usize>, String> {
    let ints = constant.as_ints().ok_or("has a shape that is no list of integers")?;
    ints.iter().map(|&dim| usize::try_from(dim).map_err(|_| format!("has the shape {ints:?}"))).collect()
}

fn shape_of(context: &Context<'_, '_>) -> Result<Constant, String> {
    let dims: Vec<i64> = context.input(0)?.dims().iter().map(|&dim| dim as i64).collect();
    let rank = dims.len() as i64;
    let bound = |name: &str, default: i64| {
        let at = context.node.int(name, default);
        (if at < 0 { at + rank } else { at }).clamp(0, rank) as usize
    };
    let (start, end) = (bound("start", 0), bound("end", rank));
    let part = dims[start..end.max(start)].to_vec();
    Ok(Constant::ints(vec![part.len()], part))
}

fn range(start: &Constant, limit: &Constant, step: &Constant) -> Result<Constant, String> {
    let (Some(from), Some(to), Some(by)) = (start.uniform(), limit.uniform(), step.uniform()) else {
        return Err("expected three numbers".to_string());
    };
    let count = ((to - from) / by).ceil().max(0.0);
    if count.is_nan() || count >= f64::from(1 << 20) {
        return Err(format!("counts from {from} to {to} by {by}"));
    }
    let values = (0..count as usize).map(|i| from + by * i as f64);
    Ok(match start.data {
        Data::Int(_) => Constant::ints(vec![count as usize], values.map(|v| v as i64).collect()),
        Data::Float(_) => Constant::floats(vec![count as usize], values.map(|v| v as f32).collect()),
    })
}

fn reduced(context: &Context<'_, '_>, operator: &str, constant: &Constant) -> Result<Constant, String> {
    let axes = axes(context, constant.dims.len())?;
    let f: fn(f64, f64) -> f64 = match operator {
        "ReduceProd" => |x, y| x * y,
        "ReduceMax" => f64::max,
        "ReduceMin" => f64::min,
        _ => |x, y| x + y,
    };
    let square = |x: f64| x * x;
    let result = match operator {
        "ReduceL2" => fold::reduce(&fold::each(constant, square), &axes, false, f)
            .map(|squares| fold::each(&squares, f64::sqrt))?,
        _ => fold::reduce(constant, &axes, operator == "ReduceMean", f)?,
    };
    Ok(result.with_dims(reduced_dims(&constant.dims, &axes, context.node.flag("keepdims", true))))
}
