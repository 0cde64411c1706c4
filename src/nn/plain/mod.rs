//! The reference: a network evaluated in the clear, in f64.
//!
//! Every sum runs in a fixed order and without fused multiply-adds, so the result is the same bit for bit on
//! every machine, whatever vector width it has.

mod linear;

use super::graph::{Graph, Node, Op, TensorShape, Windows, ZERO};
use crate::protocol::Function;

/// What one activation slot saw.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SlotRecord {
    /// Largest magnitude of a pre-activation; infinite if one was NaN.
    pub max_abs: f64,
    /// Pre-activations whose magnitude reached the limit, or that were NaN.
    pub outside: u64,
}

impl SlotRecord {
    /// The record of these pre-activations.
    fn of(values: &[f64], range_limit: f64) -> SlotRecord {
        let mut record = SlotRecord::default();
        for value in values {
            let magnitude = if value.is_nan() { f64::INFINITY } else { value.abs() };
            record.max_abs = record.max_abs.max(magnitude);
            record.outside += u64::from(magnitude >= range_limit || magnitude.is_infinite());
        }
        record
    }
}

/// The outcome of one evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// The last node's values.
    pub logits: Vec<f64>,
    /// One record per activation slot.
    pub slots: Vec<SlotRecord>,
    /// The same record for the logits.
    pub logits_range: SlotRecord,
}

impl Trace {
    /// Index of the largest logit, the first of equals; NaN never wins. `None` if all are NaN.
    pub fn prediction(&self) -> Option<usize> {
        let mut best: Option<usize> = None;
        for (class, logit) in self.logits.iter().enumerate() {
            if !logit.is_nan() && best.is_none_or(|b| *logit > self.logits[b]) {
                best = Some(class);
            }
        }
        best
    }

    /// Pre-activations outside the range, all slots together.
    pub fn outside(&self) -> u64 {
        self.slots.iter().map(|slot| slot.outside).sum()
    }
}

/// Evaluates a network on one image (`[h][w][c]`), `functions[slot]` being the activation of each slot.
///
/// A pre-activation or logit with magnitude `range_limit` or more counts as outside; one that is NaN or
/// infinite always does.
///
/// # Panics
/// If the graph is not valid, or the image or the number of functions does not fit it.
pub fn forward(graph: &Graph, input: &[f64], functions: &[Function], range_limit: f64) -> Trace {
    let mut slots = vec![SlotRecord::default(); functions.len()];
    let logits = forward_observed(graph, input, functions, &mut |slot, values| {
        slots[slot] = SlotRecord::of(values, range_limit);
    });
    let logits_range = SlotRecord::of(&logits, range_limit);
    Trace { logits, slots, logits_range }
}

/// Like [`forward`], but shows every slot's pre-activations to `observe` and returns only the logits.
///
/// # Panics
/// As [`forward`].
pub fn forward_observed(
    graph: &Graph,
    input: &[f64],
    functions: &[Function],
    observe: &mut dyn FnMut(usize, &[f64]),
) -> Vec<f64> {
    assert_eq!(input.len(), graph.input_shape().elements(), "image size");
    assert_eq!(functions.len(), graph.activation_layers(), "functions");
    let users = graph.users();
    let mut values: Vec<Vec<f64>> = vec![Vec::new(); graph.nodes.len()];
    for (id, node) in graph.nodes.iter().enumerate() {
        let operands: Vec<&[f64]> = node.inputs.iter().map(|&i| values[i].as_slice()).collect();
        let result = match node.op {
            Op::Input => input.to_vec(),
            Op::Activation { slot, .. } => {
                observe(slot, operands[0]);
                activate(&functions[slot], operands[0])
            }
            _ => {
                let shapes: Vec<TensorShape> = node.inputs.iter().map(|&i| graph.nodes[i].shape).collect();
                evaluate(node, &shapes, &operands)
            }
        };
        values[id] = result;
        for &operand in &node.inputs {
            if users[operand].last() == Some(&id) {
                values[operand] = Vec::new();
            }
        }
    }
    values.pop().expect("a graph has at least its input")
}

