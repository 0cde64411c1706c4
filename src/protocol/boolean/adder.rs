//! Addition of XOR-shared words in seven rounds.

use super::{Triples, and};
use crate::protocol::{ProtocolError, Session};

/// AND words that [`add`] consumes per addition: one to generate, two in each of six levels.
pub(crate) const ADDER_ANDS: usize = 1 + 2 * LEVELS;
const LEVELS: usize = 6;

/// XOR shares of `x + y mod 2^64` by a Sklansky prefix tree: seven rounds.
///
/// Sklansky, *Conditional-Sum Addition Logic*, 1960; the tree CrypTen uses. At level `i`, in each block of
/// `2^(i+1)` bits the upper half takes in the (generate, propagate) pair of the lower half's top bit.
pub(crate) fn add(
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
