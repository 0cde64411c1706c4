//! One private inference: the three parties walk the plan, each on its own thread, over the channels only.

use super::audit::Audit;
use super::client::Client;
use super::deal::deal;
use super::plan::{Plan, Step, StepKind, Stream};
use super::server::Server;
use super::server_weights::ServerWeights;
use crate::crypto::Seed;
use crate::link::{ClockMode, Endpoint, Execution, LinkConfig, PartyFailure, Phase, run_parties};
use crate::protocol::activation::ActivationSpec;
use crate::protocol::{MaterialStore, ProtocolError, Session};
use std::ops::Range;

/// What one inference is asked to do.
pub struct Query<'a> {
    /// The public plan.
    pub plan: &'a Plan,
    /// The server's input.
    pub weights: &'a ServerWeights,
    /// The client's input: the image, `[h][w][c]`, or the plan's images one after the other.
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

/// The client's logits, image by image, and what every party recorded.
pub type Inference = Execution<(), Vec<f64>, ()>;

/// Runs setup, offline and online phases of one query.
///
/// # Errors
/// The first party's failure.
pub fn infer(query: &Query) -> Result<Inference, PartyFailure<ProtocolError>> {
    let &Query { plan, weights, image, link, seed, material_bytes, audit } = query;
    let audit = audit.filter(|_| link.clock == ClockMode::Virtual);
    let resources = Resources { seed, material_bytes };
    run_parties(
        link,
        |endpoint| serve(endpoint, plan, resources, audit, weights),
        |endpoint| ask(endpoint, plan, resources, audit, image),
        |endpoint| deal(endpoint, seed, plan),
    )
}

/// What a party computes with.
#[derive(Clone, Copy)]
pub(crate) struct Resources {
    /// Root of its randomness; a party derives its own from it by its name.
    pub seed: Seed,
    /// Bytes of material to keep in memory.
    pub material_bytes: u64,
}

/// The server's part.
pub(crate) fn serve(
    endpoint: &mut Endpoint,
    plan: &Plan,
    resources: Resources,
    audit: Option<&Audit>,
    weights: &ServerWeights,
) -> Result<(), ProtocolError> {
    let offline_first = endpoint.clock() != ClockMode::Virtual;
    let session = Session::new(endpoint, resources.seed, MaterialStore::new(resources.material_bytes));
    let mut server = Server::new(session, plan, audit, weights)?;
    walk(plan, offline_first, &mut server)
}

/// The client's part: the logits.
pub(crate) fn ask(
    endpoint: &mut Endpoint,
    plan: &Plan,
    resources: Resources,
    audit: Option<&Audit>,
    image: &[f64],
) -> Result<Vec<f64>, ProtocolError> {
    let offline_first = endpoint.clock() != ClockMode::Virtual;
    let session = Session::new(endpoint, resources.seed, MaterialStore::new(resources.material_bytes));
    let mut client = Client::new(session, plan, audit, image)?;
    walk(plan, offline_first, &mut client)?;
    Ok(client.logits)
}

/// What both parties do: an offline and an online part for every step, and for every chunk of a step that streams.
pub(super) trait Party<'e> {
    fn session(&mut self) -> &mut Session<'e>;
    fn offline(&mut self, index: usize, step: &Step) -> Result<(), ProtocolError>;
    fn online(&mut self, index: usize, step: &Step) -> Result<(), ProtocolError>;
    /// After `offline`, for each chunk.
    fn offline_chunk(
        &mut self,
        index: usize,
        chunk: (&Stream, ActivationSpec),
        range: Range<usize>,
    ) -> Result<(), ProtocolError>;
    /// Before `online`, for each chunk.
    fn online_chunk(&mut self, index: usize, step: (&Step, &Stream), range: Range<usize>) -> Result<(), ProtocolError>;
}

/// Under the virtual clock the accounts are separate, so material is made just before it is used, which bounds memory
/// to about a layer, or a chunk of one that streams; under clocks of real time the offline phase really comes first.
fn walk<'e>(plan: &Plan, offline_first: bool, party: &mut impl Party<'e>) -> Result<(), ProtocolError> {
    if offline_first {
        for (index, step) in plan.steps.iter().enumerate() {
            party.session().enter(Phase::Offline, step.layer)?;
            party.offline(index, step)?;
            for (stream, chunk, range) in chunks(step) {
                party.offline_chunk(index, (stream, chunk), range)?;
            }
        }
    }
    for (index, step) in plan.steps.iter().enumerate() {
        if !offline_first {
            party.session().enter(Phase::Offline, step.layer)?;
            party.offline(index, step)?;
        }
        for (stream, chunk, range) in chunks(step) {
            if !offline_first {
                party.session().enter(Phase::Offline, step.layer)?;
                party.offline_chunk(index, (stream, chunk), range.clone())?;
            }
            party.session().enter(Phase::Online, step.layer)?;
            party.online_chunk(index, (step, stream), range)?;
        }
        party.session().enter(Phase::Online, step.layer)?;
        party.online(index, step)?;
    }
    // What the parties free now, weights and material, is no part of the query.
    party.session().close();
    Ok(())
}

fn chunks(step: &Step) -> impl Iterator<Item = (&Stream, ActivationSpec, Range<usize>)> {
    let stream = match &step.kind {
        StepKind::Stream(stream) => Some(stream),
        _ => None,
    };
    let chunks = |stream: &'_ Stream| stream.chunks().into_iter().zip(stream.ranges().collect::<Vec<_>>());
    stream.into_iter().flat_map(move |stream| chunks(stream).map(move |(chunk, range)| (stream, chunk, range)))
}