/// One node's result, for every operation but the input and the activations.
pub(in crate::nn) fn evaluate(node: &Node, shapes: &[TensorShape], operands: &[&[f64]]) -> Vec<f64> {
    match &node.op {
        Op::Linear { shape, weights, bias } => linear::apply(shape, weights, bias, operands[0]),
        Op::AvgPool { kernel, stride, padding } => {
            avg_pool(operands[0], shapes[0], node.shape, (*kernel, *kernel), (*stride, *padding))
        }
        Op::MaxPool { kernel, stride, padding } => {
            max_pool(operands[0], shapes[0], node.shape, (*kernel, *stride, *padding))
        }
        Op::GlobalAvgPool => {
            let window = (shapes[0].h, shapes[0].w);
            avg_pool(operands[0], shapes[0], node.shape, window, (1, 0))
        }
        Op::Add => (operands[0].iter().zip(operands[1])).map(|(a, b)| a + b).collect(),
        Op::PadShortcut { stride, before, .. } => pad_shortcut(operands[0], shapes[0], node.shape, *stride, *before),
        Op::Rearrange { from, .. } => {
            from.iter().map(|&at| if at == ZERO { 0.0 } else { operands[0][at as usize] }).collect()
        }
        Op::AvgWindows(windows) => avg_windows(operands[0], windows, node.shape.c),
        Op::Flatten => operands[0].to_vec(),
        Op::Input | Op::Activation { .. } => unreachable!("the caller evaluates {}", node.name),
    }
}

/// One operation with one operand, of this shape.
///
/// # Errors
/// If the operand does not fit.
pub(in crate::nn) fn map(op: &Op, input: &[f64], shape: TensorShape) -> Result<Vec<f64>, String> {
    let result = op.output_shape(&[shape])?;
    let node = Node { name: String::new(), op: op.clone(), inputs: vec![0], shape: result };
    Ok(evaluate(&node, &[shape], &[input]))
}

/// The function of every value; the same numbers as [`Function::eval`], with the coefficients scaled once.
pub(in crate::nn) fn activate(function: &Function, values: &[f64]) -> Vec<f64> {
    let Function::Polynomial(polynomial) = function else {
        return values.iter().map(|&x| function.eval(x)).collect();
    };
    let unit = (-f64::from(polynomial.precision_bits)).exp2();
    let scaled = polynomial.coefficients.iter().rev().map(|&c| c as f64 * unit);
    let scaled: Vec<f64> = scaled.collect();
    let horner = |x: &f64| scaled.iter().fold(0.0, |acc, c| acc * x + c);
    values.iter().map(horner).collect()
}

fn avg_pool(
    input: &[f64],
    from: TensorShape,
    to: TensorShape,
    (window_h, window_w): (usize, usize),
    (stride, padding): (usize, usize),
) -> Vec<f64> {
    let area = (window_h * window_w) as f64;
    let window = |index: usize, side: usize, limit: usize| {
        let start = index * stride;
        start.saturating_sub(padding)..(start + side - padding).min(limit)
    };
    let mut output = vec![0.0; to.elements()];
    for (pixel, sums) in output.chunks_exact_mut(to.c).enumerate() {
        let columns = window(pixel % to.w, window_w, from.w);
        for y in window(pixel / to.w, window_h, from.h) {
            let row = &input[(y * from.w + columns.start) * from.c..][..columns.len() * from.c];
            for values in row.chunks_exact(from.c) {
                sums.iter_mut().zip(values).for_each(|(sum, v)| *sum += v);
            }
        }
        sums.iter_mut().for_each(|sum| *sum /= area);
    }
    output
}

fn avg_windows(input: &[f64], windows: &Windows, channels: usize) -> Vec<f64> {
    let mut output = vec![0.0; windows.pixels.len() * channels];
    let outputs = output.chunks_exact_mut(channels);
    for ((sums, pixels), &divisor) in outputs.zip(&windows.pixels).zip(&windows.divisors) {
        for &pixel in pixels {
            let values = &input[pixel as usize * channels..][..channels];
            sums.iter_mut().zip(values).for_each(|(sum, v)| *sum += v);
        }
        sums.iter_mut().for_each(|sum| *sum /= f64::from(divisor));
    }
    output
}

fn max_pool(
    input: &[f64],
    from: TensorShape,
    to: TensorShape,
    (kernel, stride, padding): (usize, usize, usize),
) -> Vec<f64> {
    let window = |index: usize, limit: usize| {
        let start = index * stride;
        start.saturating_sub(padding)..(start + kernel - padding).min(limit)
    };
    let mut output = vec![f64::NEG_INFINITY; to.elements()];
    for (pixel, largest) in output.chunks_exact_mut(to.c).enumerate() {
        for y in window(pixel / to.w, from.h) {
            for x in window(pixel % to.w, from.w) {
                let values = &input[(y * from.w + x) * from.c..][..from.c];
                largest.iter_mut().zip(values).for_each(|(largest, v)| *largest = largest.max(*v));
            }
        }
    }
    output
}

