//! Half-gates garbling of many instances of one circuit, side by side.
//!
//! Functionality: from zero labels of the inputs and the offset `delta`, the garbler derives tables and
//! zero labels of the outputs; from the tables and the labels of actual inputs (`zero ^ bit * delta`),
//! the evaluator derives the labels of the actual outputs.
//!
//! Source: Zahur, Rosulek, Evans, "Two Halves Make a Whole" (Eurocrypt 2015), figure 2, with free XOR and
//! point-and-permute; the hash is the re-keyed one of ePrint 2019/1168, a key per half gate. Our tweak is
//! `half gate + 2^32 instance`, xored into the session key: no two hashes of one session key and delta
//! share a key unless they belong to one half gate.
//!
//! Security: semi-honest garbler, kappa = 128; `delta` is secret and uniform but for its colour bit.
//! Never garble one instance number twice under one session key.
//!
//! Cost: 32 bytes of table per AND gate; four hashes to garble it, two to evaluate it, two key schedules.
//!
//! Shapes: labels are instance-major, `labels[instance * width + wire]`. Tables come in groups of
//! [`LANES`] instances (fewer in the last group of a call): for each group and AND gate, the
//! garbler's half in every lane, then the evaluator's. Hence chunks whose lengths are multiples of
//! [`LANES`] give the same bytes as one call; other chunks the same blocks in another order.

use super::circuit::{Circuit, Step};
use crate::crypto::Block;
use crate::crypto::rekeyed::{Kernel, KeyRow, LANES, Row, RowHash, WithRowHash};

/// Bytes of table per AND gate and instance.
pub const TABLE_BYTES: usize = 32;

/// The instances of a circuit from `first_instance` on, under one session key.
#[derive(Clone, Copy, Debug)]
pub struct Garbling<'a> {
    /// The circuit of every instance.
    pub circuit: &'a Circuit,
    /// The public session key of the hash: fresh for every layer and query.
    pub key: [u8; 16],
    /// The number of the first instance: distinct for every instance under one session key.
    pub first_instance: u64,
}

impl Garbling<'_> {
    /// Bytes of table for `n` instances.
    pub fn table_bytes(&self, n: usize) -> usize {
        n * self.circuit.and_gates() * TABLE_BYTES
    }

    /// Garbles `n` instances: from the inputs' zero labels, a slice per bundle, to tables and the
    /// outputs' zero labels.
    ///
    /// # Panics
    /// If the colour bit of `delta` is 0 or a slice has the wrong length.
    pub fn garble(&self, delta: Block, n: usize, inputs0: &[&[Block]], tables: &mut [u8], outputs0: &mut [Block]) {
        self.garble_with(Kernel::best(), delta, n, inputs0, tables, outputs0);
    }

    /// [`Garbling::garble`] by a kernel of the caller's choice.
    ///
    /// # Panics
    /// As [`Garbling::garble`], or if the machine lacks the kernel.
    pub fn garble_with(
        &self,
        kernel: Kernel,
        delta: Block,
        n: usize,
        inputs0: &[&[Block]],
        tables: &mut [u8],
        outputs0: &mut [Block],
    ) {
        assert!(delta.lsb(), "the colour bit of delta must be 1");
        self.check(n, inputs0, tables.len(), outputs0.len());
        let party = Garbler { delta, tables };
        kernel.run(Work { garbling: *self, n, inputs: inputs0, outputs: outputs0, party });
    }

    /// Evaluates `n` instances: from the inputs' labels, a slice per bundle, to the outputs' labels.
    ///
    /// # Panics
    /// If a slice has the wrong length.
    pub fn evaluate(&self, n: usize, inputs: &[&[Block]], tables: &[u8], outputs: &mut [Block]) {
        self.evaluate_with(Kernel::best(), n, inputs, tables, outputs);
    }

    /// [`Garbling::evaluate`] by a kernel of the caller's choice.
    ///
    /// # Panics
    /// As [`Garbling::evaluate`], or if the machine lacks the kernel.
    pub fn evaluate_with(&self, kernel: Kernel, n: usize, inputs: &[&[Block]], tables: &[u8], outputs: &mut [Block]) {
        self.check(n, inputs, tables.len(), outputs.len());
        let party = Evaluator { tables };
        kernel.run(Work { garbling: *self, n, inputs, outputs, party });
    }

    fn check(&self, n: usize, inputs: &[&[Block]], table_bytes: usize, outputs: usize) {
        let circuit = self.circuit;
        assert!(
            inputs.iter().map(|bundle| bundle.len()).eq(circuit.input_widths().iter().map(|w| n * w)),
            "an input bundle has n * width labels"
        );
        assert_eq!(table_bytes, self.table_bytes(n), "bytes of the tables");
        assert_eq!(outputs, n * circuit.output_width(), "output labels");
    }
}

