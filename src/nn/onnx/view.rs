//! A tensor of the file as what it is in the network: elements of a node's result, and a function of each.

use std::rc::Rc;

use super::index::{HOLE, Rearrangement};
use crate::nn::graph::NodeId;
use crate::protocol::Polynomial;

/// A tensor that depends on the image.
///
/// Element `i` is `content(base[map[i]])`, or `content(0)` where the map has a hole. A node's elements are counted in
/// the order `[channel][row][column]` here, so that reshaping and flattening leave the map as it is.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// Dimensions in the file, the batch of one included.
    pub dims: Vec<usize>,
    /// The node.
    pub base: NodeId,
    pub map: Map,
    pub content: Content,
    /// Of the file's node that the content is the result of.
    pub name: Rc<str>,
}

/// Which elements of the base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Map {
    /// All, in order.
    All,
    /// These, or [`HOLE`].
    Picked(Rc<Vec<u32>>),
}

/// A function of each element: one polynomial for all, of an affine function for each.
#[derive(Clone, Debug)]
pub(super) struct Content {
    /// What the polynomial is of, unless it is the element itself.
    pub inner: Option<Affine>,
    /// Coefficients, constant first, at least two.
    pub polynomial: Vec<f64>,
}

/// `scale[i] x + shift[i]`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Affine {
    pub scale: Rc<Vec<f64>>,
    pub shift: Rc<Vec<f64>>,
}

impl Content {
    /// The element itself.
    pub fn identity() -> Content {
        Content { inner: None, polynomial: vec![0.0, 1.0] }
    }
}

impl View {
    /// All of a node, as a tensor of these dimensions.
    pub fn of(base: NodeId, dims: Vec<usize>) -> View {
        View { dims, base, map: Map::All, content: Content::identity(), name: Rc::from("") }
    }

    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Bytes of the map and the functions.
    pub fn bytes(&self) -> usize {
        let map = if let Map::Picked(index) = &self.map { 4 * index.len() } else { 0 };
        map + self.content.inner.as_ref().map_or(0, |inner| 16 * inner.scale.len())
    }

    pub fn is_plain(&self) -> bool {
        self.content.inner.is_none() && self.content.polynomial[..] == [0.0, 1.0]
    }

    pub fn degree(&self) -> usize {
        self.content.polynomial.len() - 1
    }

    /// The same elements under other dimensions.
    pub fn with_dims(&self, dims: Vec<usize>) -> View {
        View { dims, ..self.clone() }
    }

    /// The elements before the function.
    pub fn without_content(&self) -> View {
        View { content: Content::identity(), ..self.clone() }
    }

    pub fn with_content(&self, content: Content) -> View {
        View { content, ..self.clone() }
    }

    /// With another polynomial, of the same affine functions.
    pub fn with_polynomial(&self, coefficients: Vec<f64>) -> View {
        self.with_content(Content { inner: self.content.inner.clone(), polynomial: coefficients })
    }

    /// `a + b` of it, with `a` and `b` in this order.
    pub fn then(&self, [shift, scale]: [f64; 2]) -> View {
        let mut polynomial: Vec<f64> = self.content.polynomial.iter().map(|c| c * scale).collect();
        polynomial[0] += shift;
        self.with_polynomial(trimmed(polynomial))
    }

    /// The element of the base at place `i`.
    pub fn source(&self, i: usize) -> u32 {
        match &self.map {
            Map::All => i as u32,
            Map::Picked(index) => index[i],
        }
    }

