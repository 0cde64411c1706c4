//! Garbling many instances of one circuit side by side, by any scheme with free XOR.
//!
//! Functionality: from zero labels of the inputs and the offset `delta`, the garbler derives tables and
//! zero labels of the outputs; from the tables and the labels of actual inputs (`zero ^ bit * delta`),
//! the evaluator derives the labels of the actual outputs. XOR and INV gates need no table; what an AND
//! gate does is the [`Scheme`]'s.
//!
//! Security: that of the scheme, for a semi-honest garbler; `delta` is secret and uniform but for its
//! colour bit. Never garble one instance number twice under one session key.
//!
//! Chunks: a few groups per call keep labels and tables in the second-level cache; 1024 ReLUs (10 MB) run
//! from memory, up to a quarter slower.
//!
//! Shapes: labels are instance-major, `labels[instance * width + wire]`. Tables come in groups of
//! [`LANES`] instances (fewer in the last group of a call), and in a group gate by gate. Hence chunks
//! whose lengths are multiples of [`LANES`] give the same bytes as one call; other chunks do not.

use super::circuit::{BATCH, Circuit, Step};
use crate::crypto::Block;
use crate::crypto::rekeyed::{Kernel, KeyRow, LANES, Row, RowHash, WithRowHash};
use std::fmt::Debug;

/// A way of garbling AND gates that is compatible with free XOR and point-and-permute.
pub trait Scheme: Copy + Debug + Default + Send + Sync + 'static {
    /// Bytes of table of one AND gate in a group of `lanes` instances, at most [`LANES`].
    fn gate_bytes(lanes: usize) -> usize;

    /// Fills the gate's table and returns the output's zero labels, from those of the inputs.
    fn garble<H: RowHash>(hash: H, gate: &AndGate<'_>, delta: Block, inputs: [&Row; 2], table: &mut [u8]) -> Row;

    /// The output's labels, from those of the inputs.
    fn evaluate<H: RowHash>(hash: H, gate: &AndGate<'_>, inputs: [&Row; 2], table: &[u8]) -> Row;

    /// Bytes of table for `n` instances of a circuit with so many AND gates, garbled in one call.
    fn table_bytes(and_gates: usize, n: usize) -> usize {
        and_gates * (n / LANES * Self::gate_bytes(LANES) + Self::gate_bytes(n % LANES))
    }
}

/// An AND gate in a group of instances.
#[derive(Clone, Copy, Debug)]
pub struct AndGate<'a> {
    /// Keys of the instances.
    pub(super) keys: &'a KeyRow,
    /// Its number among the circuit's AND gates.
    pub(super) index: u32,
    /// Instances in the group.
    pub(super) lanes: usize,
}

/// The instances of a circuit from `first_instance` on, under one session key.
#[derive(Clone, Copy, Debug)]
pub struct Garbling<'a, S> {
    /// How AND gates are garbled.
    pub scheme: S,
    /// The circuit of every instance.
    pub circuit: &'a Circuit,
    /// The public session key of the hash: fresh for every layer and query.
    pub key: [u8; 16],
    /// The number of the first instance: distinct for every instance under one session key.
    pub first_instance: u64,
}

impl<S: Scheme> Garbling<'_, S> {
    /// Bytes of table for `n` instances.
    pub fn table_bytes(&self, n: usize) -> usize {
        S::table_bytes(self.circuit.and_gates(), n)
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

/// What AND and INV gates do to the labels of a group.
trait Party<S> {
    /// The table of the gate is `size` bytes from byte `at` on.
    fn and<H: RowHash>(&mut self, hash: H, gate: &AndGate<'_>, at: usize, size: usize, inputs: [&Row; 2]) -> Row;
    fn inv(&self, a: &Row) -> Row;
}

struct Garbler<'a> {
    delta: Block,
    tables: &'a mut [u8],
}

impl<S: Scheme> Party<S> for Garbler<'_> {
    #[inline(always)]
    fn and<H: RowHash>(&mut self, hash: H, gate: &AndGate<'_>, at: usize, size: usize, inputs: [&Row; 2]) -> Row {
        prefetch_tables::<H, S>(hash, self.tables, at);
        S::garble(hash, gate, self.delta, inputs, &mut self.tables[at..][..size])
    }

    #[inline(always)]
    fn inv(&self, a: &Row) -> Row {
        *a ^ Row::splat(self.delta)
    }
}

