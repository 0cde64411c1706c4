//! Weights that come with the program: trained here, by the commands in `results/pillar`, on CIFAR-10 normalised by its own mean and
//! standard deviation.

/// What a network was trained with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrainedWith {
    /// The polynomial `relu-d4`, by PILLAR.
    Polynomial,
    /// ReLU.
    Relu,
}

/// A network and its twin, as safetensors files.
pub(super) struct Trained {
    polynomial: &'static [u8],
    relu: &'static [u8],
}

/// By architecture.
static ALL: [(&str, Trained); 1] = [(
    "resnet20",
    Trained {
        polynomial: include_bytes!("../../results/pillar/polynomial/weights.safetensors"),
        relu: include_bytes!("../../results/pillar/relu/weights.safetensors"),
    },
)];

/// The weights for the architecture with this id.
pub(super) fn find(arch: &str) -> Option<&'static Trained> {
    ALL.iter().find(|(id, _)| *id == arch).map(|(_, trained)| trained)
}

impl Trained {
    /// The file.
    pub(super) fn with(&self, activation: TrainedWith) -> &'static [u8] {
        match activation {
            TrainedWith::Polynomial => self.polynomial,
            TrainedWith::Relu => self.relu,
        }
    }
}
