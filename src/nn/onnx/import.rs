//! The walk over a file's nodes: which are needed, what their operands are, and whose fault an error is.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::constant::{Constant, elements};
use super::network::{Network, image_shape};
use super::operators;
use super::proto::{self, Model, Node, Tensor, is_standard};
use super::view::View;
use crate::nn::NnError;
use crate::nn::graph::Graph;

/// The oldest standard operators whose meaning has not changed since.
const OLDEST_OPSET: i64 = 7;

/// Bytes of tensors that depend on the image, and are still to be read, beyond which a file is not believed.
const MAX_HELD: usize = 1 << 31;

/// What a tensor of the file is.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Known.
    Constant(Constant),
    /// Depends on the image.
    View(View),
}

impl Value {
    pub fn dims(&self) -> &[usize] {
        match self {
            Value::Constant(constant) => &constant.dims,
            Value::View(view) => &view.dims,
        }
    }

    /// Bytes of a view; constants are limited by the file.
    fn bytes(&self) -> usize {
        match self {
            Value::Constant(_) => 0,
            Value::View(view) => view.bytes(),
        }
    }
}

/// What operators are given.
pub(super) struct Context<'c, 'a> {
    pub node: &'c Node<'a>,
    pub network: &'c mut Network,
    /// One per input; `None` for one that is left out.
    pub inputs: Vec<Option<Value>>,
    /// The batch size that the file declares.
    pub batch: usize,
    pub beside: &'c Path,
}

impl Context<'_, '_> {
    /// Name of the node, for the network.
    pub fn name(&self) -> String {
        label(self.node).to_string()
    }

    /// Operand `index`.
    ///
    /// # Errors
    /// If it is missing.
    pub fn input(&self, index: usize) -> Result<&Value, String> {
        self.optional(index).ok_or_else(|| format!("input {index} is missing"))
    }

    pub fn optional(&self, index: usize) -> Option<&Value> {
        self.inputs.get(index).and_then(Option::as_ref)
    }

    /// Operand `index`, which must depend on the image.
    ///
    /// # Errors
    /// If it is missing or constant.
    pub fn view(&self, index: usize) -> Result<View, String> {
        match self.input(index)? {
            Value::View(view) => Ok(view.clone()),
            Value::Constant(_) => Err(format!("input {index} does not depend on the image")),
        }
    }

    /// Operand `index`, which must be constant; `what` names it in messages.
    ///
    /// # Errors
    /// If it is missing or depends on the image.
    pub fn constant(&self, index: usize, what: &str) -> Result<Constant, String> {
        self.optional_constant(index, what)?.ok_or_else(|| format!("{what} (input {index}) is missing"))
    }

    /// As [`constant`](Self::constant), of an operand that may be missing.
    ///
    /// # Errors
    /// If it depends on the image.
    pub fn optional_constant(&self, index: usize, what: &str) -> Result<Option<Constant>, String> {
        match self.optional(index) {
            None => Ok(None),
            Some(Value::Constant(constant)) => Ok(Some(constant.clone())),
            Some(Value::View(_)) => {
                Err(format!("{what} (input {index}) depends on the image; it must be known when the model is loaded"))
            }
        }
    }

    /// Integers that older operators take as an attribute and newer ones as an input.
    ///
    /// # Errors
    /// If the input depends on the image or holds no integers.
    pub fn ints(&self, attribute: &str, index: usize) -> Result<Option<Vec<i64>>, String> {
        if let Some(ints) = self.node.ints(attribute) {
            return Ok(Some(ints.to_vec()));
        }
        let Some(constant) = self.optional_constant(index, attribute)? else { return Ok(None) };
        constant.as_ints().map(Some).ok_or_else(|| format!("{attribute} (input {index}) holds no integers"))
    }
}

/// Name of a node, or of its first output if it has none.
fn label<'n>(node: &'n Node<'_>) -> &'n str {
    if node.name.is_empty() { node.outputs.first().copied().unwrap_or("") } else { node.name }
}

