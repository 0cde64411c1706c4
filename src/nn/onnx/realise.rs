//! From views to nodes: functions of elements become activations or are folded into linear layers.

use super::index::HOLE;
use super::network::{Network, bias_of, image_shape, polynomial};
use super::view::{Content, Map, View};
use crate::nn::graph::{NodeId, Op, TensorShape};
use crate::ring::LinearShape;

/// Pools in a row that a scale is folded through: each is made again.
const MAX_POOLS: usize = 4;

/// A tensor as `scale x + shift` of a node.
pub(super) struct Split {
    pub base: NodeId,
    /// Zeros around the node: top, left, bottom, right.
    pub padding: [usize; 4],
    /// Scale per channel and shift per element (`[channel][row][column]`, padding included), unless it is the node.
    pub affine: Option<(Vec<f64>, Vec<f64>)>,
}

impl Network {
    /// The view as elements of a node, whatever has to be added for that.
    ///
    /// # Errors
    /// If the function of the elements is none the network can have.
    pub fn plain(&mut self, view: &View, name: &str) -> Result<View, String> {
        match &view.content {
            _ if view.is_plain() => Ok(view.clone()),
            Content { polynomial: coefficients, .. } if coefficients.len() > 2 => {
                let name = if view.name.is_empty() { name } else { &view.name };
                let argument = self.plain(&view.with_polynomial(Content::identity().polynomial), name)?;
                self.activate(&argument, polynomial(coefficients)?, name)
            }
            _ => self.scaled_elements(view, name),
        }
    }

    /// The view as a node of the shape of its dimensions.
    ///
    /// # Errors
    /// As [`plain`](Self::plain), and if they are those of no image.
    pub fn natural(&mut self, view: &View, name: &str) -> Result<NodeId, String> {
        let plain = self.plain(view, name)?;
        let shape = image_shape(&view.dims).ok_or_else(|| no_image(&view.dims))?;
        self.as_shape(&plain, shape, name)
    }

    /// The view as a function of degree 1 of a node, if every channel has one scale; `padded` allows zeros around it.
    ///
    /// # Errors
    /// As [`natural`](Self::natural).
    pub fn split(&mut self, view: &View, padded: bool, name: &str) -> Result<Split, String> {
        let shape = image_shape(&view.dims).ok_or_else(|| no_image(&view.dims))?;
        let view = if view.degree() > 1 { self.plain(view, name)? } else { view.clone() };
        let scales = if view.is_plain() { None } else { channel_scales(&view, shape) };
        let bare = match scales {
            Some(_) => view.without_content(),
            None => self.plain(&view, name)?,
        };
        let affine = scales.map(|scales| (scales, view.scale_and_shift().1.to_vec()));
        if padded && let Some(padding) = self.padding_of(&bare, shape) {
            return Ok(Split { base: bare.base, padding, affine });
        }
        Ok(Split { base: self.as_shape(&bare, shape, name)?, padding: [0; 4], affine })
    }

    /// The zeros around its base that a plain view of this shape consists of.
    fn padding_of(&self, view: &View, shape: TensorShape) -> Option<[usize; 4]> {
        let Map::Picked(index) = &view.map else { return None };
        let from = self.shape(view.base);
        let first = index.iter().position(|&at| at != HOLE)?;
        let (top, left) = (first / shape.w, first % shape.w);
        let bottom = shape.h.checked_sub(top + from.h)?;
        let right = shape.w.checked_sub(left + from.w)?;
        let expected = |i: usize| {
            let (channel, row, column) = (i / (shape.h * shape.w), i / shape.w % shape.h, i % shape.w);
            match (row.checked_sub(top).filter(|y| *y < from.h), column.checked_sub(left).filter(|x| *x < from.w)) {
                (Some(y), Some(x)) => ((channel * from.h + y) * from.w + x) as u32,
                _ => HOLE,
            }
        };
        let fits = from.c == shape.c && index.iter().enumerate().all(|(i, &at)| at == expected(i));
        fits.then_some([top, left, bottom, right])
    }

