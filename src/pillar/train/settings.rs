//! What a training run is told, and the paper's settings by name.

use serde::{Deserialize, Serialize};

use super::TrainError;
use crate::protocol::{Function, Polynomial};

/// The activation that a network is trained with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// A polynomial, as the protocols will evaluate it.
    Polynomial {
        /// Integer coefficients, constant first.
        integers: Vec<i64>,
        /// Their fractional bits.
        precision_bits: u32,
    },
}

impl Activation {
    /// The function.
    pub fn function(&self) -> Function {
        match self {
            Activation::Relu => Function::Relu,
            Activation::Polynomial { integers, precision_bits } => {
                Function::Polynomial(Polynomial { coefficients: integers.clone(), precision_bits: *precision_bits })
            }
        }
    }
}

impl From<Polynomial> for Activation {
    fn from(polynomial: Polynomial) -> Activation {
        Activation::Polynomial { integers: polynomial.coefficients, precision_bits: polynomial.precision_bits }
    }
}

/// Every choice of a run; the same settings, data and machine give the same weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Id of the architecture.
    pub arch: String,
    /// Number of logits.
    pub classes: usize,
    /// What the activation layers compute.
    pub activation: Activation,
    /// The polynomial fits its function on [-range, range]; inputs beyond are counted, and clipped in training.
    pub range: f64,
    /// PILLAR: whether a polynomial sees its input clipped in training.
    pub clip: bool,
    /// PILLAR: where the penalty starts to hurt.
    pub reg_range: f64,
    /// PILLAR: weight of the penalty in the loss; 0 turns it off.
    pub reg_coef: f64,
    /// PILLAR: the penalty's exponent in the end, even.
    pub reg_power: u32,
    /// PILLAR: whether exponent and weight of the penalty grow over the first epochs.
    pub reg_warmup: bool,
    /// Passes over the training images.
    pub epochs: u32,
    /// Images of a step.
    pub batch: usize,
    /// Learning rate at its highest.
    pub lr: f64,
    /// Epochs in which the learning rate grows from zero.
    pub lr_warmup: u32,
    /// Momentum of gradient descent.
    pub momentum: f64,
    /// L2 penalty on every trained tensor.
    pub weight_decay: f64,
    /// Share of the target that is spread evenly over all classes.
    pub label_smoothing: f64,
    /// Decay of the average of the weights, which is what is saved; 0 saves the last weights.
    pub ema: f64,
    /// Random crops (4 pixels) and flips.
    pub augment: bool,
    /// Name of the normalisation of the images.
    pub normalize: String,
    /// Initial weights, order of the images, crops and flips follow from it.
    pub seed: u64,
}

impl Settings {
    /// # Errors
    /// If a setting makes no sense; the message names it as the command line does.
    pub fn check(&self) -> Result<(), TrainError> {
        let unit = 0.0..1.0;
        let rules = [
            (self.epochs >= 1, "--epochs must be at least 1"),
            (self.batch >= 2, "--batch must be at least 2: batch norm needs a batch"),
            (self.lr > 0.0 && self.lr.is_finite(), "--lr must be a number above 0"),
            (unit.contains(&self.momentum), "--momentum must be from 0 to below 1"),
            (self.weight_decay >= 0.0 && self.weight_decay.is_finite(), "--weight-decay must be a number from 0"),
            (unit.contains(&self.label_smoothing), "--label-smoothing must be from 0 to below 1"),
            (unit.contains(&self.ema), "--ema must be from 0 to below 1"),
            (self.range > 0.0 && self.range.is_finite(), "--range must be a number above 0"),
            (self.reg_range > 0.0 && self.reg_range.is_finite(), "--reg-range must be a number above 0"),
            (self.reg_coef >= 0.0 && self.reg_coef.is_finite(), "--reg-coef must be a number from 0"),
            (
                self.reg_power.is_multiple_of(2) && (2..=20).contains(&self.reg_power),
                "--reg-power must be even, from 2 to 20",
            ),
        ];
        match rules.into_iter().find(|(holds, _)| !holds) {
            Some((_, rule)) => Err(TrainError::Settings(rule.to_owned())),
            None => Ok(()),
        }
    }
}

/// Settings with a name.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// Where it comes from, in one line.
    pub about: &'static str,
    arch: &'static str,
    degree: usize,
    epochs: u32,
    lr: f64,
    weight_decay: f64,
    reg_range: f64,
    reg_coef: f64,
}

/// Every preset. From Diaa et al. and their published configurations: VGG-16's learning rate, `reg_range`, `reg_coef` and
/// epochs; ResNet-18's learning rate, `reg_coef` and epochs; MiniONN's learning rate, `reg_range` and degree; ResNet-32's
/// learning rate, weight decay, `reg_range` and degree. The rest is this project's choice, and so is what all share
/// (momentum 0.9, batches of 128, five epochs of warm-up, the average of the weights).
pub const PRESETS: [Preset; 5] = [
    Preset {
        name: "resnet20",
        about: "this project's evidence network, for CPUs",
        arch: "resnet20",
        degree: 4,
        epochs: 30,
        lr: 0.1,
        weight_decay: 5e-4,
        reg_range: 4.0,
        reg_coef: 5e-4,
    },
    Preset {
        name: "minionn",
        about: "MiniONN's network (Diaa et al., USENIX Security 2024)",
        arch: "minionn",
        degree: 6,
        epochs: 200,
        lr: 0.06,
        weight_decay: 5e-4,
        reg_range: 4.4,
        reg_coef: 5e-5,
    },
    Preset {
        name: "resnet32",
        about: "ResNet-32 (Diaa et al., USENIX Security 2024)",
        arch: "resnet32",
        degree: 5,
        epochs: 200,
        lr: 0.1,
        weight_decay: 1e-4,
        reg_range: 4.0,
        reg_coef: 5e-5,
    },
    Preset {
        name: "resnet18",
        about: "ResNet-18 (Diaa et al., USENIX Security 2024)",
        arch: "resnet18",
        degree: 4,
        epochs: 185,
        lr: 0.013,
        weight_decay: 5e-4,
        reg_range: 4.0,
        reg_coef: 5e-5,
    },
    Preset {
        name: "vgg16",
        about: "VGG-16 (Diaa et al., USENIX Security 2024)",
        arch: "vgg16",
        degree: 4,
        epochs: 300,
        lr: 0.0025,
        weight_decay: 5e-4,
        reg_range: 4.8,
        reg_coef: 1e-6,
    },
];

impl Preset {
    /// The preset of this name.
    pub fn named(name: &str) -> Option<&'static Preset> {
        PRESETS.iter().find(|preset| preset.name == name)
    }

    /// Degree of its polynomial.
    pub fn degree(&self) -> usize {
        self.degree
    }

    /// Its settings, with PILLAR for a polynomial and without for ReLU.
    pub fn settings(&self, activation: Activation) -> Settings {
        let pillar = activation != Activation::Relu;
        Settings {
            arch: self.arch.to_owned(),
            classes: 10,
            activation,
            range: 5.0,
            clip: pillar,
            reg_range: self.reg_range,
            reg_coef: if pillar { self.reg_coef } else { 0.0 },
            reg_power: 10,
            reg_warmup: true,
            epochs: self.epochs,
            batch: 128,
            lr: self.lr,
            lr_warmup: 5,
            momentum: 0.9,
            weight_decay: self.weight_decay,
            label_smoothing: 0.0,
            ema: 0.999,
            augment: true,
            normalize: "cifar10".to_owned(),
            seed: 1,
        }
    }
}
