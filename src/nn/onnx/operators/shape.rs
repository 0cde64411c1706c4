//! Operators that move elements or only rename their places.

use super::Outputs;
use super::known::sizes;
use super::reduce::reduced_dims;
use crate::nn::graph::Op;
use crate::nn::onnx::constant::{Data, elements};
use crate::nn::onnx::fold;
use crate::nn::onnx::import::{Context, Value};
use crate::nn::onnx::index::{HOLE, Rearrangement, axis};
use crate::nn::onnx::view::{Map, View};

/// `Reshape` and all others that leave the elements in their order.
pub(super) fn reshape(context: &mut Context<'_, '_>) -> Result<Value, String> {
    let value = context.input(0)?.clone();
    let dims = value.dims().to_vec();
    let count: usize = dims.iter().product();
    let new = match context.node.operator {
        "Reshape" => reshaped(context, &dims, count)?,
        "Flatten" => {
            let at = context.node.int("axis", 1);
            let at = if at == dims.len() as i64 { dims.len() } else { axis(at, dims.len())? };
            vec![dims[..at].iter().product(), dims[at..].iter().product()]
        }
        "Squeeze" => {
            let axes = match context.ints("axes", 1)? {
                Some(named) => named.iter().map(|&at| axis(at, dims.len())).collect::<Result<Vec<_>, _>>()?,
                None => (0..dims.len()).filter(|&at| dims[at] == 1).collect(),
            };
            if let Some(&at) = axes.iter().find(|&&at| dims[at] != 1) {
                return Err(format!("removes axis {at} of shape {dims:?}, expected one of size 1"));
            }
            reduced_dims(&dims, &axes, false)
        }
        "Unsqueeze" => {
            let named = context.ints("axes", 1)?.ok_or("has no axes")?;
            let rank = dims.len() + named.len();
            let axes = named.iter().map(|&at| axis(at, rank)).collect::<Result<Vec<_>, _>>()?;
            let mut old = dims.iter().copied();
            (0..rank).map(|at| if axes.contains(&at) { 1 } else { old.next().unwrap_or(1) }).collect()
        }
        "Dropout"
            if context
                .optional(2)
                .is_some_and(|mode| matches!(mode, Value::Constant(c) if c.uniform() != Some(0.0))) =>
        {
            return Err("runs in training mode; export the network in eval mode".to_string());
        }
        "Cast" => match value {
            Value::Constant(constant) => return Ok(Value::Constant(fold::cast(&constant, context.node.int("to", 1)))),
            Value::View(_) if !matches!(context.node.int("to", 1), 1 | 10 | 11 | 16) => {
                return Err("rounds values that depend on the image to integers".to_string());
            }
            Value::View(_) => dims.clone(),
        },
        _ => dims.clone(),
    };
    if new.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim)) != Some(count) {
        return Err(format!("reshapes {dims:?} to {new:?}"));
    }
    Ok(match value {
        Value::Constant(constant) => Value::Constant(constant.with_dims(new)),
        Value::View(view) => Value::View(view.with_dims(new)),
    })
}

fn reshaped(context: &Context<'_, '_>, dims: &[usize], count: usize) -> Result<Vec<usize>, String> {
    let asked = context.ints("shape", 1)?.ok_or("has no shape")?;
    let keeps_zeros = context.node.flag("allowzero", false);
    let fill = |asked: &[i64]| -> Option<Vec<usize>> {
        let mut new = Vec::with_capacity(asked.len());
        let mut open = None;
        for (at, &dim) in asked.iter().enumerate() {
            match dim {
                -1 if open.is_none() => {
                    open = Some(at);
                    new.push(1);
                }
                0 if !keeps_zeros => new.push(*dims.get(at)?),
                dim => new.push(usize::try_from(dim).ok()?),
            }
        }
        let product = new.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim))?;
        if let Some(at) = open.filter(|_| product > 0) {
            new[at] = count / product;
        }
        (new.iter().try_fold(1usize, |product, &dim| product.checked_mul(dim)) == Some(count)).then_some(new)
    };
    // A fixed batch of more than one image, written into the shape.
    let of_one = || {
        let mut asked = asked.clone();
        let first = asked.first_mut().filter(|first| context.batch > 1 && **first == context.batch as i64)?;
        *first = 1;
        fill(&asked)
    };
    // The one image's own batch of one stands in place of it, before anything else could fill it.
    let of_image = matches!(context.input(0)?, Value::View(_)) && dims.first() == Some(&1);
    let new = if of_image { of_one().or_else(|| fill(&asked)) } else { fill(&asked).or_else(of_one) };
    new.ok_or_else(|| format!("reshapes {dims:?} to {asked:?}"))
}

