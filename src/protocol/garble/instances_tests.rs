use super::super::circuit::{Builder, tests as random};
use super::super::{HalfGates, ThreeHalves, relu_circuit};
use super::*;
use crate::crypto::{Prg, Seed};
use proptest::prelude::*;

/// Instances of a circuit with random keys and inputs.
pub struct Case<S> {
    scheme: S,
    pub circuit: Circuit,
    pub key: [u8; 16],
    pub first_instance: u64,
    pub delta: Block,
    pub n: usize,
    /// Per bundle: zero labels and bits, instance-major.
    pub inputs: Vec<(Vec<Block>, Vec<bool>)>,
}

impl<S: Scheme> Case<S> {
    pub fn new(scheme: S, circuit: Circuit, n: usize, prg: &mut Prg) -> Case<S> {
        let inputs = circuit
            .input_widths()
            .iter()
            .map(|width| {
                let bits = prg.words::<u8>(n * width);
                let bits = bits.iter().map(|byte| byte & 1 == 1).collect();
                (prg.words(n * width), bits)
            })
            .collect();
        let delta = Block(prg.block().0 | 1);
        let (key, first_instance) = (prg.key(), prg.words(1)[0]);
        Case { scheme, circuit, key, first_instance, delta, n, inputs }
    }

    /// The bits, zero labels and active labels of the instances `from..to`, per bundle.
    fn bundles<T>(&self, from: usize, to: usize, f: impl Fn(Block, bool) -> T) -> Vec<Vec<T>> {
        let widths = self.circuit.input_widths();
        let bundles = self.inputs.iter().zip(widths);
        bundles
            .map(|((labels, bits), width)| {
                let range = from * width..to * width;
                let labels = labels[range.clone()].iter().zip(&bits[range]);
                labels.map(|(&label, &bit)| f(label, bit)).collect()
            })
            .collect()
    }

    fn garbling(&self, from: usize) -> Garbling<'_, S> {
        let first_instance = self.first_instance.wrapping_add(from as u64);
        Garbling { scheme: self.scheme, circuit: &self.circuit, key: self.key, first_instance }
    }

    /// Tables and zero labels of the outputs of the instances `from..to`.
    pub fn garble(&self, kernel: Kernel, from: usize, to: usize) -> (Vec<u8>, Vec<Block>) {
        let n = to - from;
        let zeros = self.bundles(from, to, |label, _| label);
        let zeros: Vec<&[Block]> = zeros.iter().map(Vec::as_slice).collect();
        let mut tables = vec![0; S::table_bytes(self.circuit.and_gates(), n)];
        let mut outputs0 = vec![Block::ZERO; n * self.circuit.output_width()];
        self.garbling(from).garble_with(kernel, self.delta, n, &zeros, &mut tables, &mut outputs0);
        (tables, outputs0)
    }

    /// Labels of the outputs of the instances `from..to`.
    pub fn evaluate(&self, kernel: Kernel, from: usize, to: usize, tables: &[u8]) -> Vec<Block> {
        let n = to - from;
        let active = self.bundles(from, to, |label, bit| label ^ self.delta.if_bit(bit));
        let active: Vec<&[Block]> = active.iter().map(Vec::as_slice).collect();
        let mut outputs = vec![Block::ZERO; n * self.circuit.output_width()];
        self.garbling(from).evaluate_with(kernel, n, &active, tables, &mut outputs);
        outputs
    }

    /// The output bits by plain evaluation, instance-major.
    pub fn expected(&self) -> Vec<bool> {
        (0..self.n)
            .flat_map(|i| {
                let bits = self.bundles(i, i + 1, |_, bit| bit);
                self.circuit.eval(&bits.iter().map(Vec::as_slice).collect::<Vec<_>>())
            })
            .collect()
    }
}

/// The bits that these labels mean, or `None` if one is neither label of its wire.
pub fn decode(delta: Block, outputs0: &[Block], outputs: &[Block]) -> Option<Vec<bool>> {
    let labels = outputs0.iter().zip(outputs);
    labels.map(|(&zero, &label)| (label == zero || label == zero ^ delta).then_some(label != zero)).collect()
}

/// Every kernel garbles to the same tables and labels, and evaluates to what they mean.
pub fn assert_garbles<S: Scheme>(case: &Case<S>) {
    let (tables, outputs0) = case.garble(Kernel::Portable, 0, case.n);
    let expected = Some(case.expected());
    for kernel in Kernel::available() {
        let garbled = case.garble(kernel, 0, case.n);
        assert!(garbled == (tables.clone(), outputs0.clone()), "{kernel:?}, n = {}", case.n);
        let outputs = case.evaluate(kernel, 0, case.n, &tables);
        let decoded = decode(case.delta, &outputs0, &outputs);
        assert!(decoded == expected, "{kernel:?}, n = {}", case.n);
    }
}

pub fn and_circuit() -> Circuit {
    let mut builder = Builder::new();
    let (a, b) = (builder.input(1), builder.input(1));
    let out = builder.and(a[0], b[0]);
    builder.build(&[out])
}

