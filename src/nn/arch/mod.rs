//! The built-in architectures: one file each, and one line in [`all`].

mod minionn;
mod options;
mod residual;
mod resnet18;
mod resnet50;
mod resnet_cifar;
mod vgg16;

pub use options::{Options, Pool, Shortcut};

use std::path::Path;

use super::NnError;
use super::data::{CIFAR10_SHAPE, Image, Normalization, uniform_images};
use super::graph::{Graph, TensorShape};
use super::random::{self, RandomWeights};
use super::safetensors::SafetensorsFile;
use super::trained;
pub use super::trained::TrainedWith;
use super::weights::WeightSource;

static ALL: [Architecture; 9] = [
    minionn::ARCHITECTURE,
    vgg16::ARCHITECTURE,
    resnet18::ARCHITECTURE,
    resnet_cifar::architecture::<3>("resnet20", "ResNet-20 for CIFAR: 19 activation layers, 188,416 activations"),
    resnet_cifar::architecture::<5>("resnet32", "ResNet-32 for CIFAR: 31 activation layers, 303,104 activations"),
    resnet_cifar::architecture::<7>("resnet44", "ResNet-44 for CIFAR: 43 activation layers, 417,792 activations"),
    resnet_cifar::architecture::<9>("resnet56", "ResNet-56 for CIFAR: 55 activation layers, 532,480 activations"),
    resnet_cifar::architecture::<18>("resnet110", "ResNet-110 for CIFAR: 109 activation layers, 1,048,576 activations"),
    resnet50::ARCHITECTURE,
];

/// Images of CIFAR's size on which random weights are normalised.
const CALIBRATION_IMAGES: usize = 16;
/// Larger images have more pixels to take moments over, and cost more.
const LARGE_CALIBRATION_IMAGES: usize = 2;

/// One network layout; the weights come from elsewhere.
#[derive(Debug)]
pub struct Architecture {
    /// Name in scenario files.
    pub id: &'static str,
    /// One line for `longhaul list`.
    pub summary: &'static str,
    /// Shape of its images.
    pub input: TensorShape,
    /// Number of logits, unless the options say otherwise.
    pub classes: usize,
    /// Kinds of pooling to choose from, the default first; none if there is nothing to choose.
    pub pools: &'static [Pool],
    /// Shortcuts to choose from, the default first; none if there is nothing to choose.
    pub shortcuts: &'static [Shortcut],
    /// Builds the graph from tensors with PyTorch's names; options that it does not offer have no effect.
    pub build: fn(&Options, &mut dyn WeightSource) -> Result<Graph, NnError>,
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
    pub fn load(&self, options: &Options, path: &Path) -> Result<Graph, NnError> {
        self.take(options, SafetensorsFile::open(path)?)
    }

    /// The network with weights that come with the program; `None` if there are none.
    ///
    /// # Errors
    /// If they are not those of the architecture with these options.
    pub fn trained(&self, options: &Options, activation: TrainedWith) -> Option<Result<Graph, NnError>> {
        let weights = trained::find(self.id)?.with(activation);
        let file = SafetensorsFile::from_bytes(Path::new("weights = \"trained\""), weights);
        Some(file.and_then(|file| self.take(options, file)))
    }

    fn take(&self, options: &Options, mut file: SafetensorsFile) -> Result<Graph, NnError> {
        let graph = (self.build)(options, &mut file)?;
        file.finish()?;
        Ok(graph)
    }

    /// Whether weights for it come with the program.
    pub fn is_trained(&self) -> bool {
        trained::find(self.id).is_some()
    }

    /// The network with random weights, every activation layer seeing inputs of zero mean and unit variance
    /// on random images normalised in this way; the same on every machine.
    ///
    /// # Panics
    /// If the options ask for no classes.
    pub fn random(&self, options: &Options, seed: u64, normalization: &Normalization) -> Graph {
        let mut graph = (self.build)(options, &mut RandomWeights::new(seed)).expect("random weights always fit");
        random::normalise(&mut graph, &self.calibration_images(seed, normalization));
        graph
    }

    /// The images on which [`random`](Self::random) normalises.
    pub(super) fn calibration_images(&self, seed: u64, normalization: &Normalization) -> Vec<Image> {
        let large = self.input.elements() > CIFAR10_SHAPE.elements();
        let count = if large { LARGE_CALIBRATION_IMAGES } else { CALIBRATION_IMAGES };
        let mut images = uniform_images(self.input, seed, "calibration", count);
        for image in &mut images {
            normalization.apply(&mut image.pixels);
        }
        images
    }
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::{Dtype, TensorView};

    use super::*;
    use crate::nn::graph::Op;
    use crate::nn::weights::{Fill, Zeros};
    use crate::ring::LinearShape;

    /// Name, shape and little-endian values of a tensor.
    type Tensor = (String, Vec<usize>, Vec<u8>);

    /// Passes random tensors on and remembers them.
    struct Recorder {
        inner: RandomWeights,
        tensors: Vec<Tensor>,
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