/// Operators that move elements of one operand.
pub(super) fn rearrange(context: &mut Context<'_, '_>) -> Outputs {
    let name = context.name();
    let value = context.input(0)?.clone();
    let dims = value.dims().to_vec();
    let parts = match context.node.operator {
        "Transpose" => vec![transposed(context, &dims)?],
        "Slice" => vec![sliced(context, &dims)?],
        "Split" => split(context, &dims)?,
        "Gather" => vec![gathered(context, &dims)?],
        "Expand" => {
            let asked = sizes(&context.constant(1, "the shape")?)?;
            let to = crate::nn::onnx::index::common_dims(&dims, &asked)?;
            match Rearrangement::broadcast(&dims, &to)? {
                None => return Ok(vec![value]),
                Some(by) => vec![by],
            }
        }
        "Tile" => {
            let times = sizes(&context.constant(1, "the repeats")?)?;
            if times.len() != dims.len() || times.iter().any(|&times| times > 1 << 16) {
                return Err(format!("repeats {times:?} times a tensor of shape {dims:?}"));
            }
            let tiled: Option<Vec<usize>> =
                dims.iter().zip(&times).map(|(dim, times)| dim.checked_mul(*times)).collect();
            elements(&tiled.ok_or_else(|| format!("repeats {times:?} times a tensor of shape {dims:?}"))?)?;
            let positions = |(&dim, &times): (&usize, &usize)| (0..dim * times).map(|at| Some(at % dim)).collect();
            vec![Rearrangement::along_axes(&dims, &dims.iter().zip(&times).map(positions).collect::<Vec<_>>())?]
        }
        operator => vec![blocks(context, operator, &dims)?],
    };
    // Only a slice of one element, as shapes are taken apart, has fewer dimensions.
    let squeezed = context.node.operator == "Gather" && context.input(1)?.dims().is_empty();
    let at = if squeezed { Some(axis(context.node.int("axis", 0), dims.len())?) } else { None };
    let view = match &value {
        Value::View(view) if view.degree() > 1 => Some(context.network.plain(view, &name)?),
        Value::View(view) => Some(view.clone()),
        Value::Constant(_) => None,
    };
    let apply = |mut by: Rearrangement| {
        if let Some(at) = at {
            by.dims.remove(at);
        }
        match (&value, &view) {
            (Value::Constant(constant), _) => Value::Constant(by.of_constant(constant, 0.0)),
            (_, Some(view)) => Value::View(view.rearranged(&by)),
            _ => unreachable!("a view has one"),
        }
    };
    Ok(parts.into_iter().map(apply).collect())
}

fn transposed(context: &Context<'_, '_>, dims: &[usize]) -> Result<Rearrangement, String> {
    let rank = dims.len();
    let reversed = || (0..rank).rev().map(|at| at as i64).collect();
    let order = context.node.ints("perm").map_or_else(reversed, <[i64]>::to_vec);
    let order: Vec<usize> = order.iter().map(|&at| axis(at, rank)).collect::<Result<_, _>>()?;
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..rank) {
        return Err(format!("attribute perm = {order:?} for a tensor of shape {dims:?}"));
    }
    Ok(Rearrangement::transpose(dims, &order))
}

