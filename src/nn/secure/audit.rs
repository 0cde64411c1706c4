//! Counting activations that a protocol got wrong: what the harness sees of both parties, and no party does.
//!
//! The published local truncation of a sharing wraps around now and then, and the activation is then off by a power
//! of two far beyond any rounding. The audit opens the shares that go into and come out of every activation layer
//! and compares with the function in plaintext. It runs off the clock and sends nothing.

use crate::protocol::Function;
use crate::protocol::activation::ActivationSpec;
use crate::ring::decode;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Both parties' shares of one execution, as far as they are not compared yet, and the count so far.
#[derive(Default)]
pub struct Audit {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By step and first element: the shares of the party that came first.
    waiting: HashMap<(usize, usize), Shares>,
    wrapped: u64,
}

/// One party's shares of an activation layer's input and output.
pub(super) struct Shares {
    pub input: Vec<u64>,
    pub output: Vec<u64>,
}

impl Audit {
    /// Activations seen so far whose result is not the function of their input, by more than any rounding.
    pub fn wrapped_activations(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).wrapped
    }

    pub(super) fn record(&self, step: (usize, usize), spec: &ActivationSpec, shares: Shares) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.waiting.remove(&step) {
            None => {
                state.waiting.insert(step, shares);
            }
            Some(theirs) => state.wrapped += wrapped(spec, &shares, &theirs),
        }
    }
}

/// What an error must exceed to be no rounding. The published protocols truncate a power at up to `2 f` fractional bits,
/// where a wrap is worth `2^(64 - 2 f)`, and multiply it by a coefficient, of `2^-p` at least; half of that is far above what
/// flooring the base of a high power can lose.
fn limit(spec: &ActivationSpec, expected: f64) -> f64 {
    let rounding = 1.0 + expected.abs() / 16.0;
    match &spec.function {
        Function::Relu | Function::Relu6 => rounding,
        Function::Polynomial(polynomial) => {
            let wrap_bits = 63 - 2 * spec.output_bits as i32 - polynomial.precision_bits as i32;
            rounding.max(f64::from(wrap_bits).exp2())
        }
    }
}

/// How many results are off by more than any rounding.
fn wrapped(spec: &ActivationSpec, a: &Shares, b: &Shares) -> u64 {
    let open = |a: &[u64], b: &[u64], bits| {
        a.iter().zip(b).map(|(a, b)| decode(a.wrapping_add(*b), bits)).collect::<Vec<f64>>()
    };
    let inputs = open(&a.input, &b.input, spec.input_bits);
    let outputs = open(&a.output, &b.output, spec.output_bits);
    let is_wrapped = |(x, actual): &(f64, f64)| {
        let expected = spec.function.eval(*x);
        (actual - expected).abs() > limit(spec, expected)
    };
    inputs.into_iter().zip(outputs).filter(is_wrapped).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Polynomial;

    #[test]
    fn coarse_roundings_of_a_polynomial_are_no_wraps() {
        let polynomial = Polynomial { coefficients: vec![0, 0, 0, 0, 0, 0, 512, 512], precision_bits: 10 };
        let spec = ActivationSpec {
            function: Function::Polynomial(polynomial),
            elements: 2,
            input_bits: 32,
            output_bits: 16,
            settings: Default::default(),
        };
        // x = -2 gives 32 - 64 = -32: 20 off, and a wrap of x^7 at 28 fractional bits, 2^36 / 2 off.
        let audit = Audit::default();
        let outputs = [-52i64 << 16, (-32 << 16) + (1 << 51)].map(|z| z as u64);
        audit.record((0, 0), &spec, Shares { input: vec![(-2i64 << 32) as u64; 2], output: outputs.to_vec() });
        audit.record((0, 0), &spec, Shares { input: vec![0; 2], output: vec![0; 2] });
        assert_eq!(audit.wrapped_activations(), 1);
    }

    #[test]
    fn counts_results_that_are_off_by_more_than_rounding() {
        let spec = ActivationSpec {
            function: Function::Relu,
            elements: 4,
            input_bits: 32,
            output_bits: 16,
            settings: Default::default(),
        };
        // 3, -2, 3 and 100 as shares; the results 3, 0, 3 + 2^32 (a wrap) and 101 (rounded, within 1 + 100 / 16).
        let audit = Audit::default();
        let values = [3i64 << 32, -2 << 32, 3 << 32, 100 << 32].map(|y| (y as u64).wrapping_sub(77));
        let outputs = [3u64 << 16, 0, (3 << 16) + (1 << 48), 101 << 16].map(|z| z.wrapping_sub(5));
        audit.record((2, 0), &spec, Shares { input: vec![77; 4], output: vec![5; 4] });
        assert_eq!(audit.wrapped_activations(), 0);
        audit.record((2, 0), &spec, Shares { input: values.to_vec(), output: outputs.to_vec() });
        assert_eq!(audit.wrapped_activations(), 1);
    }
}
