//! Operations on one party's share that need no communication. All are linear up to constants, so each party applies
//! them to its own share; constants are the server's.

use super::max_pool::Windows;
use crate::nn::graph::{TensorShape, Windows as Averages, ZERO};
use std::sync::Arc;

#[derive(Clone, Debug)]
pub(super) enum LocalOp {
    /// Sum over windows times a constant; the padding is zero.
    SumPool { input: TensorShape, kernel: (usize, usize), stride: usize, padding: usize, factor: u64 },
    /// For each pixel of the result, the sum over a list of pixels times a constant.
    SumWindows { windows: Arc<Averages>, factors: Arc<[u64]>, channels: usize },
    /// These elements, or zeros.
    Rearrange(Arc<[u32]>),
    /// Sum of two values after lifting each by so many bits.
    Add { lift: [u32; 2] },
    /// The values that compete in each window, `[candidate][output element]`.
    Candidates(Windows),
    /// Each candidate of an even place less the next one.
    Differences { elements: usize },
    /// The larger of each two candidates, from them and the positive part of their difference; an odd last one as it is.
    Maxima { elements: usize },
    /// `x`, then `x - 6` (a constant of which the server subtracts all).
    Relu6Pair { six: u64 },
    /// Every `stride`-th pixel, zero channels before and after.
    PadShortcut { input: TensorShape, stride: usize, before: usize, after: usize },
}

impl LocalOp {
    /// On operands of so many images one after the other.
    pub(super) fn apply_each(&self, operands: &[&[u64]], images: usize, is_server: bool) -> Vec<u64> {
        if images == 1 {
            return self.apply(operands, is_server);
        }
        let of =
            |image: usize| operands.iter().map(move |all| &all[image * all.len() / images..][..all.len() / images]);
        (0..images).flat_map(|image| self.apply(&of(image).collect::<Vec<_>>(), is_server)).collect()
    }

    fn apply(&self, operands: &[&[u64]], is_server: bool) -> Vec<u64> {
        match *self {
            LocalOp::SumWindows { ref windows, ref factors, channels } => {
                sum_windows(windows, factors, channels, operands[0])
            }
            LocalOp::Rearrange(ref from) => {
                from.iter().map(|&at| if at == ZERO { 0 } else { operands[0][at as usize] }).collect()
            }
            LocalOp::SumPool { input, kernel, stride, padding, factor } => {
                sum_pool(input, kernel, (stride, padding), factor, operands[0])
            }
            LocalOp::Add { lift } => {
                let pairs = operands[0].iter().zip(operands[1]);
                pairs.map(|(a, b)| (a << lift[0]).wrapping_add(b << lift[1])).collect()
            }
            LocalOp::Candidates(windows) => candidates(windows, operands[0]),
            LocalOp::Differences { elements } => differences(elements, operands[0]),
            LocalOp::Maxima { elements } => maxima(elements, operands[0], operands[1]),
            LocalOp::Relu6Pair { six } => {
                let six = if is_server { six } else { 0 };
                operands[0].iter().copied().chain(operands[0].iter().map(|x| x.wrapping_sub(six))).collect()
            }
            LocalOp::PadShortcut { input, stride, before, after } => {
                pad_shortcut(input, stride, before, after, operands[0])
            }
        }
    }
}

fn sum_pool(
    input: TensorShape,
    kernel: (usize, usize),
    (stride, padding): (usize, usize),
    factor: u64,
    x: &[u64],
) -> Vec<u64> {
    let side = |limit: usize, kernel: usize| (limit + 2 * padding - kernel) / stride + 1;
    let (out_h, out_w) = (side(input.h, kernel.0), side(input.w, kernel.1));
    let window = |index: usize, kernel: usize, limit: usize| {
        let start = index * stride;
        start.saturating_sub(padding)..(start + kernel - padding).min(limit)
    };
    let mut output = vec![0u64; out_h * out_w * input.c];
    for (pixel, sums) in output.chunks_exact_mut(input.c).enumerate() {
        let columns = window(pixel % out_w, kernel.1, input.w);
        for row in window(pixel / out_w, kernel.0, input.h) {
            let start = (row * input.w + columns.start) * input.c;
            for values in x[start..start + columns.len() * input.c].chunks_exact(input.c) {
                sums.iter_mut().zip(values).for_each(|(sum, v)| *sum = sum.wrapping_add(*v));
            }
        }
        sums.iter_mut().for_each(|sum| *sum = sum.wrapping_mul(factor));
    }
    output
}

fn sum_windows(windows: &Averages, factors: &[u64], channels: usize, x: &[u64]) -> Vec<u64> {
    let mut output = vec![0u64; factors.len() * channels];
    for ((sums, pixels), factor) in output.chunks_exact_mut(channels).zip(&windows.pixels).zip(factors) {
        for &pixel in pixels {
            let values = &x[pixel as usize * channels..][..channels];
            sums.iter_mut().zip(values).for_each(|(sum, v)| *sum = sum.wrapping_add(*v));
        }
        sums.iter_mut().for_each(|sum| *sum = sum.wrapping_mul(*factor));
    }
    output
}

