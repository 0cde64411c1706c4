//! The tree of ANDs over (less, equal) pairs of digits.

use crate::protocol::boolean::{Triples, and, xor_into};
use crate::protocol::{ProtocolError, Session};

/// The shape of the tree: neighbours are paired level by level, an odd last node goes up as it is.
pub(super) struct Tree {
    levels: Vec<Level>,
}

/// One level: a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level {
    /// Nodes that are made of two, from the most significant ones.
    pub pairs: usize,
    /// Those of them whose `equal` is needed: all but the least significant node.
    pub equals: usize,
}

impl Tree {
    pub fn new(digits: usize) -> Tree {
        let mut levels = Vec::new();
        let mut nodes = digits;
        while nodes > 1 {
            let pairs = nodes / 2;
            let equals = if nodes.is_multiple_of(2) { pairs - 1 } else { pairs };
            levels.push(Level { pairs, equals });
            nodes = nodes.div_ceil(2);
        }
        Tree { levels }
    }

    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// AND gates of a comparison.
    pub fn ands(&self) -> usize {
        self.levels.iter().map(|level| level.pairs + level.equals).sum()
    }

    /// Shares of `less` of the whole numbers, from those of the digits, most significant first: a bit per activation each.
    ///
    /// # Errors
    /// A failed channel.
    pub fn less(
        &self,
        session: &mut Session,
        mut less: Vec<Vec<u64>>,
        mut equal: Vec<Vec<u64>>,
        triples: &mut Triples,
    ) -> Result<Vec<u64>, ProtocolError> {
        for level in &self.levels {
            let words = less[0].len();
            let high = |count: usize| (0..count).flat_map(|pair| &equal[2 * pair]).copied();
            let left: Vec<u64> = high(level.pairs).chain(high(level.equals)).collect();
            let low =
                |of: &[Vec<u64>], count: usize| (0..count).flat_map(|p| of[2 * p + 1].clone()).collect::<Vec<_>>();
            let right = [low(&less, level.pairs), low(&equal, level.equals)].concat();
            let products = and(session, &left, &right, triples)?;
            let mut products = products.chunks_exact(words);
            let odd = if less.len() % 2 == 1 { less.pop() } else { None };
            less = less.into_iter().step_by(2).collect();
            for (less, product) in less.iter_mut().zip(&mut products) {
                xor_into(less, product);
            }
            less.extend(odd);
            // The last node's is missing: it is never needed.
            equal = products.map(<[u64]>::to_vec).collect();
        }
        Ok(less.swap_remove(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_and_levels() {
        let level = |pairs, equals| Level { pairs, equals };
        assert_eq!(Tree::new(16).levels(), [level(8, 7), level(4, 3), level(2, 1), level(1, 0)]);
        assert_eq!(Tree::new(16).ands(), 26);
        assert_eq!(Tree::new(5).levels(), [level(2, 2), level(1, 1), level(1, 0)]);
        assert_eq!(Tree::new(1).ands(), 0);
    }
}