struct Evaluator<'a> {
    tables: &'a [u8],
}

impl<S: Scheme> Party<S> for Evaluator<'_> {
    #[inline(always)]
    fn and<H: RowHash>(&mut self, hash: H, gate: &AndGate<'_>, at: usize, size: usize, inputs: [&Row; 2]) -> Row {
        prefetch_tables::<H, S>(hash, self.tables, at);
        S::evaluate(hash, gate, inputs, &self.tables[at..][..size])
    }

    #[inline(always)]
    fn inv(&self, a: &Row) -> Row {
        *a
    }
}

/// All instances of a call, for one party.
struct Work<'a, S, P> {
    garbling: Garbling<'a, S>,
    n: usize,
    inputs: &'a [&'a [Block]],
    outputs: &'a mut [Block],
    party: P,
}

impl<S: Scheme, P: Party<S>> WithRowHash for Work<'_, S, P> {
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

impl<S: Scheme, P: Party<S>> Work<'_, S, P> {
    /// The `lanes` instances from `first` on; spare lanes compute on zeros.
    #[inline(always)]
    fn group<H: RowHash>(&mut self, hash: H, first: usize, lanes: usize, wires: &mut [Row]) {
        let circuit = self.garbling.circuit;
        let first_instance = self.garbling.first_instance.wrapping_add(first as u64);
        let keys = KeyRow::new(self.garbling.key, first_instance);
        let mut gate = AndGate { keys: &keys, index: 0, lanes };
        let (mut at, size) = (self.garbling.table_bytes(first), S::gate_bytes(lanes));
        for &step in circuit.steps() {
            match step {
                Step::Input { bundle, index, out } => {
                    let width = circuit.input_widths()[bundle];
                    let labels = &self.inputs[bundle][first * width + index..];
                    gather(labels, width, lanes, &mut wires[out]);
                    prefetch(hash, labels, index, width);
                }
                Step::Xor { a, b, out } => wires[out] = wires[a] ^ wires[b],
                Step::And { a, b, out } => {
                    wires[out] = self.party.and(hash, &gate, at, size, [&wires[a], &wires[b]]);
                    gate.index += 1;
                    at += size;
                }
                Step::Inv { a, out } => wires[out] = self.party.inv(&wires[a]),
                Step::Output { a, index } => {
                    let width = circuit.output_width();
                    let labels = &mut self.outputs[first * width + index..];
                    scatter(&wires[a], labels, width, lanes);
                    prefetch(hash, labels, index, width);
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

/// Prefetches the cache lines that the next batch of labels lies in, given the labels from the current
/// index on: they are too far apart for the processor to guess.
#[inline(always)]
fn prefetch<H: RowHash>(hash: H, labels: &[Block], index: usize, width: usize) {
    if index.is_multiple_of(BATCH) {
        let next = if index + BATCH < width { BATCH } else { LANES * width - index };
        labels[next.min(labels.len())..].iter().step_by(width).take(LANES).for_each(|label| hash.prefetch(label));
    }
}

/// Prefetches the table of the gate that comes four gates later.
#[inline(always)]
fn prefetch_tables<H: RowHash, S: Scheme>(hash: H, tables: &[u8], at: usize) {
    let gate = S::gate_bytes(LANES);
    if let Some(ahead) = tables.get(at + 4 * gate..at + 5 * gate) {
        ahead.iter().step_by(64).for_each(|byte| hash.prefetch(byte));
    }
}

/// Stores the first lanes of a row.
#[inline(always)]
pub(super) fn write(row: &Row, out: &mut [u8]) {
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
pub(super) fn read(bytes: &[u8]) -> Row {
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
#[path = "instances_tests.rs"]
pub(super) mod tests;
