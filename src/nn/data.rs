//! Images: the CIFAR-10 binary layout, generated images, and input normalisation.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::NnError;
use super::graph::TensorShape;
use super::seeded::Uniform;

/// Shape of a CIFAR-10 image.
pub const CIFAR10_SHAPE: TensorShape = TensorShape { h: 32, w: 32, c: 3 };

const PIXELS: usize = 32 * 32;
/// One label byte, then the red, green and blue planes.
const RECORD_BYTES: usize = 1 + 3 * PIXELS;

/// One image.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Values in `[h][w][c]` order, from 0 to 1 before normalisation.
    pub pixels: Vec<f64>,
    /// Its class, if known.
    pub label: Option<u8>,
}

/// Which part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// `data_batch_1.bin` to `data_batch_5.bin`.
    Train,
    /// `test_batch.bin`.
    Test,
}

impl Split {
    /// The files of the split, in order.
    fn files(self) -> Vec<String> {
        match self {
            Split::Train => (1..=5).map(|i| format!("data_batch_{i}.bin")).collect(),
            Split::Test => vec!["test_batch.bin".to_string()],
        }
    }
}

/// The first `count` images of a CIFAR-10 data set in its binary layout.
///
/// `path` is the folder with the official files, or one file, which is read whatever the split.
///
/// # Errors
/// If a file is missing, ends inside a record, holds a label above 9, or there are fewer images.
pub fn read_cifar10(path: &Path, split: Split, count: usize) -> Result<Vec<Image>, NnError> {
    let files: Vec<PathBuf> = if path.is_dir() {
        split.files().iter().map(|name| path.join(name)).collect()
    } else {
        vec![path.to_path_buf()]
    };
    let mut images = Vec::new();
    for file in files {
        if images.len() < count {
            images.extend(read_batch(&file, count - images.len())?);
        }
    }
    if images.len() < count {
        return Err(NnError::TooFewImages { path: path.to_path_buf(), expected: count, actual: images.len() });
    }
    Ok(images)
}

/// Up to `count` images of one file.
fn read_batch(path: &Path, count: usize) -> Result<Vec<Image>, NnError> {
    let limit = (count as u64).saturating_mul(RECORD_BYTES as u64);
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|source| NnError::ReadFile { path: path.to_path_buf(), source })?;
    let records = bytes.chunks(RECORD_BYTES).enumerate();
    records.map(|(i, bytes)| decode(path, i, bytes)).collect()
}

fn decode(path: &Path, record: usize, bytes: &[u8]) -> Result<Image, NnError> {
    if bytes.len() != RECORD_BYTES {
        return Err(NnError::TruncatedRecord {
            path: path.to_path_buf(),
            record,
            expected_bytes: RECORD_BYTES,
            actual_bytes: bytes.len(),
        });
    }
    let (label, planes) = (bytes[0], &bytes[1..]);
    if label > 9 {
        return Err(NnError::Label { path: path.to_path_buf(), record, actual: label });
    }
    let value = |i: usize| f64::from(planes[i % 3 * PIXELS + i / 3]) / 255.0;
    Ok(Image { pixels: (0..3 * PIXELS).map(value).collect(), label: Some(label) })
}

/// Images of independent uniform values in [0, 1); image `i` does not depend on `count`.
pub fn random_images(shape: TensorShape, seed: u64, count: usize) -> Vec<Image> {
    uniform_images(shape, seed, "image", count)
}

/// Like [`random_images`], with a stream of its own for each purpose.
pub(super) fn uniform_images(shape: TensorShape, seed: u64, purpose: &str, count: usize) -> Vec<Image> {
    let mut uniform = Uniform::new(seed, purpose);
    let mut image = || Image { pixels: uniform.draw(shape.elements()), label: None };
    (0..count).map(|_| image()).collect()
}

/// `(x - mean) / std` for each of three channels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalization {
    /// Subtracted first.
    pub mean: [f64; 3],
    /// Then divided by.
    pub std: [f64; 3],
}

impl Normalization {
    /// Leaves images as they are.
    pub const NONE: Normalization = Normalization { mean: [0.0; 3], std: [1.0; 3] };