fn pad_shortcut(input: &[f64], from: TensorShape, to: TensorShape, stride: usize, before: usize) -> Vec<f64> {
    let mut output = vec![0.0; to.elements()];
    for (pixel, values) in output.chunks_exact_mut(to.c).enumerate() {
        let source = (pixel / to.w * stride) * from.w + pixel % to.w * stride;
        values[before..before + from.c].copy_from_slice(&input[source * from.c..][..from.c]);
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::builder::GraphBuilder;
    use crate::protocol::Polynomial;

    fn run(op: Op, shape: TensorShape, operands: &[&[f64]]) -> Vec<f64> {
        let shapes = vec![shape; operands.len()];
        let node = Node {
            name: "node".to_string(),
            shape: op.output_shape(&shapes).unwrap(),
            op,
            inputs: vec![0; operands.len()],
        };
        evaluate(&node, &shapes, operands)
    }

    #[test]
    fn pooling_shortcut_and_add_by_hand() {
        // Pixels (y, x) = 10 y + x, second channel 100 more; 3 x 2 pixels.
        let shape = TensorShape { h: 3, w: 2, c: 2 };
        let image = [0.0, 100.0, 1.0, 101.0, 10.0, 110.0, 11.0, 111.0, 20.0, 120.0, 21.0, 121.0];
        let pool = Op::AvgPool { kernel: 2, stride: 1, padding: 0 };
        assert_eq!(run(pool, shape, &[&image]), [5.5, 105.5, 15.5, 115.5]);
        // With padding: rows (0, 1) and (1, 2), both columns, and always nine to divide by.
        let pool = Op::AvgPool { kernel: 3, stride: 2, padding: 1 };
        let sums = [22.0, 422.0, 62.0, 462.0];
        assert_eq!(run(pool, shape, &[&image]), sums.map(|sum| sum / 9.0));
        assert_eq!(run(Op::GlobalAvgPool, shape, &[&image]), [10.5, 110.5]);
        let pool = Op::MaxPool { kernel: 2, stride: 1, padding: 0 };
        assert_eq!(run(pool, shape, &[&image]), [11.0, 111.0, 21.0, 121.0]);
        // Windows of rows (0, 1) and (1, 2), of columns (0, 1): in the padding there is nothing, not zero.
        let negative = image.map(|x| x - 200.0);
        let pool = Op::MaxPool { kernel: 3, stride: 2, padding: 1 };
        assert_eq!(run(pool, shape, &[&negative]), [-189.0, -89.0, -179.0, -79.0]);
        let shortcut = Op::PadShortcut { stride: 2, before: 1, after: 2 };
        let expected = [0.0, 0.0, 100.0, 0.0, 0.0, 0.0, 20.0, 120.0, 0.0, 0.0];
        assert_eq!(run(shortcut, shape, &[&image]), expected);
        assert_eq!(run(Op::Add, shape, &[&image, &image])[11], 242.0);
    }

    #[test]
    fn records_the_range_of_every_slot() {
        let mut b = GraphBuilder::new(TensorShape { h: 1, w: 1, c: 4 });
        let x = b.activation("first", 0).unwrap();
        b.activation("second", x).unwrap();
        let graph = b.finish().unwrap();
        // x^2, then ReLU.
        let square = Function::Polynomial(Polynomial { coefficients: vec![0, 0, 4], precision_bits: 2 });
        let functions = [square, Function::Relu];
        let trace = forward(&graph, &[1.0, -3.0, 2.0, -0.5], &functions, 2.0);
        assert_eq!(trace.logits, [1.0, 9.0, 4.0, 0.25]);
        assert_eq!(trace.prediction(), Some(1));
        let record = |max_abs, outside| SlotRecord { max_abs, outside };
        assert_eq!(trace.slots, [record(3.0, 2), record(9.0, 2)]);
        assert_eq!(trace.logits_range, record(9.0, 2));
        assert_eq!(trace.outside(), 4);
        let trace = forward(&graph, &[f64::NAN, 1e200, 0.0, 0.0], &functions, 1e300);
        assert_eq!(trace.slots[0], record(f64::INFINITY, 1));
        assert_eq!(trace.slots[1], record(f64::INFINITY, 2));
    }

    #[test]
    fn activations_agree_with_the_function() {
        let polynomial =
            Function::Polynomial(Polynomial { coefficients: vec![13_055, 32_781, 13_088, -77], precision_bits: 16 });
        let values: Vec<f64> = (-50..50).map(|i| f64::from(i) * 0.173).collect();
        for function in [polynomial, Function::Relu] {
            let expected: Vec<f64> = values.iter().map(|&x| function.eval(x)).collect();
            assert_eq!(activate(&function, &values), expected);
        }
    }

    #[test]
    fn predictions_skip_nan() {
        let trace =
            |logits: &[f64]| Trace { logits: logits.to_vec(), slots: Vec::new(), logits_range: SlotRecord::default() };
        assert_eq!(trace(&[f64::NAN, -1.0, 3.0, 3.0]).prediction(), Some(2));
        assert_eq!(trace(&[f64::NAN]).prediction(), None);
    }
}
