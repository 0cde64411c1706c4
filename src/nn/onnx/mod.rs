//! Networks from ONNX files, as PyTorch's two exporters write them.
//!
//! The file is executed symbolically. A tensor is either known (`constant.rs`) or a view (`view.rs`): elements of the
//! result of one node of the network, moved about, and a polynomial or an affine function of each. Most operators only
//! change the view, whatever the exporter made of reshaping, padding, slicing or of a polynomial activation; a node is
//! added where something is computed:
//!
//! * a polynomial of degree 2 or more becomes one activation when anything else reads it, however it was written;
//! * scales and shifts (batch norm, input normalisation) go into the weights of the linear layer before, or after; only
//!   where neither is possible do they become a 1x1 convolution of their own;
//! * moved elements become the columns of the next dense layer, the padding of the next convolution, an option-A
//!   shortcut, or a local rearrangement.
//!
//! | file | holds |
//! |---|---|
//! | `protobuf.rs`, `proto.rs`, `attributes.rs` | the file format |
//! | `constant.rs`, `fold.rs` | known tensors and arithmetic on them |
//! | `index.rs`, `view.rs` | moved elements, functions of elements |
//! | `network.rs`, `realise.rs` | nodes under construction, views made nodes |
//! | `import.rs`, `operators/` | the walk over the file's nodes |

mod attributes;
mod constant;
mod fold;
mod import;
mod index;
mod network;
mod operators;
mod proto;
mod protobuf;
mod realise;
mod view;

use std::path::Path;

use super::NnError;
use super::graph::Graph;

/// Reads a network with its weights and activations; external data is looked for beside the file.
///
/// # Errors
/// If the file cannot be read or is damaged, or names the node that no network here can have.
pub fn load(path: &Path) -> Result<Graph, NnError> {
    let bytes = std::fs::read(path).map_err(|source| NnError::ReadFile { path: path.to_path_buf(), source })?;
    import::import(&bytes, path)
}

/// The operators that [`load`] understands.
pub fn operators() -> &'static [&'static str] {
    operators::SUPPORTED
}
