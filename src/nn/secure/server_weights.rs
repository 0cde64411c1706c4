//! The server's input: the weights of a network in fixed point, packed for the kernels.

use super::plan::{Plan, PlanError};
use crate::nn::graph::{Graph, Op};
use crate::ring::{PackedWeights, Words, encode_slice};

/// The private part of a network: what only the server is given. Every protocol that runs on the network shares it.
pub struct ServerWeights {
    pub(super) layers: Vec<ServerLayer>,
}

pub(super) struct ServerLayer {
    pub weights: Words,
    pub packed: PackedWeights,
    pub bias: Vec<u64>,
}

impl ServerWeights {
    /// Encodes the weights of `graph` at the scales of `plan`, which is any plan made of it.
    ///
    /// # Errors
    /// [`PlanError::Range`] if a weight or bias does not fit.
    pub fn encode(graph: &Graph, plan: &Plan) -> Result<ServerWeights, PlanError> {
        let layer = |linear: &super::plan::PlannedLinear| {
            let node = &graph.nodes[linear.node];
            let Op::Linear { weights, bias, .. } = &node.op else {
                unreachable!("the plan was made of this graph, whose node {} is linear", node.name)
            };
            let encode = |what, values: &[f32], scale: f64, bits| {
                let scaled: Vec<f64> = values.iter().map(|&value| f64::from(value) * scale).collect();
                encode_slice(&scaled, bits).map_err(|index| PlanError::Range {
                    node: node.name.clone(),
                    what,
                    index,
                    value: scaled[index],
                    bits,
                })
            };
            let words = encode("weight", weights, linear.weight_scale, plan.frac_bits)?;
            Ok(ServerLayer {
                packed: PackedWeights::pack(&linear.shape, &words),
                weights: Words::new(words),
                bias: encode("bias", bias, linear.bias_scale, linear.bias_bits)?,
            })
        };
        Ok(ServerWeights { layers: plan.linears.iter().map(layer).collect::<Result<_, _>>()? })
    }
}
