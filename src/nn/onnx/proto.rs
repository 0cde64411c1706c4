//! The messages of an ONNX file that an importer needs, borrowed from its bytes.
//!
//! Field numbers are those of `onnx.proto`. Subgraphs and model-local functions are noticed, not read.

use super::protobuf::{Fields, Malformed, Wire};

/// A file.
#[derive(Debug, Default)]
pub(super) struct Model<'a> {
    /// Version of the standard operators; 0 if the file does not say.
    pub opset: i64,
    pub graph: Option<Graph<'a>>,
}

#[derive(Debug, Default)]
pub(super) struct Graph<'a> {
    pub nodes: Vec<Node<'a>>,
    pub initializers: Vec<Tensor<'a>>,
    pub inputs: Vec<Input<'a>>,
    pub outputs: Vec<&'a str>,
}

/// A graph input and its dimensions; `None` where a dimension has a name or nothing instead of a number.
#[derive(Debug, Default)]
pub(super) struct Input<'a> {
    pub name: &'a str,
    pub dims: Vec<Option<i64>>,
}

#[derive(Debug, Default)]
pub(super) struct Node<'a> {
    pub name: &'a str,
    pub operator: &'a str,
    pub domain: &'a str,
    pub inputs: Vec<&'a str>,
    pub outputs: Vec<&'a str>,
    pub attributes: Vec<Attribute<'a>>,
}

/// An attribute; only the field of its type is filled.
#[derive(Debug, Default)]
pub(super) struct Attribute<'a> {
    pub name: &'a str,
    pub float: Option<f32>,
    pub int: Option<i64>,
    pub text: Option<&'a [u8]>,
    pub tensor: Option<Tensor<'a>>,
    pub floats: Vec<f32>,
    pub ints: Vec<i64>,
}

/// A tensor; its values are in one of four places.
#[derive(Debug, Default)]
pub(super) struct Tensor<'a> {
    pub name: &'a str,
    pub dims: Vec<i64>,
    pub data_type: i64,
    pub raw: Option<&'a [u8]>,
    /// From `float_data` and `double_data`.
    pub floats: Vec<f32>,
    /// From `int32_data`, `int64_data` and `uint64_data`.
    pub ints: Vec<i64>,
    /// Keys and values of `external_data`.
    pub external: Vec<(&'a str, &'a str)>,
    pub is_external: bool,
}

impl<'a> Model<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Model<'a>, Malformed> {
        let mut model = Model::default();
        for field in Fields::new(bytes) {
            match field? {
                (7, graph) => model.graph = Some(Graph::parse(graph.bytes()?)?),
                (8, opset) => {
                    let (domain, version) = opset_import(opset.bytes()?)?;
                    if is_standard(domain) {
                        model.opset = version;
                    }
                }
                _ => {}
            }
        }
        Ok(model)
    }
}

/// Whether a domain is that of the standard operators.
pub(super) fn is_standard(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

fn opset_import(bytes: &[u8]) -> Result<(&str, i64), Malformed> {
    let mut import = ("", 0);
    for field in Fields::new(bytes) {
        match field? {
            (1, domain) => import.0 = domain.text()?,
            (2, version) => import.1 = version.int()?,
            _ => {}
        }
    }
    Ok(import)
}

impl<'a> Graph<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Graph<'a>, Malformed> {
        let mut graph = Graph::default();
        for field in Fields::new(bytes) {
            match field? {
                (1, node) => graph.nodes.push(Node::parse(node.bytes()?)?),
                (5, tensor) => graph.initializers.push(Tensor::parse(tensor.bytes()?)?),
                (11, input) => graph.inputs.push(Input::parse(input.bytes()?)?),
                (12, output) => graph.outputs.push(Input::parse(output.bytes()?)?.name),
                _ => {}
            }
        }
        Ok(graph)
    }
}

impl<'a> Node<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Node<'a>, Malformed> {
        let mut node = Node::default();
        for field in Fields::new(bytes) {
            match field? {
                (1, input) => node.inputs.push(input.text()?),
                (2, output) => node.outputs.push(output.text()?),
                (3, name) => node.name = name.text()?,
                (4, operator) => node.operator = operator.text()?,
                (5, attribute) => node.attributes.push(Attribute::parse(attribute.bytes()?)?),
                (7, domain) => node.domain = domain.text()?,
                _ => {}
            }
        }
        Ok(node)
    }
}

impl<'a> Attribute<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Attribute<'a>, Malformed> {
        let mut attribute = Attribute::default();
        for field in Fields::new(bytes) {
            match field? {
                (1, name) => attribute.name = name.text()?,
                (2, float) => attribute.float = Some(float.float()?),
                (3, int) => attribute.int = Some(int.int()?),
                (4, text) => attribute.text = Some(text.bytes()?),
                (5, tensor) => attribute.tensor = Some(Tensor::parse(tensor.bytes()?)?),
                (7, floats) => floats.floats(&mut attribute.floats)?,
                (8, ints) => ints.ints(&mut attribute.ints)?,
                _ => {}
            }
        }
        Ok(attribute)
    }
}

impl<'a> Tensor<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Tensor<'a>, Malformed> {
        let mut tensor = Tensor::default();
        for field in Fields::new(bytes) {
            match field? {
                (1, dims) => dims.ints(&mut tensor.dims)?,
                (2, data_type) => tensor.data_type = data_type.int()?,
                (4, floats) => floats.floats(&mut tensor.floats)?,
                (5 | 7 | 11, ints) => ints.ints(&mut tensor.ints)?,
                (8, name) => tensor.name = name.text()?,
                (9, raw) => tensor.raw = Some(raw.bytes()?),
                (10, doubles) => doubles.doubles(&mut tensor.floats)?,
                (13, entry) => tensor.external.push(string_pair(entry.bytes()?)?),
                (14, location) => tensor.is_external = location.int()? == 1,
                _ => {}
            }
        }
        Ok(tensor)
    }
}

fn string_pair(bytes: &[u8]) -> Result<(&str, &str), Malformed> {
    let mut pair = ("", "");
    for field in Fields::new(bytes) {
        match field? {
            (1, key) => pair.0 = key.text()?,
            (2, value) => pair.1 = value.text()?,
            _ => {}
        }
    }
    Ok(pair)
}

impl<'a> Input<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Input<'a>, Malformed> {
        let mut input = Input::default();
        for field in Fields::new(bytes) {
            match field? {
                (1, name) => input.name = name.text()?,
                // TypeProto.tensor_type.shape.dim, each a message with one field of interest.
                (2, kind) => {
                    for shape in inner(inner(vec![kind], 1)?, 2)? {
                        input.dims = inner(vec![shape], 1)?.into_iter().map(dimension).collect::<Result<_, _>>()?;
                    }
                }
                _ => {}
            }
        }
        Ok(input)
    }
}

/// The fields with this number of these messages.
fn inner(messages: Vec<Wire<'_>>, number: u64) -> Result<Vec<Wire<'_>>, Malformed> {
    let mut found = Vec::new();
    for message in messages {
        for field in Fields::new(message.bytes()?) {
            let (actual, value) = field?;
            if actual == number {
                found.push(value);
            }
        }
    }
    Ok(found)
}

fn dimension(message: Wire<'_>) -> Result<Option<i64>, Malformed> {
    inner(vec![message], 1)?.last().map(|value| value.int()).transpose()
}
