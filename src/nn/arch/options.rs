//! What a scenario may choose about an architecture.

use serde::Serialize;

/// How feature maps are pooled, where an architecture leaves the choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub enum Pool {
    /// Averages: linear, so free under every protocol and the only kind for networks of polynomials.
    #[default]
    Average,
    /// Maxima: a tree of comparisons by the protocol's own ReLU.
    Max,
}

impl Pool {
    /// Every kind.
    pub const ALL: [Pool; 2] = [Pool::Average, Pool::Max];

    /// Its name in scenario files and lists.
    pub fn name(&self) -> &'static str {
        match self {
            Pool::Average => "average",
            Pool::Max => "max",
        }
    }
}

/// How a residual shortcut changes shape (He et al., CVPR 2016, section 4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub enum Shortcut {
    /// Every second pixel, and zero channels: no parameters.
    #[default]
    A,
    /// A 1x1 convolution with batch norm.
    B,
}

impl Shortcut {
    /// Every kind.
    pub const ALL: [Shortcut; 2] = [Shortcut::A, Shortcut::B];

    /// Its name in scenario files and lists.
    pub fn name(&self) -> &'static str {
        match self {
            Shortcut::A => "A",
            Shortcut::B => "B",
        }
    }
}

/// Choices about an architecture; one that an architecture does not offer has no effect on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Options {
    /// Number of logits, at least 1; the architecture's own if not given.
    pub classes: Option<usize>,
    /// Pooling, for an architecture with [`pools`](super::Architecture::pools).
    pub pool: Pool,
    /// Shortcuts, for an architecture with [`shortcuts`](super::Architecture::shortcuts).
    pub shortcut: Shortcut,
}
