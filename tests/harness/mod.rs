//! One activation layer between real parties: what every activation test runs.
#![allow(dead_code, reason = "each test binary uses its own part of the harness")]

use longhaul::crypto::Seed;
use longhaul::link::{
    ClockMode, ComputeMode, Execution, LinkConfig, LinkParameters, Party, PartyFailure, Phase, find_model, run_parties,
};
use longhaul::protocol::activation::{ActivationSpec, Family, ProtocolEntry};
use longhaul::protocol::{Cost, Dealer, Function, MaterialStore, PhaseCost, Polynomial, ProtocolError, Session};
use longhaul::units::{BitRate, Nanos};

pub const FRAC_BITS: u32 = 16;

/// A link with free computing: 50 ms one way, 100 Mbit/s.
pub fn wan() -> LinkConfig {
    let direction = LinkParameters::new(Nanos(50_000_000), BitRate(100_000_000));
    LinkConfig {
        model: find_model("ideal").unwrap(),
        up: direction,
        down: direction,
        clock: ClockMode::Virtual,
        compute: ComputeMode::None,
        in_flight_bytes: 1 << 20,
        capture: false,
        cancel: Default::default(),
    }
}

/// ReLU, or the paper's degree-4 approximation of it.
pub fn function_for(entry: &ProtocolEntry) -> Function {
    match entry.family {
        Family::Relu => Function::Relu,
        Family::Polynomial => {
            Function::Polynomial(Polynomial { coefficients: vec![322, 512, 160, 0, -3], precision_bits: 10 })
        }
    }
}

pub fn spec(entry: &ProtocolEntry, elements: usize) -> ActivationSpec {
    ActivationSpec {
        function: function_for(entry),
        elements,
        input_bits: 2 * FRAC_BITS,
        output_bits: FRAC_BITS,
        settings: Default::default(),
    }
}

pub type LayerRun = Execution<Vec<u64>, Vec<u64>, ()>;

/// Runs one layer on shares of `y`; both parties' output shares and what they recorded.
pub fn run_layer(
    entry: &ProtocolEntry,
    spec: &ActivationSpec,
    y: &[u64],
    client_share: &[u64],
    seed: Seed,
    link: &LinkConfig,
) -> Result<LayerRun, PartyFailure<ProtocolError>> {
    let server_share: Vec<u64> = y.iter().zip(client_share).map(|(y, c)| y.wrapping_sub(*c)).collect();
    let party = |endpoint: &mut _, share: Vec<u64>| {
        let mut session = Session::new(endpoint, seed, MaterialStore::new(1 << 30));
        let mut activator = entry.protocol.setup(&mut session, &spec.settings)?;
        session.enter(Phase::Offline, 0)?;
        let known: &[u64] = if session.is_server() { &[] } else { &share };
        let material = activator.preprocess(&mut session, spec, known)?;
        session.enter(Phase::Online, 0)?;
        material.online(&mut session, share)
    };
    run_parties(
        link,
        |endpoint| party(endpoint, server_share),
        |endpoint| party(endpoint, client_share.to_vec()),
        |endpoint| {
            let mut dealer = Dealer::new(endpoint, seed);
            dealer.enter(Phase::Offline, 0)?;
            entry.protocol.deal(&mut dealer, spec)
        },
    )
}

/// Rounds that a layer adds to a network: the client's message of the linear layer before it, and all that the server
/// says until the client is done. What the client sends last delays nobody.
pub fn rounds_in_a_network(entry: &ProtocolEntry) -> u32 {
    let (seed, spec) = (Seed::from_u64(1), spec(entry, 1));
    let part = |endpoint: &mut _, share: Vec<u64>| -> Result<(), ProtocolError> {
        let mut session = Session::new(endpoint, seed, MaterialStore::new(1 << 30));
        let mut activator = entry.protocol.setup(&mut session, &spec.settings)?;
        session.enter(Phase::Offline, 0)?;
        let known: &[u64] = if session.is_server() { &[] } else { &share };
        let material = activator.preprocess(&mut session, &spec, known)?;
        session.enter(Phase::Online, 0)?;
        if session.is_server() {
            session.recv_words(1)?;
        } else {
            session.send_words(&[7])?;
        }
        material.online(&mut session, share).map(drop)
    };
    let run = run_parties(
        &wan(),
        |endpoint| part(endpoint, vec![3]),
        |endpoint| part(endpoint, vec![4]),
        |endpoint| {
            let mut dealer = Dealer::new(endpoint, seed);
            dealer.enter(Phase::Offline, 0)?;
            entry.protocol.deal(&mut dealer, &spec)
        },
    );
    run.unwrap().ledgers[Party::Server as usize].depth(Phase::Online)
}

/// The opened result in real numbers.
pub fn opened(run: &LayerRun) -> Vec<f64> {
    run.server.iter().zip(&run.client).map(|(s, c)| longhaul::ring::decode(s.wrapping_add(*c), FRAC_BITS)).collect()
}

/// What the run really cost.
pub fn metered(run: &LayerRun) -> Cost {
    let [server, client, dealer] = &run.ledgers;
    let phase = |phase| PhaseCost {
        rounds: [server, client, dealer].map(|ledger| ledger.depth(phase)).into_iter().max().unwrap(),
        up: client.bytes(phase, Party::Server),
        down: server.bytes(phase, Party::Client),
    };
    Cost {
        setup: phase(Phase::Setup),
        offline: phase(Phase::Offline),
        online: phase(Phase::Online),
        dealer_server: dealer.bytes(Phase::Offline, Party::Server),
        dealer_client: dealer.bytes(Phase::Offline, Party::Client),
    }
}

/// Chi-square of byte values against the uniform distribution, in standard deviations above the mean.
pub fn chi_square_sigmas(bytes: impl Iterator<Item = u8>) -> f64 {
    let mut counts = [0u64; 256];
    bytes.for_each(|b| counts[b as usize] += 1);
    let total: u64 = counts.iter().sum();
    let expected = total as f64 / 256.0;
    assert!(expected >= 20.0, "too few bytes ({total}) for a chi-square test");
    let chi: f64 = counts.iter().map(|&c| (c as f64 - expected).powi(2) / expected).sum();
    (chi - 255.0) / (2.0f64 * 255.0).sqrt()
}

pub fn received(run: &LayerRun, by: Party, from: Party, phase: Phase) -> Vec<u8> {
    let messages = run.captured[by as usize].iter().filter(|m| m.from == from && m.phase == phase);
    messages.flat_map(|m| m.bytes.iter().copied()).collect()
}
