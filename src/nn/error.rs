//! What can be wrong with a network, its weights or its images.

use std::path::PathBuf;

/// Bad input to this layer. Every variant names the file or node and what was expected of it.
#[derive(Debug, thiserror::Error)]
pub enum NnError {
    /// A file cannot be opened or read.
    #[error("cannot read {}: {source}", path.display())]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A weights file whose length differs from what its header describes.
    #[error(
        "{}: truncated or padded safetensors file: its {actual_bytes} bytes are not what its header describes",
        path.display()
    )]
    TruncatedWeights {
        /// The file.
        path: PathBuf,
        /// Its length.
        actual_bytes: u64,
    },
    /// A weights file that is not in the safetensors format.
    #[error("{}: not a valid safetensors file: {problem}", path.display())]
    MalformedWeights {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        problem: String,
    },
    /// A tensor the architecture needs is not in the file.
    #[error("{}: tensor `{tensor}` with shape {expected:?} is missing", path.display())]
    MissingTensor {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The shape it should have.
        expected: Vec<usize>,
    },
    /// A tensor has another shape than the architecture gives it.
    #[error("{}: tensor `{tensor}` has shape {actual:?}, expected {expected:?}", path.display())]
    TensorShape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The shape the architecture gives it.
        expected: Vec<usize>,
        /// Its shape in the file.
        actual: Vec<usize>,
    },
    /// A tensor holds something else than floating-point numbers of 16 or 32 bits.
    #[error("{}: tensor `{tensor}` has type {actual}, expected F32, F16 or BF16", path.display())]
    TensorType {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its type in the file.
        actual: String,
    },
    /// A weight is NaN or infinite.
    #[error(
        "{}: tensor `{tensor}` holds {actual} at index {index}, expected a finite number",
        path.display()
    )]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Index into the tensor's row-major values.
        index: usize,
        /// The value.
        actual: f32,
    },
    /// The file holds tensors that the architecture does not use.
    #[error("{}: tensors unknown to the architecture: {}", path.display(), tensors.join(", "))]
    UnknownTensors {
        /// The file.
        path: PathBuf,
        /// Their names, sorted.
        tensors: Vec<String>,
    },
    /// A file that is not in the ONNX format, or damaged.
    #[error("{}: not a usable ONNX file: {problem}", path.display())]
    MalformedOnnx {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// An ONNX node that no network here can have.
    #[error("{}: node `{node}` ({operator}): {problem}", path.display())]
    OnnxNode {
        /// The file.
        path: PathBuf,
        /// The node's name, or that of its first output if it has none.
        node: String,
        /// Its operator.
        operator: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// A batch norm cannot be folded.
    #[error("batch norm `{layer}`: running variance {actual} at channel {channel}, expected >= 0")]
    NegativeVariance {
        /// The layer.
        layer: String,
        /// Its channel.
        channel: usize,
        /// The variance.
        actual: f32,
    },
    /// A graph that breaks a rule every graph must keep.
    #[error("network node `{node}`: {problem}")]
    InvalidGraph {
        /// The node.
        node: String,
        /// The rule it breaks.
        problem: String,
    },
    /// Images that are not those of the network.
    #[error(
        "model `{model}` takes images of {expected} (height, width, channels), the data set's are {actual}; use dataset = \"random\""
    )]
    ImageShape {
        /// The model.
        model: String,
        /// The shape it takes.
        expected: String,
        /// The shape of the images.
        actual: String,
    },
    /// Normalisation of images that are not red, green and blue.
    #[error("model `{model}` takes images of {actual} channels, normalize works on 3; use normalize = \"none\"")]
    NormalizedChannels {
        /// The model.
        model: String,
        /// Its channels.
        actual: usize,
    },
    /// A data set file that ends inside a record.
    #[error(
        "{}: record {record} has {actual_bytes} bytes, expected {expected_bytes}: truncated file",
        path.display()
    )]
    TruncatedRecord {
        /// The file.
        path: PathBuf,
        /// Index of the record, from 0.
        record: usize,
        /// Length of a record.
        expected_bytes: usize,
        /// Length of this one.
        actual_bytes: usize,
    },
    /// A label that names no class.
    #[error("{}: record {record} has label {actual}, expected 0 to {most}", path.display())]
    Label {
        /// The file.
        path: PathBuf,
        /// Index of the record, from 0.
        record: usize,
        /// The label.
        actual: u8,
        /// The largest that names a class.
        most: usize,
    },
    /// A file that is not in the IDX format, or does not fit its pair.
    #[error("{}: not a usable IDX file: {problem}", path.display())]
    Idx {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A data set with fewer images than asked for.
    #[error("{}: {actual} images, expected at least {expected}", path.display())]
    TooFewImages {
        /// The file or folder.
        path: PathBuf,
        /// Images asked for.
        expected: usize,
        /// Images it holds.
        actual: usize,
    },
}
