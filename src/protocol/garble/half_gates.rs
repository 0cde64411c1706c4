//! The half-gates garbling of AND gates.
//!
//! Source: Zahur, Rosulek, Evans, "Two Halves Make a Whole" (Eurocrypt 2015), figure 2, with free XOR and
//! point-and-permute; the hash is the re-keyed one of ePrint 2019/1168, a key per half gate. Our tweak is
//! `half gate + 2^32 instance`, xored into the session key: no two hashes of one session key and delta
//! share a key unless they belong to one half gate.
//!
//! Security: semi-honest garbler, kappa = 128.
//!
//! Cost: 32 bytes of table per AND gate; four hashes to garble it, two to evaluate it, two key schedules.
//!
//! Shapes: a gate's table is the garbler's half in every lane, then the evaluator's.

use super::instances::{AndGate, Scheme, read, write};
use crate::crypto::Block;
use crate::crypto::rekeyed::{Row, RowHash};

/// Bytes of table per AND gate and instance.
pub const TABLE_BYTES: usize = 32;

/// Half-gates.
#[derive(Clone, Copy, Debug, Default)]
pub struct HalfGates;

impl Scheme for HalfGates {
    #[inline(always)]
    fn gate_bytes(lanes: usize) -> usize {
        TABLE_BYTES * lanes
    }

    #[inline(always)]
    fn garble<H: RowHash>(hash: H, gate: &AndGate<'_>, delta: Block, [a, b]: [&Row; 2], table: &mut [u8]) -> Row {
        // Its two half gates are `2 index` and `2 index + 1`.
        let [[a0, a1], [b0, b1]] = hash.hash_both(gate.keys, gate.index, [a, b], delta);
        let garbler_half = a0 ^ a1 ^ hash.if_colour(b, &Row::splat(delta));
        let garbler_out = a0 ^ hash.if_colour(a, &garbler_half);
        let evaluator_half = b0 ^ b1 ^ *a;
        let evaluator_out = b0 ^ hash.if_colour(b, &(b0 ^ b1));
        let (first, second) = table.split_at_mut(16 * gate.lanes);
        write(&garbler_half, first);
        write(&evaluator_half, second);
        garbler_out ^ evaluator_out
    }

    #[inline(always)]
    fn evaluate<H: RowHash>(hash: H, gate: &AndGate<'_>, [a, b]: [&Row; 2], table: &[u8]) -> Row {
        let (first, second) = table.split_at(16 * gate.lanes);
        let (garbler_half, evaluator_half) = (read(first), read(second));
        let [ha, hb] = hash.hash(gate.keys, gate.index, [a, b]);
        let garbler_out = ha ^ hash.if_colour(a, &garbler_half);
        let evaluator_out = hb ^ hash.if_colour(b, &(evaluator_half ^ *a));
        garbler_out ^ evaluator_out
    }
}

#[cfg(test)]
#[path = "half_gates_tests.rs"]
mod tests;