fn sliced(context: &Context<'_, '_>, dims: &[usize]) -> Result<Rearrangement, String> {
    let starts = context.ints("starts", 1)?.ok_or("has no starts")?;
    let ends = context.ints("ends", 2)?.ok_or("has no ends")?;
    let named = context.ints("axes", 3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = context.ints("steps", 4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if ends.len() != starts.len() || named.len() != starts.len() || steps.len() != starts.len() {
        return Err(format!(
            "has {} starts, {} ends, {} axes and {} steps",
            starts.len(),
            ends.len(),
            named.len(),
            steps.len()
        ));
    }
    let mut positions: Vec<Vec<Option<usize>>> = dims.iter().map(|&dim| (0..dim).map(Some).collect()).collect();
    for i in 0..starts.len() {
        let at = axis(named[i], dims.len())?;
        let (dim, step) = (dims[at] as i64, steps[i]);
        if step == 0 {
            return Err("has a step of 0".to_string());
        }
        let counted = |bound: i64| if bound < 0 { bound.saturating_add(dim) } else { bound };
        let (mut from, to) = match step > 0 {
            true => (counted(starts[i]).clamp(0, dim), counted(ends[i]).clamp(0, dim)),
            false => (counted(starts[i]).clamp(-1, dim - 1), counted(ends[i]).clamp(-1, dim - 1)),
        };
        let mut taken = Vec::new();
        while (step > 0 && from < to) || (step < 0 && from > to) {
            taken.push(usize::try_from(from).ok());
            from = from.saturating_add(step);
        }
        positions[at] = taken;
    }
    Rearrangement::along_axes(dims, &positions)
}

fn split(context: &Context<'_, '_>, dims: &[usize]) -> Result<Vec<Rearrangement>, String> {
    let at = axis(context.node.int("axis", 0), dims.len())?;
    let outputs = context.node.outputs.len();
    let lengths: Vec<usize> = match context.ints("split", 1)? {
        Some(lengths) => lengths.iter().map(|&n| usize::try_from(n).unwrap_or(usize::MAX)).collect(),
        None => {
            let each = dims[at].div_ceil(outputs);
            (0..outputs).map(|i| each.min(dims[at].saturating_sub(i * each))).collect()
        }
    };
    if lengths.iter().try_fold(0usize, |sum, &n| sum.checked_add(n)) != Some(dims[at]) {
        return Err(format!("splits axis {at} of shape {dims:?} into {lengths:?}"));
    }
    let mut start = 0;
    let mut part = |length: &usize| {
        let positions = (start..start + length).map(Some).collect();
        start += length;
        Rearrangement::along(dims, at, positions)
    };
    lengths.iter().map(&mut part).collect()
}

fn gathered(context: &Context<'_, '_>, dims: &[usize]) -> Result<Rearrangement, String> {
    let at = axis(context.node.int("axis", 0), dims.len())?;
    let indices = context.constant(1, "the indices")?;
    let values = indices.as_ints().ok_or("has indices that are no integers")?;
    let positions = values.iter().map(|&index| {
        let counted = if index < 0 { index.saturating_add(dims[at] as i64) } else { index };
        let found = usize::try_from(counted).ok().filter(|&index| index < dims[at]);
        found.map(Some).ok_or_else(|| format!("takes index {index} of axis {at} of shape {dims:?}"))
    });
    let mut by = Rearrangement::along(dims, at, positions.collect::<Result<_, _>>()?)?;
    if indices.dims.len() > 1 {
        by.dims = [&dims[..at], &indices.dims[..], &dims[at + 1..]].concat();
    }
    Ok(by)
}

/// `DepthToSpace` and `SpaceToDepth`.
fn blocks(context: &Context<'_, '_>, operator: &str, dims: &[usize]) -> Result<Rearrangement, String> {
    let side = usize::try_from(context.node.int("blocksize", 0)).ok().filter(|side| (1..=1 << 16).contains(side));
    let (Some(b), &[1, c, h, w]) = (side, dims) else {
        return Err(format!("has no blocksize or works on a tensor of shape {dims:?}"));
    };
    let column_first = context.node.text("mode").as_deref() == Some("CRD");
    if operator == "SpaceToDepth" && h % b == 0 && w % b == 0 {
        let mut by = Rearrangement::transpose(&[c, h / b, b, w / b, b], &[2, 4, 0, 1, 3]);
        by.dims = vec![1, c * b * b, h / b, w / b];
        return Ok(by);
    }
    if operator == "DepthToSpace" && c % (b * b) == 0 {
        let mut by = match column_first {
            true => Rearrangement::transpose(&[c / (b * b), b, b, h, w], &[0, 3, 1, 4, 2]),
            false => Rearrangement::transpose(&[b, b, c / (b * b), h, w], &[2, 3, 0, 4, 1]),
        };
        by.dims = vec![1, c / (b * b), h * b, w * b];
        return Ok(by);
    }
    Err(format!("attribute blocksize = {b} does not divide the shape {dims:?}"))
}

/// `Pad`, by zeros, another constant, or pixels of the image.
pub(super) fn pad(context: &mut Context<'_, '_>) -> Result<Value, String> {
    let name = context.name();
    let value = context.input(0)?.clone();
    let dims = value.dims().to_vec();
    let pads = context.ints("pads", 1)?.ok_or("has no pads")?;
    let named = match context.optional(3) {
        None => (0..dims.len()).collect(),
        Some(_) => {
            let named = context.ints("axes", 3)?.unwrap_or_default();
            named.iter().map(|&at| axis(at, dims.len())).collect::<Result<Vec<_>, _>>()?
        }
    };
    if pads.len() != 2 * named.len() {
        return Err(format!("has {} pads for {} axes", pads.len(), named.len()));
    }
    let mode = context.node.text("mode").unwrap_or_else(|| "constant".to_string());
    let mut positions: Vec<Vec<Option<usize>>> = dims.iter().map(|&dim| (0..dim).map(Some).collect()).collect();
    for (i, &at) in named.iter().enumerate() {
        positions[at] = padded(dims[at], pads[i], pads[i + named.len()], &mode)?;
    }
    let fill = match context.optional_constant(2, "the value")? {
        Some(fill) if fill.len() > 0 => fill.uniform().ok_or("has a value that is not one number")?,
        _ => context.node.float("value", 0.0),
    };
    let by = Rearrangement::along_axes(&dims, &positions)?;
    match value {
        Value::Constant(constant) => Ok(Value::Constant(by.of_constant(&constant, fill))),
        Value::View(view) => {
            let view = if view.degree() > 1 { context.network.plain(&view, &name)? } else { view };
            let result = view.rearranged(&by);
            if fill == 0.0 || !by.index.contains(&HOLE) {
                return Ok(Value::View(result));
            }
            Ok(Value::View(result.affine(|_| 1.0, |i| if by.index[i] == HOLE { fill } else { 0.0 })))
        }
    }
}

/// The positions along one axis with so many before and after; negative ones are cut off.
fn padded(dim: usize, before: i64, after: i64, mode: &str) -> Result<Vec<Option<usize>>, String> {
    const MOST: i64 = 1 << 16;
    let size = dim as i64;
    if !(-MOST..=MOST).contains(&before) || !(-MOST..=MOST).contains(&after) || size + before + after < 0 {
        return Err(format!("pads {dim} by {before} and {after}"));
    }
    let position = |at: i64| match mode {
        _ if (0..size).contains(&at) => Ok(Some(at as usize)),
        "constant" => Ok(None),
        "edge" if size > 0 => Ok(Some(at.clamp(0, size - 1) as usize)),
        "wrap" if size > 0 => Ok(Some(at.rem_euclid(size) as usize)),
        "reflect" if size > 1 => {
            let period = 2 * (size - 1);
            let folded = at.rem_euclid(period);
            Ok(Some(folded.min(period - folded) as usize))
        }
        _ => Err(format!("attribute mode = \"{mode}\" on {dim} elements; expected constant, reflect, edge or wrap")),
    };
    (-before..size + after).map(position).collect()
}

/// `Concat`: of parts of one tensor and zeros it is a rearrangement; tensors of the network are padded and added.
pub(super) fn concat(context: &mut Context<'_, '_>) -> Result<Value, String> {
    let name = context.name();
    let values: Vec<Value> = context.inputs.iter().flatten().cloned().collect();
    let first = values.first().ok_or("has no operands")?.dims().to_vec();
    let at = axis(context.node.int("axis", 0), first.len())?;
    let fits = |dims: &[usize]| {
        dims.len() == first.len() && dims.iter().zip(&first).enumerate().all(|(i, (a, b))| i == at || a == b)
    };
    if let Some(other) = values.iter().find(|value| !fits(value.dims())) {
        return Err(format!("joins shapes {first:?} and {:?} along axis {at}", other.dims()));
    }
    let total: usize = values.iter().map(|value| value.dims()[at]).sum();
    let mut whole = first.clone();
    whole[at] = total;
    // Every operand is spread over the whole before they are joined.
    elements(&[elements(&whole)?, values.len()])?;
    let mut start = 0;
    let mut joined: Option<Value> = None;
    for value in &values {
        let length = value.dims()[at];
        let inside = |i: usize| i.checked_sub(start).filter(|&i| i < length);
        let by = Rearrangement::along(value.dims(), at, (0..total).map(inside).collect())?;
        start += length;
        let part = match value {
            Value::Constant(constant) => Value::Constant(by.of_constant(constant, 0.0)),
            Value::View(view) => {
                let view = if view.degree() > 1 { context.network.plain(view, &name)? } else { view.clone() };
                Value::View(view.rearranged(&by))
            }
        };
        joined = Some(match joined {
            None => part,
            Some(joined) => merged(context, &joined, &part, &name)?,
        });
    }
    joined.ok_or_else(|| "has no operands".to_string())
}

/// The sum of two tensors neither of which is anything but zero where the other is.
fn merged(context: &mut Context<'_, '_>, a: &Value, b: &Value, name: &str) -> Result<Value, String> {
    match (a, b) {
        (Value::Constant(a), Value::Constant(b)) => {
            let ints = matches!((&a.data, &b.data), (Data::Int(_), Data::Int(_)));
            if !ints && (matches!(a.data, Data::Int(_)) || matches!(b.data, Data::Int(_))) && a.len() > 0 {
                let (a, b) = (fold::cast(a, 1), fold::cast(b, 1));
                return fold::binary("Add", &a, &b).ok_or("is unknown")?.map(Value::Constant);
            }
            fold::binary("Add", a, b).ok_or("is unknown")?.map(Value::Constant)
        }
        (Value::View(view), Value::Constant(constant)) | (Value::Constant(constant), Value::View(view)) => {
            let added = if constant.uniform() == Some(0.0) {
                view.clone()
            } else {
                view.affine(|_| 1.0, |i| constant.number(i))
            };
            Ok(Value::View(added))
        }
        (Value::View(a), Value::View(b)) => {
            if let Some(view) = overlaid(a, b) {
                return Ok(Value::View(view));
            }
            let (a, b) = (context.network.plain(a, name)?, context.network.plain(b, name)?);
            let (left, right) = (context.network.materialised(&a, name)?, context.network.materialised(&b, name)?);
            let node = context.network.push(name, Op::Add, &[left, right])?;
            Ok(Value::View(View::of(node, a.dims)))
        }
    }
}

/// Two plain views of one node, each where the other has holes.
fn overlaid(a: &View, b: &View) -> Option<View> {
    if a.base != b.base || !a.is_plain() || !b.is_plain() {
        return None;
    }
    let both = a.sources().zip(b.sources()).map(|pair| match pair {
        (x, HOLE) => Some(x),
        (HOLE, y) => Some(y),
        _ => None,
    });
    let index: Vec<u32> = both.collect::<Option<_>>()?;
    Some(View { map: Map::Picked(index.into()), ..a.clone() })
}
