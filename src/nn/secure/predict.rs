//! What an execution of a plan will cost, from the declared costs alone: nothing is run.

use super::plan::{Plan, Step, StepKind};
use crate::protocol::{Cost, PhaseCost};

/// Bytes of a key from the dealer.
const KEY: u64 = 16;

impl Plan {
    /// Bytes of one query in every phase, exactly, the dealer's of setup and offline together; and its online rounds for a
    /// network whose linear layers come one after the other. Rounds of setup and offline are not predicted (0).
    pub fn predicted_cost(&self) -> Cost {
        let zero = PhaseCost::default();
        let mut total = Cost::default();
        for method in &self.methods {
            // A session pays the setup once; the declared cost of any layer has it.
            let spec = self.steps.iter().find_map(|step| match &step.kind {
                StepKind::Activation { spec, method: used } if self.methods[*used] == *method => Some(spec),
                StepKind::Stream(stream) if self.methods[stream.method] == *method => Some(&stream.spec),
                _ => None,
            });
            let setup = spec.map_or(zero, |spec| method.entry.protocol.cost(spec).setup);
            total.setup = total.setup + PhaseCost { rounds: 0, ..setup };
        }
        for linear in &self.linears {
            total.setup.down += 8 * linear.shape.weights() as u64;
            total.dealer_server += KEY;
        }
        self.steps.iter().for_each(|step| self.add(&mut total, step));
        total
    }

    fn add(&self, total: &mut Cost, step: &Step) {
        let words = |value: usize| 8 * self.elements(value) as u64;
        match &step.kind {
            StepKind::Local(_) => {}
            StepKind::Remask => add_remask(total, words(step.output)),
            StepKind::Linear { index } => add_linear(total, self.images * self.linears[*index].shape.outputs()),
            StepKind::Activation { spec, method } => {
                add_activation(total, self.methods[*method].entry.protocol.cost(spec))
            }
            StepKind::Stream(stream) => {
                if let Some(linear) = stream.linear {
                    add_linear(total, self.linears[linear.index].shape.outputs());
                }
                let protocol = self.methods[stream.method].entry.protocol;
                add_activation(total, protocol.cost_of_chunks(&stream.chunks()));
                if stream.remask.is_some() {
                    add_remask(total, words(step.output));
                }
            }
            StepKind::Reveal => {
                total.online.down += words(step.inputs[0]);
                // The masked input of the last layer, and the answer.
                total.online.rounds += 2;
            }
        }
    }
}

fn add_remask(total: &mut Cost, bytes: u64) {
    total.dealer_client += KEY;
    total.online.up += bytes;
}

fn add_linear(total: &mut Cost, outputs: usize) {
    total.dealer_server += KEY;
    total.dealer_client += 8 * outputs as u64;
}

/// With the masked input that the client sends before it, a layer takes a whole number of round trips.
fn add_activation(total: &mut Cost, layer: Cost) {
    let rounds = layer.online.rounds.next_multiple_of(2);
    total.online = total.online + PhaseCost { rounds, ..layer.online };
    total.offline = total.offline + PhaseCost { rounds: 0, ..layer.offline };
    total.dealer_server += layer.dealer_server;
    total.dealer_client += layer.dealer_client;
}
