//! XOR-shared words: AND by Beaver triples, and a log-depth adder.
//!
//! A word holds 64 one-bit shares; all words of a layer are processed together, one message per round.

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
    let public = session.if_server(u64::MAX);
    for i in 0..n {
        c[i] ^= (d[i] & b[i]) ^ (e[i] & a[i]) ^ (d[i] & e[i] & public);
    }
    Ok(c)
}

/// AND words that [`add`] consumes per addition: one to generate, two in each of six levels.
pub(super) const ADDER_ANDS: usize = 1 + 2 * LEVELS;
const LEVELS: usize = 6;

/// XOR shares of `x + y mod 2^64` by a Sklansky prefix tree: seven rounds.
///
/// Sklansky, *Conditional-Sum Addition Logic*, 1960; the tree CrypTen uses. At level `i`, in each block of
/// `2^(i+1)` bits the upper half takes in the (generate, propagate) pair of the lower half's top bit.
pub(super) fn add(
    session: &mut Session,
    x: &[u64],
    y: &[u64],
    triples: &mut Triples,
) -> Result<Vec<u64>, ProtocolError> {
    let n = x.len();
    let mut generate = and(session, x, y, triples)?;
    let half_sum: Vec<u64> = x.iter().zip(y).map(|(x, y)| x ^ y).collect();
    let mut propagate = half_sum.clone();
    for level in 0..LEVELS {
        let upper = upper_halves(level);
        let left: Vec<u64> = propagate.iter().chain(&propagate).map(|p| p & upper).collect();
        let right: Vec<u64> = generate.iter().chain(&propagate).map(|&word| spread(word, level)).collect();
        let product = and(session, &left, &right, triples)?;
        for i in 0..n {
            generate[i] ^= product[i];
            // XOR, not OR: outside the upper halves the product is a sharing of zero, not zero.
            propagate[i] = (propagate[i] & !upper) ^ product[n + i];
        }
    }
    Ok(half_sum.iter().zip(generate).map(|(half, carry)| half ^ (carry << 1)).collect())
}

/// The bits with bit `level` of their index set.
fn upper_halves(level: usize) -> u64 {
    let half = 1u32 << level;
    (0..64u32).filter(|i| i & half != 0).fold(0, |word, i| word | 1 << i)
}

/// Copies the top bit of every lower half to the whole upper half; lower halves become zero.
fn spread(word: u64, level: usize) -> u64 {
    let half = 1u32 << level;
    let tops = (word >> (half - 1)) & lowest_of_blocks(level);
    tops.wrapping_mul(((1u64 << half) - 1) << half)
}

/// The lowest bit of every block of `2^(level+1)` bits.
fn lowest_of_blocks(level: usize) -> u64 {
    (0..64).step_by(2 << level).fold(0, |word, i| word | 1 << i)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The adder's tree in the clear: the same steps with AND as AND.
        #[test]
        fn the_prefix_tree_adds(x: u64, y: u64) {
            let (mut generate, mut propagate) = (x & y, x ^ y);
            for level in 0..LEVELS {
                let upper = upper_halves(level);
                let (g, p) = (propagate & upper & spread(generate, level), propagate & upper & spread(propagate, level));
                generate ^= g;
                propagate = (propagate & !upper) | p;
            }
            prop_assert_eq!(x ^ y ^ (generate << 1), x.wrapping_add(y));
        }
    }
}