/// Runs a check for every scheme.
macro_rules! every_scheme {
    ($($name:ident => $check:expr;)*) => {
        mod half_gates {
            use super::*;
            $(#[test] fn $name() { $check(HalfGates); })*
        }
        mod three_halves {
            use super::*;
            $(#[test] fn $name() { $check(ThreeHalves); })*
        }
    };
}

every_scheme! {
    truth_table_under_every_colour => truth_table;
    relu_decodes_to_plain_evaluation => relu;
    any_number_of_instances => instances;
    chunks_do_not_change_results => chunks;
    a_flipped_bit_spoils_its_instance_only => flipped_bit;
    gates_may_take_a_wire_twice => wire_twice;
    random_circuits_garble => random_circuits;
}

fn truth_table<S: Scheme>(scheme: S) {
    // Instance `i`: bits of i are the two inputs and the colours of their zero labels.
    for seed in 0..20 {
        let mut case = Case::new(scheme, and_circuit(), 16, &mut Seed::from_u64(seed).prg());
        for (bundle, (labels, bits)) in case.inputs.iter_mut().enumerate() {
            for i in 0..16 {
                bits[i] = i >> bundle & 1 == 1;
                labels[i].0 = labels[i].0 & !1 | (i >> (2 + bundle) & 1) as u128;
            }
        }
        let truth: Vec<bool> = (0..16).map(|i| i & 3 == 3).collect();
        assert_eq!(case.expected(), truth);
        assert_garbles(&case);
    }
}

fn relu<S: Scheme>(scheme: S) {
    let mut prg = Seed::from_u64(3).prg();
    for (n, shift) in [(1, 16), (7, 0), (8, 12), (64, 16), (65, 62)] {
        assert_garbles(&Case::new(scheme, relu_circuit(64, shift), n, &mut prg));
    }
}

fn instances<S: Scheme>(scheme: S) {
    let mut prg = Seed::from_u64(4).prg();
    for n in (0..=33).chain([100]) {
        assert_garbles(&Case::new(scheme, and_circuit(), n, &mut prg));
    }
}

fn chunks<S: Scheme>(scheme: S) {
    let n = 70;
    let case = Case::new(scheme, relu_circuit(64, 16), n, &mut Seed::from_u64(4).prg());
    let (tables, outputs0) = case.garble(Kernel::best(), 0, n);
    let expected = Some(case.expected());
    for step in [1, 7, 16, 48, 65] {
        let (mut tables_in_chunks, mut outputs0_in_chunks) = (Vec::new(), Vec::new());
        let mut outputs = Vec::new();
        for from in (0..n).step_by(step) {
            let to = n.min(from + step);
            let (chunk, zeros) = case.garble(Kernel::best(), from, to);
            outputs.extend(case.evaluate(Kernel::best(), from, to, &chunk));
            tables_in_chunks.extend(chunk);
            outputs0_in_chunks.extend(zeros);
        }
        assert!(outputs0_in_chunks == outputs0, "chunks of {step}");
        assert!(decode(case.delta, &outputs0, &outputs) == expected, "chunks of {step}");
        assert_eq!(tables_in_chunks == tables, step % LANES == 0, "chunks of {step}");
    }
}

fn flipped_bit<S: Scheme>(scheme: S) {
    let case = Case::new(scheme, relu_circuit(64, 16), 20, &mut Seed::from_u64(6).prg());
    let (mut tables, outputs0) = case.garble(Kernel::best(), 0, 20);
    let intact = case.evaluate(Kernel::best(), 0, 20, &tables);
    // Both halves of instance 5's first block in every gate of the first group: some gate uses it.
    for gate in tables[..case.circuit.and_gates() * S::gate_bytes(LANES)].chunks_mut(S::gate_bytes(LANES)) {
        gate[5 * 16] ^= 1;
        gate[5 * 16 + 8] ^= 1;
    }
    let spoilt = case.evaluate(Kernel::best(), 0, 20, &tables);
    for i in 0..20 {
        let range = i * 48..(i + 1) * 48;
        let (zeros, labels) = (&outputs0[range.clone()], &spoilt[range.clone()]);
        assert_eq!(labels != &intact[range], i == 5);
        assert_eq!(decode(case.delta, zeros, labels).is_none(), i == 5);
    }
}

fn wire_twice<S: Scheme>(scheme: S) {
    let mut builder = Builder::new();
    let (a, b) = (builder.input(1)[0], builder.input(1)[0]);
    let (zero, not_a) = (builder.xor(a, a), builder.inv(a));
    let outputs =
        [(a, a), (a, not_a), (zero, b), (b, zero), (zero, zero)].map(|(left, right)| builder.and(left, right));
    assert_garbles(&Case::new(scheme, builder.build(&outputs), 16, &mut Seed::from_u64(9).prg()));
}

fn random_circuits<S: Scheme>(scheme: S) {
    proptest!(|(gates in random::any_gates(), n in 0usize..40, seed: u64)| {
        let (circuit, _) = random::build_and_eval(&gates, [&[false; 5], &[false; 3]]);
        assert_garbles(&Case::new(scheme, circuit, n, &mut Seed::from_u64(seed).prg()));
    });
}

#[test]
#[should_panic(expected = "the colour bit of delta must be 1")]
fn rejects_a_delta_without_colour() {
    let mut case = Case::new(HalfGates, and_circuit(), 1, &mut Seed::from_u64(7).prg());
    case.delta = Block(2);
    case.garble(Kernel::Portable, 0, 1);
}

#[test]
#[should_panic(expected = "bytes of the tables")]
fn rejects_tables_of_the_wrong_length() {
    let case = Case::new(HalfGates, and_circuit(), 2, &mut Seed::from_u64(8).prg());
    case.evaluate(Kernel::Portable, 0, 2, &[0; 63]);
}
