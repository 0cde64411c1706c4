//! One private inference: the three parties walk the plan, each on its own thread, over the channels only.

use super::audit::{Audit, Shares};
use super::plan::{Method, Plan, Step, StepKind, ValueId};
use super::server_weights::ServerWeights;
use crate::crypto::Seed;
use crate::link::{ClockMode, Endpoint, Execution, LinkConfig, PartyFailure, Phase, run_parties};
use crate::protocol::activation::{Activator, Material};
use crate::protocol::{Dealer, MaterialStore, ProtocolError, Session, linear};
use crate::ring::{PackedWeights, decode, encode_slice};

/// What one inference is asked to do.
pub struct Query<'a> {
    /// The public plan.
    pub plan: &'a Plan,
    /// The server's input.
    pub weights: &'a ServerWeights,
    /// The client's input: the image, `[h][w][c]`.
    pub image: &'a [f64],
    /// Link and clock.
    pub link: &'a LinkConfig,
    /// Root of all randomness of this execution.
    pub seed: Seed,
    /// Bytes of material that a party keeps in memory.
    pub material_bytes: u64,
    /// Compares every activation with plaintext; under the virtual clock only, where that can be off the clock.
    pub audit: Option<&'a Audit>,
}

/// The client's logits, and what every party recorded.
pub type Inference = Execution<(), Vec<f64>, ()>;

/// Runs setup, offline and online phases of one query.
///
/// # Errors
/// The first party's failure.
pub fn infer(query: &Query) -> Result<Inference, PartyFailure<ProtocolError>> {
    let &Query { plan, weights, image, link, seed, material_bytes, audit } = query;
    let audit = audit.filter(|_| link.clock == ClockMode::Virtual);
    run_parties(
        link,
        |endpoint| {
            let wall = endpoint.clock() == ClockMode::Wall;
            let session = Session::new(endpoint, seed, MaterialStore::new(material_bytes));
            let mut server = Server::new(session, plan, audit, weights)?;
            walk(plan, wall, &mut server)
        },
        |endpoint| {
            let wall = endpoint.clock() == ClockMode::Wall;
            let session = Session::new(endpoint, seed, MaterialStore::new(material_bytes));
            let mut client = Client::new(session, plan, audit, image)?;
            walk(plan, wall, &mut client)?;
            Ok(client.logits)
        },
        |endpoint| deal(endpoint, seed, plan),
    )
}

/// What both parties do: an offline and an online part for every step.
trait Party {
    fn enter(&mut self, phase: Phase, layer: u32) -> Result<(), ProtocolError>;
    fn offline(&mut self, index: usize, step: &Step) -> Result<(), ProtocolError>;
    fn online(&mut self, index: usize, step: &Step) -> Result<(), ProtocolError>;
}

/// Under the virtual clock the accounts are separate, so a layer's material is made just before it is
/// used, which bounds memory to about a layer; under the wall clock the offline phase really comes first.
fn walk(plan: &Plan, wall: bool, party: &mut impl Party) -> Result<(), ProtocolError> {
    if wall {
        for (index, step) in plan.steps.iter().enumerate() {
            party.enter(Phase::Offline, step.layer)?;
            party.offline(index, step)?;
        }
    }
    for (index, step) in plan.steps.iter().enumerate() {
        if !wall {
            party.enter(Phase::Offline, step.layer)?;
            party.offline(index, step)?;
        }
        party.enter(Phase::Online, step.layer)?;
        party.online(index, step)?;
    }
    Ok(())
}

/// What server and client have in common.
struct Walk<'a, 'e> {
    plan: &'a Plan,
    session: Session<'e>,
    /// Per method of the plan.
    activators: Vec<Box<dyn Activator>>,
    /// Per value: this party's share, while it is needed.
    shares: Vec<Option<Vec<u64>>>,
    /// Per step: its material, until it is used.
    material: Vec<Option<Box<dyn Material>>>,
    /// Per step: the values it is the last to use.
    last_uses: Vec<Vec<ValueId>>,
    audit: Option<&'a Audit>,
}

