//! Random weights whose activations stay in range.
//!
//! Weights are drawn as for training (He et al., *Delving Deep into Rectifiers*, ICCV 2015, uniform draws),
//! then each layer is scaled and shifted until the pre-activations of every output channel have zero mean
//! and unit variance on a few random images, with ReLU as the activation. Such a network has the dynamic
//! range of a trained one with batch norm, which is all that timing needs.

mod moments;
mod normalise;

pub use normalise::normalise;

use super::NnError;
use super::seeded::Uniform;
use super::weights::{Fill, WeightSource};

/// Draws every tensor from a seed and the tensor's name.
#[derive(Debug)]
pub struct RandomWeights {
    seed: u64,
}

impl RandomWeights {
    /// The tensors of this seed.
    pub fn new(seed: u64) -> RandomWeights {
        RandomWeights { seed }
    }
}

impl WeightSource for RandomWeights {
    fn tensor(&mut self, name: &str, shape: &[usize], fill: Fill) -> Result<Vec<f32>, NnError> {
        let count = shape.iter().product();
        Ok(match fill {
            Fill::Zero => vec![0.0; count],
            Fill::One => vec![1.0; count],
            Fill::He => {
                let fan_in: usize = shape.iter().skip(1).product();
                // A uniform draw from [-b, b) has variance b^2 / 3.
                let bound = (6.0 / fan_in as f64).sqrt();
                let uniform = Uniform::new(self.seed, &format!("weights {name}")).draw(count);
                let centred = uniform.into_iter().map(|u| (2.0 * u - 1.0) * bound);
                centred.map(|v| v as f32).collect()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::nn::arch::{self, Options};
    use crate::nn::data::Normalization;
    use crate::nn::graph::Op;

    #[test]
    fn weights_are_the_same_on_every_machine() {
        let digest = |seed| {
            let graph = arch::find("resnet20").unwrap().random(&Options::default(), seed, &Normalization::NONE);
            let mut hasher = blake3::Hasher::new();
            for node in &graph.nodes {
                if let Op::Linear { weights, bias, .. } = &node.op {
                    for value in weights.iter().chain(bias) {
                        hasher.update(&value.to_le_bytes());
                    }
                }
            }
            hasher.finalize().to_hex()[..16].to_string()
        };
        assert_eq!(digest(1), "1c87a690432cd761");
        assert_ne!(digest(2), digest(1));
    }
}
