//! Rearrangements: for every element of a result, the element of the operand it is, in row-major order.
//!
//! Transposing, slicing, padding, repeating and concatenating only move elements, whatever these are, so the importer
//! describes all of them by such a list and applies it to constants and to parts of the network alike.

use super::constant::{Constant, Data, elements};
use std::rc::Rc;

/// In place of an element: nothing of the operand, a zero.
pub(super) const HOLE: u32 = crate::nn::graph::ZERO;

/// Where the elements of a result come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rearrangement {
    /// Of the result.
    pub dims: Vec<usize>,
    /// Per element of the result, an element of the operand or [`HOLE`].
    pub index: Vec<u32>,
}

impl Rearrangement {
    /// Along every axis, which positions of the operand a result has; `None` is a hole.
    ///
    /// # Errors
    /// If the result is too large.
    pub fn along_axes(from: &[usize], positions: &[Vec<Option<usize>>]) -> Result<Rearrangement, String> {
        let dims: Vec<usize> = positions.iter().map(Vec::len).collect();
        elements(&dims)?;
        elements(from)?;
        let mut index = vec![0u32];
        for (&dim, positions) in from.iter().zip(positions) {
            let step = |&outer: &u32| {
                positions.iter().map(move |position| match position {
                    Some(position) if outer != HOLE => outer * dim as u32 + *position as u32,
                    _ => HOLE,
                })
            };
            index = index.iter().flat_map(step).collect();
        }
        Ok(Rearrangement { dims, index })
    }

    /// Changes one axis only.
    ///
    /// # Errors
    /// As [`along_axes`](Self::along_axes).
    pub fn along(from: &[usize], axis: usize, positions: Vec<Option<usize>>) -> Result<Rearrangement, String> {
        let mut all: Vec<Vec<Option<usize>>> = from.iter().map(|&dim| (0..dim).map(Some).collect()).collect();
        all[axis] = positions;
        Rearrangement::along_axes(from, &all)
    }

    /// Axis `k` of the result is axis `permutation[k]` of the operand.
    pub fn transpose(from: &[usize], permutation: &[usize]) -> Rearrangement {
        let mut strides = vec![1usize; from.len()];
        for axis in (1..from.len()).rev() {
            strides[axis - 1] = strides[axis] * from[axis];
        }
        let dims: Vec<usize> = permutation.iter().map(|&axis| from[axis]).collect();
        let mut index = vec![0u32];
        for &axis in permutation {
            let stride = strides[axis];
            let step = |&outer: &u32| (0..from[axis]).map(move |at| outer + (at * stride) as u32);
            index = index.iter().flat_map(step).collect();
        }
        Rearrangement { dims, index }
    }

    /// Repeats what has size 1 (or is missing in front) until the shape is `to`; nothing to do is `None`.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn broadcast(from: &[usize], to: &[usize]) -> Result<Option<Rearrangement>, String> {
        if from == to {
            return Ok(None);
        }
        let missing = to.len().checked_sub(from.len()).ok_or_else(|| misfit(from, to))?;
        elements(to)?;
        let full: Vec<usize> = std::iter::repeat_n(1, missing).chain(from.iter().copied()).collect();
        let mut positions = Vec::with_capacity(to.len());
        for (&from_dim, &to_dim) in full.iter().zip(to) {
            positions.push(match from_dim {
                dim if dim == to_dim => (0..dim).map(Some).collect(),
                1 => vec![Some(0); to_dim],
                _ => return Err(misfit(from, to)),
            });
        }
        Rearrangement::along_axes(&full, &positions).map(Some)
    }

    /// The elements that were read are a result of `inner`: reads its operand instead.
    pub fn after(&self, inner: &[u32]) -> Vec<u32> {
        self.index.iter().map(|&at| if at == HOLE { HOLE } else { inner[at as usize] }).collect()
    }

    /// The rearranged constant; holes are `fill`.
    pub fn of_constant(&self, constant: &Constant, fill: f64) -> Constant {
        fn pick<T: Copy>(index: &[u32], values: &[T], fill: T) -> Rc<Vec<T>> {
            Rc::new(index.iter().map(|&at| if at == HOLE { fill } else { values[at as usize] }).collect())
        }
        let data = match &constant.data {
            Data::Float(values) => Data::Float(pick(&self.index, values, fill as f32)),
            Data::Int(values) => Data::Int(pick(&self.index, values, fill as i64)),
        };
        Constant { dims: self.dims.clone(), data }
    }
}

fn misfit(from: &[usize], to: &[usize]) -> String {
    format!("shapes {from:?} and {to:?} do not fit together")
}

/// The shape of an operation on tensors of two shapes, element by element.
///
/// # Errors
/// If they do not fit.
pub(super) fn common_dims(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let rank = a.len().max(b.len());
    let at = |dims: &[usize], axis: usize| (axis + dims.len()).checked_sub(rank).map_or(1, |axis| dims[axis]);
    let joint = |axis| match (at(a, axis), at(b, axis)) {
        (x, y) if x == y => Ok(x),
        (1, y) => Ok(y),
        (x, 1) => Ok(x),
        _ => Err(misfit(a, b)),
    };
    (0..rank).map(joint).collect()
}

/// An axis counted from the front, from one that may be negative.
///
/// # Errors
/// If there is no such axis.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    let counted = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(counted)
        .ok()
        .filter(|&axis| axis < rank)
        .ok_or_else(|| format!("axis {axis} of a tensor with {rank} axes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rearrangements_by_hand() {
        let picked = Rearrangement::along_axes(&[2, 3], &[vec![Some(1)], vec![None, Some(2), Some(0)]]).unwrap();
        assert_eq!(picked, Rearrangement { dims: vec![1, 3], index: vec![HOLE, 5, 3] });
        let transposed = Rearrangement::transpose(&[2, 3], &[1, 0]);
        assert_eq!(transposed, Rearrangement { dims: vec![3, 2], index: vec![0, 3, 1, 4, 2, 5] });
        assert_eq!(picked.after(&[10, 11, 12, 13, 14, 15]), [HOLE, 15, 13]);
        let repeated = Rearrangement::broadcast(&[2, 1], &[2, 2, 2]).unwrap().unwrap();
        assert_eq!(repeated.index, [0, 0, 1, 1, 0, 0, 1, 1]);
        assert_eq!(Rearrangement::broadcast(&[2], &[2]), Ok(None));
        assert!(Rearrangement::broadcast(&[3], &[2]).is_err());
        let constant = Constant::ints(vec![2, 3], vec![0, 1, 2, 3, 4, 5]);
        assert_eq!(picked.of_constant(&constant, 7.0).as_ints().unwrap(), [7, 5, 3]);
    }

    #[test]
    fn shapes_that_fit_together() {
        assert_eq!(common_dims(&[1, 4, 1, 1], &[3, 5]), Ok(vec![1, 4, 3, 5]));
        assert!(common_dims(&[2], &[3]).is_err());
        assert_eq!((axis(-1, 4), axis(0, 1)), (Ok(3), Ok(0)));
        assert!(axis(4, 4).is_err() && axis(-5, 4).is_err());
    }

    #[test]
    fn results_beyond_belief_are_refused() {
        let many = vec![None; 1 << 14];
        assert!(Rearrangement::along_axes(&[1, 1], &[many.clone(), many]).is_err());
    }
}
