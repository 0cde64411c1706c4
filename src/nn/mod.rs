//! Networks: graphs, import, reference, and the secure executor.

pub mod graph;
pub mod secure;
