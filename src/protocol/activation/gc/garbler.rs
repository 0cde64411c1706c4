//! The server's side of `gc`.

use super::{CHUNK, Shape, When, spans, transfers};
use crate::crypto::{Block, Prg};
use crate::protocol::activation::{ActivationSpec, Activator, Material};
use crate::protocol::garble::{Circuit, Garbling, Projection, Scheme, relu_circuit};
use crate::protocol::ot::CotSender;
use crate::protocol::pack::pack;
use crate::protocol::{Kept, ProtocolError, Session};

pub(super) struct Garbler<S> {
    pub ot: Box<dyn CotSender>,
    pub when: When,
    pub scheme: S,
    /// Chunks that have begun and are not garbled yet.
    pub begun: usize,
}

impl<S: Scheme> Activator for Garbler<S> {
    fn begin(
        &mut self,
        session: &mut Session,
        chunks: &[ActivationSpec],
        _client_share: &[u64],
    ) -> Result<(), ProtocolError> {
        self.ot.reserve(session, transfers(chunks))?;
        self.begun += chunks.len();
        Ok(())
    }

    fn preprocess(
        &mut self,
        session: &mut Session,
        spec: &ActivationSpec,
        _client_share: &[u64],
    ) -> Result<Box<dyn Material>, ProtocolError> {
        let shape = Shape::new(spec);
        if self.begun == 0 {
            self.begin(session, std::slice::from_ref(spec), &[])?;
        }
        self.begun -= 1;
        let mut rng = session.rng("garble");
        let keys = Keys { hash: rng.key(), masks: rng.key(), server_labels: rng.key() };
        session.send([keys.hash, keys.masks].concat())?;
        let mut layer = Layer::new(self.scheme, shape, keys, self.ot.delta(), rng);
        let mut client_labels = Vec::new();
        for (first, size) in spans(spec.elements, CHUNK) {
            let mut client0 = self.ot.extend(session, shape.transfers(size))?;
            client0.truncate(shape.labels(size));
            match self.when {
                When::Offline => {
                    let message = layer.garble(first, size, &client0);
                    session.send(message)?;
                }
                When::Online => {
                    client_labels.push(session.store().keep(bytemuck::cast_slice(&client0).to_vec())?);
                }
            }
        }
        Ok(Box::new(GarblerMaterial { layer, client_labels }))
    }
}

struct GarblerMaterial<S> {
    layer: Layer<S>,
    /// Zero labels of `y_c` per chunk, if nothing is garbled yet.
    client_labels: Vec<Kept>,
}

impl<S: Scheme> Material for GarblerMaterial<S> {
    fn online(self: Box<Self>, session: &mut Session, share: Vec<u64>) -> Result<Vec<u64>, ProtocolError> {
        let GarblerMaterial { mut layer, client_labels } = *self;
        let mut labels = Prg::from_key(layer.keys.server_labels);
        let mut client_labels = client_labels.into_iter();
        for (chunk, values) in share.chunks(CHUNK).enumerate() {
            let mut active = labels.words::<Block>(layer.shape.labels(values.len()));
            offset_by_bits(&mut active, values, layer.shape.width, layer.delta);
            let mut message = Vec::new();
            if let Some(client0) = client_labels.next() {
                let client0: Vec<Block> = bytemuck::allocation::pod_collect_to_vec(&client0.take()?);
                message = layer.garble(chunk * CHUNK, values.len(), &client0);
            }
            message.extend_from_slice(bytemuck::cast_slice(&active));
            session.send(message)?;
        }
        Ok(layer.shares)
    }
}

struct Keys {
    hash: [u8; 16],
    /// Stream of the active labels of the mask: the client has it too.
    masks: [u8; 16],
    /// Stream of the zero labels of `y_s`: drawn again online instead of being kept.
    server_labels: [u8; 16],
}

/// One layer, garbled chunk by chunk from the first to the last.
struct Layer<S> {
    scheme: S,
    shape: Shape,
    circuit: Circuit,
    keys: Keys,
    delta: Block,
    /// The masks themselves.
    rng: Prg,
    mask_labels: Prg,
    server_labels: Prg,
    /// The server's shares of what has been garbled.
    shares: Vec<u64>,
}

impl<S: Scheme> Layer<S> {
    fn new(scheme: S, shape: Shape, keys: Keys, delta: Block, rng: Prg) -> Layer<S> {
        Layer {
            scheme,
            shape,
            circuit: relu_circuit(shape.width, shape.shift),
            mask_labels: Prg::from_key(keys.masks),
            server_labels: Prg::from_key(keys.server_labels),
            keys,
            delta,
            rng,
            shares: Vec::new(),
        }
    }

    /// Garbles the next `n` activations: tables, decoding words, projection rows.
    fn garble(&mut self, first: usize, n: usize, client0: &[Block]) -> Vec<u8> {
        let (shape, delta) = (self.shape, self.delta);
        let kept = shape.kept() as usize;
        let masks: Vec<u64> = self.rng.words::<u64>(n).into_iter().map(|word| shape.mask(word)).collect();
        let server0 = self.server_labels.words::<Block>(shape.labels(n));
        let mut mask0 = self.mask_labels.words::<Block>(n * kept);
        offset_by_bits(&mut mask0, &masks, shape.kept(), delta);
        let garbling =
            Garbling { scheme: self.scheme, circuit: &self.circuit, key: self.keys.hash, first_instance: first as u64 };
        let mut message = vec![0u8; garbling.table_bytes(n)];
        let mut outputs0 = vec![Block::ZERO; n * (kept + 1)];
        garbling.garble(delta, n, &[client0, &server0, &mask0], &mut message, &mut outputs0);
        let (colours, carries) = split_outputs(&outputs0, kept);
        let projection = Projection { key: self.keys.hash, first_instance: first as u64, weight: 1 << shape.kept() };
        let (shares, rows) = projection.garble(delta, &carries);
        message.extend_from_slice(&pack(&colours, shape.kept()));
        message.extend_from_slice(bytemuck::cast_slice(&rows));
        self.shares.extend(masks.iter().zip(shares).map(|(mask, share)| mask.wrapping_add(share).wrapping_neg()));
        message
    }
}

/// Adds `delta` to the labels of the set bits of `values`, `width` labels each: from zero labels to active ones, or back.
fn offset_by_bits(labels: &mut [Block], values: &[u64], width: u32, delta: Block) {
    for (labels, &value) in labels.chunks_exact_mut(width as usize).zip(values) {
        for (bit, label) in labels.iter_mut().enumerate() {
            *label ^= delta.if_bit(value >> bit & 1 == 1);
        }
    }
}

/// The colours of the `kept` sum bits of each instance as a word, and the label of its carry.
pub(super) fn split_outputs(labels: &[Block], kept: usize) -> (Vec<u64>, Vec<Block>) {
    let word =
        |labels: &[Block]| labels.iter().enumerate().fold(0, |word, (bit, label)| word | (label.lsb() as u64) << bit);
    labels.chunks_exact(kept + 1).map(|labels| (word(&labels[..kept]), labels[kept])).unzip()
}
