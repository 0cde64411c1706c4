//! The garbled ReLU over additive shares, truncation and re-masking included.

use super::Circuit;
use super::circuit::{Builder, Wire};

/// The circuit of `(max(client + server, 0) >> shift) + mask`, of two's complement numbers of `width` bits.
///
/// Input bundles, least significant bit first: the evaluator's share `client` and the garbler's share `server`,
/// `width` bits each, and the garbler's `mask` of `width - 1 - shift` bits. Output: the sum of the surviving bits and
/// the mask, `width - shift` bits, the last one the carry. It has `width - 1 + 2 (width - 1 - shift)` AND gates: an adder's
/// carries, the selection by the sign, an adder's carries.
///
/// # Panics
/// If no bit would be left.
pub fn relu_circuit(width: u32, shift: u32) -> Circuit {
    assert!(shift + 1 < width && width <= 64, "a shift by {shift} leaves no bit of {width}");
    let (width, shift) = (width as usize, shift as usize);
    let mut builder = Builder::new();
    let client = builder.input(width);
    let server = builder.input(width);
    let mask = builder.input(width - 1 - shift);
    let (y, _) = add(&mut builder, &client, &server);
    let positive = builder.inv(y[width - 1]);
    let x: Vec<Wire> = y[shift..width - 1].iter().map(|&bit| builder.and(bit, positive)).collect();
    let (mut outputs, carry) = add(&mut builder, &mask, &x);
    outputs.push(carry);
    // Gates that no output needs, like the first adder's last carry, are not built.
    builder.build(&outputs)
}

/// The sum of two numbers of one width and its carry: one AND gate per carry.
fn add(builder: &mut Builder, a: &[Wire], b: &[Wire]) -> (Vec<Wire>, Wire) {
    let mut carry: Option<Wire> = None;
    let mut sum = Vec::with_capacity(a.len());
    for (&a, &b) in a.iter().zip(b) {
        let (bit, next) = match carry {
            Some(c) => {
                // c' = c ^ ((a ^ c) & (b ^ c)) is the majority of the three.
                let (ac, bc) = (builder.xor(a, c), builder.xor(b, c));
                let change = builder.and(ac, bc);
                (builder.xor(ac, b), builder.xor(c, change))
            }
            None => (builder.xor(a, b), builder.and(a, b)),
        };
        sum.push(bit);
        carry = Some(next);
    }
    (sum, carry.expect("numbers have at least one bit"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHAPES: [(u32, u32); 9] =
        [(64, 0), (64, 1), (64, 12), (64, 16), (64, 62), (48, 16), (37, 12), (8, 0), (8, 6)];

    fn bits(word: u64, width: u32) -> Vec<bool> {
        (0..width).map(|i| word >> i & 1 == 1).collect()
    }

    fn eval(circuit: &Circuit, (width, shift): (u32, u32), [client, server, mask]: [u64; 3]) -> u128 {
        let inputs = [bits(client, width), bits(server, width), bits(mask, width - 1 - shift)];
        let outputs = circuit.eval(&[&inputs[0], &inputs[1], &inputs[2]]);
        outputs.iter().enumerate().map(|(i, &bit)| u128::from(bit) << i).sum()
    }

    fn expected(y: i64, (width, shift): (u32, u32), mask: u64) -> u128 {
        let sign_extended = y << (64 - width) >> (64 - width);
        (sign_extended.max(0) >> shift) as u128 + u128::from(mask & ((1 << (width - 1 - shift)) - 1))
    }

    #[test]
    fn costs_an_and_gate_per_carry_and_selected_bit() {
        for (width, shift) in SHAPES {
            let circuit = relu_circuit(width, shift);
            let (width, kept) = (width as usize, (width - 1 - shift) as usize);
            assert_eq!(circuit.and_gates(), width - 1 + 2 * kept);
            assert!(circuit.and_gates() <= 3 * (width - 1));
            assert_eq!(circuit.input_widths(), [width, width, kept]);
            assert_eq!(circuit.output_width(), kept + 1);
            // The bits that wait for the sign, and a few batches of inputs and outputs.
            assert!(circuit.slots() <= kept + 16, "{}", circuit.slots());
        }
    }

    #[test]
    fn edge_values() {
        for shape in SHAPES {
            let circuit = relu_circuit(shape.0, shape.1);
            let (end, unit) = (1i64 << (shape.0 - 1).min(62), 1i64 << shape.1);
            let near = [unit - 1, unit, unit + 1, 1 - unit, -unit, -unit - 1];
            for y in [0, 1, -1, 2, end - 1, end / 2, 1 - end, -end, i64::MIN, i64::MAX].into_iter().chain(near) {
                for (client, mask) in [(0, 0), (u64::MAX, 1), (1 << 63, u64::MAX), (77, 1 << 63)] {
                    let server = (y as u64).wrapping_sub(client);
                    let output = eval(&circuit, shape, [client, server, mask]);
                    assert_eq!(output, expected(y, shape, mask), "y = {y}, {shape:?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn random_values(client: u64, server: u64, mask: u64, width in 2u32..65, shift in 0u32..63) {
            let shape = (width, shift % (width - 1));
            let y = client.wrapping_add(server) as i64;
            let output = eval(&relu_circuit(shape.0, shape.1), shape, [client, server, mask]);
            prop_assert_eq!(output, expected(y, shape, mask));
        }
    }
}
