//! Tensors whose values are in the file: initialisers, constants, and what the importer computes from them.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path};
use std::rc::Rc;

use super::proto::Tensor;
use crate::nn::safetensors::{bf16, f16};

/// Elements of a tensor beyond which a file is not believed.
pub(super) const MAX_ELEMENTS: usize = 1 << 27;

/// A tensor with known values, in row-major order.
#[derive(Clone, Debug)]
pub(super) struct Constant {
    pub dims: Vec<usize>,
    pub data: Data,
}

/// Values; booleans are integers.
#[derive(Clone, Debug)]
pub(super) enum Data {
    Float(Rc<Vec<f32>>),
    Int(Rc<Vec<i64>>),
}

impl Constant {
    pub fn floats(dims: Vec<usize>, values: Vec<f32>) -> Constant {
        Constant { dims, data: Data::Float(Rc::new(values)) }
    }

    pub fn ints(dims: Vec<usize>, values: Vec<i64>) -> Constant {
        Constant { dims, data: Data::Int(Rc::new(values)) }
    }

    pub fn len(&self) -> usize {
        match &self.data {
            Data::Float(values) => values.len(),
            Data::Int(values) => values.len(),
        }
    }

    /// Value `index` as a number.
    pub fn number(&self, index: usize) -> f64 {
        match &self.data {
            Data::Float(values) => f64::from(values[index]),
            Data::Int(values) => values[index] as f64,
        }
    }

    /// All values as numbers.
    pub fn numbers(&self) -> impl Iterator<Item = f64> + '_ {
        (0..self.len()).map(|index| self.number(index))
    }

    /// The value that all elements have.
    pub fn uniform(&self) -> Option<f64> {
        let mut numbers = self.numbers();
        let first = numbers.next()?;
        numbers.all(|number| number == first).then_some(first)
    }

    /// The values of a list of integers, as shapes and axes are.
    pub fn as_ints(&self) -> Option<Vec<i64>> {
        match &self.data {
            Data::Int(values) => Some(values.to_vec()),
            Data::Float(values) if values.is_empty() => Some(Vec::new()),
            Data::Float(_) => None,
        }
    }

    /// The values of a floating-point tensor.
    pub fn as_floats(&self) -> Option<Rc<Vec<f32>>> {
        match &self.data {
            Data::Float(values) => Some(Rc::clone(values)),
            Data::Int(_) => None,
        }
    }

    /// The same values with other dimensions of the same number of elements.
    pub fn with_dims(&self, dims: Vec<usize>) -> Constant {
        Constant { dims, data: self.data.clone() }
    }

    /// Reads a tensor of a file in the folder `beside`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(tensor: &Tensor<'_>, beside: &Path) -> Result<Constant, String> {
        let dims: Option<Vec<usize>> = tensor.dims.iter().map(|&dim| usize::try_from(dim).ok()).collect();
        let dims = dims.ok_or_else(|| format!("has shape {:?}, which has a negative dimension", tensor.dims))?;
        let count = elements(&dims)?;
        let external;
        let raw = match (tensor.is_external, tensor.raw) {
            (true, _) => {
                external = read_external(&tensor.external, beside, count)?;
                Some(external.as_slice())
            }
            (false, raw) => raw,
        };
        let data = match raw {
            Some(raw) => decode(tensor.data_type, raw)?,
            None => typed(tensor)?,
        };
        let constant = Constant { dims, data };
        match constant.len() {
            actual if actual == count => Ok(constant),
            actual => Err(format!("has shape {:?}, {count} values, but holds {actual}", constant.dims)),
        }
    }
}

/// The number of elements of a tensor.
pub(super) fn elements(dims: &[usize]) -> Result<usize, String> {
    // A dimension of zero does not excuse the others, which are taken for themselves, too.
    let count = dims.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim.max(1)));
    count
        .filter(|&count| count <= MAX_ELEMENTS)
        .ok_or_else(|| format!("has shape {dims:?}, more than the {MAX_ELEMENTS} elements that longhaul takes"))
        .map(|count| if dims.contains(&0) { 0 } else { count })
}