/// What one AND gate and one INV gate do to the labels of a group.
trait Party {
    /// Bytes `at..` of the tables belong to this gate: two halves of `lanes` blocks.
    fn and<H: RowHash>(&mut self, hash: H, gate: &AndGate<'_>, a: &Row, b: &Row) -> Row;
    fn inv(&self, a: &Row) -> Row;
}

/// An AND gate in a group of instances.
struct AndGate<'a> {
    keys: &'a KeyRow,
    /// Its two half gates are `2 index` and `2 index + 1`.
    index: u32,
    lanes: usize,
    /// Where its table begins.
    at: usize,
}

struct Garbler<'a> {
    delta: Block,
    tables: &'a mut [u8],
}

impl Party for Garbler<'_> {
    #[inline(always)]
    fn and<H: RowHash>(&mut self, hash: H, gate: &AndGate<'_>, a: &Row, b: &Row) -> Row {
        let delta = self.delta;
        let [[a0, a1], [b0, b1]] = hash.hash_both(gate.keys, gate.index, [a, b], delta);
        let garbler_half = a0 ^ a1 ^ hash.if_colour(b, &Row::splat(delta));
        let garbler_out = a0 ^ hash.if_colour(a, &garbler_half);
        let evaluator_half = b0 ^ b1 ^ *a;
        let evaluator_out = b0 ^ hash.if_colour(b, &(b0 ^ b1));
        let size = 16 * gate.lanes;
        write(&garbler_half, &mut self.tables[gate.at..][..size]);
        write(&evaluator_half, &mut self.tables[gate.at + size..][..size]);
        garbler_out ^ evaluator_out
    }

    #[inline(always)]
    fn inv(&self, a: &Row) -> Row {
        *a ^ Row::splat(self.delta)
    }
}

struct Evaluator<'a> {
    tables: &'a [u8],
}

impl Party for Evaluator<'_> {
    #[inline(always)]
    fn and<H: RowHash>(&mut self, hash: H, gate: &AndGate<'_>, a: &Row, b: &Row) -> Row {
        let size = 16 * gate.lanes;
        let garbler_half = read(&self.tables[gate.at..][..size]);
        let evaluator_half = read(&self.tables[gate.at + size..][..size]);
        let [ha, hb] = hash.hash(gate.keys, gate.index, [a, b]);
        let garbler_out = ha ^ hash.if_colour(a, &garbler_half);
        let evaluator_out = hb ^ hash.if_colour(b, &(evaluator_half ^ *a));
        garbler_out ^ evaluator_out
    }

    #[inline(always)]
    fn inv(&self, a: &Row) -> Row {
        *a
    }
}

/// All instances of a call, for one party.
struct Work<'a, P> {
    garbling: Garbling<'a>,
    n: usize,
    inputs: &'a [&'a [Block]],
    outputs: &'a mut [Block],
    party: P,
}

