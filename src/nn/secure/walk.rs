//! What server and client have in common: shares and material of the steps under way.

use super::audit::{Audit, Shares};
use super::local::LocalOp;
use super::plan::{Method, Plan, Step, StepKind, Stream, ValueId};
use crate::protocol::activation::{ActivationSpec, Activator, Material};
use crate::protocol::{ProtocolError, Session};
use std::collections::VecDeque;

/// What server and client have in common.
pub(super) struct Walk<'a, 'e> {
    pub plan: &'a Plan,
    pub session: Session<'e>,
    /// Per method of the plan.
    pub activators: Vec<Box<dyn Activator>>,
    /// Per value: this party's share, while it is needed.
    pub shares: Vec<Option<Vec<u64>>>,
    /// Per step: its material, until it is used; of a step that streams, by chunk.
    pub material: Vec<VecDeque<Box<dyn Material>>>,
    /// Per step: the values it is the last to use.
    pub last_uses: Vec<Vec<ValueId>>,
    pub audit: Option<&'a Audit>,
}

impl<'a, 'e> Walk<'a, 'e> {
    pub fn new(
        mut session: Session<'e>,
        plan: &'a Plan,
        audit: Option<&'a Audit>,
    ) -> Result<Walk<'a, 'e>, ProtocolError> {
        let setup = |method: &Method| method.entry.protocol.setup(&mut session, &method.settings);
        let activators = plan.methods.iter().map(setup).collect::<Result<_, _>>()?;
        let material = plan.steps.iter().map(|_| VecDeque::new()).collect();
        Ok(Walk {
            plan,
            session,
            activators,
            shares: vec![None; plan.values.len()],
            material,
            last_uses: plan.last_uses(),
            audit,
        })
    }

    pub fn share(&self, value: ValueId) -> &[u64] {
        self.shares[value].as_deref().expect("steps come after the steps that make their operands")
    }

    pub fn take_or_clone(&mut self, index: usize, value: ValueId) -> Vec<u64> {
        if self.last_uses[index].contains(&value) {
            self.shares[value].take().expect("steps come after the steps that make their operands")
        } else {
            self.share(value).to_vec()
        }
    }

    pub fn local(&mut self, step: &Step, op: &LocalOp) {
        let operands: Vec<&[u64]> = step.inputs.iter().map(|&value| self.share(value)).collect();
        self.shares[step.output] = Some(op.apply_each(&operands, self.plan.images, self.session.is_server()));
    }

    pub fn activate(&mut self, index: usize, step: &Step) -> Result<(), ProtocolError> {
        let share = self.take_or_clone(index, step.inputs[0]);
        let output = self.evaluate(index, 0, share)?;
        self.shares[step.output] = Some(output);
        Ok(())
    }

    /// The activation of the next elements of a step, from element `start` on, by its next material.
    pub fn evaluate(&mut self, index: usize, start: usize, share: Vec<u64>) -> Result<Vec<u64>, ProtocolError> {
        let material = self.material[index].pop_front().expect("the offline part of the step made it");
        let input = self.audit.map(|_| self.session.off_the_clock(|| share.clone()));
        let output = material.online(&mut self.session, share)?;
        let spec = match &self.plan.steps[index].kind {
            StepKind::Activation { spec, .. } | StepKind::Stream(Stream { spec, .. }) => spec,
            _ => unreachable!("only activations have material"),
        };
        if let (Some(audit), Some(input)) = (self.audit, input) {
            let shares = || Shares { input, output: output.clone() };
            self.session.off_the_clock(|| audit.record((index, start), spec, shares()));
        }
        Ok(output)
    }

    /// Offline: makes the next material of a step, for these elements of its input.
    pub fn preprocess(
        &mut self,
        index: usize,
        (spec, method): (&ActivationSpec, usize),
        client_share: &[u64],
    ) -> Result<(), ProtocolError> {
        let material = self.activators[method].preprocess(&mut self.session, spec, client_share)?;
        self.material[index].push_back(material);
        Ok(())
    }

    pub fn free(&mut self, index: usize) {
        for &value in &self.last_uses[index] {
            self.shares[value] = None;
        }
    }
}