    /// A view of degree 1 as elements of a node.
    fn scaled_elements(&mut self, view: &View, name: &str) -> Result<View, String> {
        let (scale, shift) = view.scale_and_shift();
        let Some((base_scale, base_shift)) = self.per_base_element(view, &scale, &shift) else {
            let node = self.materialised(&view.without_content(), name)?;
            return self.scaled_elements(&View::of(node, view.dims.clone()).with_content(view.content.clone()), name);
        };
        let TensorShape { h, w, .. } = self.shape(view.base);
        let channels = base_scale.chunks_exact(h * w);
        if channels.clone().any(|channel| channel.iter().any(|&value| value != channel[0])) {
            // A vector has a channel per element.
            if let [1, elements] = view.dims[..] {
                let vector = TensorShape { h: 1, w: 1, c: elements };
                let node = self.as_shape(&view.without_content(), vector, name)?;
                return self
                    .scaled_elements(&View::of(node, view.dims.clone()).with_content(view.content.clone()), name);
            }
            return Err(
                "multiplies by a constant that differs from pixel to pixel of a channel; only one per channel \
                        (or one for all) can be part of a layer"
                    .to_string(),
            );
        }
        let scales: Vec<f64> = channels.map(|channel| channel[0]).collect();
        if scales.iter().all(|&s| s == 1.0) && base_shift.iter().all(|&s| s == 0.0) {
            return Ok(view.without_content());
        }
        let base = self.scaled(view.base, &scales, &base_shift, name)?;
        Ok(View { base, ..view.without_content() })
    }

    /// Scale and shift per element of the base; `None` if one has two, or zeros beside them are shifted.
    fn per_base_element(&self, view: &View, scale: &[f64], shift: &[f64]) -> Option<(Vec<f64>, Vec<f64>)> {
        let TensorShape { h, w, c } = self.shape(view.base);
        let mut known: Vec<Option<(f64, f64)>> = vec![None; h * w * c];
        for (i, source) in view.sources().enumerate() {
            if source == HOLE {
                if shift[i] != 0.0 {
                    return None;
                }
                continue;
            }
            let here = (scale[i], shift[i]);
            match known[source as usize].replace(here) {
                Some(other) if other != here => return None,
                _ => {}
            }
        }
        // Elements that the view leaves out may have any value.
        for channel in known.chunks_exact_mut(h * w) {
            let any = channel.iter().flatten().next().copied().unwrap_or((1.0, 0.0));
            channel.iter_mut().for_each(|element| *element = element.or(Some(any)));
        }
        Some(known.into_iter().flatten().unzip())
    }

    /// The node that is `node` with scaled channels and shifted elements.
    fn scaled(&mut self, node: NodeId, scale: &[f64], shift: &[f64], name: &str) -> Result<NodeId, String> {
        let bits: Vec<u64> = scale.iter().chain(shift).map(|value| value.to_bits()).collect();
        let key = (node, bits);
        if let Some(&known) = self.scaled.get(&key) {
            return Ok(known);
        }
        let scaled = match self.folded(node, scale, shift)? {
            Some(folded) => folded,
            None => self.diagonal(node, scale, shift, name)?,
        };
        self.scaled.insert(key, scaled);
        Ok(scaled)
    }

    /// Whether scaling the channels of a node is a matter of the weights that made it.
    pub fn folds(&self, mut node: NodeId) -> bool {
        for _ in 0..=MAX_POOLS {
            match self.node(node).op {
                Op::Linear { .. } => return true,
                Op::AvgPool { padding: 0, .. } | Op::GlobalAvgPool => node = self.node(node).inputs[0],
                _ => return false,
            }
        }
        false
    }