impl<'a, 'e> Walk<'a, 'e> {
    fn new(mut session: Session<'e>, plan: &'a Plan, audit: Option<&'a Audit>) -> Result<Walk<'a, 'e>, ProtocolError> {
        let setup = |method: &Method| method.entry.protocol.setup(&mut session, &method.settings);
        let activators = plan.methods.iter().map(setup).collect::<Result<_, _>>()?;
        let material = plan.steps.iter().map(|_| None).collect();
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

    fn share(&self, value: ValueId) -> &[u64] {
        self.shares[value].as_deref().expect("steps come after the steps that make their operands")
    }

    fn take_or_clone(&mut self, index: usize, value: ValueId) -> Vec<u64> {
        if self.last_uses[index].contains(&value) {
            self.shares[value].take().expect("steps come after the steps that make their operands")
        } else {
            self.share(value).to_vec()
        }
    }

    fn local(&mut self, step: &Step, op: &super::local::LocalOp) {
        let operands: Vec<&[u64]> = step.inputs.iter().map(|&value| self.share(value)).collect();
        self.shares[step.output] = Some(op.apply(&operands, self.session.is_server()));
    }

    fn activate(&mut self, index: usize, step: &Step) -> Result<(), ProtocolError> {
        let share = self.take_or_clone(index, step.inputs[0]);
        let material = self.material[index].take().expect("the offline part of the step made it");
        let input = self.audit.map(|_| self.session.off_the_clock(|| share.clone()));
        let output = material.online(&mut self.session, share)?;
        if let (Some(audit), Some(input), StepKind::Activation { spec, .. }) = (self.audit, input, &step.kind) {
            self.session.off_the_clock(|| audit.record(index, spec, Shares { input, output: output.clone() }));
        }
        self.shares[step.output] = Some(output);
        Ok(())
    }

    fn free(&mut self, index: usize) {
        for &value in &self.last_uses[index] {
            self.shares[value] = None;
        }
    }
}

struct Server<'a, 'e> {
    walk: Walk<'a, 'e>,
    weights: &'a ServerWeights,
    /// Per linear layer: the share `v` of `W r`.
    products: Vec<Option<Vec<u64>>>,
}

impl<'a, 'e> Server<'a, 'e> {
    fn new(
        session: Session<'e>,
        plan: &'a Plan,
        audit: Option<&'a Audit>,
        weights: &'a ServerWeights,
    ) -> Result<Server<'a, 'e>, ProtocolError> {
        let mut walk = Walk::new(session, plan, audit)?;
        // The image: the client holds all of it.
        walk.shares[0] = Some(vec![0; plan.values[0].shape.elements()]);
        for layer in &weights.layers {
            linear::send_masked_weights(&mut walk.session, &layer.weights.words())?;
        }
        Ok(Server { walk, weights, products: vec![None; plan.linears.len()] })
    }
}

impl Party for Server<'_, '_> {
    fn enter(&mut self, phase: Phase, layer: u32) -> Result<(), ProtocolError> {
        Ok(self.walk.session.enter(phase, layer)?)
    }

    fn offline(&mut self, index: usize, step: &Step) -> Result<(), ProtocolError> {
        let Walk { session, activators, material, plan, .. } = &mut self.walk;
        match &step.kind {
            StepKind::Linear { index } => {
                self.products[*index] = Some(linear::server_product(session, plan.linears[*index].shape.outputs())?)
            }
            StepKind::Activation { spec, method } => {
                material[index] = Some(activators[*method].preprocess(session, spec, &[])?)
            }
            StepKind::Remask | StepKind::Local(_) | StepKind::Reveal => {}
        }
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
                    Some(linear::server_apply(&layer.packed, &layer.bias, self.walk.share(step.inputs[0]), v));
            }
            StepKind::Activation { .. } => self.walk.activate(index, step)?,
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

struct Client<'a, 'e> {
    walk: Walk<'a, 'e>,
    masked_weights: Vec<PackedWeights>,
    logits: Vec<f64>,
}

impl<'a, 'e> Client<'a, 'e> {
    fn new(
        session: Session<'e>,
        plan: &'a Plan,
        audit: Option<&'a Audit>,
        image: &[f64],
    ) -> Result<Client<'a, 'e>, ProtocolError> {
        let expected = plan.values[0].shape.elements();
        if image.len() != expected {
            return Err(ProtocolError::Input(format!(
                "the image has {} values, the network takes {expected}",
                image.len()
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
        Ok(Client { walk, masked_weights, logits: Vec::new() })
    }

    fn is_known(&self, step: &Step) -> bool {
        self.walk.plan.values[step.output].known
    }
}

impl Party for Client<'_, '_> {
    fn enter(&mut self, phase: Phase, layer: u32) -> Result<(), ProtocolError> {
        Ok(self.walk.session.enter(phase, layer)?)
    }

    fn offline(&mut self, index: usize, step: &Step) -> Result<(), ProtocolError> {
        let walk = &mut self.walk;
        match &step.kind {
            StepKind::Remask => {
                let n = walk.plan.values[step.output].shape.elements();
                walk.shares[step.output] = Some(linear::recv_mask(&mut walk.session, n)?);
            }
            StepKind::Linear { index } => {
                let r = walk.shares[step.inputs[0]].as_deref().expect("a linear layer reads a re-masked value");
                let u = linear::client_product(&mut walk.session, &self.masked_weights[*index], r)?;
                walk.shares[step.output] = Some(u);
            }
            StepKind::Activation { spec, method } => {
                let share = walk.shares[step.inputs[0]].as_deref().expect("an activation reads a value known offline");
                walk.material[index] = Some(walk.activators[*method].preprocess(&mut walk.session, spec, share)?);
            }
            StepKind::Local(op) if self.is_known(step) => self.walk.local(step, op),
            StepKind::Local(_) | StepKind::Reveal => {}
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

/// The dealer's walk: masks of weights, then per query masks, products and the activations' material.
fn deal(endpoint: &mut Endpoint, seed: Seed, plan: &Plan) -> Result<(), ProtocolError> {
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
            StepKind::Remask => {
                masks[step.output] = Some(linear::deal_mask(&mut dealer, plan.values[step.output].shape.elements())?)
            }
            StepKind::Linear { index } => {
                let r = masks[step.inputs[0]].as_deref().expect("a linear layer reads a re-masked value");
                linear::deal_product(&mut dealer, &a[*index], r)?;
            }
            StepKind::Activation { spec, method } => plan.methods[*method].entry.protocol.deal(&mut dealer, spec)?,
            StepKind::Local(_) | StepKind::Reveal => {}
        }
        last_uses[index].iter().for_each(|&value| masks[value] = None);
    }
    Ok(())
}
