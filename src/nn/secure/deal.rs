//! The dealer's walk through the plan.

use super::plan::{Plan, StepKind};
use crate::crypto::Seed;
use crate::link::{Endpoint, Phase};
use crate::protocol::{Dealer, ProtocolError, linear};

/// Masks of weights, then per query masks, products and the activations' material.
pub(crate) fn deal(endpoint: &mut Endpoint, seed: Seed, plan: &Plan) -> Result<(), ProtocolError> {
    let mut dealer = Dealer::new(endpoint, seed);
    let a = plan
        .linears
        .iter()
        .map(|planned| linear::deal_weights(&mut dealer, &planned.shape))
        .collect::<Result<Vec<_>, _>>()?;
    let mut masks: Vec<Option<Vec<u64>>> = vec![None; plan.values.len()];
    let last_uses = plan.last_uses();
    for (index, step) in plan.steps.iter().enumerate() {
        dealer.enter(Phase::Offline, step.layer)?;
        match &step.kind {
            StepKind::Remask => masks[step.output] = Some(linear::deal_mask(&mut dealer, plan.elements(step.output))?),
            StepKind::Linear { index } => {
                let r = masks[step.inputs[0]].as_deref().expect("a linear layer reads a re-masked value");
                linear::deal_product(&mut dealer, &a[*index], r)?;
            }
            StepKind::Activation { spec, method } => plan.methods[*method].entry.protocol.deal(&mut dealer, spec)?,
            StepKind::Stream(stream) => {
                if let Some(linear) = stream.linear {
                    let r = masks[step.inputs[0]].as_deref().expect("a linear layer reads a re-masked value");
                    linear::deal_product(&mut dealer, &a[linear.index], r)?;
                }
                if stream.remask.is_some() {
                    masks[step.output] = Some(linear::deal_mask(&mut dealer, stream.spec.elements)?);
                }
                for chunk in stream.chunks() {
                    plan.methods[stream.method].entry.protocol.deal(&mut dealer, &chunk)?;
                }
            }
            StepKind::Local(_) | StepKind::Reveal => {}
        }
        last_uses[index].iter().for_each(|&value| masks[value] = None);
    }
    Ok(())
}
