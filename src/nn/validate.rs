//! The rules of a graph: shape inference for one operation, and the check of a whole network.

use std::collections::HashSet;

use super::NnError;
use super::graph::{Graph, Node, Op, TensorShape, Windows, ZERO};
use crate::ring::{ConvShape, LinearShape};

impl Op {
    /// The shape of the result for operands of these shapes.
    ///
    /// # Errors
    /// Says which rule the operands or the parameters of the operation break.
    pub fn output_shape(&self, inputs: &[TensorShape]) -> Result<TensorShape, String> {
        let expected = match self {
            Op::Input => 0,
            Op::Add => 2,
            _ => 1,
        };
        if inputs.len() != expected {
            let actual = inputs.len();
            return Err(format!("{actual} operands, expected {expected}"));
        }
        match self {
            Op::Input => Err("an input has no operands to take its shape from".to_string()),
            Op::Linear { shape, .. } => linear_output(shape, inputs[0]),
            Op::Activation { .. } => Ok(inputs[0]),
            Op::AvgPool { kernel, stride, padding } | Op::MaxPool { kernel, stride, padding } => {
                pool_output(*kernel, *stride, *padding, inputs[0])
            }
            Op::GlobalAvgPool => Ok(vector(inputs[0].c)),
            Op::Flatten => Ok(vector(inputs[0].elements())),
            Op::Add if inputs[0] == inputs[1] => Ok(inputs[0]),
            Op::Add => Err(format!("adds {} to {}", show(inputs[1]), show(inputs[0]))),
            Op::PadShortcut { stride: 0, .. } => Err("stride 0, expected >= 1".to_string()),
            Op::PadShortcut { stride, before, after } => Ok(TensorShape {
                h: inputs[0].h.div_ceil(*stride),
                w: inputs[0].w.div_ceil(*stride),
                c: inputs[0].c + before + after,
            }),
            Op::Rearrange { from, shape } => rearranged(from, *shape, inputs[0]),
            Op::AvgWindows(windows) => windows_output(windows, inputs[0]),
        }
    }
}

impl Graph {
    /// Checks every rule that the reference and the secure executor rely on.
    ///
    /// The input is node 0 and only node 0; operands come before their users; names are unique; shapes
    /// follow from the operations; weights have the right number and are finite; slots are numbered in
    /// order of appearance, each used once; every node but the last is used; the last is a vector.
    ///
    /// # Errors
    /// Names a node that breaks a rule.
    pub fn validate(&self) -> Result<(), NnError> {
        if self.nodes.is_empty() {
            return Err(NnError::InvalidGraph {
                node: "(none)".to_string(),
                problem: "the graph is empty, expected an input".to_string(),
            });
        }
        let mut names = HashSet::new();
        let mut slots = 0;
        let users = self.users_checked()?;
        for (id, node) in self.nodes.iter().enumerate() {
            let fail = |problem: String| invalid(node, problem);
            if !names.insert(node.name.as_str()) {
                return Err(fail("another node has the same name".to_string()));
            }
            self.check_shape(id).map_err(fail)?;
            check_weights(&node.op).map_err(fail)?;
            if let Op::Activation { slot, .. } = node.op {
                if slot != slots {
                    return Err(fail(format!("activation slot {slot}, expected {slots}")));
                }
                slots += 1;
            }
        }
        let last = self.logits();
        let unused = self.nodes.iter().zip(&users).find(|(_, used)| !**used);
        if let Some((node, _)) = unused.filter(|(node, _)| node.name != last.name) {
            return Err(invalid(node, "its result is never used".to_string()));
        }
        if (last.shape.h, last.shape.w) != (1, 1) {
            let problem = format!("logits are {}, expected a vector", show(last.shape));
            return Err(invalid(last, problem));
        }
        Ok(())
    }

    /// Which nodes have a user, once every operand is known to come before its user.
    fn users_checked(&self) -> Result<Vec<bool>, NnError> {
        let mut used = vec![false; self.nodes.len()];
        for (id, node) in self.nodes.iter().enumerate() {
            for &input in &node.inputs {
                if input >= id {
                    let problem = format!("operand {input} is not before its user {id}");
                    return Err(invalid(node, problem));
                }
                used[input] = true;
            }
        }
        Ok(used)
    }

    fn check_shape(&self, id: usize) -> Result<(), String> {
        let node = &self.nodes[id];
        match (&node.op, id) {
            (Op::Input, 0) if node.inputs.is_empty() && node.shape.elements() > 0 => return Ok(()),
            (Op::Input, 0) => return Err("an input has no operands and some elements".to_string()),
            (Op::Input, _) => return Err("an input that is not node 0".to_string()),
            (_, 0) => return Err("node 0 is not the input".to_string()),
            _ => {}
        }
        let inputs: Vec<TensorShape> = node.inputs.iter().map(|&i| self.nodes[i].shape).collect();
        let expected = node.op.output_shape(&inputs)?;
        if node.shape != expected {
            return Err(format!("shape {}, expected {}", show(node.shape), show(expected)));
        }
        Ok(())
    }
}

