//! `gc`: ReLU in a garbled circuit, with everything but the server's labels offline; `gc-online`: the same circuit,
//! garbled when the query arrives.
//!
//! Functionality: shares of `y` (scale `input_bits`, `|y| < 2^(l-2)`) to shares of `max(y, 0)` (scale `output_bits`),
//! truncation (towards zero) and re-sharing inside the circuit. `l` is the setting `width`, 64 unless set.
//!
//! Source: Mishra et al., *DELPHI*, USENIX Security 2020, section 4.2 (who garbles, what is offline); half-gates
//! (Zahur, Rosulek, Evans, 2015) with free-XOR and a re-keyed hash (Guo et al., ePrint 2019/1168), and a projection
//! gate (Ball, Malkin, Rosulek, CCS 2016), in `protocol::garble`; OT extension in `protocol::ot`.
//!
//! The server garbles, the client evaluates. Circuit per activation: `(y_c + y_s mod 2^l)`, its sign, the `m = l - 1 - t`
//! bits that survive a shift of `t`, and-ed with it, plus the server's mask `s` of `m` bits: `l - 1 + 2 m` AND gates.
//! The client decodes the sum mod `2^m`; its carry stays a label, which a projection gate turns into shares
//! of `carry 2^m` in Z_2^64. So the lift from `l` bits to the ring costs 8 bytes, not a gate per bit.
//!
//! 1. Setup: base OTs towards the server, whose choice bits are the free-XOR offset `Delta`.
//! 2. Offline: OT extension with the bits of `y_c` as choices. Its correlated outputs `q` and `q + b Delta` *are* the
//!    zero label and the client's active label, so no label is sent.
//! 3. The server garbles chunk by chunk and sends tables, the outputs' decoding bits and the projection's row
//!    (`gc`: offline; `gc-online`: online). The active labels of `s` come from a seed both know; the zero
//!    labels hide `s` behind `Delta`: nothing is sent.
//! 4. Online: the server sends the labels of `y_s`; the client evaluates and decodes its share.
//!
//! ```text
//! setup    client <-> server  base OTs
//! offline  client -> server   OT extension, by chunk
//!          server -> client   two seeds; per chunk: tables, decoding bits, projection rows
//! online   server -> client   labels of y_s, by chunk
//! ```
//!
//! Deviations from DELPHI: OT extension with the labels themselves as outputs instead of one OT per bit, the
//! mask is the server's (the client's share is re-masked by the next linear layer), the hash is re-keyed, the lift.
//!
//! Security: semi-honest, kappa = 128, no dealer. One `Delta` serves a session; seeds, and so the keys of
//! the hash, are fresh for every layer.
//!
//! Cost for n activations with g AND gates each: setup and l n transfers as the OT extension declares them; 32 bytes of
//! seeds down offline; (32 g + 8) n + m n / 8 bytes of tables down, offline or online; 16 l n bytes of labels down online.

mod evaluator;
mod garbler;

use super::{ActivationProtocol, ActivationSpec, Activator, Family, ProtocolEntry, Setting, Settings, relu_only};
use crate::protocol::garble::{HalfGates, Scheme, ThreeHalves};
use crate::protocol::pack::{low_bits, packed_bytes};
use crate::protocol::{Cost, Dealer, PhaseCost, ProtocolError, Session};
use evaluator::Evaluator;
use garbler::Garbler;
use std::collections::VecDeque;

pub(super) const GC: ProtocolEntry = ProtocolEntry {
    id: "gc",
    family: Family::Relu,
    summary: "ReLU in a garbled circuit, tables and the client's labels offline",
    source: "DELPHI (USENIX Security 2020), half-gates (2015), ePrint 2019/1168",
    dealer: false,
    exact: true,
    tolerance_ulp: 1.0,
    settings: &[Setting::Width, Setting::Ot],
    protocol: &Gc { when: When::Offline, scheme: HalfGates },
};

pub(super) const GC_ONLINE: ProtocolEntry = ProtocolEntry {
    id: "gc-online",
    summary: "the circuit of `gc`, garbled when the query arrives",
    protocol: &Gc { when: When::Online, scheme: HalfGates },
    ..GC
};

pub(super) const GC_THREE_HALVES: ProtocolEntry = ProtocolEntry {
    id: "gc-threehalves",
    summary: "the circuit of `gc`, a quarter less of tables for more hashing",
    source: "DELPHI (USENIX Security 2020), Rosulek and Roy (CRYPTO 2021)",
    protocol: &Gc { when: When::Offline, scheme: ThreeHalves },
    ..GC
};

/// Activations per message: 5 MB of tables.
const CHUNK: usize = 256;

/// Activations of a large layer whose tables are held at a time: 80 MB.
const STREAM_CHUNK: usize = 16_384;

/// When the tables are made and sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Offline,
    Online,
}

struct Gc<S> {
    when: When,
    scheme: S,
}

impl<S: Scheme> ActivationProtocol for Gc<S> {
    fn supports(&self, spec: &ActivationSpec) -> Result<(), String> {
        relu_only(spec)?;
        let shape = Shape::new(spec);
        match shape.width > shape.shift + 1 {
            true => Ok(()),
            false => {
                Err(format!("a width of {} bits leaves nothing after the truncation of {}", shape.width, shape.shift))
            }
        }
    }

