//! The garbled ReLU over additive shares in Z_2^64, truncation and re-masking included.

use super::Circuit;
use super::circuit::{Builder, Wire};

/// Bits of a ring element.
const RING_BITS: usize = 64;

/// The circuit of `max(client + server, 0) >> shift) + mask` mod 2^64.
///
/// Input bundles, 64 bits each, least significant first: the evaluator's share `client`, then the
/// garbler's share `server` and `mask`. Output: 64 bits. It has `63 + (63 - shift) + 63` AND gates: an
/// adder's carries, the selection by the sign, an adder's carries.
///
/// # Panics
/// If `shift` is above 62, which would leave no bit.
pub fn relu_circuit(shift: u32) -> Circuit {
    let shift = shift as usize;
    assert!(shift < RING_BITS - 1, "a shift by {shift} leaves no bit");
    let mut builder = Builder::new();
    let client = builder.input(RING_BITS);
    let server = builder.input(RING_BITS);
    let mask = builder.input(RING_BITS);
    let y = add(&mut builder, &client, &server);
    let positive = builder.inv(y[RING_BITS - 1]);
    let x: Vec<Wire> = y[shift..RING_BITS - 1].iter().map(|&bit| builder.and(bit, positive)).collect();
    let outputs = add(&mut builder, &mask, &x);
    builder.build(&outputs)
}

/// The sum mod `2^a.len()`, `b` extended by zeros: one AND gate per carry.
fn add(builder: &mut Builder, a: &[Wire], b: &[Wire]) -> Vec<Wire> {
    let mut carry: Option<Wire> = None;
    let mut sum = Vec::with_capacity(a.len());
    for (i, &a) in a.iter().enumerate() {
        let (bit, next) = match (b.get(i), carry) {
            (Some(&b), Some(c)) => {
                // c' = c ^ ((a ^ c) & (b ^ c)) is the majority of the three.
                let (ac, bc) = (builder.xor(a, c), builder.xor(b, c));
                let change = builder.and(ac, bc);
                (builder.xor(ac, b), Some(builder.xor(c, change)))
            }
            (Some(&other), None) | (None, Some(other)) => (builder.xor(a, other), Some(builder.and(a, other))),
            (None, None) => (a, None),
        };
        sum.push(bit);
        carry = next;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHIFTS: [u32; 6] = [0, 1, 12, 16, 40, 62];

    fn bits(word: u64) -> Vec<bool> {
        (0..64).map(|i| word >> i & 1 == 1).collect()
    }

    fn eval(circuit: &Circuit, words: [u64; 3]) -> u64 {
        let inputs = words.map(bits);
        let outputs = circuit.eval(&[&inputs[0], &inputs[1], &inputs[2]]);
        (0..64).map(|i| u64::from(outputs[i]) << i).sum()
    }

    fn expected(y: i64, shift: u32, mask: u64) -> u64 {
        ((y.max(0) >> shift) as u64).wrapping_add(mask)
    }

    #[test]
    fn costs_an_and_gate_per_carry_and_selected_bit() {
        for shift in SHIFTS {
            let circuit = relu_circuit(shift);
            assert_eq!(circuit.and_gates(), 63 + (63 - shift as usize) + 63);
            assert!(circuit.and_gates() <= 3 * 63);
            assert_eq!(circuit.input_widths(), [64, 64, 64]);
            assert_eq!(circuit.output_width(), 64);
            // The bits that wait for the sign, and a few batches of inputs and outputs.
            assert!(circuit.slots() <= 63 - shift as usize + 16, "{}", circuit.slots());
        }
    }

    #[test]
    fn edge_values() {
        let power = 1i64 << 62;
        let fixed = [0, 1, -1, 2, power - 1, power, power + 1, 1 - power, -power];
        for shift in SHIFTS {
            let circuit = relu_circuit(shift);
            let unit = 1i64 << shift;
            let near = [unit - 1, unit, unit + 1, 1 - unit, -unit, -unit - 1];
            for y in fixed.into_iter().chain(near).chain([i64::MIN, i64::MAX]) {
                for (client, mask) in [(0, 0), (u64::MAX, 1), (1 << 63, u64::MAX), (77, 1 << 63)] {
                    let server = (y as u64).wrapping_sub(client);
                    let output = eval(&circuit, [client, server, mask]);
                    assert_eq!(output, expected(y, shift, mask), "y = {y}, shift = {shift}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn random_values(client: u64, server: u64, mask: u64, shift in 0u32..63) {
            let y = client.wrapping_add(server) as i64;
            let output = eval(&relu_circuit(shift), [client, server, mask]);
            prop_assert_eq!(output, expected(y, shift, mask));
        }
    }
}