/// Turns the bytes of the file `path` into a network.
///
/// # Errors
/// What is wrong with the file, or the node that no network can have.
pub(super) fn import(bytes: &[u8], path: &Path) -> Result<Graph, NnError> {
    let malformed = |problem: String| NnError::MalformedOnnx { path: path.to_path_buf(), problem };
    let model = Model::parse(bytes).map_err(|error| malformed(error.to_string()))?;
    let graph = model.graph.as_ref().ok_or_else(|| malformed("it holds no graph".to_string()))?;
    if !(OLDEST_OPSET..).contains(&model.opset) {
        let problem =
            format!("it uses opset {} of the standard operators, expected {OLDEST_OPSET} or newer", model.opset);
        return Err(malformed(problem));
    }
    let initializers: HashMap<&str, &Tensor<'_>> = graph.initializers.iter().map(|t| (t.name, t)).collect();
    let (name, dims, batch) = image(graph, &initializers).map_err(malformed)?;
    let output = match graph.outputs[..] {
        [output] => output,
        ref outputs => {
            let problem =
                format!("it has {} outputs ({}), expected one, the logits", outputs.len(), outputs.join(", "));
            return Err(malformed(problem));
        }
    };
    let shape = image_shape(&dims).expect("`image` checked it");
    let needed = needed(graph, output);
    let mut importer = Importer {
        path: path.to_path_buf(),
        network: Network::new(shape),
        initializers,
        values: HashMap::from([(name, Value::View(View::of(0, dims)))]),
        uses: uses(graph, &needed, output),
        held: 0,
        batch,
    };
    for (node, _) in graph.nodes.iter().zip(&needed).filter(|(_, needed)| **needed) {
        importer.node(node)?;
    }
    importer.finish(output)
}

/// Which nodes the output needs.
fn needed(graph: &proto::Graph<'_>, output: &str) -> Vec<bool> {
    let mut wanted = HashSet::from([output]);
    let mut needed = vec![false; graph.nodes.len()];
    for (node, needed) in graph.nodes.iter().zip(&mut needed).rev() {
        *needed = node.outputs.iter().any(|output| wanted.contains(output));
        if *needed {
            wanted.extend(&node.inputs);
        }
    }
    needed
}

/// How often each tensor is read.
fn uses<'a>(graph: &proto::Graph<'a>, needed: &[bool], output: &'a str) -> HashMap<&'a str, usize> {
    let mut uses = HashMap::from([(output, 1)]);
    let readers = graph.nodes.iter().zip(needed).filter(|(_, needed)| **needed);
    readers.flat_map(|(node, _)| &node.inputs).for_each(|&input| *uses.entry(input).or_default() += 1);
    uses
}

/// Name, dimensions with a batch of one, and declared batch of the graph's only input.
fn image<'a>(
    graph: &proto::Graph<'a>,
    initializers: &HashMap<&str, &Tensor<'_>>,
) -> Result<(&'a str, Vec<usize>, usize), String> {
    let inputs: Vec<_> = graph.inputs.iter().filter(|input| !initializers.contains_key(input.name)).collect();
    let [input] = inputs[..] else {
        let names: Vec<&str> = inputs.iter().map(|input| input.name).collect();
        return Err(format!("it has {} inputs ({}), expected one, the image", inputs.len(), names.join(", ")));
    };
    let expected = "expected [batch, channels, height, width] or [batch, features] with known sizes";
    let shown: Vec<String> = input.dims.iter().map(|dim| dim.map_or("?".to_string(), |dim| dim.to_string())).collect();
    let refuse = || format!("its input `{}` has shape [{}], {expected}", input.name, shown.join(", "));
    let (batch, rest) = match &input.dims[..] {
        [batch, rest @ ..] if rest.len() == 1 || rest.len() == 3 => (*batch, rest),
        rest @ [_, _, _] => (None, rest),
        _ => return Err(refuse()),
    };
    let batch = batch.and_then(|batch| usize::try_from(batch).ok()).unwrap_or(1).max(1);
    let mut dims: Vec<usize> = if input.dims.len() == 3 { Vec::new() } else { vec![1] };
    for dim in rest {
        dims.push(dim.and_then(|dim| usize::try_from(dim).ok()).filter(|&dim| dim > 0).ok_or_else(refuse)?);
    }
    elements(&dims)?;
    if dims.len() == 3 {
        return Err(format!("{}: add the batch dimension", refuse()));
    }
    Ok((input.name, dims, batch))
}

