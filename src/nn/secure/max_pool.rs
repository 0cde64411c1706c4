//! Max pooling as steps on shares: a tree of comparisons, each the activation protocol's own ReLU.
//!
//! `max(a, b) = b + max(a - b, 0)`, so one level of the tree is one ReLU layer without truncation. A window is pooled
//! first along its rows, then along its columns: `2 ceil(log2 k)` levels for a `k x k` window, and fewer comparisons
//! than a tree over the whole window where windows overlap (6 instead of 8 per output for 3 x 3 with stride 2).

use super::local::LocalOp;
use super::lower::Lowering;
use super::plan::{Method, PlanError, StepKind, Value, ValueId};
use crate::nn::graph::{Op, TensorShape};
use crate::protocol::Function;
use crate::protocol::activation::{ActivationSpec, Family, Settings};

/// Windows along one axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    pub input: TensorShape,
    pub output: TensorShape,
    /// Whether windows run along the height, or else the width.
    pub vertical: bool,
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
}

impl Windows {
    /// The input pixel of each output pixel's candidate `j`. In the padding it is the nearest pixel, which every
    /// window there also has as its own: it never changes a maximum.
    pub fn pixels(self, j: usize) -> impl Iterator<Item = usize> {
        let Windows { input, output, stride, padding, .. } = self;
        let at = move |index: usize, limit: usize| (index * stride + j).saturating_sub(padding).min(limit - 1);
        (0..output.h * output.w).map(move |pixel| {
            let (row, column) = (pixel / output.w, pixel % output.w);
            match self.vertical {
                true => at(row, input.h) * input.w + column,
                false => row * input.w + at(column, input.w),
            }
        })
    }
}

impl Lowering<'_> {
    /// Lowers the max pooling node `id`.
    pub(super) fn max_pool(
        &mut self,
        id: usize,
        input: ValueId,
        (kernel, stride, padding): (usize, usize, usize),
    ) -> Result<ValueId, PlanError> {
        let output = self.graph.nodes[id].shape;
        let shape = self.graph.nodes[self.graph.nodes[id].inputs[0]].shape;
        let between = TensorShape { w: output.w, ..shape };
        let rows = Windows { input: shape, output: between, vertical: false, kernel, stride, padding };
        let columns = Windows { input: between, output, vertical: true, kernel, stride, padding };
        // Results of activations have `frac_bits` bits to spare in the width that holds pre-activations; of other
        // values the width promises nothing.
        let activated = matches!(self.graph.nodes[self.graph.nodes[id].inputs[0]].op, Op::Activation { .. });
        let method = self.comparing_method(id)?;
        let width = self.plan.methods[method].settings.width.filter(|_| activated);
        let pooled = self.max_along(id, input, rows, (method, width))?;
        self.max_along(id, pooled, columns, (method, width))
    }

    /// The first method that can compare; a network without activations has none.
    fn comparing_method(&self, id: usize) -> Result<usize, PlanError> {
        let compares = |method: &Method| method.entry.family == Family::Relu;
        self.plan.methods.iter().position(compares).ok_or_else(|| PlanError::Activation {
            node: self.graph.nodes[id].name.clone(),
            reason: "max pooling compares, which no protocol of this cell does; use average pooling or give a slot a ReLU protocol"
                .into(),
        })
    }

    fn max_along(
        &mut self,
        id: usize,
        input: ValueId,
        windows: Windows,
        by: (usize, Option<u32>),
    ) -> Result<ValueId, PlanError> {
        let Value { bits, known, .. } = self.plan.values[input];
        let elements = windows.output.elements();
        let flat = |count: usize, known| Value { shape: TensorShape { h: count, w: 1, c: elements }, bits, known };
        let mut count = windows.kernel;
        let op = StepKind::Local(LocalOp::Candidates(windows));
        let mut candidates = self.push(op, vec![input], id, flat(count, known));
        while count > 1 {
            let known = self.plan.values[candidates].known;
            let op = StepKind::Local(LocalOp::Differences { elements });
            let differences = self.push(op, vec![candidates], id, flat(count / 2, known));
            let positive = self.compare(id, differences, by)?;
            count = count.div_ceil(2);
            let op = StepKind::Local(LocalOp::Maxima { elements });
            candidates = self.push(op, vec![candidates, positive], id, flat(count, false));
        }
        self.plan.values[candidates].shape = windows.output;
        Ok(candidates)
    }

    /// `max(x, 0)` at the scale of `x` by a method, read in so many bits.
    fn compare(&mut self, id: usize, x: ValueId, (method, width): (usize, Option<u32>)) -> Result<ValueId, PlanError> {
        let x = if self.plan.values[x].known { x } else { self.remask(x, id) };
        let Value { bits, shape, .. } = self.plan.values[x];
        let spec = ActivationSpec {
            function: Function::Relu,
            elements: shape.elements(),
            input_bits: bits,
            output_bits: bits,
            settings: Settings { width, ..self.plan.methods[method].settings },
        };
        self.plan.methods[method].entry.protocol.supports(&spec).map_err(|reason| PlanError::Activation {
            node: self.graph.nodes[id].name.clone(),
            reason: format!("max pooling compares: {reason}"),
        })?;
        Ok(self.push(StepKind::Activation { spec, method }, vec![x], id, Value { shape, bits, known: false }))
    }
}