fn invalid(node: &Node, problem: String) -> NnError {
    NnError::InvalidGraph { node: node.name.clone(), problem }
}

fn linear_output(shape: &LinearShape, input: TensorShape) -> Result<TensorShape, String> {
    match shape {
        LinearShape::Dense { inputs, outputs } => {
            if input != vector(*inputs) || *outputs == 0 {
                return Err(format!("a dense layer {inputs} -> {outputs} on {}", show(input)));
            }
            Ok(vector(*outputs))
        }
        LinearShape::Conv2d(conv) => conv_output(conv, input),
    }
}

fn conv_output(conv: &ConvShape, input: TensorShape) -> Result<TensorShape, String> {
    let taken = TensorShape { h: conv.in_h, w: conv.in_w, c: conv.in_c };
    if taken != input {
        return Err(format!("takes {}, is given {}", show(taken), show(input)));
    }
    if conv.stride == 0 || conv.out_c == 0 || conv.kernel_h == 0 || conv.kernel_w == 0 {
        return Err("a convolution with stride, kernel or channels of 0".to_string());
    }
    let [top, left, bottom, right] = conv.padding;
    if conv.kernel_h > conv.in_h + top + bottom || conv.kernel_w > conv.in_w + left + right {
        return Err(format!("kernel {}x{} is larger than the padded {}", conv.kernel_h, conv.kernel_w, show(input)));
    }
    Ok(TensorShape { h: conv.out_h(), w: conv.out_w(), c: conv.out_c })
}

fn pool_output(kernel: usize, stride: usize, padding: usize, input: TensorShape) -> Result<TensorShape, String> {
    let (h, w) = (input.h + 2 * padding, input.w + 2 * padding);
    if kernel <= padding || stride == 0 || kernel > h || kernel > w {
        return Err(format!("pooling {kernel}x{kernel} with stride {stride} and padding {padding} on {}", show(input)));
    }
    Ok(TensorShape { h: (h - kernel) / stride + 1, w: (w - kernel) / stride + 1, c: input.c })
}

fn rearranged(from: &[u32], shape: TensorShape, input: TensorShape) -> Result<TensorShape, String> {
    if from.len() != shape.elements() || from.is_empty() {
        return Err(format!("{} elements for a result of {}", from.len(), show(shape)));
    }
    match from.iter().find(|&&element| element != ZERO && element as usize >= input.elements()) {
        Some(element) => Err(format!("takes element {element} of {}", show(input))),
        None => Ok(shape),
    }
}

fn windows_output(windows: &Windows, input: TensorShape) -> Result<TensorShape, String> {
    let Windows { h, w, pixels, divisors } = windows;
    let counts = (pixels.len(), divisors.len());
    if counts != (h * w, h * w) || counts.0 == 0 || divisors.contains(&0) {
        return Err(format!("{} windows and {} divisors above 0 for {h}x{w} pixels", counts.0, counts.1));
    }
    match pixels.iter().flatten().find(|&&pixel| pixel as usize >= input.h * input.w) {
        Some(pixel) => Err(format!("takes pixel {pixel} of {}", show(input))),
        None => Ok(TensorShape { h: *h, w: *w, c: input.c }),
    }
}

fn check_weights(op: &Op) -> Result<(), String> {
    let Op::Linear { shape, weights, bias } = op else {
        return Ok(());
    };
    let biases = if bias.len() == shape.outputs() { shape.outputs() } else { shape.channels() };
    let parts = [("weights", weights, shape.weights()), ("biases", bias, biases)];
    for (what, values, expected) in parts {
        if values.len() != expected {
            return Err(format!("{} {what}, expected {expected}", values.len()));
        }
        if let Some(index) = values.iter().position(|v| !v.is_finite()) {
            return Err(format!("{what}[{index}] is {}", values[index]));
        }
    }
    Ok(())
}

fn vector(c: usize) -> TensorShape {
    TensorShape { h: 1, w: 1, c }
}

