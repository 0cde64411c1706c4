//! Data sets in the files their authors publish, kept as bytes.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::NnError;
use super::data::{CIFAR10_SHAPE, Image};
use super::graph::TensorShape;

const SIDE: usize = 32;
const PIXELS: usize = SIDE * SIDE;
const CHANNELS: usize = 3;

/// Which part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// To train on.
    Train,
    /// To test with.
    Test,
}

/// A kind of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatasetKind {
    /// CIFAR-10's binary layout: a label byte, then the red, green and blue planes; `data_batch_1.bin` to
    /// `data_batch_5.bin` and `test_batch.bin`.
    Cifar10,
    /// CIFAR-100's: a coarse and a fine label byte, of which the fine one counts; `train.bin` and `test.bin`.
    Cifar100,
    /// MNIST's IDX files: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and `t10k-...`; grey images of up to
    /// 32 x 32 pixels, put in the middle of a black square and repeated in all three channels.
    Idx,
}

impl DatasetKind {
    /// Every kind by name.
    pub const ALL: [(&'static str, DatasetKind); 3] =
        [("cifar10", DatasetKind::Cifar10), ("cifar100", DatasetKind::Cifar100), ("idx", DatasetKind::Idx)];

    /// Number of classes.
    pub fn classes(self) -> usize {
        match self {
            DatasetKind::Cifar10 | DatasetKind::Idx => 10,
            DatasetKind::Cifar100 => 100,
        }
    }

    /// The files of a split; of IDX the images' and the labels'.
    fn files(self, split: Split) -> Vec<String> {
        let names: &[&str] = match (self, split) {
            (DatasetKind::Cifar10, Split::Train) => {
                return (1..=5).map(|i| format!("data_batch_{i}.bin")).collect();
            }
            (DatasetKind::Cifar10, Split::Test) => &["test_batch.bin"],
            (DatasetKind::Cifar100, Split::Train) => &["train.bin"],
            (DatasetKind::Cifar100, Split::Test) => &["test.bin"],
            (DatasetKind::Idx, Split::Train) => &["train-images-idx3-ubyte", "train-labels-idx1-ubyte"],
            (DatasetKind::Idx, Split::Test) => &["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"],
        };
        names.iter().map(|name| name.to_string()).collect()
    }
}

/// Images of 32 x 32 pixels in three channels, with their labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// `[image][h][w][c]`, from 0 to 255.
    pub pixels: Vec<u8>,
    /// One per image.
    pub labels: Vec<u8>,
    /// How many classes the labels tell apart.
    pub classes: usize,
}

impl Dataset {
    /// Bytes of one image.
    pub const IMAGE_BYTES: usize = PIXELS * CHANNELS;

    /// Shape of one image.
    pub const SHAPE: TensorShape = CIFAR10_SHAPE;