    fn write(path: &Path, tensors: &[Tensor]) {
        let views = tensors.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes).expect("sizes agree");
            (name, view)
        });
        let bytes = safetensors::serialize(views, None).expect("a valid file");
        std::fs::write(path, bytes).expect("a temporary file");
    }

    /// Every combination of pooling and shortcuts that an architecture offers, with its own classes.
    fn variants(architecture: &Architecture) -> Vec<Options> {
        let or_default = |pools: &[Pool]| if pools.is_empty() { vec![Pool::default()] } else { pools.to_vec() };
        let shortcuts = if architecture.shortcuts.is_empty() { &[Shortcut::A] } else { architecture.shortcuts };
        let with = |pool| shortcuts.iter().map(move |&shortcut| Options { classes: None, pool, shortcut });
        or_default(architecture.pools).into_iter().flat_map(with).collect()
    }

    fn recorded(architecture: &Architecture, options: &Options) -> (Graph, Vec<Tensor>) {
        let mut recorder = Recorder { inner: RandomWeights::new(9), tensors: Vec::new() };
        let graph = (architecture.build)(options, &mut recorder).unwrap();
        (graph, recorder.tensors)
    }

    #[test]
    fn files_give_the_same_network() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for architecture in all() {
            // Pooling has no tensors.
            let pooled = |options: &Options| options.pool == Pool::default();
            for options in variants(architecture).into_iter().filter(pooled) {
                let (expected, tensors) = recorded(architecture, &options);
                write(file.path(), &tensors);
                let graph = architecture.load(&options, file.path()).unwrap();
                assert!(parameters(&graph) == parameters(&expected), "{} {options:?}", architecture.id);
            }
        }
    }

    #[test]
    fn files_must_be_complete_and_hold_nothing_else() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let options = Options::default();
        // The rule is the same for all; the others' files are large.
        let small = |architecture: &&Architecture| {
            (architecture.build)(&Options::default(), &mut Zeros).unwrap().parameters() < 500_000
        };
        for architecture in all().iter().filter(small) {
            let (_, mut tensors) = recorded(architecture, &options);
            tensors.push(("extra.weight".to_string(), vec![1], vec![0; 4]));
            write(file.path(), &tensors);
            let text = architecture.load(&options, file.path()).unwrap_err().to_string();
            assert!(text.ends_with("the architecture: extra.weight"), "{text}");

            let (missing, ..) = tensors.remove(0);
            write(file.path(), &tensors);
            let text = architecture.load(&options, file.path()).unwrap_err().to_string();
            assert!(text.contains(&format!("`{missing}` with shape")), "{text}");
        }
    }

    #[test]
    fn a_file_for_other_options_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let resnet20 = find("resnet20").unwrap();
        let (_, tensors) = recorded(resnet20, &Options { shortcut: Shortcut::B, ..Options::default() });
        write(file.path(), &tensors);
        let text = resnet20.load(&Options::default(), file.path()).unwrap_err().to_string();
        assert!(text.contains("layer2.0.shortcut.0.weight"), "{text}");
        let classes = Options { classes: Some(100), shortcut: Shortcut::B, ..Options::default() };
        let text = resnet20.load(&classes, file.path()).unwrap_err().to_string();
        assert!(text.contains("linear.weight"), "{text}");
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
    fn activation_counts_are_the_same_with_every_option() {
        let expected = [
            ("minionn", 7, 173_056),
            ("vgg16", 15, 183_808),
            ("resnet18", 17, 557_056),
            ("resnet20", 19, 188_416),
            ("resnet32", 31, 303_104),
            ("resnet44", 43, 417_792),
            ("resnet56", 55, 532_480),
            ("resnet110", 109, 1_048_576),
            ("resnet50", 49, 9_608_704),
        ];
        let ids: Vec<&str> = all().iter().map(|architecture| architecture.id).collect();
        assert_eq!(ids, expected.map(|(id, ..)| id));
        for (architecture, (id, layers, activations)) in all().iter().zip(expected) {
            for options in variants(architecture) {
                let graph = (architecture.build)(&options, &mut Zeros).unwrap();
                assert_eq!((graph.activation_layers(), graph.activations()), (layers, activations), "{id} {options:?}");
                assert_eq!(graph.input_shape(), architecture.input, "{id}");
                assert_eq!(graph.classes(), architecture.classes, "{id}");
            }
        }
    }

    #[test]
    fn classes_change_the_last_layer_only() {
        for architecture in all() {
            let build = |classes| (architecture.build)(&Options { classes, ..Options::default() }, &mut Zeros).unwrap();
            let default = build(None);
            let Op::Linear { shape: LinearShape::Dense { inputs, .. }, .. } = default.logits().op else {
                panic!("{}: the logits come from a dense layer", architecture.id);
            };
            for classes in [10, 100, 1000] {
                let graph = build(Some(classes));
                assert_eq!(graph.classes(), classes, "{}", architecture.id);
                assert_eq!(graph.activation_sizes(), default.activation_sizes(), "{}", architecture.id);
                let body = |graph: &Graph| graph.parameters() - graph.classes() * (inputs + 1);
                assert_eq!(body(&graph), body(&default), "{}", architecture.id);
            }
            let none = Options { classes: Some(0), ..Options::default() };
            assert!((architecture.build)(&none, &mut Zeros).is_err(), "{}", architecture.id);
        }
    }

    #[test]
    fn the_options_change_the_network_where_they_are_offered_and_default_to_the_first() {
        let kinds = |architecture: &Architecture, options: &Options| {
            let graph = (architecture.build)(options, &mut Zeros).unwrap();
            graph.nodes.iter().map(|node| node.op.kind()).collect::<Vec<_>>()
        };
        for architecture in all() {
            assert!(architecture.pools.first().is_none_or(|&pool| pool == Pool::default()), "{}", architecture.id);
            let first = architecture.shortcuts.first();
            assert!(first.is_none_or(|&shortcut| shortcut == Shortcut::default()), "{}", architecture.id);
            let default = kinds(architecture, &Options::default());
            let max = kinds(architecture, &Options { pool: Pool::Max, ..Options::default() });
            assert_eq!(max != default, architecture.pools.contains(&Pool::Max), "{}", architecture.id);
            let projected = kinds(architecture, &Options { shortcut: Shortcut::B, ..Options::default() });
            assert_eq!(projected != default, architecture.shortcuts.contains(&Shortcut::B), "{}", architecture.id);
        }
    }
}
