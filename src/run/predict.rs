//! What every selected cell will need, from declared costs: known before anything runs.

use super::links::directions;
use super::prepare::{Prepared, PreparedModel, PreparedProtocol};
use crate::link::LinkParameters;
use crate::nn::secure::Plan;
use crate::scenario::Link;
use crate::units::Nanos;
use serde::Serialize;

/// The program itself and its stacks.
const BASE_BYTES: u64 = 40_000_000;
/// Bytes that all roles together keep per parameter: the network, its ring copy, the masked weights, their masks.
const BYTES_PER_PARAMETER: u64 = 40;
/// Bytes that all roles together keep per element of the largest layer: shares, masks, pre-activations, messages.
const BYTES_PER_ELEMENT: u64 = 200;

/// One cell, before it runs.
#[derive(Clone, Debug, Serialize)]
pub struct CellPrediction {
    /// Model name.
    pub model: String,
    /// Protocol name.
    pub protocol: String,
    /// Link name.
    pub link: String,
    /// Executions, warm-up included; at least so many with automatic repetitions.
    pub executions: u64,
    /// Rounds x latency + bytes / rate: an upper bound of the online time if computing were free, in seconds. With `tcp`
    /// an estimate: the bytes of each direction as one message on a fresh connection.
    pub online_floor_at_most_s: f64,
    /// Online rounds.
    pub online_rounds: u32,
    /// Online bytes, client to server.
    pub online_bytes_up: u64,
    /// Online bytes, server to client.
    pub online_bytes_down: u64,
    /// Offline bytes, client to server.
    pub offline_bytes_up: u64,
    /// Offline bytes, server to client.
    pub offline_bytes_down: u64,
    /// The dealer's bytes to both.
    pub dealer_bytes: u64,
    /// Memory of the whole process, all roles; a rough estimate.
    pub memory_bytes: u64,
}

impl Prepared<'_> {
    /// A prediction for every selected cell, in the order in which they run.
    pub fn predict(&self) -> Vec<CellPrediction> {
        let cells = self.models.iter().flat_map(|model| {
            model.units.iter().flat_map(move |unit| {
                let protocols = unit.protocols.iter().map(|protocol| &model.protocols[*protocol]);
                protocols.map(move |prepared| self.cell(model, prepared, unit.link))
            })
        });
        cells.collect()
    }

    fn cell(&self, model: &PreparedModel, prepared: &PreparedProtocol, link: &Link) -> CellPrediction {
        let cost = prepared.plan.predicted_cost();
        let rounds = u64::from(self.scenario.warmup) + u64::from(self.scenario.repetitions.least());
        let dealer_bytes = cost.dealer_server + cost.dealer_client;
        CellPrediction {
            model: model.model.name.clone(),
            protocol: prepared.protocol.name.clone(),
            link: link.name.clone(),
            executions: rounds * model.images.len() as u64,
            online_floor_at_most_s: floor_at_most(link, cost.online.rounds, cost.online.up, cost.online.down),
            online_rounds: cost.online.rounds,
            online_bytes_up: cost.online.up,
            online_bytes_down: cost.online.down,
            offline_bytes_up: cost.offline.up,
            offline_bytes_down: cost.offline.down,
            dealer_bytes,
            memory_bytes: self.memory(model, prepared),
        }
    }

    fn memory(&self, model: &PreparedModel, prepared: &PreparedProtocol) -> u64 {
        let parameters = model.variants[prepared.variant].graph.parameters() as u64;
        let largest = prepared.plan.layers.iter().map(|layer| layer.elements as u64).max().unwrap_or(0);
        let material = material(&prepared.plan).min(self.scenario.memory.material.0);
        BASE_BYTES + BYTES_PER_PARAMETER * parameters + BYTES_PER_ELEMENT * largest + material
    }
}

/// What the parties hold for the activation layer that needs most.
fn material(plan: &Plan) -> u64 {
    let bytes = plan.activation_costs().map(|(_, cost)| {
        cost.offline.up
            + cost.offline.down
            + cost.dealer_server
            + cost.dealer_client
            + cost.online.up
            + cost.online.down
    });
    bytes.max().unwrap_or(0)
}

/// Every round after the one before, then all bytes of each direction as one message.
fn floor_at_most(link: &Link, rounds: u32, up: u64, down: u64) -> f64 {
    let (model, up_link, down_link) = directions(link, 0);
    let alone = |parameters: &LinkParameters, bytes: u64| match bytes {
        0 => 0,
        _ => model.direction(parameters).arrival(Nanos(0), bytes).0 - parameters.latency.0,
    };
    let of_rounds = u64::from(rounds) * (link.latency.0 + link.jitter.0);
    (of_rounds + alone(&up_link, up) + alone(&down_link, down)) as f64 * 1e-9
}
