//! The public matrix of the code: every output is the sum of ten of the `k` inputs.

use crate::crypto::{Block, Prg};

/// Inputs per output (Ferret, section 4: a 10-local linear code).
const LOCALITY: usize = 10;
/// Outputs whose indices are drawn at a time.
const ROWS: usize = 256;

/// Drawn from a public key, the same for every extension.
pub(super) struct Matrix {
    key: [u8; 16],
}

impl Matrix {
    pub fn public() -> Matrix {
        Matrix { key: *b"longhaul LPN key" }
    }

    /// Adds to every output its row of the matrix times `inputs`.
    pub fn multiply_add(&self, inputs: &[Block], outputs: &mut [Block]) {
        let k = inputs.len() as u64;
        let mut rows = Prg::from_key(self.key);
        let mut words = [0u32; ROWS * LOCALITY];
        for outputs in outputs.chunks_mut(ROWS) {
            rows.fill(&mut words);
            for (output, words) in outputs.iter_mut().zip(words.as_chunks::<LOCALITY>().0) {
                // The high half of a product is uniform below k, but for 2^-14.
                let picked = words.map(|word| inputs[((u64::from(word) * k) >> 32) as usize]);
                *output = picked.into_iter().fold(*output, |sum, input| sum ^ input);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Seed;

    #[test]
    fn linear_in_its_inputs_and_sparse() {
        let mut prg = Seed::from_u64(1).prg();
        let (a, b) = (prg.words::<Block>(1000), prg.words::<Block>(1000));
        let product = |inputs: &[Block]| {
            let mut outputs = vec![Block::ZERO; 700];
            Matrix::public().multiply_add(inputs, &mut outputs);
            outputs
        };
        let sum: Vec<Block> = a.iter().zip(&b).map(|(a, b)| *a ^ *b).collect();
        let both = product(&a).into_iter().zip(product(&b)).map(|(a, b)| a ^ b);
        assert_eq!(product(&sum), both.collect::<Vec<_>>());
        // One set input reaches about one output in a hundred: 700 x 10 / 1000 of them.
        let mut one = vec![Block::ZERO; 1000];
        one[77] = Block(1);
        let reached = product(&one).into_iter().filter(|output| *output == Block(1)).count();
        assert!((1..25).contains(&reached), "{reached}");
    }
}
