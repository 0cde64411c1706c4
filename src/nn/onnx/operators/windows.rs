//! Where the windows of convolutions and pools lie.

use crate::nn::onnx::proto::Node;

/// Windows over an image, per axis: height, width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    pub input: [usize; 2],
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    /// Top, left, bottom, right; more than in the file where windows reach over the edge (`ceil_mode`).
    pub padding: [usize; 4],
    pub output: [usize; 2],
    /// The padding without that.
    pub declared: [usize; 4],
}

impl Geometry {
    /// The windows of this size that a node's attributes describe.
    ///
    /// # Errors
    /// If an attribute makes no sense or no window fits.
    pub fn of(node: &Node<'_>, input: [usize; 2], kernel: [usize; 2]) -> Result<Geometry, String> {
        let stride = node.pair("strides", 1)?;
        let dilation = node.pair("dilations", 1)?;
        if kernel.contains(&0) || stride.contains(&0) || dilation.contains(&0) {
            return Err(format!(
                "has kernel {kernel:?}, strides {stride:?}, dilations {dilation:?}, expected 1 or more"
            ));
        }
        let span = |axis: usize| (kernel[axis] - 1) * dilation[axis] + 1;
        let mut padding = match node.text("auto_pad").as_deref() {
            None | Some("" | "NOTSET") => node.pads()?,
            Some("VALID") => [0; 4],
            Some(same @ ("SAME_UPPER" | "SAME_LOWER")) => {
                let total = |axis: usize| {
                    let outputs = input[axis].div_ceil(stride[axis]);
                    ((outputs - 1) * stride[axis] + span(axis)).saturating_sub(input[axis])
                };
                let (less, more) = ([total(0) / 2, total(1) / 2], [total(0).div_ceil(2), total(1).div_ceil(2)]);
                if same == "SAME_UPPER" {
                    [less[0], less[1], more[0], more[1]]
                } else {
                    [more[0], more[1], less[0], less[1]]
                }
            }
            Some(other) => {
                return Err(format!(
                    "attribute auto_pad = \"{other}\", expected NOTSET, VALID, SAME_UPPER or SAME_LOWER"
                ));
            }
        };
        let ceil = node.flag("ceil_mode", false);
        let declared = padding;
        let mut output = [0; 2];
        for axis in 0..2 {
            let padded = input[axis] + padding[axis] + padding[axis + 2];
            let room = padded
                .checked_sub(span(axis))
                .ok_or_else(|| format!("has windows of {} pixels on {padded} pixels, padding included", span(axis)))?;
            output[axis] = room / stride[axis] + 1;
            // PyTorch's rule: one window more, if it starts in the image or the padding before it.
            if ceil && room % stride[axis] != 0 && output[axis] * stride[axis] < input[axis] + padding[axis] {
                output[axis] += 1;
                padding[axis + 2] += stride[axis] - room % stride[axis];
            }
        }
        Ok(Geometry { input, kernel, stride, dilation, padding, output, declared })
    }

    /// The row or column of tap `tap` of window `window`; `None` in the padding.
    pub fn position(&self, axis: usize, window: usize, tap: usize) -> Option<usize> {
        let at = window * self.stride[axis] + tap * self.dilation[axis];
        at.checked_sub(self.padding[axis]).filter(|&at| at < self.input[axis])
    }

    /// Whether every window is the same square, with one step and equal padding of less than the window.
    pub fn is_simple(&self) -> bool {
        let [top, left, bottom, right] = self.padding;
        self.kernel[0] == self.kernel[1]
            && self.stride[0] == self.stride[1]
            && self.dilation == [1, 1]
            && (left, bottom, right) == (top, top, top)
            && top < self.kernel[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::onnx::proto::Attribute;

    fn node(attributes: &[(&'static str, &[i64])], auto_pad: &'static [u8]) -> Node<'static> {
        let mut node = Node::default();
        for (name, ints) in attributes {
            let int = ints.first().copied();
            node.attributes.push(Attribute { name, ints: ints.to_vec(), int, ..Attribute::default() });
        }
        if !auto_pad.is_empty() {
            node.attributes.push(Attribute { name: "auto_pad", text: Some(auto_pad), ..Attribute::default() });
        }
        node
    }

    #[test]
    fn sizes_follow_the_standard() {
        let of = |attributes: &[(&'static str, &[i64])], auto_pad, input, kernel| {
            Geometry::of(&node(attributes, auto_pad), input, kernel).unwrap()
        };
        let plain = of(&[("strides", &[2, 1]), ("pads", &[1, 0, 0, 2])], b"", [6, 5], [3, 2]);
        assert_eq!(plain.output, [(6 + 1 - 3) / 2 + 1, (5 + 2 - 2) + 1]);
        // An even kernel pads one more, at the end or at the start.
        assert_eq!(of(&[], b"SAME_UPPER", [5, 5], [4, 2]).padding, [1, 0, 2, 1]);
        assert_eq!(of(&[], b"SAME_LOWER", [5, 5], [4, 2]).padding, [2, 1, 1, 0]);
        // Five columns, step 2: a third window starts at column 4.
        let ceil = of(&[("strides", &[2, 2]), ("ceil_mode", &[1])], b"", [5, 4], [2, 2]);
        assert_eq!((ceil.output, ceil.padding), ([3, 2], [0, 0, 1, 0]));
        assert_eq!((ceil.position(0, 2, 0), ceil.position(0, 2, 1)), (Some(4), None));
    }

    #[test]
    fn windows_that_do_not_fit_are_refused() {
        let text = Geometry::of(&node(&[], b""), [2, 2], [3, 3]).unwrap_err();
        assert!(text.contains("3 pixels on 2"), "{text}");
        assert!(Geometry::of(&node(&[("strides", &[0, 1])], b""), [2, 2], [1, 1]).is_err());
        assert!(Geometry::of(&node(&[("pads", &[-1, 0, 0, 0])], b""), [2, 2], [1, 1]).is_err());
        assert!(Geometry::of(&node(&[], b"WIDE"), [2, 2], [1, 1]).is_err());
    }
}