    /// A copy of `node` whose linear layer has other weights; the old one goes if nothing else reads it.
    fn folded(&mut self, node: NodeId, scale: &[f64], shift: &[f64]) -> Result<Option<NodeId>, String> {
        let original = self.node(node);
        let TensorShape { h, w, .. } = original.shape;
        let name = unnumbered(&original.name).to_string();
        if let Op::Linear { shape, weights, bias } = &original.op {
            let op = scaled_linear(*shape, weights, bias, (scale, shift));
            let inputs = original.inputs.clone();
            return self.push(&name, op, &inputs).map(Some);
        }
        let uniform = shift.chunks_exact(h * w).all(|channel| channel.iter().all(|&value| value == channel[0]));
        if !self.folds(node) || !uniform {
            return Ok(None);
        }
        let (op, input) = (original.op.clone(), original.inputs[0]);
        let pixels = self.shape(input).h * self.shape(input).w;
        let shift: Vec<f64> =
            shift.iter().step_by(h * w).flat_map(|&value| std::iter::repeat_n(value, pixels)).collect();
        let input = self.scaled(input, scale, &shift, &name)?;
        self.push(&name, op, &[input]).map(Some)
    }

    /// A copy of a view's elements as a column of a dense layer's input: for each element of the base, in the order
    /// `[h][w][c]`, nothing but its number.
    pub fn dense_input(&mut self, view: &View, name: &str) -> Result<View, String> {
        let view = if view.degree() > 1 { self.plain(view, name)? } else { view.clone() };
        if view.len() >= self.shape(view.base).elements() {
            return Ok(view);
        }
        // A part of a tensor: only that part is to be masked and sent.
        let node = self.materialised(&view.without_content(), name)?;
        Ok(View::of(node, view.dims.clone()).with_content(view.content.clone()))
    }
}

/// A node's name without the number that made it unique.
fn unnumbered(name: &str) -> &str {
    match name.rsplit_once('#') {
        Some((name, number)) if number.parse::<u32>().is_ok() => name,
        _ => name,
    }
}

/// The scale of every channel of a view of degree 1, if it has one.
fn channel_scales(view: &View, shape: TensorShape) -> Option<Vec<f64>> {
    if let Content { inner: None, polynomial } = &view.content {
        return Some(vec![polynomial[1]; shape.c]);
    }
    let (scale, _) = view.scale_and_shift();
    let pixels = shape.h * shape.w;
    let mut scales = Vec::with_capacity(shape.c);
    for channel in 0..shape.c {
        let mut used = (channel * pixels..(channel + 1) * pixels).filter(|&i| view.source(i) != HOLE).map(|i| scale[i]);
        let first = used.next().unwrap_or(1.0);
        if used.any(|scale| scale != first) {
            return None;
        }
        scales.push(first);
    }
    Some(scales)
}

fn scaled_linear(shape: LinearShape, weights: &[f32], bias: &[f32], (scale, shift): (&[f64], &[f64])) -> Op {
    let channels = scale.len();
    let pixels = shape.outputs() / channels;
    // Output channels run fastest in a convolution and slowest in a dense layer.
    let run = match shape {
        LinearShape::Conv2d(_) => 1,
        LinearShape::Dense { inputs, .. } => inputs,
    };
    let weights = weights.iter().enumerate().map(|(i, &w)| (f64::from(w) * scale[i / run % channels]) as f32).collect();
    let old = |channel: usize, pixel: usize| match bias.len() == channels {
        true => f64::from(bias[channel]),
        false => f64::from(bias[pixel * channels + channel]),
    };
    let shifted: Vec<f64> =
        (0..channels * pixels).map(|i| scale[i / pixels] * old(i / pixels, i % pixels) + shift[i]).collect();
    Op::Linear { shape, weights, bias: bias_of(&shifted, pixels, channels) }
}

pub(super) fn no_image(dims: &[usize]) -> String {
    format!("works on a tensor of shape {dims:?}, expected [1, channels, height, width] or [1, features]")
}
