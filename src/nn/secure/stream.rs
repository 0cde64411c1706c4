//! Which steps stream: a linear layer, the activation after it and the re-masking of its result become one step in chunks.

use super::local::LocalOp;
use super::plan::{Plan, Step, StepKind, Stream, StreamedLinear, ValueId};
use crate::ring::LinearShape;

/// Rows of a linear layer per chunk, at least: with fewer the weights would be read too often.
const MIN_ROWS: usize = 48;

/// Rows come in multiples of this, so that the kernels' tiles are full.
const ROW_MULTIPLE: usize = 6;

/// Joins what can stream.
pub(super) fn join(plan: &mut Plan) {
    let mut uses = vec![0; plan.values.len()];
    plan.steps.iter().flat_map(|step| &step.inputs).for_each(|&value| uses[value] += 1);
    let steps = std::mem::take(&mut plan.steps);
    let mut joined: Vec<Step> = Vec::new();
    let mut steps = steps.into_iter().peekable();
    while let Some(step) = steps.next() {
        let StepKind::Activation { spec, method } = &step.kind else {
            joined.push(step);
            continue;
        };
        let Some(chunk) = plan.methods[*method].entry.protocol.chunk() else {
            joined.push(step);
            continue;
        };
        let (spec, method) = (spec.clone(), *method);
        let (linear, add, inputs) = before(plan, &mut joined, &uses, step.inputs[0]);
        let remask = steps.next_if(|next| {
            matches!(next.kind, StepKind::Remask) && next.inputs == [step.output] && uses[step.output] == 1
        });
        let channels = linear.map_or(1, |linear: StreamedLinear| linear.channels);
        let rows = match linear {
            Some(_) => chunk.div_ceil(channels).max(MIN_ROWS).next_multiple_of(ROW_MULTIPLE),
            None => chunk,
        };
        joined.push(Step {
            kind: StepKind::Stream(Stream {
                linear,
                add,
                spec,
                method,
                chunk: rows * channels,
                remask: remask.as_ref().map(|remask| remask.layer),
            }),
            inputs,
            output: remask.map_or(step.output, |remask| remask.output),
            layer: step.layer,
        });
    }
    plan.steps = joined;
}

/// Takes the linear layer that makes `value` off the end of `steps`, with an addition in between, if nobody else reads them.
fn before(
    plan: &Plan,
    steps: &mut Vec<Step>,
    uses: &[usize],
    value: ValueId,
) -> (Option<StreamedLinear>, Option<[u32; 2]>, Vec<ValueId>) {
    let alone = |step: &Step, value| step.output == value && uses[value] == 1;
    let as_linear = |step: &Step| match step.kind {
        StepKind::Linear { index } => Some(StreamedLinear {
            index,
            channels: match plan.linears[index].shape {
                LinearShape::Conv2d(shape) => shape.out_c,
                LinearShape::Dense { .. } => 1,
            },
            layer: step.layer,
        }),
        _ => None,
    };
    if let [.., linear] = &steps[..]
        && alone(linear, value)
        && let Some(found) = as_linear(linear)
    {
        let inputs = linear.inputs.clone();
        steps.pop();
        return (Some(found), None, inputs);
    }
    if let [.., linear, add] = &steps[..]
        && alone(add, value)
        && let StepKind::Local(LocalOp::Add { lift }) = add.kind
        && let Some(place) = add.inputs.iter().position(|&operand| alone(linear, operand))
        && let Some(found) = as_linear(linear)
    {
        let inputs = vec![linear.inputs[0], add.inputs[1 - place]];
        steps.truncate(steps.len() - 2);
        return (Some(found), Some([lift[place], lift[1 - place]]), inputs);
    }
    (None, None, vec![value])
}