fn candidates(windows: Windows, x: &[u64]) -> Vec<u64> {
    let channels = windows.input.c;
    let pixels = (0..windows.kernel).flat_map(|j| windows.pixels(j));
    pixels.flat_map(|pixel| &x[pixel * channels..][..channels]).copied().collect()
}

fn differences(elements: usize, x: &[u64]) -> Vec<u64> {
    let pairs = x.chunks_exact(2 * elements).map(|pair| pair.split_at(elements));
    pairs.flat_map(|(a, b)| a.iter().zip(b).map(|(a, b)| a.wrapping_sub(*b))).collect()
}

fn maxima(elements: usize, x: &[u64], positive: &[u64]) -> Vec<u64> {
    let seconds = x.chunks_exact(2 * elements).flat_map(|pair| &pair[elements..]);
    let odd = x.chunks_exact(2 * elements).remainder();
    seconds.zip(positive).map(|(b, positive)| b.wrapping_add(*positive)).chain(odd.iter().copied()).collect()
}

fn pad_shortcut(input: TensorShape, stride: usize, before: usize, after: usize, x: &[u64]) -> Vec<u64> {
    let (out_h, out_w, out_c) = (input.h.div_ceil(stride), input.w.div_ceil(stride), before + input.c + after);
    let mut output = vec![0; out_h * out_w * out_c];
    for (pixel, channels) in output.chunks_exact_mut(out_c).enumerate() {
        let start = ((pixel / out_w) * stride * input.w + (pixel % out_w) * stride) * input.c;
        channels[before..before + input.c].copy_from_slice(&x[start..start + input.c]);
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: TensorShape = TensorShape { h: 2, w: 4, c: 2 };
    /// Two rows of four pixels of two channels.
    const X: [u64; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 10, 20, 30, 40, 50, 60, 70, 80];

    #[test]
    fn pools_sum_windows() {
        let pooled = LocalOp::SumPool { input: INPUT, kernel: (2, 2), stride: 2, padding: 0, factor: 1 };
        let pooled = pooled.apply(&[&X], false);
        assert_eq!(pooled, [1 + 3 + 10 + 30, 2 + 4 + 20 + 40, 5 + 7 + 50 + 70, 6 + 8 + 60 + 80]);
        let global = LocalOp::SumPool { input: INPUT, kernel: (2, 4), stride: 1, padding: 0, factor: 3 };
        assert_eq!(global.apply(&[&X], false), [3 * (16 + 160), 3 * (20 + 200)]);
        // Columns (0, 1) and (1, 2, 3) of both rows.
        let padded = LocalOp::SumPool { input: INPUT, kernel: (3, 3), stride: 2, padding: 1, factor: 1 };
        assert_eq!(padded.apply(&[&X], false), [4 + 40, 6 + 60, 15 + 150, 18 + 180]);
    }

    #[test]
    fn maxima_of_padded_windows() {
        // One row 1 3 5 7 of the first channel; kernel 3, stride 2, padding 1: (1 1 3) and (3 5 7).
        let output = TensorShape { h: 2, w: 2, c: 2 };
        let windows = Windows { input: INPUT, output, vertical: false, kernel: 3, stride: 2, padding: 1 };
        let candidates = LocalOp::Candidates(windows).apply(&[&X], false);
        assert_eq!(candidates[..4], [1, 2, 3, 4]);
        assert_eq!(candidates[8..12], [1, 2, 5, 6]);
        assert_eq!(candidates[16..20], [3, 4, 7, 8]);
        let positive =
            |differences: Vec<u64>| differences.iter().map(|d| (*d as i64).max(0) as u64).collect::<Vec<_>>();
        let elements = output.elements();
        let first = positive(LocalOp::Differences { elements }.apply(&[&candidates], false));
        let two = LocalOp::Maxima { elements }.apply(&[&candidates, &first], false);
        let second = positive(LocalOp::Differences { elements }.apply(&[&two], false));
        assert_eq!(LocalOp::Maxima { elements }.apply(&[&two, &second], false), [3, 4, 7, 8, 30, 40, 70, 80]);
    }

    #[test]
    fn shortcuts_subsample_and_pad_channels() {
        let padded = LocalOp::PadShortcut { input: INPUT, stride: 2, before: 1, after: 2 }.apply(&[&X], false);
        assert_eq!(padded, [0, 1, 2, 0, 0, 0, 5, 6, 0, 0]);
    }

    #[test]
    fn windows_and_rearrangements() {
        // The first row's pixels 0 and 1, then the last pixel alone, which counts double.
        let windows = Averages { h: 1, w: 2, pixels: vec![vec![0, 1], vec![7]], divisors: vec![2, 1] };
        let op = LocalOp::SumWindows { windows: Arc::new(windows), factors: [1, 2].into(), channels: 2 };
        assert_eq!(op.apply(&[&X], false), [1 + 3, 2 + 4, 140, 160]);
        assert_eq!(LocalOp::Rearrange([3, ZERO, 3].into()).apply(&[&X], true), [4, 0, 4]);
    }

    #[test]
    fn additions_lift_the_coarser_operand() {
        assert_eq!(LocalOp::Add { lift: [4, 0] }.apply(&[&[1, u64::MAX], &[5, 1]], false), [21, u64::MAX - 14]);
    }
}