    pub fn sources(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.len()).map(|i| self.source(i))
    }

    pub fn has_holes(&self) -> bool {
        matches!(&self.map, Map::Picked(index) if index.contains(&HOLE))
    }

    /// Whether both are polynomials of the same values.
    pub fn same_argument(&self, other: &View) -> bool {
        self.base == other.base
            && self.dims == other.dims
            && self.map == other.map
            && self.content.inner == other.content.inner
    }

    /// Scale and shift of every element, of a view of degree 1.
    pub fn scale_and_shift(&self) -> (Rc<Vec<f64>>, Rc<Vec<f64>>) {
        let c = &self.content.polynomial;
        match &self.content.inner {
            Some(Affine { scale, shift }) if c[..] == [0.0, 1.0] => (Rc::clone(scale), Rc::clone(shift)),
            Some(Affine { scale, shift }) => {
                let shifts = shift.iter().map(|shift| c[1] * shift + c[0]).collect();
                (Rc::new(scale.iter().map(|scale| c[1] * scale).collect()), Rc::new(shifts))
            }
            None => (Rc::new(vec![c[1]; self.len()]), Rc::new(vec![c[0]; self.len()])),
        }
    }

    /// The rearranged tensor; holes are zeros. Of a view of degree 1, or without new holes.
    pub fn rearranged(&self, by: &Rearrangement) -> View {
        if by.index.len() == self.len() && by.index.iter().enumerate().all(|(i, &at)| at as usize == i) {
            return self.with_dims(by.dims.clone());
        }
        let index = match &self.map {
            Map::All => by.index.clone(),
            Map::Picked(inner) => by.after(inner),
        };
        let pick = |values: &[f64], hole: f64| {
            Rc::new(
                by.index.iter().map(|&at| if at == HOLE { hole } else { values[at as usize] }).collect::<Vec<f64>>(),
            )
        };
        let picked = |(scale, shift): (Rc<Vec<f64>>, Rc<Vec<f64>>)| {
            Some(Affine { scale: pick(&scale, 1.0), shift: pick(&shift, 0.0) })
        };
        let Content { inner, polynomial } = &self.content;
        let content = if polynomial[0] == 0.0 || !by.index.contains(&HOLE) {
            let inner = inner.clone().and_then(|Affine { scale, shift }| picked((scale, shift)));
            Content { inner, polynomial: polynomial.clone() }
        } else {
            Content { inner: picked(self.scale_and_shift()), ..Content::identity() }
        };
        View { dims: by.dims.clone(), map: Map::Picked(Rc::new(index)), content, ..self.clone() }
    }

    /// `scale(i) x + shift(i)` of every element, of a view of degree 1.
    pub fn affine(&self, scale: impl Fn(usize) -> f64, shift: impl Fn(usize) -> f64) -> View {
        let (old_scale, old_shift) = self.scale_and_shift();
        let shifts = old_shift.iter().enumerate().map(|(i, old)| scale(i) * old + shift(i)).collect();
        let scales = old_scale.iter().enumerate().map(|(i, old)| scale(i) * old).collect();
        let inner = Affine { scale: Rc::new(scales), shift: Rc::new(shifts) };
        self.with_content(Content { inner: Some(inner), ..Content::identity() })
    }
}

/// The sum of two polynomials.
pub(super) fn sum(a: &[f64], b: &[f64]) -> Vec<f64> {
    let at = |c: &[f64], k: usize| c.get(k).copied().unwrap_or(0.0);
    trimmed((0..a.len().max(b.len())).map(|k| at(a, k) + at(b, k)).collect())
}

/// The product of two polynomials.
///
/// # Errors
/// If its degree is more than activations can have.
pub(super) fn product(a: &[f64], b: &[f64]) -> Result<Vec<f64>, String> {
    let mut coefficients = vec![0.0; a.len() + b.len() - 1];
    for (i, x) in a.iter().enumerate() {
        for (j, y) in b.iter().enumerate() {
            coefficients[i + j] += x * y;
        }
    }
    let coefficients = trimmed(coefficients);
    match coefficients.len() - 1 {
        degree if degree > Polynomial::MAX_DEGREE => {
            Err(format!("a polynomial of degree {degree}; activations have at most {}", Polynomial::MAX_DEGREE))
        }
        _ => Ok(coefficients),
    }
}

/// Without high coefficients that are zero; two are kept.
fn trimmed(mut coefficients: Vec<f64>) -> Vec<f64> {
    while coefficients.len() > 2 && coefficients.last() == Some(&0.0) {
        coefficients.pop();
    }
    coefficients
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomials_add_and_multiply() {
        assert_eq!(product(&[1.0, 1.0], &[-1.0, 1.0]).unwrap(), [-1.0, 0.0, 1.0]);
        assert_eq!(sum(&[0.0, 0.0, 1.0], &[1.0, 0.0, -1.0]), [1.0, 0.0]);
        let fifth = [0.0, 0.0, 0.0, 0.0, 0.0, 1.0];
        assert!(product(&fifth, &fifth).unwrap_err().contains("degree 10"));
    }

    #[test]
    fn new_holes_are_zeros_whatever_the_function() {
        let view = View::of(0, vec![1, 2]).with_polynomial(vec![3.0, 2.0]);
        let padded = Rearrangement::along(&view.dims, 1, vec![None, Some(0), Some(1)]).unwrap();
        let padded = view.rearranged(&padded);
        let (scale, shift) = padded.scale_and_shift();
        assert_eq!((&scale[..], &shift[..]), (&[1.0, 2.0, 2.0][..], &[0.0, 3.0, 3.0][..]));
        assert!(padded.has_holes());
    }
}
