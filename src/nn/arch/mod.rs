//! The built-in architectures: one file each, and one line in [`all`].

mod minionn;
mod resnet20;

use std::path::Path;

use super::NnError;
use super::data::{Normalization, uniform_images};
use super::graph::{Graph, TensorShape};
use super::random::{self, RandomWeights};
use super::safetensors::SafetensorsFile;
use super::weights::WeightSource;

static ALL: [Architecture; 2] = [minionn::ARCHITECTURE, resnet20::ARCHITECTURE];

/// Images on which random weights are normalised.
const CALIBRATION_IMAGES: usize = 16;

/// One network layout; the weights come from elsewhere.
#[derive(Debug)]
pub struct Architecture {
    /// Name in scenario files.
    pub id: &'static str,
    /// One line for `longhaul list`.
    pub summary: &'static str,
    /// Shape of its images.
    pub input: TensorShape,
    /// Number of logits.
    pub classes: usize,
    /// Builds the graph from tensors with PyTorch's names.
    pub build: fn(&mut dyn WeightSource) -> Result<Graph, NnError>,
}

/// Every architecture.
pub fn all() -> &'static [Architecture] {
    &ALL
}

/// The architecture with this id.
pub fn find(id: &str) -> Option<&'static Architecture> {
    all().iter().find(|architecture| architecture.id == id)
}

impl Architecture {
    /// The network with the weights of a safetensors file.
    ///
    /// # Errors
    /// If the file cannot be read or its tensors are not exactly those of the architecture.
    pub fn load(&self, path: &Path) -> Result<Graph, NnError> {
        let mut file = SafetensorsFile::open(path)?;
        let graph = (self.build)(&mut file)?;
        file.finish()?;
        Ok(graph)
    }

    /// The network with random weights, every activation layer seeing inputs of zero mean and unit variance
    /// on random images normalised in this way; the same on every machine.
    pub fn random(&self, seed: u64, normalization: &Normalization) -> Graph {
        let mut graph = (self.build)(&mut RandomWeights::new(seed)).expect("random weights always fit");
        let mut images = uniform_images(self.input, seed, "calibration", CALIBRATION_IMAGES);
        for image in &mut images {
            normalization.apply(&mut image.pixels);
        }
        random::normalise(&mut graph, &images);
        graph
    }
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::{Dtype, TensorView};

    use super::*;
    use crate::nn::graph::Op;
    use crate::nn::weights::Fill;

    /// Passes random tensors on and remembers them.
    struct Recorder {
        inner: RandomWeights,
        tensors: Vec<(String, Vec<usize>, Vec<u8>)>,
    }

    impl WeightSource for Recorder {
        fn tensor(&mut self, name: &str, shape: &[usize], fill: Fill) -> Result<Vec<f32>, NnError> {
            let values = self.inner.tensor(name, shape, fill)?;
            let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            self.tensors.push((name.to_string(), shape.to_vec(), bytes));
            Ok(values)
        }
    }

    fn parameters(graph: &Graph) -> Vec<&[f32]> {
        let linear = graph.nodes.iter().filter_map(|node| match &node.op {
            Op::Linear { weights, bias, .. } => Some([weights.as_slice(), bias]),
            _ => None,
        });
        linear.flatten().collect()
    }

    fn write(path: &Path, tensors: &[(String, Vec<usize>, Vec<u8>)]) {
        let views = tensors.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes).expect("sizes agree");
            (name, view)
        });
        let bytes = safetensors::serialize(views, None).expect("a valid file");
        std::fs::write(path, bytes).expect("a temporary file");
    }

    #[test]
    fn files_give_the_same_network_and_must_be_complete() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for architecture in all() {
            let mut recorder = Recorder { inner: RandomWeights::new(9), tensors: Vec::new() };
            let expected = (architecture.build)(&mut recorder).unwrap();
            let mut tensors = recorder.tensors;
            write(file.path(), &tensors);
            let graph = architecture.load(file.path()).unwrap();
            assert_eq!(parameters(&graph), parameters(&expected));

            tensors.push(("extra.weight".to_string(), vec![1], vec![0; 4]));
            write(file.path(), &tensors);
            let text = architecture.load(file.path()).unwrap_err().to_string();
            assert!(text.ends_with("the architecture: extra.weight"), "{text}");

            let (missing, ..) = tensors.remove(0);
            write(file.path(), &tensors);
            let text = architecture.load(file.path()).unwrap_err().to_string();
            assert!(text.contains(&format!("`{missing}` with shape")), "{text}");
        }
    }

    #[test]
    fn ids_are_unique_and_found() {
        for architecture in all() {
            let found = find(architecture.id).expect("listed");
            assert!(std::ptr::eq(found, architecture), "{}", architecture.id);
        }
        assert!(find("resnet").is_none());
    }

    #[test]
    fn every_architecture_keeps_its_promises() {
        for architecture in all() {
            let graph = (architecture.build)(&mut RandomWeights::new(1)).unwrap();
            graph.validate().unwrap();
            assert_eq!(graph.input_shape(), architecture.input, "{}", architecture.id);
            assert_eq!(graph.classes(), architecture.classes, "{}", architecture.id);
        }
    }
}
