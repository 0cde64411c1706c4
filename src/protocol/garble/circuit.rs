//! Boolean circuits of XOR, INV and AND gates, as straight-line programs over few wire slots.

/// A wire of the circuit under construction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wire(usize);

/// One step of a circuit. `a`, `b` and `out` are wire slots; `out` may be one of the operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Loads bit `index` of an input bundle.
    Input { bundle: usize, index: usize, out: usize },
    /// `out = a ^ b`.
    Xor { a: usize, b: usize, out: usize },
    /// `out = a & b`.
    And { a: usize, b: usize, out: usize },
    /// `out = !a`.
    Inv { a: usize, out: usize },
    /// Stores a wire as bit `index` of the output.
    Output { a: usize, index: usize },
}

/// A circuit: named input bundles in, one bundle of bits out.
#[derive(Clone, Debug)]
pub struct Circuit {
    steps: Vec<Step>,
    input_widths: Vec<usize>,
    output_width: usize,
    and_gates: usize,
    slots: usize,
}

impl Circuit {
    /// The steps, in order of execution.
    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Bits of each input bundle, in the order in which [`Builder::input`] made them.
    pub fn input_widths(&self) -> &[usize] {
        &self.input_widths
    }

    /// Bits of the output.
    pub fn output_width(&self) -> usize {
        self.output_width
    }

    /// AND gates: the only gates that cost tables and hashing.
    pub fn and_gates(&self) -> usize {
        self.and_gates
    }

    /// Wires that are alive at once, at most.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// The output bits for these input bundles.
    ///
    /// # Panics
    /// If a bundle is missing or too short.
    pub fn eval(&self, inputs: &[&[bool]]) -> Vec<bool> {
        let mut wires = vec![false; self.slots];
        let mut outputs = vec![false; self.output_width];
        for &step in &self.steps {
            match step {
                Step::Input { bundle, index, out } => wires[out] = inputs[bundle][index],
                Step::Xor { a, b, out } => wires[out] = wires[a] ^ wires[b],
                Step::And { a, b, out } => wires[out] = wires[a] & wires[b],
                Step::Inv { a, out } => wires[out] = !wires[a],
                Step::Output { a, index } => outputs[index] = wires[a],
            }
        }
        outputs
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Input { bundle: usize, index: usize },
    Xor(Wire, Wire),
    And(Wire, Wire),
    Inv(Wire),
}

impl Gate {
    fn operands(self) -> impl Iterator<Item = Wire> {
        let (a, b) = match self {
            Gate::Input { .. } => (None, None),
            Gate::Inv(a) => (Some(a), None),
            Gate::Xor(a, b) | Gate::And(a, b) => (Some(a), Some(b).filter(|&b| b != a)),
        };
        a.into_iter().chain(b)
    }
}

/// Builds a circuit gate by gate.
#[derive(Debug, Default)]
pub struct Builder {
    gates: Vec<Gate>,
    input_widths: Vec<usize>,
}

impl Builder {
    /// An empty circuit.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// A new input bundle of `width` bits.
    pub fn input(&mut self, width: usize) -> Vec<Wire> {
        let bundle = self.input_widths.len();
        self.input_widths.push(width);
        (0..width).map(|index| self.push(Gate::Input { bundle, index })).collect()
    }

    /// `a ^ b`.
    pub fn xor(&mut self, a: Wire, b: Wire) -> Wire {
        self.push(Gate::Xor(a, b))
    }

    /// `a & b`.
    pub fn and(&mut self, a: Wire, b: Wire) -> Wire {
        self.push(Gate::And(a, b))
    }

    /// `!a`.
    pub fn inv(&mut self, a: Wire) -> Wire {
        self.push(Gate::Inv(a))
    }

    fn push(&mut self, gate: Gate) -> Wire {
        self.gates.push(gate);
        Wire(self.gates.len() - 1)
    }

    /// The circuit with these outputs: gates that no output needs are dropped, inputs are loaded when
    /// first used and outputs stored when computed, [`BATCH`] neighbours together, and slots are
    /// re-used as soon as their wire is dead.
    pub fn build(self, outputs: &[Wire]) -> Circuit {
        let mut scheduler = Scheduler::new(&self.gates, outputs);
        for (wire, gate) in self.gates.iter().enumerate() {
            if !matches!(gate, Gate::Input { .. }) {
                scheduler.emit(Wire(wire));
            }
        }
        // Whatever is not stored by now is an input handed through.
        outputs.iter().for_each(|&output| scheduler.emit(output));
        let count = |pick: fn(&Step) -> bool| scheduler.steps.iter().filter(|s| pick(s)).count();
        Circuit {
            and_gates: count(|step| matches!(step, Step::And { .. })),
            input_widths: self.input_widths,
            output_width: outputs.len(),
            slots: scheduler.slots,
            steps: scheduler.steps,
        }
    }
}

/// Neighbouring inputs and outputs that are copied together: four labels share a cache line.
const BATCH: usize = 4;

/// Emits steps and hands out slots.
struct Scheduler<'a> {
    gates: &'a [Gate],
    outputs: &'a [Wire],
    /// Uses of each wire, by live gates and outputs, that have not been emitted yet.
    uses: Vec<usize>,
    /// Outputs of each batch that have not been computed yet.
    missing: Vec<usize>,
    slot: Vec<Option<usize>>,
    free: Vec<usize>,
    slots: usize,
    steps: Vec<Step>,
}

