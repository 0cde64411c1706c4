//! Batches of images: shuffled, cropped, flipped and normalised, the same for the same seed and epoch.

use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};

use crate::nn::data::{Dataset, Normalization};
use crate::nn::graph::TensorShape;
use crate::nn::seeded::Uniform;

const SHAPE: TensorShape = Dataset::SHAPE;
/// Black pixels around an image before a crop of its own size.
const CROP: usize = 4;

/// Where one image goes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Placement {
    /// By how many pixels the crop is shifted, from `-CROP` to `CROP`.
    shift: (isize, isize),
    flip: bool,
}

/// Images and labels of one step.
#[derive(Debug)]
pub struct Batch<B: Backend> {
    /// `[image][h][w][c]`.
    pub images: Tensor<B, 4>,
    /// Classes.
    pub labels: Tensor<B, 1, Int>,
}

/// The order of the images of one epoch, and what is done to each.
#[derive(Debug)]
pub struct Epoch<'a> {
    dataset: &'a Dataset,
    table: [[f32; 256]; 3],
    order: Vec<(usize, Placement)>,
}

impl<'a> Epoch<'a> {
    /// A training epoch.
    pub fn train(
        dataset: &'a Dataset,
        normalization: &Normalization,
        (seed, epoch): (u64, u32),
        augment: bool,
    ) -> Epoch<'a> {
        let mut uniform = Uniform::new(seed, &format!("training epoch {epoch}"));
        let below = |unit: f64, limit: usize| (unit * limit as f64) as usize;
        let mut order: Vec<usize> = (0..dataset.len()).collect();
        // Fisher and Yates, from the end.
        for (draw, last) in uniform.draw(order.len()).into_iter().zip((1..order.len()).rev()) {
            order.swap(last, below(draw, last + 1));
        }
        let place = |draws: &[f64]| {
            let shift = |unit: f64| below(unit, 2 * CROP + 1) as isize - CROP as isize;
            Placement { shift: (shift(draws[0]), shift(draws[1])), flip: draws[2] < 0.5 }
        };
        let draws = if augment { uniform.draw(3 * order.len()) } else { Vec::new() };
        let order = order.into_iter().enumerate();
        let order = order.map(|(i, image)| (image, draws.get(3 * i..3 * i + 3).map(place).unwrap_or_default()));
        Epoch { dataset, table: table(normalization), order: order.collect() }
    }

    /// Every image once, as it is and in order.
    pub fn test(dataset: &'a Dataset, normalization: &Normalization) -> Epoch<'a> {
        let order = (0..dataset.len()).map(|image| (image, Placement::default()));
        Epoch { dataset, table: table(normalization), order: order.collect() }
    }

    /// The batches; the last may be smaller.
    pub fn batches<B: Backend>(
        &self,
        size: usize,
        device: &B::Device,
    ) -> impl ExactSizeIterator<Item = Batch<B>> + use<'_, 'a, B> {
        let device = device.clone();
        self.order.chunks(size).map(move |chunk| {
            let mut values = vec![0.0; chunk.len() * Dataset::IMAGE_BYTES];
            let mut labels = Vec::with_capacity(chunk.len());
            for (&(image, placement), values) in chunk.iter().zip(values.chunks_exact_mut(Dataset::IMAGE_BYTES)) {
                self.place(image, placement, values);
                labels.push(i32::from(self.dataset.labels[image]));
            }
            let shape = [chunk.len(), SHAPE.h, SHAPE.w, SHAPE.c];
            Batch {
                images: Tensor::from_data(TensorData::new(values, shape), &device),
                labels: Tensor::from_data(TensorData::new(labels, [chunk.len()]), &device),
            }
        })
    }

    /// Writes one image; pixels outside it are black.
    fn place(&self, image: usize, Placement { shift, flip }: Placement, values: &mut [f32]) {
        let bytes = &self.dataset.pixels[image * Dataset::IMAGE_BYTES..][..Dataset::IMAGE_BYTES];
        for (pixel, values) in values.chunks_exact_mut(SHAPE.c).enumerate() {
            let (y, x) = (pixel / SHAPE.w, pixel % SHAPE.w);
            let x = if flip { SHAPE.w - 1 - x } else { x };
            let from = (y.wrapping_add_signed(shift.0), x.wrapping_add_signed(shift.1));
            let inside = from.0 < SHAPE.h && from.1 < SHAPE.w;
            for (channel, value) in values.iter_mut().enumerate() {
                let byte = if inside { bytes[(from.0 * SHAPE.w + from.1) * SHAPE.c + channel] } else { 0 };
                *value = self.table[channel][usize::from(byte)];
            }
        }
    }
}

/// The normalised value of every byte, per channel.
fn table(normalization: &Normalization) -> [[f32; 256]; 3] {
    let value =
        |channel: usize, byte: usize| (byte as f64 / 255.0 - normalization.mean[channel]) / normalization.std[channel];
    std::array::from_fn(|channel| std::array::from_fn(|byte| value(channel, byte) as f32))
}
