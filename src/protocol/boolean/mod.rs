//! Shared bits: AND by Beaver triples and a log-depth adder, and comparison with a dealt secret by table lookup.
//!
//! With triples, a word holds 64 one-bit XOR shares; all words of a layer are processed together, one message per
//! round.

mod adder;
mod bits;
mod comparison;
mod masked_relu;
mod zero_test;

pub(super) use adder::{ADDER_ANDS, add};
pub(super) use bits::{BitReader, BitWriter};
pub use comparison::{Comparison, Digit};
pub use masked_relu::MaskedRelu;
pub use zero_test::{Payload, ZeroTest};

use super::{ProtocolError, Session};
use crate::crypto::Prg;

/// AND triples `c = a & b`, XOR-shared, used from front to back and only once.
pub(super) struct Triples {
    a: std::vec::IntoIter<u64>,
    b: std::vec::IntoIter<u64>,
    c: std::vec::IntoIter<u64>,
}

impl Triples {
    /// A party's shares of `n` triples; `c` from its own stream (server) or dealt (client).
    pub(super) fn new(own: &mut Prg, n: usize, dealt_c: Option<Vec<u64>>) -> Triples {
        let (a, b) = (own.words::<u64>(n), own.words::<u64>(n));
        let c = dealt_c.unwrap_or_else(|| own.words(n));
        Triples { a: a.into_iter(), b: b.into_iter(), c: c.into_iter() }
    }

    /// A party's shares of triples that were made otherwise.
    pub(super) fn from_parts(a: Vec<u64>, b: Vec<u64>, c: Vec<u64>) -> Triples {
        Triples { a: a.into_iter(), b: b.into_iter(), c: c.into_iter() }
    }

    /// The dealer's part: the client's `c` for the two parties' streams.
    pub(super) fn deal(server: &mut Prg, client: &mut Prg, n: usize) -> Vec<u64> {
        let (mut a, mut b) = (server.words::<u64>(n), server.words::<u64>(n));
        let mut c = server.words::<u64>(n);
        xor_into(&mut a, &client.words(n));
        xor_into(&mut b, &client.words(n));
        for ((c, a), b) in c.iter_mut().zip(a).zip(b) {
            *c ^= a & b;
        }
        c
    }
}

pub(super) fn xor_into(a: &mut [u64], b: &[u64]) {
    for (a, b) in a.iter_mut().zip(b) {
        *a ^= b;
    }
}

/// `x & y` (Beaver 1991): opens `x ^ a` and `y ^ b`, one round, 16 bytes each way per word.
pub(super) fn and(
    session: &mut Session,
    x: &[u64],
    y: &[u64],
    triples: &mut Triples,
) -> Result<Vec<u64>, ProtocolError> {
    let n = x.len();
    let take = |from: &mut std::vec::IntoIter<u64>| from.by_ref().take(n).collect::<Vec<u64>>();
    let (a, b, mut c) = (take(&mut triples.a), take(&mut triples.b), take(&mut triples.c));
    assert_eq!(c.len(), n, "the layer's triples are counted by its protocol");
    let mut opened: Vec<u64> = x.iter().zip(&a).chain(y.iter().zip(&b)).map(|(value, mask)| value ^ mask).collect();
    let theirs = session.exchange_words(&opened)?;
    xor_into(&mut opened, &theirs);
    let (d, e) = opened.split_at(n);
    and_opened(session.is_server(), [d, e], [&a, &b], &mut c);
    Ok(c)
}

/// The kernel of an AND layer: a party's share of `c` of each triple becomes its share of the product, from the opened
/// `[x ^ a, y ^ b]` and its shares of `[a, b]`. One party, the `first`, adds what is public.
pub fn and_opened(first: bool, [d, e]: [&[u64]; 2], [a, b]: [&[u64]; 2], c: &mut [u64]) {
    let public = if first { u64::MAX } else { 0 };
    let masks = a.iter().zip(b);
    for (((c, d), e), (a, b)) in c.iter_mut().zip(d).zip(e).zip(masks) {
        *c ^= (d & b) ^ (e & a) ^ (d & e & public);
    }
}