fn show(shape: TensorShape) -> String {
    format!("{}x{}x{}", shape.h, shape.w, shape.c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::builder::GraphBuilder;
    use crate::protocol::Function;

    fn relu(slot: usize) -> Op {
        Op::Activation { slot, function: Function::Relu }
    }

    /// input 4x4x2 -> act -> pool 2 -> flatten -> dense 8 -> 3.
    fn small() -> Graph {
        let mut b = GraphBuilder::new(TensorShape { h: 4, w: 4, c: 2 });
        let x = b.push("act", relu(0), &[0]).unwrap();
        let pool = Op::AvgPool { kernel: 2, stride: 2, padding: 0 };
        let x = b.push("pool", pool, &[x]).unwrap();
        let x = b.push("flatten", Op::Flatten, &[x]).unwrap();
        let dense = Op::Linear {
            shape: LinearShape::Dense { inputs: 8, outputs: 3 },
            weights: vec![0.5; 24],
            bias: vec![0.0; 3],
        };
        b.push("dense", dense, &[x]).unwrap();
        b.finish().unwrap()
    }

    fn problem(change: impl FnOnce(&mut Graph)) -> String {
        let mut graph = small();
        change(&mut graph);
        graph.validate().unwrap_err().to_string()
    }

    #[test]
    fn counts_of_a_small_graph() {
        let graph = small();
        assert_eq!(graph.parameters(), 27);
        assert_eq!(graph.activation_sizes(), [32]);
        assert_eq!((graph.activation_layers(), graph.activations()), (1, 32));
        assert_eq!(graph.classes(), 3);
        let users = [vec![1], vec![2], vec![3], vec![4], vec![]];
        assert_eq!(graph.users(), users);
    }

    #[test]
    fn every_broken_rule_names_its_node() {
        let text = problem(|g| g.nodes[2].name = "act".to_string());
        assert_eq!(text, "network node `act`: another node has the same name");
        let text = problem(|g| g.nodes[1].op = relu(1));
        assert_eq!(text, "network node `act`: activation slot 1, expected 0");
        let text = problem(|g| g.nodes[2].shape.c = 3);
        assert_eq!(text, "network node `pool`: shape 2x2x3, expected 2x2x2");
        let text = problem(|g| g.nodes[3].inputs = vec![4]);
        assert!(text.contains("`flatten`: operand 4 is not before"), "{text}");
        let text = problem(|g| g.nodes[4].inputs = vec![2]);
        assert!(text.contains("`dense`: a dense layer 8 -> 3 on 2x2x2"), "{text}");
        let text = problem(|g| g.nodes[3].inputs = vec![]);
        assert!(text.contains("0 operands, expected 1"), "{text}");
        let text = problem(|g| g.nodes[1].op = Op::Input);
        assert!(text.contains("an input that is not node 0"), "{text}");
        let text = problem(|g| g.nodes.truncate(3));
        assert!(text.contains("logits are 2x2x2, expected a vector"), "{text}");
        let text = problem(|g| g.nodes.clear());
        assert!(text.contains("empty"), "{text}");
    }

    #[test]
    fn weights_are_counted_and_finite() {
        let with = |change: fn(&mut Vec<f32>, &mut Vec<f32>)| {
            problem(|g| {
                let Op::Linear { weights, bias, .. } = &mut g.nodes[4].op else {
                    unreachable!("node 4 is the dense layer")
                };
                change(weights, bias)
            })
        };
        let text = with(|w, _| w.truncate(23));
        assert_eq!(text, "network node `dense`: 23 weights, expected 24");
        let text = with(|_, b| b.push(0.0));
        assert_eq!(text, "network node `dense`: 4 biases, expected 3");
        let text = with(|w, _| w[7] = f32::NAN);
        assert_eq!(text, "network node `dense`: weights[7] is NaN");
    }

    #[test]
    fn an_unused_node_is_an_error() {
        let text = problem(|g| {
            let mut extra = g.nodes[3].clone();
            extra.name = "extra".to_string();
            g.nodes.insert(4, extra);
        });
        assert_eq!(text, "network node `extra`: its result is never used");
    }

    #[test]
    fn shapes_follow_the_operations() {
        let at = |h, w, c| TensorShape { h, w, c };
        let shortcut = Op::PadShortcut { stride: 2, before: 1, after: 2 };
        assert_eq!(shortcut.output_shape(&[at(5, 4, 3)]), Ok(at(3, 2, 6)));
        assert_eq!(Op::GlobalAvgPool.output_shape(&[at(5, 4, 3)]), Ok(at(1, 1, 3)));
        let sum = Op::Add.output_shape(&[at(1, 1, 2), at(1, 1, 3)]);
        assert_eq!(sum, Err("adds 1x1x3 to 1x1x2".to_string()));
        let pool = Op::AvgPool { kernel: 3, stride: 2, padding: 0 };
        assert_eq!(pool.output_shape(&[at(6, 5, 1)]), Ok(at(2, 2, 1)));
        assert!(pool.output_shape(&[at(2, 5, 1)]).is_err());
        let pool = Op::AvgPool { kernel: 3, stride: 2, padding: 1 };
        assert_eq!(pool.output_shape(&[at(112, 7, 1)]), Ok(at(56, 4, 1)));
        let pool = |padding| Op::MaxPool { kernel: 3, stride: 2, padding };
        assert_eq!(pool(1).output_shape(&[at(112, 7, 1)]), Ok(at(56, 4, 1)));
        assert!(pool(3).output_shape(&[at(112, 7, 1)]).is_err(), "a window of padding only");
    }
}
