//! The client's side of `gc`.

use super::garbler::split_outputs;
use super::{CHUNK, Shape, When, spans, transfers};
use crate::crypto::{Block, Prg};
use crate::protocol::activation::{ActivationSpec, Activator, Material};
use crate::protocol::garble::{Circuit, Garbling, Projection, Scheme, relu_circuit};
use crate::protocol::ot::CotReceiver;
use crate::protocol::pack::{pack_words, packed_bytes, unpack};
use crate::protocol::{Kept, ProtocolError, Session};
use std::collections::VecDeque;

pub(super) struct Evaluator<S> {
    pub ot: Box<dyn CotReceiver>,
    pub when: When,
    pub scheme: S,
    /// The labels of chunks that have begun, by span.
    pub begun: VecDeque<Vec<Kept>>,
}

impl<S: Scheme> Activator for Evaluator<S> {
    /// All transfers first: waiting for tables in between would cost a round per chunk.
    fn begin(
        &mut self,
        session: &mut Session,
        chunks: &[ActivationSpec],
        client_share: &[u64],
    ) -> Result<(), ProtocolError> {
        self.ot.reserve(session, transfers(chunks))?;
        let mut rest = client_share;
        for chunk in chunks {
            let (values, later) = rest.split_at(chunk.elements);
            rest = later;
            let shape = Shape::new(chunk);
            let mut labels = Vec::new();
            for values in values.chunks(CHUNK) {
                let mut active = self.ot.extend(session, &pack_words(values, shape.width))?;
                active.truncate(shape.labels(values.len()));
                labels.push(session.store().keep(bytemuck::cast_slice(&active).to_vec())?);
            }
            self.begun.push_back(labels);
        }
        Ok(())
    }

    fn preprocess(
        &mut self,
        session: &mut Session,
        spec: &ActivationSpec,
        client_share: &[u64],
    ) -> Result<Box<dyn Material>, ProtocolError> {
        let shape = Shape::new(spec);
        if self.begun.is_empty() {
            self.begin(session, std::slice::from_ref(spec), client_share)?;
        }
        let labels = self.begun.pop_front().expect("the layer has begun");
        let seeds = session.recv(32)?;
        let (hash_key, mask_key) = seeds.split_at(16);
        let mut tables = Vec::new();
        if self.when == When::Offline {
            for (_, size) in spans(spec.elements, CHUNK) {
                let message = session.recv(shape.table_bytes::<S>(size))?;
                tables.push(session.store().keep(message)?);
            }
        }
        let key = |bytes: &[u8]| bytes.try_into().expect("split into two keys");
        let circuit = relu_circuit(shape.width, shape.shift);
        Ok(Box::new(EvaluatorMaterial {
            scheme: self.scheme,
            shape,
            hash_key: key(hash_key),
            mask_key: key(mask_key),
            circuit,
            labels,
            tables,
        }))
    }
}

struct EvaluatorMaterial<S> {
    scheme: S,
    shape: Shape,
    circuit: Circuit,
    hash_key: [u8; 16],
    mask_key: [u8; 16],
    /// Per chunk: the active labels of `y_c`.
    labels: Vec<Kept>,
    /// Per chunk: tables and what decodes them, if they came offline.
    tables: Vec<Kept>,
}

impl<S: Scheme> Material for EvaluatorMaterial<S> {
    fn online(self: Box<Self>, session: &mut Session, mut share: Vec<u64>) -> Result<Vec<u64>, ProtocolError> {
        let shape = self.shape;
        let mut mask_labels = Prg::from_key(self.mask_key);
        let mut tables = self.tables.into_iter();
        for (chunk, (output, client)) in share.chunks_mut(CHUNK).zip(self.labels).enumerate() {
            let n = output.len();
            let client: Vec<Block> = bytemuck::allocation::pod_collect_to_vec(&client.take()?);
            let (garbled, labels) = match tables.next() {
                Some(garbled) => (garbled.take()?, session.recv(shape.label_bytes(n))?),
                None => {
                    let mut garbled = session.recv(shape.table_bytes::<S>(n) + shape.label_bytes(n))?;
                    let labels = garbled.split_off(shape.table_bytes::<S>(n));
                    (garbled, labels)
                }
            };
            let server: Vec<Block> = bytemuck::allocation::pod_collect_to_vec(&labels);
            let mask = mask_labels.words::<Block>(n * shape.kept() as usize);
            let first_instance = (chunk * CHUNK) as u64;
            let garbling = Garbling { scheme: self.scheme, circuit: &self.circuit, key: self.hash_key, first_instance };
            let (tables, decoding) = garbled.split_at(garbling.table_bytes(n));
            let mut outputs = vec![Block::ZERO; n * self.circuit.output_width()];
            garbling.evaluate(n, &[&client, &server, &mask], tables, &mut outputs);
            let projection = Projection { key: self.hash_key, first_instance, weight: 1 << shape.kept() };
            decode(shape, &projection, &outputs, decoding, output);
        }
        Ok(share)
    }
}

/// The client's shares from output labels and the decoding words and projection rows.
fn decode(shape: Shape, projection: &Projection, labels: &[Block], decoding: &[u8], output: &mut [u64]) {
    let n = output.len();
    let (decoding, rows) = decoding.split_at(packed_bytes(n, shape.kept()));
    let decoding = unpack(decoding, shape.kept(), n);
    let rows: Vec<u64> = bytemuck::allocation::pod_collect_to_vec(rows);
    let (colours, carries) = split_outputs(labels, shape.kept() as usize);
    let lifted = projection.evaluate(&carries, &rows);
    for (((output, colours), decoding), lifted) in output.iter_mut().zip(colours).zip(decoding).zip(lifted) {
        *output = (colours ^ decoding).wrapping_add(lifted);
    }
}
