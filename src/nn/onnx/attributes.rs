//! The attributes of a node, by name and type.

use super::proto::{Attribute, Node};

/// Larger kernels, strides and paddings are a damaged file.
const MAX_EXTENT: i64 = 1 << 16;

impl<'a> Node<'a> {
    fn attribute(&self, name: &str) -> Option<&Attribute<'a>> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    pub fn has(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }

    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).and_then(|attribute| attribute.int).unwrap_or(default)
    }

    pub fn flag(&self, name: &str, default: bool) -> bool {
        self.int(name, i64::from(default)) != 0
    }

    pub fn float(&self, name: &str, default: f64) -> f64 {
        self.attribute(name).and_then(|attribute| attribute.float).map_or(default, f64::from)
    }

    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).map(|attribute| attribute.ints.as_slice())
    }

    pub fn text(&self, name: &str) -> Option<String> {
        let text = self.attribute(name)?.text?;
        Some(String::from_utf8_lossy(text).into_owned())
    }

    pub fn tensor(&self, name: &str) -> Option<&super::proto::Tensor<'a>> {
        self.attribute(name)?.tensor.as_ref()
    }

    pub fn attribute_floats(&self, name: &str) -> Option<&[f32]> {
        self.attribute(name).map(|attribute| attribute.floats.as_slice())
    }

    /// One number per spatial axis, height and width.
    ///
    /// # Errors
    /// If there are not two, or one is negative or absurd.
    pub fn pair(&self, name: &str, default: usize) -> Result<[usize; 2], String> {
        match self.ints(name) {
            None | Some([]) => Ok([default; 2]),
            Some(&[h, w]) => Ok([extent(name, h)?, extent(name, w)?]),
            Some(other) => Err(format!("attribute {name} = {other:?}, expected two numbers, height and width")),
        }
    }

    /// Padding: top, left, bottom, right.
    ///
    /// # Errors
    /// As [`pair`](Self::pair), with four.
    pub fn pads(&self) -> Result<[usize; 4], String> {
        match self.ints("pads") {
            None | Some([]) => Ok([0; 4]),
            Some(&[top, left, bottom, right]) => {
                Ok([extent("pads", top)?, extent("pads", left)?, extent("pads", bottom)?, extent("pads", right)?])
            }
            Some(other) => Err(format!("attribute pads = {other:?}, expected four numbers")),
        }
    }
}

fn extent(name: &str, value: i64) -> Result<usize, String> {
    match value {
        0..=MAX_EXTENT => Ok(value as usize),
        _ => Err(format!("attribute {name} holds {value}, expected 0 to {MAX_EXTENT}")),
    }
}
