//! Reproducible uniform numbers for generated weights and images.

use blake3::OutputReader;

/// Uniform numbers that depend only on a seed and a label.
///
/// They come from BLAKE3's extendable output and need no library function whose rounding differs between
/// machines, so every machine draws the same.
pub(crate) struct Uniform {
    output: OutputReader,
}

impl Uniform {
    /// The stream for this seed and label.
    pub(crate) fn new(seed: u64, label: &str) -> Uniform {
        let mut hasher = blake3::Hasher::new_derive_key("longhaul generated networks and images");
        hasher.update(&seed.to_le_bytes());
        hasher.update(label.as_bytes());
        Uniform { output: hasher.finalize_xof() }
    }

    /// `count` numbers in [0, 1), multiples of 2^-53.
    pub(crate) fn draw(&mut self, count: usize) -> Vec<f64> {
        let mut bytes = vec![0; count * 8];
        self.output.fill(&mut bytes);
        let (words, _) = bytes.as_chunks::<8>();
        let unit = 1.0 / (1u64 << 53) as f64;
        words.iter().map(|&word| (u64::from_le_bytes(word) >> 11) as f64 * unit).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_uniform_and_separate() {
        let draw = |seed, label| Uniform::new(seed, label).draw(10_000);
        let values = draw(1, "a");
        assert_eq!(values, draw(1, "a"));
        assert_ne!(values, draw(2, "a"));
        assert_ne!(values, draw(1, "b"));
        assert!(values.iter().all(|v| (0.0..1.0).contains(v)));
        // The mean of 10,000 draws has standard deviation 0.0029, the variance 0.0007.
        let mean = values.iter().sum::<f64>() / 10_000.0;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.015, "{mean}");
        assert!((variance - 1.0 / 12.0).abs() < 0.004, "{variance}");
    }
}
