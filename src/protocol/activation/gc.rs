//! `gc`: ReLU in a garbled circuit, with everything but the server's labels offline.
//!
//! Functionality: shares of `y` (scale `input_bits`) to shares of `max(y, 0)` (scale `output_bits`), truncation
//! (towards zero) and re-sharing inside the circuit.
//!
//! Source: Mishra et al., *DELPHI*, USENIX Security 2020, section 4.2 (who garbles, what is offline); half-gates
//! (Zahur, Rosulek, Evans, 2015) with free-XOR and a re-keyed hash (Guo et al., ePrint 2019/1168), in
//! `protocol::garble`; OT extension in `protocol::ot`, by the construction that the setting `ot` names.
//!
//! The server garbles, the client evaluates. Circuit per activation: `(y_c + y_s mod 2^64)`, its sign, the
//! surviving bits and-ed with it, plus the server's mask `m`: 63 + (63 - t) + 63 AND gates for a shift of `t`.
//!
//! 1. Setup: 128 base OTs towards the server, whose choice bits give the free-XOR offset `Delta`.
//! 2. Offline: OT extension with the bits of `y_c` as choices. Its correlated outputs `q` and `q + b Delta` *are* the
//!    zero label and the client's active label, so no label is sent.
//! 3. Offline: the server garbles chunk by chunk, and sends tables and the outputs' decoding bits. The active
//!    labels of `m` come from a seed both know; the zero labels hide `m` behind `Delta`: nothing is sent.
//! 4. Online: the server sends the labels of `y_s`; the client evaluates and decodes `max(y, 0) / 2^t + m`, its
//!    share; the server's share is `-m`.
//!
//! ```text
//! setup    client -> server  base OT point          server -> client  128 points
//!          client -> server  masked sums of key trees (SoftSpokenOT only)
//! offline  client -> server  OT extension columns, by chunk
//!          server -> client  two seeds; per chunk: tables, decoding bits
//! online   server -> client  labels of y_s, by chunk
//! ```
//!
//! Deviations from DELPHI: OT extension with the labels themselves as outputs instead of one OT per bit, the
//! mask is the server's (the client's share is re-masked by the next linear layer), the hash is re-keyed.
//!
//! Security: semi-honest, kappa = 128, no dealer. One `Delta` serves a session; seeds, and so the keys of
//! the hash, are fresh for every layer.
//!
//! Cost for n activations with g AND gates each and groups of k bits (k = 1 for IKNP): setup 3 rounds (IKNP: 2),
//! 32 + 4096 (k - 1) / k bytes up, 4096 down; offline 2 rounds, 1024 n / k up, 32 + (32 g + 8) n down; online 1 round,
//! 1024 n down.

use super::{
    ActivationProtocol, ActivationSpec, Activator, Family, Material, ProtocolEntry, Setting, Settings, relu_only,
};
use crate::crypto::{Block, Prg};
use crate::protocol::garble::{Circuit, Garbling, TABLE_BYTES, relu_circuit};
use crate::protocol::ot::{CotReceiver, CotSender};
use crate::protocol::{Cost, Dealer, Kept, PhaseCost, ProtocolError, Session};

pub(super) const ENTRY: ProtocolEntry = ProtocolEntry {
    id: "gc",
    family: Family::Relu,
    summary: "ReLU in a garbled circuit, tables and the client's labels offline",
    source: "DELPHI (USENIX Security 2020), half-gates (2015), ePrint 2019/1168",
    dealer: false,
    exact: true,
    tolerance_ulp: 1.0,
    settings: &[Setting::Ot],
    protocol: &Gc,
};

/// Bits of a ring element, and so labels per input.
const BITS: usize = 64;
/// Activations per message: 5.7 MB of tables.
const CHUNK: usize = 256;
/// Bytes of the labels of one ring element.
const LABEL_BYTES: usize = BITS * 16;

struct Gc;

impl ActivationProtocol for Gc {
    fn supports(&self, spec: &ActivationSpec) -> Result<(), String> {
        relu_only(&ENTRY, spec)
    }

    fn cost(&self, spec: &ActivationSpec) -> Cost {
        let n = spec.elements as u64;
        let ot = spec.settings.ot();
        let gates = 63 + (63 - spec.shift() as u64) + 63;
        Cost {
            setup: ot.setup_cost(),
            offline: ot.cost(BITS as u64 * n) + PhaseCost { rounds: 1, up: 0, down: 32 + (32 * gates + 8) * n },
            online: PhaseCost { rounds: 1, up: 0, down: 1024 * n },
            ..Cost::default()
        }
    }

    fn setup(&self, session: &mut Session, settings: &Settings) -> Result<Box<dyn Activator>, ProtocolError> {
        if session.is_server() {
            let ot = settings.ot().sender(session)?;
            return Ok(Box::new(Garbler { delta: ot.delta(), ot }));
        }
        Ok(Box::new(Evaluator { ot: settings.ot().receiver(session)? }))
    }

    fn deal(&self, _dealer: &mut Dealer, _spec: &ActivationSpec) -> Result<(), ProtocolError> {
        Ok(())
    }
}

/// `n` in spans of at most `size`: where each starts, and how long it is.
fn spans(n: usize, size: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).step_by(size).map(move |start| (start, size.min(n - start)))
}

/// The server's side.
struct Garbler {
    delta: Block,
    ot: Box<dyn CotSender>,
}

struct GarblerMaterial {
    delta: Block,
    /// Stream of the zero labels of `y_s`: drawn again online instead of being kept.
    zero_labels: [u8; 16],
    masks: Vec<u64>,
}