    /// How many images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The images with values from 0 to 1.
    pub fn images(&self) -> impl Iterator<Item = Image> {
        self.pixels.chunks_exact(Self::IMAGE_BYTES).zip(&self.labels).map(|(pixels, &label)| Image {
            pixels: pixels.iter().map(|&byte| f64::from(byte) / 255.0).collect(),
            label: Some(label),
        })
    }
}

/// The first `count` images of a split, or all.
///
/// `path` is the folder with the official files; of CIFAR-10 and CIFAR-100 it may be one file, which is read whatever
/// the split.
///
/// # Errors
/// If a file is missing, damaged or ends inside an image, holds a label that names no class, or there are fewer images.
pub fn read_dataset(kind: DatasetKind, path: &Path, split: Split, count: Option<usize>) -> Result<Dataset, NnError> {
    let files: Vec<PathBuf> = if path.is_file() {
        vec![path.to_path_buf()]
    } else {
        kind.files(split).iter().map(|name| path.join(name)).collect()
    };
    let mut dataset = Dataset { pixels: Vec::new(), labels: Vec::new(), classes: kind.classes() };
    let most = count.unwrap_or(usize::MAX);
    match kind {
        DatasetKind::Cifar10 => read_cifar(&files, 1, most, &mut dataset)?,
        DatasetKind::Cifar100 => read_cifar(&files, 2, most, &mut dataset)?,
        DatasetKind::Idx => read_idx(&files, most, &mut dataset)?,
    }
    let least = count.unwrap_or(1);
    if dataset.len() < least {
        return Err(NnError::TooFewImages { path: path.to_path_buf(), expected: least, actual: dataset.len() });
    }
    Ok(dataset)
}

/// The images that come with the program: drawings of this project's own, one of each class of CIFAR-10, in their order.
pub fn samples() -> Dataset {
    let mut dataset = Dataset { pixels: Vec::new(), labels: Vec::new(), classes: DatasetKind::Cifar10.classes() };
    let path = Path::new("samples (built in)");
    take_cifar(path, include_bytes!("../../scenarios/samples/test_batch.bin"), 1, &mut dataset)
        .expect("whole records, as a test sees");
    dataset
}

/// Records of `labels` label bytes, of which the last counts, and three planes.
fn read_cifar(files: &[PathBuf], labels: usize, most: usize, dataset: &mut Dataset) -> Result<(), NnError> {
    let record_bytes = labels + CHANNELS * PIXELS;
    for path in files {
        let left = most - dataset.len();
        if left == 0 {
            break;
        }
        let bytes = read_file(path, (left as u64).saturating_mul(record_bytes as u64))?;
        take_cifar(path, &bytes, labels, dataset)?;
    }
    Ok(())
}

/// The records of one file.
fn take_cifar(path: &Path, bytes: &[u8], labels: usize, dataset: &mut Dataset) -> Result<(), NnError> {
    let record_bytes = labels + CHANNELS * PIXELS;
    for (record, bytes) in bytes.chunks(record_bytes).enumerate() {
        if bytes.len() != record_bytes {
            return Err(NnError::TruncatedRecord {
                path: path.to_path_buf(),
                record,
                expected_bytes: record_bytes,
                actual_bytes: bytes.len(),
            });
        }
        let (label, planes) = (bytes[labels - 1], &bytes[labels..]);
        push_label(path, record, label, dataset)?;
        let value = |i: usize| planes[i % CHANNELS * PIXELS + i / CHANNELS];
        dataset.pixels.extend((0..CHANNELS * PIXELS).map(value));
    }
    Ok(())
}

fn push_label(path: &Path, record: usize, label: u8, dataset: &mut Dataset) -> Result<(), NnError> {
    let most = dataset.classes - 1;
    if usize::from(label) > most {
        return Err(NnError::Label { path: path.to_path_buf(), record, actual: label, most });
    }
    dataset.labels.push(label);
    Ok(())
}

/// The IDX format of LeCun's MNIST page: two zero bytes, the type (8: bytes), the number of dimensions, each dimension as
/// a big-endian word, the values.
fn read_idx(files: &[PathBuf], most: usize, dataset: &mut Dataset) -> Result<(), NnError> {
    let [images, labels] = files else {
        let path = files[0].clone();
        return Err(NnError::Idx { path, problem: "name the folder with images and labels, not one file".to_owned() });
    };
    let (dimensions, pixels) = read_idx_file(images, 3)?;
    let (_, values) = read_idx_file(labels, 1)?;
    let (height, width) = (dimensions[1], dimensions[2]);
    let problem = |path: &Path, problem: String| Err(NnError::Idx { path: path.to_path_buf(), problem });
    if height > SIDE || width > SIDE {
        return problem(images, format!("images of {height} x {width} pixels; at most {SIDE} x {SIDE} fit"));
    }
    if dimensions[0] != values.len() {
        return problem(labels, format!("{} labels for {} images", values.len(), dimensions[0]));
    }
    let (top, left) = ((SIDE - height) / 2, (SIDE - width) / 2);
    for (record, &label) in values.iter().take(most).enumerate() {
        push_label(labels, record, label, dataset)?;
        let image = &pixels[record * height * width..][..height * width];
        let mut square = vec![0; Dataset::IMAGE_BYTES];
        for (i, &grey) in image.iter().enumerate() {
            let at = (top + i / width) * SIDE + left + i % width;
            square[at * CHANNELS..][..CHANNELS].fill(grey);
        }
        dataset.pixels.extend(square);
    }
    Ok(())
}

/// The dimensions and values of an IDX file of bytes.
fn read_idx_file(path: &Path, dimensions: usize) -> Result<(Vec<usize>, Vec<u8>), NnError> {
    let bytes = read_file(path, u64::MAX)?;
    let problem = |problem: String| NnError::Idx { path: path.to_path_buf(), problem };
    let header = 4 + 4 * dimensions;
    if bytes.len() < header || bytes[..4] != [0, 0, 8, dimensions as u8] {
        return Err(problem(format!("no header of bytes in {dimensions} dimensions; unpack it if it ends in .gz")));
    }
    let (words, _) = bytes[4..header].as_chunks::<4>();
    let sizes: Vec<usize> = words.iter().map(|&word| u32::from_be_bytes(word) as usize).collect();
    let expected = sizes.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    let values = bytes[header..].to_vec();
    if expected != Some(values.len()) {
        return Err(problem(format!("{} bytes of values, the header says {sizes:?}", values.len())));
    }
    Ok((sizes, values))
}

fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, NnError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|source| NnError::ReadFile { path: path.to_path_buf(), source })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::data::read_cifar10;

    const RECORD_BYTES: usize = 1 + CHANNELS * PIXELS;

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
    fn the_samples_are_one_image_of_each_class() {
        let samples = samples();
        assert_eq!(samples.labels, (0..10).collect::<Vec<u8>>());
        assert!(samples.pixels.chunks_exact(Dataset::IMAGE_BYTES).all(|image| image.iter().max() > Some(&150)));
    }

    #[test]
    fn of_two_labels_the_fine_one_counts() {
        let bytes = [vec![7], record(99), vec![3], record(0)].concat();
        let folder = folder(&[("train.bin", &bytes), ("bad", &[vec![7], record(100)].concat())]);
        let dataset = read_dataset(DatasetKind::Cifar100, folder.path(), Split::Train, None).unwrap();
        assert_eq!((dataset.labels.as_slice(), dataset.classes), ([99, 0].as_slice(), 100));
        assert_eq!(dataset.pixels[..4], [0, 100, 255, 1]);
        let text = read_dataset(DatasetKind::Cifar100, &folder.path().join("bad"), Split::Train, None);
        assert!(text.unwrap_err().to_string().ends_with("label 100, expected 0 to 99"));
    }

    #[test]
    fn idx_images_stand_in_the_middle() {
        // Two images of 2 x 4 pixels.
        let images = [vec![0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 4], (1..=16).collect()].concat();
        let labels = [0, 0, 8, 1, 0, 0, 0, 2, 9, 4];
        let names = ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];
        let good = folder(&[(names[0], &images), (names[1], &labels)]);
        let read = |folder: &Path, count| read_dataset(DatasetKind::Idx, folder, Split::Test, count);
        let dataset = read(good.path(), None).unwrap();
        assert_eq!(dataset.labels, [9, 4]);
        let at = |image: usize, y: usize, x: usize| &dataset.pixels[(image * PIXELS + y * SIDE + x) * 3..][..3];
        assert_eq!((at(0, 15, 14), at(0, 16, 17), at(1, 15, 14)), (&[1; 3][..], &[8; 3][..], &[9; 3][..]));
        assert_eq!(dataset.pixels.iter().map(|&p| usize::from(p)).sum::<usize>(), 3 * 136);
        assert_eq!(read(good.path(), Some(1)).unwrap().len(), 1);

        let text = |images: &[u8], labels: &[u8]| {
            let bad = folder(&[(names[0], images), (names[1], labels)]);
            read(bad.path(), None).unwrap_err().to_string()
        };
        assert!(text(&images[..20], &labels).contains("4 bytes of values, the header says [2, 2, 4]"));
        assert!(text(&images, &labels[..9]).contains("1 bytes of values"));
        assert!(text(&[0x1f, 0x8b], &labels).contains("unpack it if it ends in .gz"));
        assert!(text(&images, &[0, 0, 8, 1, 0, 0, 0, 1, 9]).contains("1 labels for 2 images"));
        assert!(text(&images, &[0, 0, 8, 1, 0, 0, 0, 2, 9, 10]).contains("record 1 has label 10, expected 0 to 9"));
        let file = good.path().join(names[0]);
        assert!(read(&file, None).unwrap_err().to_string().contains("name the folder"));
    }
}
