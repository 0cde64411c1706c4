//! Arithmetic on known tensors: what exporters leave of shapes, paddings and weights to be computed.

use std::rc::Rc;

use super::constant::{Constant, Data};
use super::index::{Rearrangement, common_dims};

/// An operator on two known tensors, element by element, by name; `None` if it is not known here.
///
/// # Errors
/// If the shapes do not fit, or an integer is divided by zero.
pub(super) fn binary(operator: &str, a: &Constant, b: &Constant) -> Option<Result<Constant, String>> {
    let of_ints: Option<fn(i64, i64) -> Option<i64>> = match operator {
        "Add" => Some(i64::checked_add),
        "Sub" => Some(i64::checked_sub),
        "Mul" => Some(i64::checked_mul),
        "Div" => Some(i64::checked_div),
        // The sign is the divisor's.
        "Mod" => Some(|x, y| {
            let rest = x.checked_rem(y)?;
            Some(if rest != 0 && (rest < 0) != (y < 0) { rest + y } else { rest })
        }),
        "Pow" => Some(|x, y| x.checked_pow(u32::try_from(y).ok()?)),
        "Max" => Some(|x, y| Some(x.max(y))),
        "Min" => Some(|x, y| Some(x.min(y))),
        "And" => Some(|x, y| Some(i64::from(x != 0 && y != 0))),
        "Or" => Some(|x, y| Some(i64::from(x != 0 || y != 0))),
        _ => None,
    };
    let of_floats: Option<fn(f64, f64) -> f64> = match operator {
        "Add" => Some(|x, y| x + y),
        "Sub" => Some(|x, y| x - y),
        "Mul" => Some(|x, y| x * y),
        "Div" => Some(|x, y| x / y),
        "Pow" => Some(f64::powf),
        "Max" => Some(f64::max),
        "Min" => Some(f64::min),
        _ => None,
    };
    let compares: Option<fn(f64, f64) -> bool> = match operator {
        "Equal" => Some(|x, y| x == y),
        "Less" => Some(|x, y| x < y),
        "Greater" => Some(|x, y| x > y),
        "LessOrEqual" => Some(|x, y| x <= y),
        "GreaterOrEqual" => Some(|x, y| x >= y),
        _ => None,
    };
    if of_ints.is_none() && of_floats.is_none() && compares.is_none() {
        return None;
    }
    Some(broadcast(a, b).and_then(|(a, b)| {
        let dims = a.dims.clone();
        if let Some(compare) = compares {
            let values = a.numbers().zip(b.numbers()).map(|(x, y)| i64::from(compare(x, y))).collect();
            return Ok(Constant::ints(dims, values));
        }
        match (&a.data, &b.data, of_ints, of_floats) {
            (Data::Int(x), Data::Int(y), Some(f), _) => {
                let values: Option<Vec<i64>> = x.iter().zip(y.iter()).map(|(x, y)| f(*x, *y)).collect();
                values
                    .map(|values| Constant::ints(dims, values))
                    .ok_or_else(|| "overflows or divides by zero".to_string())
            }
            (_, _, _, Some(f)) => {
                let values = a.numbers().zip(b.numbers()).map(|(x, y)| f(x, y) as f32).collect();
                Ok(Constant::floats(dims, values))
            }
            _ => Err("expected integers".to_string()),
        }
    }))
}

fn broadcast(a: &Constant, b: &Constant) -> Result<(Constant, Constant), String> {
    let dims = common_dims(&a.dims, &b.dims)?;
    Ok((expanded(a, &dims)?, expanded(b, &dims)?))
}

/// The constant repeated to these dimensions.
///
/// # Errors
/// If they do not fit.
pub(super) fn expanded(constant: &Constant, dims: &[usize]) -> Result<Constant, String> {
    Ok(match Rearrangement::broadcast(&constant.dims, dims)? {
        None => constant.clone(),
        Some(by) => by.of_constant(constant, 0.0),
    })
}

/// An operator on one known tensor, element by element; `None` if it is not known here.
pub(super) fn unary(operator: &str, a: &Constant) -> Option<Constant> {
    if operator == "Not" {
        return Some(Constant::ints(a.dims.clone(), a.numbers().map(|x| i64::from(x == 0.0)).collect()));
    }
    if let (Data::Int(values), "Neg" | "Abs") = (&a.data, operator) {
        let f = if operator == "Neg" { i64::wrapping_neg } else { i64::wrapping_abs };
        return Some(Constant::ints(a.dims.clone(), values.iter().map(|&x| f(x)).collect()));
    }
    let f: fn(f64) -> f64 = match operator {
        "Neg" => |x| -x,
        "Abs" => f64::abs,
        "Sqrt" => f64::sqrt,
        "Reciprocal" => |x| 1.0 / x,
        "Exp" => f64::exp,
        "Log" => f64::ln,
        "Floor" => f64::floor,
        "Ceil" => f64::ceil,
        "Round" => f64::round_ties_even,
        "Relu" => |x| x.max(0.0),
        "Sigmoid" => |x| 1.0 / (1.0 + (-x).exp()),
        "Softplus" => |x| x.exp().ln_1p(),
        "Tanh" => f64::tanh,
        _ => return None,
    };
    Some(each(a, f))
}

