//! The plaintext network that every execution is checked against.

use crate::nn::graph::Graph;
use crate::nn::plain::forward_observed;
use crate::nn::secure::Plan;
use crate::protocol::Function;

/// The plaintext floating-point network's answer for one image.
pub(super) struct Reference {
    pub logits: Vec<f64>,
    /// Pre-activations of each slot, and then logits, that the ring cannot hold under the plan's scales.
    outside: Vec<u64>,
}

impl Reference {
    /// Runs `graph` with one function per slot.
    pub(super) fn new(graph: &Graph, plan: &Plan, functions: &[Function], image: &[f64]) -> Reference {
        let count =
            |values: &[f64], limit: f64| values.iter().filter(|x| x.is_nan() || x.abs() >= limit).count() as u64;
        let mut outside = vec![0; plan.range_limits.len()];
        let logits = forward_observed(graph, image, functions, &mut |slot, values| {
            outside[slot] = count(values, plan.range_limits[slot])
        });
        outside[functions.len()] = count(&logits, plan.range_limits[functions.len()]);
        Reference { logits, outside }
    }

    /// Values outside the ring's range, all layers together.
    pub(super) fn overflowed(&self) -> u64 {
        self.outside.iter().sum()
    }

    /// The name of the first layer with values outside the ring's range, and how many it has.
    pub(super) fn first_overflow<'a>(&self, plan: &'a Plan) -> Option<(&'a str, u64)> {
        let layers = plan.layers.iter().filter(|layer| matches!(layer.kind, "activation" | "reveal"));
        layers
            .zip(&self.outside)
            .find(|(_, outside)| **outside > 0)
            .map(|(layer, outside)| (layer.name.as_str(), *outside))
    }
}
