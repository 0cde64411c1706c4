//! PILLAR: training networks whose activations are polynomials (Diaa et al., USENIX Security 2024, section 4).
//!
//! A polynomial agrees with ReLU on a range only and grows without bound beyond it, so training has to keep
//! pre-activations inside: [`ActivationSpec`] clips them in the forward pass and [`Penalty`](backend::Penalty) charges
//! for large ones, by a schedule ([`schedule`]) that starts gently. Everything runs on burn: [`backend`] defines the
//! operations for any of its backends, `cpu` has kernels of our own for the processor.

pub mod backend;
pub mod batches;
pub mod checkpoint;
mod cpu;
pub mod layout;
mod monitor;
pub mod network;
pub mod optimizer;
pub mod run;
pub mod schedule;
pub mod settings;

use std::path::PathBuf;

pub use backend::ActivationSpec;
pub use run::{Progress, Run, train};
pub use settings::{Activation, PRESETS, Preset, Settings};

/// Why training cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The settings make no sense.
    #[error("{0}")]
    Settings(String),
    /// A network or data set is unusable.
    #[error(transparent)]
    Nn(#[from] crate::nn::NnError),
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that is no usable checkpoint.
    #[error("{}: not a usable checkpoint: {problem}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The loss is no number any more.
    #[error("epoch {epoch}, step {step}: the loss is {loss}; {advice}")]
    Diverged {
        /// From 0.
        epoch: u32,
        /// From 0.
        step: usize,
        /// NaN or infinite.
        loss: f32,
        /// What may help.
        advice: String,
    },
    /// Asked to stop.
    #[error("interrupted")]
    Interrupted,
}