impl Activator for Garbler {
    fn preprocess(
        &mut self,
        session: &mut Session,
        spec: &ActivationSpec,
        _client_share: &[u64],
    ) -> Result<Box<dyn Material>, ProtocolError> {
        let n = spec.elements;
        let mut rng = session.rng("garble");
        let (hash_key, mask_key, zero_labels) = (rng.key(), rng.key(), rng.key());
        let masks = rng.words::<u64>(n);
        session.send([hash_key, mask_key].concat())?;
        let circuit = relu_circuit(spec.shift());
        let (mut mask_labels, mut server_labels) = (Prg::from_key(mask_key), Prg::from_key(zero_labels));
        for (first, size) in spans(n, CHUNK) {
            let client0 = self.ot.extend(session, size * BITS)?;
            let server0 = server_labels.words::<Block>(size * BITS);
            let mut mask0 = mask_labels.words::<Block>(size * BITS);
            offset_by_bits(&mut mask0, &masks[first..first + size], self.delta);
            let garbling = Garbling { circuit: &circuit, key: hash_key, first_instance: first as u64 };
            let mut message = vec![0u8; garbling.table_bytes(size)];
            let mut outputs0 = vec![Block::ZERO; size * BITS];
            garbling.garble(self.delta, size, &[&client0, &server0, &mask0], &mut message, &mut outputs0);
            message.extend_from_slice(bytemuck::cast_slice(&colours(&outputs0)));
            session.send(message)?;
        }
        Ok(Box::new(GarblerMaterial { delta: self.delta, zero_labels, masks }))
    }
}

impl Material for GarblerMaterial {
    fn online(self: Box<Self>, session: &mut Session, share: Vec<u64>) -> Result<Vec<u64>, ProtocolError> {
        let mut labels = Prg::from_key(self.zero_labels);
        for values in share.chunks(CHUNK) {
            let mut active = labels.words::<Block>(values.len() * BITS);
            offset_by_bits(&mut active, values, self.delta);
            session.send(bytemuck::cast_slice(&active).to_vec())?;
        }
        Ok(self.masks.into_iter().map(u64::wrapping_neg).collect())
    }
}

/// The client's side.
struct Evaluator {
    ot: Box<dyn CotReceiver>,
}

struct EvaluatorMaterial {
    circuit: Circuit,
    hash_key: [u8; 16],
    mask_key: [u8; 16],
    /// Per chunk: the active labels of `y_c`, and the message of tables and decoding bits.
    chunks: Vec<(Kept, Kept)>,
}

impl Activator for Evaluator {
    fn preprocess(
        &mut self,
        session: &mut Session,
        spec: &ActivationSpec,
        client_share: &[u64],
    ) -> Result<Box<dyn Material>, ProtocolError> {
        let circuit = relu_circuit(spec.shift());
        let mut labels = Vec::new();
        // All columns first: waiting for tables in between would cost a round per chunk.
        for values in client_share.chunks(CHUNK) {
            let active = self.ot.extend(session, values)?;
            labels.push(session.store().keep(bytemuck::cast_slice(&active).to_vec())?);
        }
        let seeds = session.recv(32)?;
        let (hash_key, mask_key) = seeds.split_at(16);
        let mut kept = Vec::new();
        for (labels, (_, size)) in labels.into_iter().zip(spans(spec.elements, CHUNK)) {
            let tables = session.recv(size * (circuit.and_gates() * TABLE_BYTES + 8))?;
            kept.push((labels, session.store().keep(tables)?));
        }
        let key = |bytes: &[u8]| bytes.try_into().expect("split into two keys");
        Ok(Box::new(EvaluatorMaterial { hash_key: key(hash_key), mask_key: key(mask_key), circuit, chunks: kept }))
    }
}

impl Material for EvaluatorMaterial {
    fn online(self: Box<Self>, session: &mut Session, mut share: Vec<u64>) -> Result<Vec<u64>, ProtocolError> {
        let mut mask_labels = Prg::from_key(self.mask_key);
        let mut first = 0;
        for (output, (client, tables)) in share.chunks_mut(CHUNK).zip(self.chunks) {
            let n = output.len();
            let client: Vec<Block> = bytemuck::allocation::pod_collect_to_vec(&client.take()?);
            let server: Vec<Block> = bytemuck::allocation::pod_collect_to_vec(&session.recv(n * LABEL_BYTES)?);
            let mask = mask_labels.words::<Block>(n * BITS);
            let message = tables.take()?;
            let (tables, decoding) = message.split_at(message.len() - 8 * n);
            let garbling = Garbling { circuit: &self.circuit, key: self.hash_key, first_instance: first as u64 };
            let mut outputs = vec![Block::ZERO; n * BITS];
            garbling.evaluate(n, &[&client, &server, &mask], tables, &mut outputs);
            let decoding: Vec<u64> = bytemuck::allocation::pod_collect_to_vec(decoding);
            for ((output, colours), decoding) in output.iter_mut().zip(colours(&outputs)).zip(decoding) {
                *output = colours ^ decoding;
            }
            first += n;
        }
        Ok(share)
    }
}

/// Adds `delta` to the labels of the set bits of `values`: from zero labels to active ones, or back.
fn offset_by_bits(labels: &mut [Block], values: &[u64], delta: Block) {
    for (labels, &value) in labels.chunks_exact_mut(BITS).zip(values) {
        for (bit, label) in labels.iter_mut().enumerate() {
            *label ^= delta.if_bit(value >> bit & 1 == 1);
        }
    }
}

/// The colour bits of the labels of each word.
fn colours(labels: &[Block]) -> Vec<u64> {
    let word =
        |labels: &[Block]| labels.iter().enumerate().fold(0, |word, (bit, label)| word | (label.lsb() as u64) << bit);
    labels.chunks_exact(BITS).map(word).collect()
}