impl<P: Party> WithRowHash for Work<'_, P> {
    type Output = ();

    #[inline(always)]
    fn with<H: RowHash>(mut self, hash: H) {
        let mut wires = vec![Row::ZERO; self.garbling.circuit.slots()];
        for first in (0..self.n).step_by(LANES) {
            let lanes = LANES.min(self.n - first);
            self.group(hash, first, lanes, &mut wires);
        }
    }
}

impl<P: Party> Work<'_, P> {
    /// The `lanes` instances from `first` on; spare lanes compute on zeros.
    #[inline(always)]
    fn group<H: RowHash>(&mut self, hash: H, first: usize, lanes: usize, wires: &mut [Row]) {
        let circuit = self.garbling.circuit;
        let first_instance = self.garbling.first_instance.wrapping_add(first as u64);
        let keys = KeyRow::new(self.garbling.key, first_instance);
        let mut gate = AndGate { keys: &keys, index: 0, lanes, at: self.garbling.table_bytes(first) };
        for &step in circuit.steps() {
            match step {
                Step::Input { bundle, index, out } => {
                    let width = circuit.input_widths()[bundle];
                    let labels = &self.inputs[bundle][first * width + index..];
                    gather(labels, width, lanes, &mut wires[out]);
                }
                Step::Xor { a, b, out } => wires[out] = wires[a] ^ wires[b],
                Step::And { a, b, out } => {
                    wires[out] = self.party.and(hash, &gate, &wires[a], &wires[b]);
                    gate.index += 1;
                    gate.at += TABLE_BYTES * lanes;
                }
                Step::Inv { a, out } => wires[out] = self.party.inv(&wires[a]),
                Step::Output { a, index } => {
                    let width = circuit.output_width();
                    let labels = &mut self.outputs[first * width + index..];
                    scatter(&wires[a], labels, width, lanes);
                }
            }
        }
    }
}

// The copies below spell out the full group, so that it compiles to plain loads and stores.

/// Fills a row with every `width`-th label, in place: whole-row loads stall on pieces just stored.
#[inline(always)]
fn gather(labels: &[Block], width: usize, lanes: usize, row: &mut Row) {
    if lanes == LANES {
        let labels = &labels[..(LANES - 1) * width + 1];
        for lane in 0..LANES {
            row.0[lane] = labels[lane * width];
        }
    } else {
        *row = Row::ZERO;
        for lane in 0..lanes {
            row.0[lane] = labels[lane * width];
        }
    }
}

/// Stores the first lanes of a row as every `width`-th label.
#[inline(always)]
fn scatter(row: &Row, labels: &mut [Block], width: usize, lanes: usize) {
    if lanes == LANES {
        let labels = &mut labels[..(LANES - 1) * width + 1];
        for lane in 0..LANES {
            labels[lane * width] = row.0[lane];
        }
    } else {
        for lane in 0..lanes {
            labels[lane * width] = row.0[lane];
        }
    }
}

/// Stores the first lanes of a row.
#[inline(always)]
fn write(row: &Row, out: &mut [u8]) {
    let bytes: &[u8; size_of::<Row>()] = bytemuck::cast_ref(row);
    match out.as_mut_array() {
        Some(out) => *out = *bytes,
        None => write_tail(bytes, out),
    }
}

#[cold]
fn write_tail(bytes: &[u8], out: &mut [u8]) {
    out.copy_from_slice(&bytes[..out.len()]);
}

/// Loads the first lanes of a row.
#[inline(always)]
fn read(bytes: &[u8]) -> Row {
    match bytes.as_array::<{ size_of::<Row>() }>() {
        Some(bytes) => bytemuck::cast(*bytes),
        None => read_tail(bytes),
    }
}

#[cold]
fn read_tail(bytes: &[u8]) -> Row {
    let mut row = Row::ZERO;
    bytemuck::bytes_of_mut(&mut row)[..bytes.len()].copy_from_slice(bytes);
    row
}

#[cfg(test)]
#[path = "half_gates_tests.rs"]
mod tests;