/// A function of every element of a known tensor.
pub(super) fn each(a: &Constant, f: fn(f64) -> f64) -> Constant {
    Constant::floats(a.dims.clone(), a.numbers().map(|x| f(x) as f32).collect())
}

/// `condition ? a : b`.
///
/// # Errors
/// If the shapes do not fit.
pub(super) fn choose(condition: &Constant, a: &Constant, b: &Constant) -> Result<Constant, String> {
    let dims = common_dims(&common_dims(&condition.dims, &a.dims)?, &b.dims)?;
    let condition = expanded(condition, &dims)?;
    let (a, b) = (expanded(a, &dims)?, expanded(b, &dims)?);
    let chosen = |i: usize| if condition.number(i) != 0.0 { &a } else { &b };
    Ok(match (&a.data, &b.data) {
        (Data::Int(x), Data::Int(y)) => {
            let values = (0..a.len()).map(|i| if condition.number(i) != 0.0 { x[i] } else { y[i] });
            Constant::ints(dims, values.collect())
        }
        _ => Constant::floats(dims, (0..a.len()).map(|i| chosen(i).number(i) as f32).collect()),
    })
}

/// The constant as ONNX type `to`: floating point or integer; other types stay as they are.
pub(super) fn cast(constant: &Constant, to: i64) -> Constant {
    let dims = constant.dims.clone();
    match (&constant.data, to) {
        (Data::Int(values), 1 | 10 | 11 | 16) => Constant::floats(dims, values.iter().map(|&x| x as f32).collect()),
        (Data::Float(values), 9) => Constant::ints(dims, values.iter().map(|&x| i64::from(x != 0.0)).collect()),
        (Data::Int(values), 9) => Constant::ints(dims, values.iter().map(|&x| i64::from(x != 0)).collect()),
        (Data::Float(values), 2..=7 | 12 | 13) => Constant::ints(dims, values.iter().map(|&x| x as i64).collect()),
        _ => constant.clone(),
    }
}

/// The reduction of some axes of a known tensor, one at a time, each kept with size 1.
///
/// # Errors
/// If an axis is empty.
pub(super) fn reduce(
    constant: &Constant,
    axes: &[usize],
    mean: bool,
    f: fn(f64, f64) -> f64,
) -> Result<Constant, String> {
    let mut constant = constant.clone();
    for &axis in axes {
        let (outer, size, inner) = around(&constant.dims, axis);
        if size == 0 {
            return Err(format!("reduces axis {axis} of shape {:?}, which is empty", constant.dims));
        }
        let at = |o: usize, i: usize| (0..size).map(move |s| (o * size + s) * inner + i);
        let one = |o: usize, i: usize| {
            let reduced = at(o, i).map(|index| constant.number(index)).reduce(f).unwrap_or(0.0);
            if mean { reduced / size as f64 } else { reduced }
        };
        let values: Vec<f64> =
            (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i))).map(|(o, i)| one(o, i)).collect();
        let mut dims = constant.dims.clone();
        dims[axis] = 1;
        let data = match constant.data {
            Data::Int(_) => Data::Int(Rc::new(values.iter().map(|&v| v as i64).collect())),
            Data::Float(_) => Data::Float(Rc::new(values.iter().map(|&v| v as f32).collect())),
        };
        constant = Constant { dims, data };
    }
    Ok(constant)
}

/// Elements before an axis, along it and after it.
pub(super) fn around(dims: &[usize], axis: usize) -> (usize, usize, usize) {
    (dims[..axis].iter().product(), dims[axis], dims[axis + 1..].iter().product())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ints(values: &[i64]) -> Constant {
        Constant::ints(vec![values.len()], values.to_vec())
    }

    #[test]
    fn arithmetic_by_hand() {
        let sum = binary("Add", &ints(&[1, 2]), &ints(&[10])).unwrap().unwrap();
        assert_eq!(sum.as_ints().unwrap(), [11, 12]);
        assert!(binary("Div", &ints(&[1]), &ints(&[0])).unwrap().is_err());
        assert!(binary("Add", &ints(&[i64::MAX]), &ints(&[1])).unwrap().is_err());
        assert!(binary("Xor", &ints(&[1]), &ints(&[0])).is_none());
        let rest = |x, y| binary("Mod", &ints(&[x]), &ints(&[y])).unwrap().unwrap().as_ints().unwrap()[0];
        assert_eq!([rest(7, 3), rest(-7, 3), rest(7, -3), rest(-7, -3)], [1, 2, -2, -1]);
        let half = binary("Div", &ints(&[1]), &Constant::floats(vec![], vec![2.0])).unwrap().unwrap();
        assert_eq!(half.as_floats().unwrap()[..], [0.5]);
        let equal = binary("Equal", &ints(&[1, 2]), &ints(&[1])).unwrap().unwrap();
        assert_eq!(choose(&equal, &ints(&[7]), &ints(&[8])).unwrap().as_ints().unwrap(), [7, 8]);
        assert_eq!(unary("Sqrt", &ints(&[9])).unwrap().as_floats().unwrap()[..], [3.0]);
        let matrix = ints(&[1, 2, 3, 4, 5, 6]).with_dims(vec![2, 3]);
        let sums = reduce(&matrix, &[1], false, |x, y| x + y).unwrap();
        assert_eq!((sums.as_ints().unwrap(), sums.dims), (vec![6, 15], vec![2, 1]));
    }
}
