//! The client's walk through the plan.

use super::audit::Audit;
use super::execute::Party;
use super::plan::{Plan, Step, StepKind, Stream, StreamedLinear};
use super::walk::Walk;
use crate::protocol::activation::ActivationSpec;
use crate::protocol::{ProtocolError, Session, linear};
use crate::ring::{PackedWeights, decode, encode_slice};
use std::ops::Range;

/// Holds the image.
pub(super) struct Client<'a, 'e> {
    walk: Walk<'a, 'e>,
    masked_weights: Vec<PackedWeights>,
    pub logits: Vec<f64>,
    /// Per step that streams: the client's share of the pre-activations.
    streamed: Vec<Option<Vec<u64>>>,
}

impl<'a, 'e> Client<'a, 'e> {
    pub fn new(
        session: Session<'e>,
        plan: &'a Plan,
        audit: Option<&'a Audit>,
        image: &[f64],
    ) -> Result<Client<'a, 'e>, ProtocolError> {
        let expected = plan.elements(0);
        if image.len() != expected {
            return Err(ProtocolError::Input(format!(
                "the input has {} values, {} for {} of the network's images are needed",
                image.len(),
                expected,
                plan.images
            )));
        }
        let encoded = encode_slice(image, plan.frac_bits).map_err(|index| {
            ProtocolError::Input(format!("value {index} of the image, {}, does not fit fixed point", image[index]))
        })?;
        let mut walk = Walk::new(session, plan, audit)?;
        walk.shares[0] = Some(encoded);
        let masked_weights = plan
            .linears
            .iter()
            .map(|planned| linear::recv_masked_weights(&mut walk.session, &planned.shape))
            .collect::<Result<_, _>>()?;
        let streamed = vec![None; plan.steps.len()];
        Ok(Client { walk, masked_weights, logits: Vec::new(), streamed })
    }

    /// Offline, before the chunks of a step that streams: the whole layer's pre-activations and mask.
    fn begin(&mut self, index: usize, step: &Step, stream: &Stream) -> Result<(), ProtocolError> {
        let Walk { session, shares, activators, .. } = &mut self.walk;
        let read = |place: usize| shares[step.inputs[place]].as_deref().expect("streams read values known offline");
        let mut share = match stream.linear {
            Some(StreamedLinear { index, layer, .. }) => {
                session.book(layer);
                linear::client_product(session, &self.masked_weights[index], read(0))?
            }
            None => read(0).to_vec(),
        };
        if let Some([lift, other_lift]) = stream.add {
            share.iter_mut().zip(read(1)).for_each(|(y, other)| *y = (*y << lift).wrapping_add(other << other_lift));
        }
        if let Some(layer) = stream.remask {
            session.book(layer);
            shares[step.output] = Some(linear::recv_mask(session, share.len())?);
        }
        session.book(step.layer);
        activators[stream.method].begin(session, &stream.chunks(), &share)?;
        self.streamed[index] = Some(share);
        Ok(())
    }

    fn is_known(&self, step: &Step) -> bool {
        self.walk.plan.values[step.output].known
    }
}

impl<'e> Party<'e> for Client<'_, 'e> {
    fn session(&mut self) -> &mut Session<'e> {
        &mut self.walk.session
    }

    fn offline(&mut self, index: usize, step: &Step) -> Result<(), ProtocolError> {
        let walk = &mut self.walk;
        match &step.kind {
            StepKind::Remask => {
                let n = walk.plan.elements(step.output);
                walk.shares[step.output] = Some(linear::recv_mask(&mut walk.session, n)?);
            }
            StepKind::Linear { index } => {
                let r = walk.shares[step.inputs[0]].as_deref().expect("a linear layer reads a re-masked value");
                let u = linear::client_product(&mut walk.session, &self.masked_weights[*index], r)?;
                walk.shares[step.output] = Some(u);
            }
            StepKind::Activation { spec, method } => {
                let share = walk.shares[step.inputs[0]].clone().expect("an activation reads a value known offline");
                walk.preprocess(index, (spec, *method), &share)?;
            }
            StepKind::Stream(stream) => self.begin(index, step, stream)?,
            StepKind::Local(op) if self.is_known(step) => self.walk.local(step, op),
            StepKind::Local(_) | StepKind::Reveal => {}
        }
        Ok(())
    }

    fn offline_chunk(
        &mut self,
        index: usize,
        (stream, chunk): (&Stream, ActivationSpec),
        range: Range<usize>,
    ) -> Result<(), ProtocolError> {
        let share = &self.streamed[index].as_deref().expect("the offline part of the step made it")[range];
        self.walk.preprocess(index, (&chunk, stream.method), share)
    }

    fn online_chunk(
        &mut self,
        index: usize,
        (step, stream): (&Step, &Stream),
        range: Range<usize>,
    ) -> Result<(), ProtocolError> {
        let share =
            self.streamed[index].as_deref().expect("the offline part of the step made it")[range.clone()].to_vec();
        let output = self.walk.evaluate(index, range.start, share)?;
        let Walk { session, shares, plan, .. } = &mut self.walk;
        match stream.remask {
            Some(layer) => {
                session.book(layer);
                let r = shares[step.output].as_deref().expect("the offline part of the step made it");
                linear::remask(session, output, &r[range])?;
                session.book(step.layer);
            }
            None => {
                let n = plan.elements(step.output);
                shares[step.output].get_or_insert_with(|| Vec::with_capacity(n)).extend_from_slice(&output);
            }
        }
        Ok(())
    }

    fn online(&mut self, index: usize, step: &Step) -> Result<(), ProtocolError> {
        match &step.kind {
            StepKind::Remask => {
                let share = self.walk.take_or_clone(index, step.inputs[0]);
                let Walk { session, shares, .. } = &mut self.walk;
                let r = shares[step.output].as_deref().expect("the offline part of the step made it");
                linear::remask(session, share, r)?;
            }
            StepKind::Linear { .. } => {}
            StepKind::Stream(_) => self.streamed[index] = None,
            StepKind::Activation { .. } => self.walk.activate(index, step)?,
            StepKind::Local(_) if self.is_known(step) => {}
            StepKind::Local(op) => self.walk.local(step, op),
            StepKind::Reveal => {
                let mut logits = self.walk.take_or_clone(index, step.inputs[0]);
                let theirs = self.walk.session.recv_words(logits.len())?;
                linear::add_into(&mut logits, &theirs);
                let bits = self.walk.plan.values[step.output].bits;
                self.logits = logits.into_iter().map(|word| decode(word, bits)).collect();
            }
        }
        self.walk.free(index);
        Ok(())
    }
}
