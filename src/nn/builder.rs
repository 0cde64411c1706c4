//! Builds a graph node by node, inferring shapes and numbering activation slots.

use super::NnError;
use super::graph::{Graph, Node, NodeId, Op, TensorShape};
use crate::protocol::Function;

/// A graph under construction.
///
/// ```
/// use longhaul::nn::builder::GraphBuilder;
/// use longhaul::nn::graph::TensorShape;
///
/// let mut builder = GraphBuilder::new(TensorShape { h: 1, w: 1, c: 4 });
/// let input = builder.input();
/// builder.activation("act", input)?;
/// assert_eq!(builder.finish()?.activations(), 4);
/// # Ok::<(), longhaul::nn::NnError>(())
/// ```
#[derive(Clone, Debug)]
pub struct GraphBuilder {
    nodes: Vec<Node>,
    slots: usize,
}

impl GraphBuilder {
    /// A graph that holds only its input.
    pub fn new(input: TensorShape) -> GraphBuilder {
        let input = Node { name: "input".to_string(), op: Op::Input, inputs: Vec::new(), shape: input };
        GraphBuilder { nodes: vec![input], slots: 0 }
    }

    /// The input node.
    pub fn input(&self) -> NodeId {
        0
    }

    /// Shape of a node already added.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn shape(&self, node: NodeId) -> TensorShape {
        self.nodes[node].shape
    }

    /// Adds one operation.
    ///
    /// # Errors
    /// If the operands do not fit the operation.
    ///
    /// # Panics
    /// If an operand has not been added yet.
    pub fn push(&mut self, name: &str, op: Op, inputs: &[NodeId]) -> Result<NodeId, NnError> {
        let shapes: Vec<TensorShape> = inputs.iter().map(|&i| self.shape(i)).collect();
        let shape =
            op.output_shape(&shapes).map_err(|problem| NnError::InvalidGraph { node: name.to_string(), problem })?;
        if let Op::Activation { .. } = op {
            self.slots += 1;
        }
        self.nodes.push(Node { name: name.to_string(), op, inputs: inputs.to_vec(), shape });
        Ok(self.nodes.len() - 1)
    }

    /// Adds a ReLU with the next free slot.
    ///
    /// # Errors
    /// None in fact: an activation fits every operand.
    pub fn activation(&mut self, name: &str, input: NodeId) -> Result<NodeId, NnError> {
        self.activate(name, input, Function::Relu)
    }

    /// Adds an activation by `function` with the next free slot.
    ///
    /// # Errors
    /// None in fact: an activation fits every operand.
    pub fn activate(&mut self, name: &str, input: NodeId, function: Function) -> Result<NodeId, NnError> {
        let slot = self.slots;
        self.push(name, Op::Activation { slot, function }, &[input])
    }

    /// The graph, checked; the node added last gives the logits.
    ///
    /// # Errors
    /// Those of [`Graph::validate`].
    pub fn finish(self) -> Result<Graph, NnError> {
        let graph = Graph { nodes: self.nodes };
        graph.validate()?;
        Ok(graph)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_count_up_and_shapes_are_inferred() {
        let mut b = GraphBuilder::new(TensorShape { h: 4, w: 6, c: 3 });
        let first = b.activation("a", b.input()).unwrap();
        let second = b.activation("b", first).unwrap();
        let sum = b.push("sum", Op::Add, &[first, second]).unwrap();
        b.push("mean", Op::GlobalAvgPool, &[sum]).unwrap();
        let graph = b.finish().unwrap();
        assert_eq!(graph.activation_sizes(), [72, 72]);
        assert_eq!(graph.classes(), 3);
    }

    #[test]
    fn operands_that_do_not_fit_are_refused() {
        let mut b = GraphBuilder::new(TensorShape { h: 4, w: 4, c: 3 });
        let pooled = b.push("mean", Op::GlobalAvgPool, &[0]).unwrap();
        let error = b.push("sum", Op::Add, &[0, pooled]).unwrap_err();
        let expected = "network node `sum`: adds 1x1x3 to 4x4x3";
        assert_eq!(error.to_string(), expected);
    }
}
