//! How the learning rate and PILLAR's penalty change over a run.

use super::backend::{ActivationSpec, Curve, Penalty};
use super::settings::{Activation, Settings};

/// Exponent, and divisor of the weight, in the first epochs (Diaa et al., section 4.3: the power of a pre-activation far
/// outside the range would overflow before the penalty has pulled it in).
const PENALTY_WARMUP: [(u32, f64); 4] = [(4, 100.0), (6, 50.0), (8, 10.0), (10, 5.0)];

/// Linear warm-up, then half a cosine down to zero; `epoch` counts in fractions of one.
pub fn learning_rate(settings: &Settings, epoch: f64) -> f64 {
    let (warmup, epochs) = (f64::from(settings.lr_warmup), f64::from(settings.epochs));
    if epoch < warmup {
        return settings.lr * epoch / warmup;
    }
    let progress = (epoch - warmup) / (epochs - warmup).max(1.0);
    settings.lr * 0.5 * (1.0 + (progress.min(1.0) * std::f64::consts::PI).cos())
}

/// What one epoch optimises.
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    /// Whether the loss has its cross-entropy; the very first epoch only pulls pre-activations into the range.
    pub classify: bool,
    /// Exponent of the penalty.
    pub power: u32,
    /// Weight of the penalty, 0 for none.
    pub coef: f64,
}

/// The phase of an epoch, from 0.
pub fn phase(settings: &Settings, epoch: u32) -> Phase {
    let (power, coef) = (settings.reg_power, settings.reg_coef);
    match PENALTY_WARMUP.get(epoch as usize) {
        Some(&(early, divisor)) if settings.reg_warmup && coef > 0.0 => {
            Phase { classify: epoch > 0, power: early.min(power), coef: coef / divisor }
        }
        _ => Phase { classify: true, power, coef },
    }
}

/// What every activation layer does in a phase of training; `slots` of them share the penalty.
pub fn training_spec(settings: &Settings, phase: &Phase, slots: usize) -> ActivationSpec {
    let weight = phase.coef / slots as f64;
    ActivationSpec {
        curve: Curve::from(&settings.activation.function()),
        range: settings.range as f32,
        clip: settings.clip && settings.activation != Activation::Relu,
        penalty: (phase.coef > 0.0).then_some(Penalty { range: settings.reg_range, power: phase.power, weight }),
    }
}

/// What every activation layer does in use: the bare function.
pub fn evaluation_spec(settings: &Settings) -> ActivationSpec {
    ActivationSpec {
        curve: Curve::from(&settings.activation.function()),
        range: settings.range as f32,
        clip: false,
        penalty: None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::Preset;
    use super::*;
    use crate::protocol::Polynomial;

    fn settings() -> Settings {
        let activation = Activation::from(Polynomial::named("relu-d4").unwrap());
        let preset = Preset::named("resnet20").unwrap();
        Settings { epochs: 25, lr: 0.2, lr_warmup: 5, reg_coef: 0.01, ..preset.settings(activation) }
    }

    #[test]
    fn the_learning_rate_rises_then_falls() {
        let at = |epoch| learning_rate(&settings(), epoch);
        assert_eq!((at(0.0), at(2.5), at(5.0)), (0.0, 0.1, 0.2));
        assert!((at(15.0) - 0.1).abs() < 1e-12 && at(25.0).abs() < 1e-12);
        let short = Settings { epochs: 3, ..settings() };
        assert!(learning_rate(&short, 2.9) > 0.0);
    }

    #[test]
    fn the_penalty_grows_epoch_by_epoch() {
        let phases: Vec<(bool, u32, f64)> = (0..6)
            .map(|epoch| {
                let Phase { classify, power, coef } = phase(&settings(), epoch);
                (classify, power, (0.01 / coef).round())
            })
            .collect();
        let expected =
            [(false, 4, 100.0), (true, 6, 50.0), (true, 8, 10.0), (true, 10, 5.0), (true, 10, 1.0), (true, 10, 1.0)];
        assert_eq!(phases, expected);
        let low = Settings { reg_power: 6, ..settings() };
        assert_eq!((0..4).map(|epoch| phase(&low, epoch).power).collect::<Vec<_>>(), [4, 6, 6, 6]);
        for never in [Settings { reg_coef: 0.0, ..settings() }, Settings { reg_warmup: false, ..settings() }] {
            assert_eq!(phase(&never, 0), Phase { classify: true, power: 10, coef: never.reg_coef });
        }
    }

    #[test]
    fn only_polynomials_in_training_are_clipped() {
        let spec = |settings: &Settings| training_spec(settings, &phase(settings, 9), 19);
        let penalty = spec(&settings()).penalty.unwrap();
        assert_eq!((penalty.power, penalty.weight), (10, 0.01 / 19.0));
        assert!(spec(&settings()).clip);
        assert!(!spec(&Settings { activation: Activation::Relu, ..settings() }).clip);
        assert!(!evaluation_spec(&settings()).clip);
    }
}
