//! Stochastic gradient descent with momentum, and the average of the weights.

use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};

use super::network::Tensors;

/// `v = momentum v + g + weight_decay w; w = w - lr v`, as in PyTorch (Sutskever et al., ICML 2013).
#[derive(Debug)]
pub struct Sgd<B: Backend> {
    /// Per tensor; running statistics have none.
    pub velocity: Tensors<B>,
    /// Of the velocity.
    pub momentum: f64,
    /// L2 penalty.
    pub weight_decay: f64,
}

impl<B: Backend> Sgd<B> {
    /// Moves every tensor that has a gradient; what comes back is followed by autodiff again.
    pub fn step<A: AutodiffBackend<InnerBackend = B>>(
        &mut self,
        tensors: Tensors<A>,
        gradients: &mut A::Gradients,
        lr: f64,
    ) -> Tensors<A> {
        let velocities = self.velocity.0.iter_mut();
        let moved = tensors.0.into_iter().zip(velocities).map(|(tensor, velocity)| {
            let Some(gradient) = tensor.grad_remove(gradients) else { return tensor };
            let values = tensor.inner();
            let gradient = gradient + values.clone() * self.weight_decay;
            *velocity = velocity.clone() * self.momentum + gradient;
            Tensor::from_inner(values - velocity.clone() * lr).require_grad()
        });
        Tensors(moved.collect())
    }
}

/// Exponential moving average of every tensor, running statistics included.
///
/// The first steps average over fewer, so that the random start is forgotten: the decay of step `t` is the smaller of
/// `decay` and `(1 + t) / (10 + t)`.
#[derive(Debug)]
pub struct Average<B: Backend> {
    /// The average.
    pub tensors: Tensors<B>,
    /// Share of the old average that is kept at each step.
    pub decay: f64,
    /// Steps so far.
    pub steps: u64,
}

impl<B: Backend> Average<B> {
    /// Takes the tensors of one more step in.
    pub fn step(&mut self, tensors: &Tensors<B>) {
        let warm = (1.0 + self.steps as f64) / (10.0 + self.steps as f64);
        let decay = self.decay.min(warm);
        self.steps += 1;
        for (average, tensor) in self.tensors.0.iter_mut().zip(&tensors.0) {
            *average = average.clone() * decay + tensor.clone() * (1.0 - decay);
        }
    }
}