impl<'a> Scheduler<'a> {
    fn new(gates: &'a [Gate], outputs: &'a [Wire]) -> Scheduler<'a> {
        let mut uses = vec![0; gates.len()];
        for wire in outputs {
            uses[wire.0] += 1;
        }
        for (wire, gate) in gates.iter().enumerate().rev() {
            if uses[wire] > 0 {
                gate.operands().for_each(|operand| uses[operand.0] += 1);
            }
        }
        Scheduler {
            gates,
            outputs,
            uses,
            missing: outputs.chunks(BATCH).map(<[Wire]>::len).collect(),
            slot: vec![None; gates.len()],
            free: Vec::new(),
            slots: 0,
            steps: Vec::new(),
        }
    }

    /// Emits a wire's gate if it is live and not there yet: first the inputs it needs, last the
    /// outputs it completes.
    fn emit(&mut self, wire: Wire) {
        if self.uses[wire.0] == 0 || self.slot[wire.0].is_some() {
            return;
        }
        let gate = self.gates[wire.0];
        gate.operands().for_each(|operand| self.emit(operand));
        let at = |wire: Wire| self.slot[wire.0].expect("operands are emitted before their gate");
        let (a, b) = match gate {
            Gate::Input { .. } => (0, 0),
            Gate::Inv(a) => (at(a), 0),
            Gate::Xor(a, b) | Gate::And(a, b) => (at(a), at(b)),
        };
        gate.operands().for_each(|operand| self.used(operand));
        let out = self.free.pop().unwrap_or_else(|| {
            self.slots += 1;
            self.slots - 1
        });
        self.slot[wire.0] = Some(out);
        self.steps.push(match gate {
            Gate::Input { bundle, index } => Step::Input { bundle, index, out },
            Gate::Xor(..) => Step::Xor { a, b, out },
            Gate::And(..) => Step::And { a, b, out },
            Gate::Inv(_) => Step::Inv { a, out },
        });
        if let Gate::Input { bundle, index } = gate {
            for neighbour in 0..BATCH {
                // The inputs of a bundle are consecutive wires.
                let wire = wire.0 - index % BATCH + neighbour;
                let same = Gate::Input { bundle, index: index - index % BATCH + neighbour };
                if self.gates.get(wire) == Some(&same) {
                    self.emit(Wire(wire));
                }
            }
        }
        self.store_completed(wire);
    }

    /// Stores the batches of outputs of which `wire` was the last to be computed.
    fn store_completed(&mut self, wire: Wire) {
        for index in 0..self.outputs.len() {
            if self.outputs[index] != wire {
                continue;
            }
            let batch = index / BATCH;
            self.missing[batch] -= 1;
            if self.missing[batch] == 0 {
                let first = batch * BATCH;
                for index in first..self.outputs.len().min(first + BATCH) {
                    let output = self.outputs[index];
                    let a = self.slot[output.0].expect("the batch is complete");
                    self.steps.push(Step::Output { a, index });
                    self.used(output);
                }
            }
        }
    }

    /// Counts one use of a wire and frees its slot after the last.
    fn used(&mut self, wire: Wire) {
        self.uses[wire.0] -= 1;
        if self.uses[wire.0] == 0 {
            let slot = self.slot[wire.0].expect("a wire is emitted before it is used");
            self.free.push(slot);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Random circuits: widths of two bundles, gates as (kind, operand, operand), outputs.
    pub fn any_gates() -> impl Strategy<Value = (Vec<(u8, usize, usize)>, Vec<usize>)> {
        let gates = prop::collection::vec((0u8..3, any::<usize>(), any::<usize>()), 0..60);
        (gates, prop::collection::vec(any::<usize>(), 0..12))
    }

    /// The circuit of [`any_gates`] and a gate-by-gate evaluation of it on 5 + 3 input bits.
    pub fn build_and_eval(
        (gates, outputs): &(Vec<(u8, usize, usize)>, Vec<usize>),
        inputs: [&[bool]; 2],
    ) -> (Circuit, Vec<bool>) {
        let mut builder = Builder::new();
        let mut wires = builder.input(5);
        wires.extend(builder.input(3));
        let mut values = [inputs[0], inputs[1]].concat();
        for &(kind, a, b) in gates {
            let (a, b) = (a % wires.len(), b % wires.len());
            let (wire, value) = match kind {
                0 => (builder.xor(wires[a], wires[b]), values[a] ^ values[b]),
                1 => (builder.and(wires[a], wires[b]), values[a] & values[b]),
                _ => (builder.inv(wires[a]), !values[a]),
            };
            wires.push(wire);
            values.push(value);
        }
        let picks: Vec<usize> = outputs.iter().map(|o| o % wires.len()).collect();
        let circuit = builder.build(&picks.iter().map(|&i| wires[i]).collect::<Vec<_>>());
        (circuit, picks.iter().map(|&i| values[i]).collect())
    }

    proptest! {
        #[test]
        fn slots_are_re_used_safely(gates in any_gates(), bits: [bool; 8]) {
            let inputs = [&bits[..5], &bits[5..]];
            let (circuit, expected) = build_and_eval(&gates, inputs);
            prop_assert_eq!(circuit.eval(&inputs), expected);
        }
    }

    #[test]
    fn dead_gates_and_slots_go() {
        let mut builder = Builder::new();
        let x = builder.input(64);
        let unused = builder.and(x[0], x[1]);
        builder.inv(unused);
        let parity = x[1..].iter().fold(x[0], |acc, &bit| builder.xor(acc, bit));
        let circuit = builder.build(&[parity]);
        // 64 loads, 63 XORs, one store; alive at once: the running parity and a batch of inputs.
        assert_eq!(circuit.steps().len(), 64 + 63 + 1);
        assert_eq!((circuit.and_gates(), circuit.slots()), (0, 1 + BATCH));
    }
}
