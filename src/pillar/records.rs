//! What a training run writes down: one row per epoch, and one per epoch and activation layer.

use serde::{Deserialize, Serialize};

/// A row of `epochs.csv`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// From 0.
    pub epoch: u32,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Exponent of the penalty.
    pub reg_power: u32,
    /// Weight of the penalty.
    pub reg_coef: f64,
    /// Mean cross-entropy of the training images, while they were trained on.
    pub loss: f64,
    /// Mean penalty, not weighted.
    pub penalty: f64,
    /// Share of training images classified rightly, while they were trained on.
    pub train_accuracy: f64,
    /// Share of test images classified rightly by the last weights; the bare polynomial, without clipping.
    pub test_accuracy: f64,
    /// The same for the averaged weights.
    pub average_test_accuracy: f64,
    /// Share of pre-activations outside the range on the test images, averaged weights.
    pub test_outside: f64,
    /// Largest magnitude of a pre-activation on the test images, averaged weights.
    pub test_max_abs: f64,
    /// Real time of the epoch.
    pub seconds: f64,
}

/// A row of `ranges.csv`: the out-of-range monitor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RangeRecord {
    /// From 0.
    pub epoch: u32,
    /// The activation layer.
    pub slot: usize,
    /// Its name in the graph.
    pub layer: String,
    /// Share of pre-activations outside the range in training.
    pub train_outside: f64,
    /// Largest magnitude in training.
    pub train_max_abs: f64,
    /// Share outside on the test images, averaged weights.
    pub test_outside: f64,
    /// Largest magnitude on the test images, averaged weights.
    pub test_max_abs: f64,
}
