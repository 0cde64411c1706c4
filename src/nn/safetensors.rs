//! Weights from a safetensors file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensorError, SafeTensors};

use super::NnError;
use super::weights::{Fill, WeightSource};

/// A safetensors file, read whole; each tensor can be taken once.
#[derive(Debug)]
pub struct SafetensorsFile {
    path: PathBuf,
    tensors: BTreeMap<String, Stored>,
}

#[derive(Debug)]
struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl SafetensorsFile {
    /// Reads the file.
    ///
    /// # Errors
    /// If it cannot be read, is truncated, or is not in the format.
    pub fn open(path: &Path) -> Result<SafetensorsFile, NnError> {
        let bytes = std::fs::read(path).map_err(|source| NnError::ReadFile { path: path.to_path_buf(), source })?;
        SafetensorsFile::from_bytes(path, &bytes)
    }

    /// The same of a file's contents; messages call it `path`.
    ///
    /// # Errors
    /// If they are truncated or not in the format.
    pub fn from_bytes(path: &Path, bytes: &[u8]) -> Result<SafetensorsFile, NnError> {
        let file = SafeTensors::deserialize(bytes).map_err(|e| malformed(path, bytes, e))?;
        let tensors = file.iter().map(|(name, view)| {
            let stored = Stored { dtype: view.dtype(), shape: view.shape().to_vec(), bytes: view.data().to_vec() };
            (name.to_string(), stored)
        });
        Ok(SafetensorsFile { path: path.to_path_buf(), tensors: tensors.collect() })
    }

    /// Ends the import.
    ///
    /// # Errors
    /// If tensors are left that nobody took, other than PyTorch's `num_batches_tracked`.
    pub fn finish(self) -> Result<(), NnError> {
        let known = |name: &String| name.rsplit('.').next() == Some("num_batches_tracked");
        let tensors: Vec<String> = self.tensors.into_keys().filter(|n| !known(n)).collect();
        if tensors.is_empty() {
            return Ok(());
        }
        Err(NnError::UnknownTensors { path: self.path, tensors })
    }
}

impl WeightSource for SafetensorsFile {
    fn tensor(&mut self, name: &str, shape: &[usize], _: Fill) -> Result<Vec<f32>, NnError> {
        let path = || self.path.clone();
        let tensor = || name.to_string();
        let stored = (self.tensors.remove(name)).ok_or_else(|| NnError::MissingTensor {
            path: path(),
            tensor: tensor(),
            expected: shape.to_vec(),
        })?;
        if stored.shape != shape {
            return Err(NnError::TensorShape {
                path: path(),
                tensor: tensor(),
                expected: shape.to_vec(),
                actual: stored.shape,
            });
        }
        let values = stored.values().ok_or_else(|| NnError::TensorType {
            path: path(),
            tensor: tensor(),
            actual: stored.dtype.to_string(),
        })?;
        if let Some(index) = values.iter().position(|v| !v.is_finite()) {
            return Err(NnError::NotFinite { path: path(), tensor: tensor(), index, actual: values[index] });
        }
        Ok(values)
    }
}

impl Stored {
    /// The values as f32, if they are floating-point numbers no wider than that.
    fn values(&self) -> Option<Vec<f32>> {
        let halves = || self.bytes.as_chunks().0.iter().map(|&b| u16::from_le_bytes(b));
        match self.dtype {
            Dtype::F32 => {
                let words = self.bytes.as_chunks().0.iter();
                Some(words.map(|&b| f32::from_le_bytes(b)).collect())
            }
            Dtype::BF16 => Some(halves().map(bf16).collect()),
            Dtype::F16 => Some(halves().map(f16).collect()),
            _ => None,
        }
    }
}

/// bfloat16: the upper half of an f32.
pub(super) fn bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// IEEE 754 binary16: sign, 5 exponent bits with bias 15, 10 fraction bits.
pub(super) fn f16(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let fraction = f32::from(bits & 0x3ff);
    let magnitude = match (bits >> 10) & 0x1f {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        exponent => (1024.0 + fraction) * 2f32.powi(i32::from(exponent) - 25),
    };
    sign * magnitude
}

