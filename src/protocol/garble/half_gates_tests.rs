use super::super::circuit::{Builder, tests as random_circuits};
use super::super::relu_circuit;
use super::*;
use crate::crypto::{Prg, Seed};
use proptest::prelude::*;

/// Instances of a circuit with random keys and inputs.
struct Case {
    circuit: Circuit,
    key: [u8; 16],
    first_instance: u64,
    delta: Block,
    n: usize,
    /// Per bundle: zero labels and bits, instance-major.
    inputs: Vec<(Vec<Block>, Vec<bool>)>,
}

impl Case {
    fn new(circuit: Circuit, n: usize, prg: &mut Prg) -> Case {
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
        Case { circuit, key, first_instance, delta, n, inputs }
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

    fn garbling(&self, from: usize) -> Garbling<'_> {
        let first_instance = self.first_instance.wrapping_add(from as u64);
        Garbling { circuit: &self.circuit, key: self.key, first_instance }
    }

    /// Tables and zero labels of the outputs of the instances `from..to`.
    fn garble(&self, kernel: Kernel, from: usize, to: usize) -> (Vec<u8>, Vec<Block>) {
        let n = to - from;
        let zeros = self.bundles(from, to, |label, _| label);
        let zeros: Vec<&[Block]> = zeros.iter().map(Vec::as_slice).collect();
        let mut tables = vec![0; n * self.circuit.and_gates() * 32];
        let mut outputs0 = vec![Block::ZERO; n * self.circuit.output_width()];
        self.garbling(from).garble_with(kernel, self.delta, n, &zeros, &mut tables, &mut outputs0);
        (tables, outputs0)
    }

    /// Labels of the outputs of the instances `from..to`.
    fn evaluate(&self, kernel: Kernel, from: usize, to: usize, tables: &[u8]) -> Vec<Block> {
        let n = to - from;
        let active = self.bundles(from, to, |label, bit| label ^ self.delta.if_bit(bit));
        let active: Vec<&[Block]> = active.iter().map(Vec::as_slice).collect();
        let mut outputs = vec![Block::ZERO; n * self.circuit.output_width()];
        self.garbling(from).evaluate_with(kernel, n, &active, tables, &mut outputs);
        outputs
    }

    /// The output bits by plain evaluation, instance-major.
    fn expected(&self) -> Vec<bool> {
        (0..self.n)
            .flat_map(|i| {
                let bits = self.bundles(i, i + 1, |_, bit| bit);
                self.circuit.eval(&bits.iter().map(Vec::as_slice).collect::<Vec<_>>())
            })
            .collect()
    }
}

/// The bits that these labels mean, or `None` if one is neither label of its wire.
fn decode(delta: Block, outputs0: &[Block], outputs: &[Block]) -> Option<Vec<bool>> {
    let labels = outputs0.iter().zip(outputs);
    labels.map(|(&zero, &label)| (label == zero || label == zero ^ delta).then_some(label != zero)).collect()
}

