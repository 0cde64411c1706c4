//! The server's walk through the plan.

use super::audit::Audit;
use super::execute::Party;
use super::plan::{Plan, Step, StepKind, Stream, StreamedLinear};
use super::server_weights::{ServerLayer, ServerWeights};
use super::walk::Walk;
use crate::protocol::activation::ActivationSpec;
use crate::protocol::{ProtocolError, Session, linear};
use crate::ring::Product;
use std::ops::Range;

/// Holds the weights.
pub(super) struct Server<'a, 'e> {
    walk: Walk<'a, 'e>,
    weights: &'a ServerWeights,
    /// Per linear layer: the share `v` of `W r`.
    products: Vec<Option<Vec<u64>>>,
    /// The layer whose rows are being computed chunk by chunk, and what there is of them.
    streaming: Option<(usize, Product<'a>)>,
}

impl<'a, 'e> Server<'a, 'e> {
    pub fn new(
        session: Session<'e>,
        plan: &'a Plan,
        audit: Option<&'a Audit>,
        weights: &'a ServerWeights,
    ) -> Result<Server<'a, 'e>, ProtocolError> {
        let mut walk = Walk::new(session, plan, audit)?;
        // The image: the client holds all of it.
        walk.shares[0] = Some(vec![0; plan.elements(0)]);
        for layer in &weights.layers {
            linear::send_masked_weights(&mut walk.session, &layer.weights.widened())?;
        }
        Ok(Server { walk, weights, products: vec![None; plan.linears.len()], streaming: None })
    }
}

impl Server<'_, '_> {
    /// The server's share of some elements of what the activation of a step that streams reads.
    fn pre_activations(&mut self, step: &Step, stream: &Stream, range: Range<usize>) -> Vec<u64> {
        let walk = &mut self.walk;
        let Some(StreamedLinear { index, channels, layer }) = stream.linear else {
            return walk.share(step.inputs[0])[range].to_vec();
        };
        walk.session.book(layer);
        let weights = self.weights;
        let ServerLayer { packed, bias, .. } = &weights.layers[index];
        let (_, product) = match &mut self.streaming {
            Some(streaming) if streaming.0 == index => streaming,
            other => other.insert((index, packed.start())),
        };
        let rows = range.start / channels..range.end / channels;
        let products = self.products[index].as_deref().expect("the offline part of the step made it");
        let v = &products[range.clone()];
        // One bias per element, as dense layers have, or one per channel.
        let bias = if bias.len() == products.len() { &bias[range.clone()] } else { bias };
        let mut y = linear::server_apply_rows(product, bias, walk.share(step.inputs[0]), rows, v);
        if let Some([lift, other_lift]) = stream.add {
            let other = &walk.share(step.inputs[1])[range];
            y.iter_mut().zip(other).for_each(|(y, other)| *y = (*y << lift).wrapping_add(other << other_lift));
        }
        walk.session.book(step.layer);
        y
    }
}

impl<'e> Party<'e> for Server<'_, 'e> {
    fn session(&mut self) -> &mut Session<'e> {
        &mut self.walk.session
    }

    fn offline(&mut self, index: usize, step: &Step) -> Result<(), ProtocolError> {
        let Walk { session, activators, plan, .. } = &mut self.walk;
        match &step.kind {
            StepKind::Linear { index } => {
                let outputs = plan.elements(step.output);
                self.products[*index] = Some(linear::server_product(session, outputs)?)
            }
            StepKind::Activation { spec, method } => self.walk.preprocess(index, (spec, *method), &[])?,
            StepKind::Stream(stream) => {
                if let Some(StreamedLinear { index, layer, .. }) = stream.linear {
                    session.book(layer);
                    self.products[index] = Some(linear::server_product(session, plan.linears[index].shape.outputs())?);
                    session.book(step.layer);
                }
                activators[stream.method].begin(session, &stream.chunks(), &[])?;
            }
            StepKind::Remask | StepKind::Local(_) | StepKind::Reveal => {}
        }
        Ok(())
    }

    fn offline_chunk(
        &mut self,
        index: usize,
        (stream, chunk): (&Stream, ActivationSpec),
        _: Range<usize>,
    ) -> Result<(), ProtocolError> {
        self.walk.preprocess(index, (&chunk, stream.method), &[])
    }

    fn online_chunk(
        &mut self,
        index: usize,
        (step, stream): (&Step, &Stream),
        range: Range<usize>,
    ) -> Result<(), ProtocolError> {
        let (plan, start) = (self.walk.plan, range.start);
        let y = self.pre_activations(step, stream, range);
        let output = self.walk.evaluate(index, start, y)?;
        let n = plan.elements(step.output);
        let whole = self.walk.shares[step.output].get_or_insert_with(|| Vec::with_capacity(n));
        whole.extend_from_slice(&output);
        Ok(())
    }

    fn online(&mut self, index: usize, step: &Step) -> Result<(), ProtocolError> {
        match &step.kind {
            StepKind::Remask => {
                let share = self.walk.take_or_clone(index, step.inputs[0]);
                self.walk.shares[step.output] = Some(linear::remask(&mut self.walk.session, share, &[])?);
            }
            StepKind::Linear { index } => {
                let layer = &self.weights.layers[*index];
                let v = self.products[*index].take().expect("the offline part of the step made it");
                self.walk.shares[step.output] =
                    Some(linear::server_apply(&layer.packed, &layer.bias, self.walk.share(step.inputs[0]), &v));
            }
            StepKind::Activation { .. } => self.walk.activate(index, step)?,
            StepKind::Stream(stream) => {
                if let Some(StreamedLinear { index, .. }) = stream.linear {
                    self.products[index] = None;
                    self.streaming = None;
                }
                if let Some(layer) = stream.remask {
                    let Walk { session, shares, .. } = &mut self.walk;
                    session.book(layer);
                    let share = shares[step.output].as_mut().expect("the chunks made it");
                    for range in stream.ranges() {
                        let masked = session.recv_words(range.len())?;
                        linear::add_into(&mut share[range], &masked);
                    }
                }
            }
            StepKind::Local(op) => self.walk.local(step, op),
            StepKind::Reveal => {
                let share = self.walk.take_or_clone(index, step.inputs[0]);
                self.walk.session.send_words(&share)?;
            }
        }
        self.walk.free(index);
        Ok(())
    }
}
