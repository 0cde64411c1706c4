//! The figures of one execution, read off the parties' ledgers.

use super::layers::{LayerCost, layer_costs};
use crate::link::{Ledger, Party, Phase, Sent, Spent};
use crate::nn::secure::{Inference, Plan};
use crate::units::Nanos;

/// One phase of one execution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhaseMeasurement {
    /// Setup and offline: when the last party was done. Online: when the client had its logits.
    pub time: Nanos,
    /// The same, had computing been free.
    pub floor: Nanos,
    /// Largest causal depth.
    pub rounds: u32,
    /// Client to server.
    pub bytes_up: u64,
    /// Server to client.
    pub bytes_down: u64,
    /// Messages from client to server.
    pub messages_up: u64,
    /// Messages from server to client.
    pub messages_down: u64,
    /// Dealer to server.
    pub dealer_server: u64,
    /// Dealer to client.
    pub dealer_client: u64,
    /// Processor time of the server.
    pub server_compute: Nanos,
    /// Processor time of the client.
    pub client_compute: Nanos,
    /// Processor time of the dealer.
    pub dealer_compute: Nanos,
}

/// One execution.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// By [`Phase`]: setup, offline, online.
    pub phases: [PhaseMeasurement; 3],
    /// Offline cost by layer.
    pub offline_layers: Vec<LayerCost>,
    /// Online cost by layer.
    pub online_layers: Vec<LayerCost>,
    /// What each layer contributes to the online time, along the critical path; adds up to it exactly.
    pub online_path: Vec<Spent>,
    /// Every message of every phase with its sender: by phase, then by time of sending.
    pub messages: Vec<(Party, Sent)>,
    /// What the client learned.
    pub logits: Vec<f64>,
    /// Digest of everything that was sent.
    pub transcript: blake3::Hash,
}

impl Measurement {
    /// The figures of `inference`, which executed `plan`.
    pub fn new(plan: &Plan, inference: &Inference) -> Measurement {
        Measurement {
            phases: Phase::ALL.map(|phase| phase_measurement(&inference.ledgers, phase)),
            offline_layers: layer_costs(plan, &inference.ledgers, Phase::Offline),
            online_layers: layer_costs(plan, &inference.ledgers, Phase::Online),
            online_path: online_path(plan, &inference.ledgers),
            messages: messages(&inference.ledgers),
            logits: inference.client.clone(),
            transcript: transcript(&inference.ledgers),
        }
    }

    /// The figures of `phase`.
    pub fn phase(&self, phase: Phase) -> &PhaseMeasurement {
        &self.phases[phase as usize]
    }
}

fn phase_measurement(ledgers: &[Ledger; 3], phase: Phase) -> PhaseMeasurement {
    let [server, client, dealer] = ledgers;
    let accounts = ledgers.each_ref().map(|ledger| ledger.account(phase));
    let client_account = client.account(phase);
    let last = |times: [Nanos; 3]| times.into_iter().max().expect("three parties");
    let (time, floor) = match phase {
        Phase::Online => (client_account.now, client_account.floor),
        Phase::Setup | Phase::Offline => (last(accounts.map(|a| a.now)), last(accounts.map(|a| a.floor))),
    };
    PhaseMeasurement {
        time,
        floor,
        rounds: ledgers.iter().map(|ledger| ledger.depth(phase)).max().expect("three parties"),
        bytes_up: client.bytes(phase, Party::Server),
        bytes_down: server.bytes(phase, Party::Client),
        messages_up: client.messages(phase, Party::Server),
        messages_down: server.messages(phase, Party::Client),
        dealer_server: dealer.bytes(phase, Party::Server),
        dealer_client: dealer.bytes(phase, Party::Client),
        server_compute: server.account(phase).compute,
        client_compute: client_account.compute,
        dealer_compute: dealer.account(phase).compute,
    }
}

/// The client's online clock in parts: its reading is the online time.
fn online_path(plan: &Plan, ledgers: &[Ledger; 3]) -> Vec<Spent> {
    let path = ledgers[Party::Client as usize].path(Phase::Online);
    (0..plan.layers.len() as u32).map(|layer| path.layer(layer)).collect()
}

fn messages(ledgers: &[Ledger; 3]) -> Vec<(Party, Sent)> {
    let by_sender =
        |(party, ledger): (Party, &Ledger)| ledger.messages.iter().map(move |sent| (party, *sent)).collect::<Vec<_>>();
    let mut messages: Vec<(Party, Sent)> = Party::ALL.into_iter().zip(ledgers).flat_map(by_sender).collect();
    messages.sort_by_key(|(from, sent)| (sent.phase, sent.sent_at, sent.arrives_at, *from));
    messages
}

/// Digest over the digests of every sender, phase and receiver, in a fixed order.
fn transcript(ledgers: &[Ledger; 3]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for ledger in ledgers {
        for ((phase, to), digest) in &ledger.digests {
            hasher.update(&[*phase as u8, *to as u8]).update(digest.as_bytes());
        }
    }
    hasher.finalize()
}