/// Every kernel garbles to the same tables and labels, and evaluates to what they mean.
fn assert_garbles(case: &Case) {
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

fn and_circuit() -> Circuit {
    let mut builder = Builder::new();
    let (a, b) = (builder.input(1), builder.input(1));
    let out = builder.and(a[0], b[0]);
    builder.build(&[out])
}

#[test]
fn truth_table_under_every_colour() {
    // Instance `i`: bits of i are the two inputs and the colours of their zero labels.
    let mut case = Case::new(and_circuit(), 16, &mut Seed::from_u64(1).prg());
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

#[test]
fn one_gate_follows_the_paper() {
    // The equations of figure 2, spelled out with crate `aes` for one instance.
    use aes::cipher::{BlockCipherEncrypt, KeyInit};
    let case = Case::new(and_circuit(), 1, &mut Seed::from_u64(2).prg());
    let hash = |x: Block, half_gate: u128| {
        let tweak = (u128::from(case.first_instance) << 32) ^ half_gate;
        let key = (u128::from_le_bytes(case.key) ^ tweak).to_le_bytes();
        let mut state = x.0.to_le_bytes().into();
        aes::Aes128::new(&key.into()).encrypt_block(&mut state);
        x ^ Block(u128::from_le_bytes(state.into()))
    };
    let (a, b, delta) = (case.inputs[0].0[0], case.inputs[1].0[0], case.delta);
    let garbler_half = hash(a, 0) ^ hash(a ^ delta, 0) ^ delta.if_bit(b.lsb());
    let evaluator_half = hash(b, 1) ^ hash(b ^ delta, 1) ^ a;
    let out = hash(a, 0) ^ garbler_half.if_bit(a.lsb()) ^ hash(b, 1) ^ (evaluator_half ^ a).if_bit(b.lsb());
    let (tables, outputs0) = case.garble(Kernel::best(), 0, 1);
    assert_eq!(tables, bytemuck::bytes_of(&[garbler_half, evaluator_half]));
    assert_eq!(outputs0, [out]);
}

#[test]
fn relu_decodes_to_plain_evaluation() {
    let mut prg = Seed::from_u64(3).prg();
    for (n, shift) in [(1, 16), (7, 0), (8, 12), (64, 16), (65, 62)] {
        assert_garbles(&Case::new(relu_circuit(64, shift), n, &mut prg));
    }
}

#[test]
fn chunks_do_not_change_results() {
    let n = 70;
    let case = Case::new(relu_circuit(64, 16), n, &mut Seed::from_u64(4).prg());
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
        // Whole groups give the same bytes; other chunks the same blocks.
        assert_eq!(tables_in_chunks == tables, step % LANES == 0, "chunks of {step}");
        let sorted = |bytes: &[u8]| {
            let mut blocks: Vec<[u8; 16]> = bytes.as_chunks().0.to_vec();
            blocks.sort_unstable();
            blocks
        };
        assert!(sorted(&tables_in_chunks) == sorted(&tables), "chunks of {step}");
    }
}

#[test]
fn a_flipped_table_bit_is_noticed() {
    // Colours such that the evaluator uses both halves of every table.
    let mut case = Case::new(and_circuit(), 3, &mut Seed::from_u64(5).prg());
    for (labels, bits) in &mut case.inputs {
        for (label, bit) in labels.iter_mut().zip(bits) {
            label.0 = label.0 & !1 | u128::from(!*bit);
        }
    }
    for kernel in Kernel::available() {
        let (mut tables, outputs0) = case.garble(kernel, 0, case.n);
        assert!(decode(case.delta, &outputs0, &case.evaluate(kernel, 0, 3, &tables)).is_some());
        for bit in 0..8 * tables.len() {
            tables[bit / 8] ^= 1 << (bit % 8);
            let outputs = case.evaluate(kernel, 0, case.n, &tables);
            assert_eq!(decode(case.delta, &outputs0, &outputs), None, "{kernel:?}, bit {bit}");
            tables[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn a_flipped_bit_of_a_relu_table_spoils_its_instance_only() {
    let case = Case::new(relu_circuit(64, 16), 20, &mut Seed::from_u64(6).prg());
    let width = 64 - 16;
    let (mut tables, outputs0) = case.garble(Kernel::best(), 0, 20);
    let intact = case.evaluate(Kernel::best(), 0, 20, &tables);
    // Both halves of the first gate of instance 5, so that at least one is used; the group has 16 lanes.
    tables[5 * 16] ^= 1;
    tables[16 * 16 + 5 * 16] ^= 1;
    let spoilt = case.evaluate(Kernel::best(), 0, 20, &tables);
    for i in 0..20 {
        let range = i * width..(i + 1) * width;
        let (zeros, labels) = (&outputs0[range.clone()], &spoilt[range.clone()]);
        if labels != &intact[range] {
            assert_eq!(i, 5);
            assert_eq!(decode(case.delta, zeros, labels), None);
        }
    }
    // Colours of this seed: the first gate's tables are used.
    assert!(spoilt != intact);
}

#[test]
#[should_panic(expected = "the colour bit of delta must be 1")]
fn rejects_a_delta_without_colour() {
    let mut case = Case::new(and_circuit(), 1, &mut Seed::from_u64(7).prg());
    case.delta = Block(2);
    case.garble(Kernel::Portable, 0, 1);
}

#[test]
#[should_panic(expected = "bytes of the tables")]
fn rejects_tables_of_the_wrong_length() {
    let case = Case::new(and_circuit(), 2, &mut Seed::from_u64(8).prg());
    case.evaluate(Kernel::Portable, 0, 2, &[0; 63]);
}

proptest! {
    #[test]
    fn random_circuits_garble(
        gates in random_circuits::any_gates(),
        n in 0usize..40,
        seed: u64,
    ) {
        let (circuit, _) = random_circuits::build_and_eval(&gates, [&[false; 5], &[false; 3]]);
        assert_garbles(&Case::new(circuit, n, &mut Seed::from_u64(seed).prg()));
    }
}