fn malformed(path: &Path, bytes: &[u8], error: SafeTensorError) -> NnError {
    match error {
        SafeTensorError::HeaderTooSmall
        | SafeTensorError::InvalidHeaderLength
        | SafeTensorError::MetadataIncompleteBuffer => {
            NnError::TruncatedWeights { path: path.to_path_buf(), actual_bytes: bytes.len() as u64 }
        }
        other => NnError::MalformedWeights { path: path.to_path_buf(), problem: other.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::TensorView;

    use super::*;

    /// A file with one tensor `a.weight` of shape [2, 2] and a step counter.
    fn sample(dtype: Dtype, values: &[u8]) -> Vec<u8> {
        let tracked = 7i64.to_le_bytes();
        let tensors = [
            ("a.weight", TensorView::new(dtype, vec![2, 2], values)),
            ("a.num_batches_tracked", TensorView::new(Dtype::I64, vec![], &tracked)),
        ];
        let tensors = tensors.map(|(name, view)| (name, view.expect("sizes agree")));
        safetensors::serialize(tensors, None).expect("a valid file")
    }

    fn floats(values: [f32; 4]) -> Vec<u8> {
        sample(Dtype::F32, &values.map(f32::to_le_bytes).concat())
    }

    fn open(bytes: &[u8]) -> Result<SafetensorsFile, NnError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        SafetensorsFile::open(file.path())
    }

    fn read(bytes: &[u8]) -> Result<Vec<f32>, NnError> {
        let mut file = open(bytes)?;
        let values = file.tensor("a.weight", &[2, 2], Fill::He)?;
        file.finish()?;
        Ok(values)
    }

    #[test]
    fn reads_the_three_floating_point_types() {
        let values = [1.0, -2.5, 0.0, 3.0];
        assert_eq!(read(&floats(values)).unwrap(), values);
        let halves = [0x3c00u16, 0xc100, 0x0000, 0x4200].map(u16::to_le_bytes);
        assert_eq!(read(&sample(Dtype::F16, &halves.concat())).unwrap(), values);
        let halves = [0x3f80u16, 0xc020, 0x0000, 0x4040].map(u16::to_le_bytes);
        assert_eq!(read(&sample(Dtype::BF16, &halves.concat())).unwrap(), values);
    }

    #[test]
    fn half_precision_edges() {
        // Smallest subnormal, largest subnormal, smallest normal, largest, infinity.
        assert_eq!(f16(0x0001), 2f32.powi(-24));
        assert_eq!(f16(0x03ff), 1023.0 * 2f32.powi(-24));
        assert_eq!(f16(0x0400), 2f32.powi(-14));
        assert_eq!(f16(0x7bff), 65504.0);
        assert_eq!(f16(0xfc00), f32::NEG_INFINITY);
        assert!(f16(0x7c01).is_nan());
    }

    #[test]
    fn wrong_shape_names_both_shapes() {
        let mut file = open(&floats([0.0; 4])).unwrap();
        let text = file.tensor("a.weight", &[4, 1], Fill::He).unwrap_err().to_string();
        assert!(text.contains("`a.weight` has shape [2, 2], expected [4, 1]"), "{text}");
    }

    #[test]
    fn missing_and_unknown_tensors_are_named() {
        let mut file = open(&floats([0.0; 4])).unwrap();
        let text = file.tensor("b.weight", &[3], Fill::He).unwrap_err().to_string();
        assert!(text.contains("`b.weight` with shape [3] is missing"), "{text}");
        let text = file.finish().unwrap_err().to_string();
        assert!(text.ends_with("unknown to the architecture: a.weight"), "{text}");
    }

    #[test]
    fn values_that_are_not_finite_are_named() {
        for bad in [f32::NAN, f32::INFINITY] {
            let text = read(&floats([0.0, 1.0, bad, 0.0])).unwrap_err().to_string();
            let expected = format!("`a.weight` holds {bad} at index 2");
            assert!(text.contains(&expected), "{text}");
        }
    }

    #[test]
    fn other_types_are_refused() {
        let text = read(&sample(Dtype::F64, &[0; 32])).unwrap_err().to_string();
        assert!(text.contains("`a.weight` has type F64"), "{text}");
    }

    #[test]
    fn damaged_files_are_refused_at_every_length() {
        let whole = floats([1.0; 4]);
        for length in 0..whole.len() {
            let error = open(&whole[..length]).unwrap_err();
            assert!(matches!(error, NnError::TruncatedWeights { .. }), "{length}: {error}");
        }
        let mut garbled = whole;
        garbled[8] = b'[';
        let error = open(&garbled).unwrap_err();
        assert!(matches!(error, NnError::MalformedWeights { .. }), "{error}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = SafetensorsFile::open(Path::new("no/such.safetensors")).unwrap_err();
        assert!(error.to_string().starts_with("cannot read no/such.safetensors: "), "{error}");
    }
}