    /// The presets by name.
    pub const PRESETS: [(&'static str, Normalization); 3] = [
        ("none", Normalization::NONE),
        ("imagenet", Normalization { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }),
        ("cifar10", Normalization { mean: [0.4914, 0.4822, 0.4465], std: [0.2470, 0.2435, 0.2616] }),
    ];

    /// The preset with this name.
    pub fn named(name: &str) -> Option<Normalization> {
        let preset = Normalization::PRESETS.iter().find(|(n, _)| *n == name);
        preset.map(|(_, normalization)| *normalization)
    }

    /// Normalises an image in `[h][w][c]` order.
    ///
    /// # Panics
    /// If the image does not have three channels, unless this is [`Normalization::NONE`].
    pub fn apply(&self, pixels: &mut [f64]) {
        if *self == Normalization::NONE {
            return;
        }
        let (pixels, rest) = pixels.as_chunks_mut::<3>();
        assert!(rest.is_empty(), "normalisation needs three channels");
        for pixel in pixels {
            for ((value, mean), std) in pixel.iter_mut().zip(self.mean).zip(self.std) {
                *value = (*value - mean) / std;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record whose red plane counts up, green is 100 and blue 255.
    fn record(label: u8) -> Vec<u8> {
        let red = (0..PIXELS).map(|i| (i % 256) as u8);
        let rest = [100u8, 255].into_iter().flat_map(|v| [v; PIXELS]);
        std::iter::once(label).chain(red).chain(rest).collect()
    }

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        folder
    }

    #[test]
    fn planes_become_interleaved_pixels() {
        let bytes = [record(3), record(9)].concat();
        let folder = folder(&[("test_batch.bin", &bytes)]);
        let images = read_cifar10(folder.path(), Split::Test, 2).unwrap();
        assert_eq!(images[1].label, Some(9));
        let pixels = &images[0].pixels;
        assert_eq!(pixels.len(), CIFAR10_SHAPE.elements());
        assert_eq!(pixels[..4], [0.0, 100.0 / 255.0, 1.0, 1.0 / 255.0]);
        let file = folder.path().join("test_batch.bin");
        assert_eq!(read_cifar10(&file, Split::Train, 1).unwrap(), images[..1]);
    }

    #[test]
    fn training_images_span_the_batches() {
        let batch: [Vec<u8>; 2] = [record(1), [record(2), record(3)].concat()];
        let folder = folder(&[("data_batch_1.bin", &batch[0]), ("data_batch_2.bin", &batch[1])]);
        let images = read_cifar10(folder.path(), Split::Train, 2).unwrap();
        let labels: Vec<_> = images.iter().map(|image| image.label).collect();
        assert_eq!(labels, [Some(1), Some(2)]);
        let text = read_cifar10(folder.path(), Split::Train, 4).unwrap_err().to_string();
        assert!(text.contains("cannot read") && text.contains("data_batch_3.bin"), "{text}");
    }

    #[test]
    fn damaged_files_are_refused() {
        let mut bytes = [record(1), record(10)].concat();
        let folder = folder(&[("labels", &bytes), ("short", &bytes[..RECORD_BYTES + 5])]);
        let read = |name: &str, count| {
            let result = read_cifar10(&folder.path().join(name), Split::Test, count);
            result.map(|images| images.len()).map_err(|e| e.to_string())
        };
        let text = read("labels", 2).unwrap_err();
        assert!(text.ends_with("labels: record 1 has label 10, expected 0 to 9"), "{text}");
        let text = read("short", 2).unwrap_err();
        assert!(text.contains("record 1 has 5 bytes, expected 3073"), "{text}");
        assert_eq!(read("short", 1), Ok(1));
        bytes.truncate(RECORD_BYTES);
        std::fs::write(folder.path().join("few"), &bytes).unwrap();
        let text = read("few", 2).unwrap_err();
        assert!(text.ends_with("few: 1 images, expected at least 2"), "{text}");
        let text = read("none", 1).unwrap_err();
        assert!(text.contains("cannot read") && text.contains("none"), "{text}");
    }

    #[test]
    fn random_images_depend_on_the_seed_only() {
        let images = random_images(CIFAR10_SHAPE, 7, 3);
        assert_eq!(images[..2], random_images(CIFAR10_SHAPE, 7, 2));
        assert_ne!(images[0], images[1]);
        assert_ne!(images[0], random_images(CIFAR10_SHAPE, 8, 1)[0]);
    }

    #[test]
    fn normalisation_by_hand() {
        let mut pixels = [0.485, 0.456 + 0.224, 0.406 - 0.225];
        Normalization::named("imagenet").unwrap().apply(&mut pixels);
        for (actual, expected) in pixels.iter().zip([0.0, 1.0, -1.0]) {
            assert!((actual - expected).abs() < 1e-12, "{pixels:?}");
        }
        assert_eq!(Normalization::named("none"), Some(Normalization::NONE));
        assert_eq!(Normalization::named("cifar"), None);
    }
}
