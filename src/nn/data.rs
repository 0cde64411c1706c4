//! Images: read from data sets or generated, and input normalisation.

use std::path::Path;

use super::NnError;
pub use super::dataset::{Dataset, DatasetKind, Split, read_dataset, samples};
use super::graph::TensorShape;
use super::seeded::Uniform;

/// Shape of a CIFAR-10 image.
pub const CIFAR10_SHAPE: TensorShape = TensorShape { h: 32, w: 32, c: 3 };

/// One image.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Values in `[h][w][c]` order, from 0 to 1 before normalisation.
    pub pixels: Vec<f64>,
    /// Its class, if known.
    pub label: Option<u8>,
}

/// The first `count` images of a CIFAR-10 data set in its binary layout, see [`DatasetKind::Cifar10`].
///
/// # Errors
/// As [`read_dataset`], and if there are fewer images.
pub fn read_cifar10(path: &Path, split: Split, count: usize) -> Result<Vec<Image>, NnError> {
    read_dataset(DatasetKind::Cifar10, path, split, Some(count)).map(|dataset| dataset.images().collect())
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
