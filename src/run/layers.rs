//! What each layer of one execution cost, from the parties' ledgers.

use crate::link::{Ledger, Party, Phase};
use crate::nn::secure::Plan;
use crate::units::Nanos;

/// One layer in one phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayerCost {
    /// How much later the later of the two parties left the layer than the one before.
    pub time: Nanos,
    /// By how much the causal depth grew.
    pub rounds: u32,
    /// Client to server.
    pub bytes_up: u64,
    /// Server to client.
    pub bytes_down: u64,
}

/// The cost of every layer of `plan` in `phase`; times add up to the phase's end.
pub fn layer_costs(plan: &Plan, ledgers: &[Ledger; 3], phase: Phase) -> Vec<LayerCost> {
    let mut costs = vec![LayerCost::default(); plan.layers.len()];
    let [server, client, _] = ledgers;
    // Both parties enter the same layers in the same order.
    let marks = |ledger: &Ledger| ledger.marks.iter().copied().filter(|mark| mark.phase == phase).collect::<Vec<_>>();
    let mut frontier = Nanos(0);
    for (server, client) in marks(server).into_iter().zip(marks(client)) {
        let end = frontier.max(server.now).max(client.now);
        costs[server.layer as usize].time.0 += end.0 - frontier.0;
        frontier = end;
    }
    let mut depths = vec![0; plan.layers.len()];
    for (from, ledger) in Party::ALL.into_iter().zip(ledgers) {
        for ((_, layer, to), traffic) in ledger.sent.iter().filter(|((sent_in, ..), _)| *sent_in == phase) {
            let layer = *layer as usize;
            depths[layer] = depths[layer].max(traffic.depth);
            match (from, to) {
                (Party::Client, Party::Server) => costs[layer].bytes_up += traffic.bytes,
                (Party::Server, Party::Client) => costs[layer].bytes_down += traffic.bytes,
                // The dealer's traffic has columns of its own.
                _ => {}
            }
        }
    }
    let mut deepest = 0;
    for (cost, depth) in costs.iter_mut().zip(depths) {
        cost.rounds += depth.saturating_sub(deepest);
        deepest = deepest.max(depth);
    }
    costs
}