/// The bytes of a tensor of `count` elements in a file beside the model.
fn read_external(entries: &[(&str, &str)], beside: &Path, count: usize) -> Result<Vec<u8>, String> {
    let entry = |key: &str| entries.iter().find(|(name, _)| *name == key).map(|(_, value)| *value);
    let location = entry("location").ok_or("has external data without a location")?;
    let path = Path::new(location);
    if location.is_empty() || !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(format!("has its data in \"{location}\"; expected a file beside the .onnx file"));
    }
    let number = |key: &str| match entry(key) {
        None => Ok(None),
        Some(text) => text.parse::<u64>().map(Some).map_err(|_| format!("has external data with {key} \"{text}\"")),
    };
    let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
    let folder = if beside.as_os_str().is_empty() { Path::new(".") } else { beside };
    let path = folder.join(path);
    let failed = |error: std::io::Error| format!("has its data in {}, which cannot be read: {error}", path.display());
    let real = path.canonicalize().map_err(failed)?;
    if !real.starts_with(folder.canonicalize().map_err(failed)?) || !real.is_file() {
        return Err(format!("has its data in {}, which is no file beside the .onnx file", path.display()));
    }
    let mut file = File::open(&real).map_err(failed)?;
    let total = file.metadata().map_err(failed)?.len();
    let length = length.unwrap_or(total.saturating_sub(offset));
    if offset.checked_add(length).is_none_or(|end| end > total) {
        return Err(format!(
            "has its data in {}, bytes {offset} to {}, but the file has {total}",
            path.display(),
            offset.saturating_add(length)
        ));
    }
    if length > 8 * count as u64 {
        return Err(format!("has its data in {}, {length} bytes, too many for {count} values", path.display()));
    }
    file.seek(SeekFrom::Start(offset)).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Values from little-endian bytes.
fn decode(data_type: i64, raw: &[u8]) -> Result<Data, String> {
    fn words<const N: usize, T>(raw: &[u8], value: impl Fn([u8; N]) -> T) -> Result<Rc<Vec<T>>, String> {
        match raw.as_chunks::<N>() {
            (words, []) => Ok(Rc::new(words.iter().map(|&word| value(word)).collect())),
            _ => Err(format!("holds {} bytes, not a whole number of values of {N} bytes", raw.len())),
        }
    }
    Ok(match data_type {
        1 => Data::Float(words(raw, f32::from_le_bytes)?),
        10 => Data::Float(words(raw, |word| f16(u16::from_le_bytes(word)))?),
        11 => Data::Float(words(raw, |word| f64::from_le_bytes(word) as f32)?),
        16 => Data::Float(words(raw, |word| bf16(u16::from_le_bytes(word)))?),
        2 | 9 => Data::Int(words(raw, |[byte]: [u8; 1]| i64::from(byte))?),
        3 => Data::Int(words(raw, |word| i64::from(i8::from_le_bytes(word)))?),
        4 => Data::Int(words(raw, |word| i64::from(u16::from_le_bytes(word)))?),
        5 => Data::Int(words(raw, |word| i64::from(i16::from_le_bytes(word)))?),
        6 => Data::Int(words(raw, |word| i64::from(i32::from_le_bytes(word)))?),
        7 => Data::Int(words(raw, i64::from_le_bytes)?),
        12 => Data::Int(words(raw, |word| i64::from(u32::from_le_bytes(word)))?),
        13 => Data::Int(words(raw, |word| u64::from_le_bytes(word) as i64)?),
        other => return Err(unknown_type(other)),
    })
}

/// Values from the fields that are no bytes.
fn typed(tensor: &Tensor<'_>) -> Result<Data, String> {
    let halves = |value: fn(u16) -> f32| {
        let values = tensor.ints.iter().map(|&bits| value(bits as u16)).collect();
        Data::Float(Rc::new(values))
    };
    Ok(match tensor.data_type {
        1 | 11 => Data::Float(Rc::new(tensor.floats.clone())),
        10 => halves(f16),
        16 => halves(bf16),
        2..=7 | 9 | 12 | 13 => Data::Int(Rc::new(tensor.ints.clone())),
        other => return Err(unknown_type(other)),
    })
}

fn unknown_type(data_type: i64) -> String {
    format!("has data type {data_type}; expected float, float16, bfloat16, double, an integer type or bool")
}