struct Importer<'m, 'a> {
    path: PathBuf,
    network: Network,
    initializers: HashMap<&'m str, &'m Tensor<'a>>,
    values: HashMap<&'m str, Value>,
    uses: HashMap<&'m str, usize>,
    /// Bytes of `values`.
    held: usize,
    batch: usize,
}

impl<'m, 'a> Importer<'m, 'a> {
    fn beside(&self) -> PathBuf {
        self.path.parent().map_or_else(PathBuf::new, Path::to_path_buf)
    }

    fn node(&mut self, node: &'m Node<'a>) -> Result<(), NnError> {
        let blame = |path: &Path, problem: String| NnError::OnnxNode {
            path: path.to_path_buf(),
            node: label(node).to_string(),
            operator: node.operator.to_string(),
            problem,
        };
        let inputs: Result<Vec<_>, String> = node.inputs.iter().map(|name| self.take(name)).collect();
        let inputs = inputs.map_err(|problem| blame(&self.path, problem))?;
        if !is_standard(node.domain) {
            let problem = format!("belongs to the domain \"{}\"; expected the standard ONNX operators", node.domain);
            return Err(blame(&self.path, problem));
        }
        let beside = self.beside();
        let mut context = Context { node, network: &mut self.network, inputs, batch: self.batch, beside: &beside };
        let outputs = operators::apply(&mut context).map_err(|problem| blame(&self.path, problem))?;
        for (&name, mut value) in node.outputs.iter().zip(outputs) {
            if let (Value::View(view), "Add" | "Sub" | "Mul" | "Div" | "Neg" | "Pow" | "Sum") =
                (&mut value, node.operator)
            {
                view.name = Rc::from(label(node));
            }
            if self.uses.contains_key(name) {
                self.held += value.bytes();
                self.values.insert(name, value);
            }
        }
        if self.held > MAX_HELD {
            return Err(blame(&self.path, "holds more elements in memory than longhaul takes".to_string()));
        }
        Ok(())
    }

    /// The tensor `name` for one of its readers; it is forgotten after the last.
    fn take(&mut self, name: &'m str) -> Result<Option<Value>, String> {
        if name.is_empty() {
            return Ok(None);
        }
        if !self.values.contains_key(name) {
            let tensor = self
                .initializers
                .get(name)
                .ok_or_else(|| format!("input `{name}` is the output of no earlier node and no initialiser"))?;
            let constant =
                Constant::read(tensor, &self.beside()).map_err(|problem| format!("tensor `{name}` {problem}"))?;
            self.values.insert(name, Value::Constant(constant));
        }
        let left = self.uses.get_mut(name).map_or(0, |uses| {
            *uses = uses.saturating_sub(1);
            *uses
        });
        if left > 0 {
            return Ok(self.values.get(name).cloned());
        }
        let value = self.values.remove(name);
        self.held = self.held.saturating_sub(value.as_ref().map_or(0, Value::bytes));
        Ok(value)
    }

    fn finish(mut self, output: &'m str) -> Result<Graph, NnError> {
        let path = self.path.clone();
        let malformed = |problem: String| NnError::MalformedOnnx { path: path.clone(), problem };
        let value = self.take(output).map_err(|problem| malformed(format!("its output: {problem}")))?;
        let Some(Value::View(view)) = value else {
            return Err(malformed(format!("its output `{output}` does not depend on the image")));
        };
        let logits = operators::logits(&mut self.network, &view, output)
            .map_err(|problem| malformed(format!("its output `{output}` {problem}")))?;
        self.network.finish(logits).map_err(|error| malformed(error.to_string()))
    }
}