    fn chunk(&self) -> Option<usize> {
        Some(STREAM_CHUNK)
    }

    fn cost(&self, spec: &ActivationSpec) -> Cost {
        self.cost_of_chunks(std::slice::from_ref(spec))
    }

    /// The transfers of all chunks are prepared together.
    fn cost_of_chunks(&self, chunks: &[ActivationSpec]) -> Cost {
        let Some(spec) = chunks.first() else { return Cost::default() };
        let (shape, ot) = (Shape::new(spec), spec.settings.ot());
        let transfers = ot.cost(transfers(chunks) as u64);
        let spans = chunks.iter().flat_map(|chunk| spans(chunk.elements, CHUNK));
        let tables = spans.map(|(_, size)| shape.table_bytes::<S>(size) as u64).sum();
        let labels: u64 = chunks.iter().map(|chunk| shape.label_bytes(chunk.elements) as u64).sum();
        let seeds = 32 * chunks.len() as u64;
        let (offline_tables, online_tables) = match self.when {
            When::Offline => (tables, 0),
            When::Online => (0, tables),
        };
        // The seeds need no column; the tables do.
        let rounds = if self.when == When::Offline { transfers.rounds + 1 } else { transfers.rounds };
        Cost {
            setup: ot.setup_cost(),
            offline: PhaseCost { rounds, up: transfers.up, down: transfers.down + seeds + offline_tables },
            online: PhaseCost { rounds: 1, up: 0, down: online_tables + labels },
            ..Cost::default()
        }
    }

    fn setup(&self, session: &mut Session, settings: &Settings) -> Result<Box<dyn Activator>, ProtocolError> {
        if session.is_server() {
            let ot = settings.ot().sender(session)?;
            return Ok(Box::new(Garbler { ot, when: self.when, scheme: self.scheme, begun: 0 }));
        }
        let ot = settings.ot().receiver(session)?;
        Ok(Box::new(Evaluator { ot, when: self.when, scheme: self.scheme, begun: VecDeque::new() }))
    }

    fn deal(&self, _dealer: &mut Dealer, _spec: &ActivationSpec) -> Result<(), ProtocolError> {
        Ok(())
    }
}

/// The circuit's measures.
#[derive(Clone, Copy)]
struct Shape {
    width: u32,
    shift: u32,
}

impl Shape {
    fn new(spec: &ActivationSpec) -> Shape {
        Shape { width: spec.settings.width(), shift: spec.shift() }
    }

    /// Bits that survive the truncation, and bits of the mask.
    fn kept(self) -> u32 {
        self.width - 1 - self.shift
    }

    fn and_gates(self) -> usize {
        (self.width - 1 + 2 * self.kept()) as usize
    }

    /// The low bits that the mask has.
    fn mask(self, word: u64) -> u64 {
        word & low_bits(self.kept())
    }

    /// Labels of `n` shares.
    fn labels(self, n: usize) -> usize {
        n * self.width as usize
    }

    fn label_bytes(self, n: usize) -> usize {
        self.labels(n) * 16
    }

    /// Oblivious transfers for `n` shares: they come in words of 64.
    fn transfers(self, n: usize) -> usize {
        self.labels(n).next_multiple_of(64)
    }

    /// Bytes of the tables of `n` activations, and after them the colours that decode their outputs and a
    /// projection's row each.
    fn table_bytes<S: Scheme>(self, n: usize) -> usize {
        S::table_bytes(self.and_gates(), n) + 8 * n + packed_bytes(n, self.kept())
    }
}

/// Oblivious transfers for all chunks of a layer.
fn transfers(chunks: &[ActivationSpec]) -> usize {
    let of_chunk = |chunk: &ActivationSpec| {
        let shape = Shape::new(chunk);
        spans(chunk.elements, CHUNK).map(|(_, size)| shape.transfers(size)).sum::<usize>()
    };
    chunks.iter().map(of_chunk).sum()
}

/// `n` in spans of at most `size`: where each starts, and how long it is.
fn spans(n: usize, size: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).step_by(size).map(move |start| (start, size.min(n - start)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Function;
    use crate::protocol::garble::relu_circuit;

    #[test]
    fn the_declared_gates_are_the_circuits() {
        for (width, shift) in [(64, 16), (64, 0), (48, 16), (37, 12), (18, 16)] {
            let shape = Shape { width, shift };
            assert_eq!(shape.and_gates(), relu_circuit(width, shift).and_gates());
        }
    }

    #[test]
    fn a_width_that_leaves_no_bit_is_refused() {
        let settings = Settings { width: Some(17), ot: None };
        let spec = ActivationSpec { function: Function::Relu, elements: 1, input_bits: 32, output_bits: 16, settings };
        assert!(GC.protocol.supports(&spec).unwrap_err().contains("17 bits"));
        let settings = Settings { width: Some(18), ot: None };
        assert_eq!(GC.protocol.supports(&ActivationSpec { settings, ..spec }), Ok(()));
    }
}
