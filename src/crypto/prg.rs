//! Seeded randomness: AES-128 in counter mode under keys derived with BLAKE3.
//!
//! Every stream is named by (seed, labels); two different names give independent streams, one name
//! always gives the same stream.

use super::Block;
use super::counter::{BATCH, CounterCipher};
use bytemuck::Pod;

/// A 32-byte seed from which streams and further seeds are derived.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed([u8; 32]);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(..)")
    }
}

impl Seed {
    /// The seed made of these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Seed {
        Seed(bytes)
    }

    /// The root seed of a scenario's `seed = N`.
    pub fn from_u64(seed: u64) -> Seed {
        Seed(
            *blake3::Hasher::new_derive_key("longhaul 2026 scenario seed")
                .update(&seed.to_le_bytes())
                .finalize()
                .as_bytes(),
        )
    }

    /// A fresh seed from the operating system.
    ///
    /// # Panics
    /// If the system has no randomness.
    pub fn from_system() -> Seed {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).expect("the system has randomness");
        Seed(bytes)
    }

    /// An independent seed for `label`.
    pub fn derive(&self, label: &str) -> Seed {
        Seed(*blake3::keyed_hash(&self.0, label.as_bytes()).as_bytes())
    }

    /// An independent seed for the `index`-th use of `label`.
    pub fn derive_indexed(&self, label: &str, index: u64) -> Seed {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(label.as_bytes()).update(&[0xff]).update(&index.to_le_bytes());
        Seed(*hasher.finalize().as_bytes())
    }

    /// The stream of this seed.
    pub fn prg(&self) -> Prg {
        let key = blake3::keyed_hash(&self.0, b"prg");
        Prg::from_key(key.as_bytes()[..16].try_into().expect("a digest has 32 bytes"))
    }
}

/// A stream of pseudo-random bytes: AES-128(key, 0), AES-128(key, 1), ...
pub struct Prg {
    cipher: CounterCipher,
    /// The next block.
    counter: u64,
    buffer: [u8; BATCH],
    used: usize,
}

impl Prg {
    /// The stream of a 16-byte key that a peer or the dealer sent.
    pub fn from_key(key: [u8; 16]) -> Prg {
        Prg { cipher: CounterCipher::new(key), counter: 0, buffer: [0; BATCH], used: BATCH }
    }

    /// Overwrites `out` with the next bytes of the stream.
    pub fn fill_bytes(&mut self, mut out: &mut [u8]) {
        let take = out.len().min(BATCH - self.used);
        out[..take].copy_from_slice(&self.buffer[self.used..self.used + take]);
        self.used += take;
        out = &mut out[take..];
        let (batches, rest) = out.as_chunks_mut();
        for batch in batches {
            let first = self.next_batch();
            self.cipher.fill(first, batch);
        }
        if !rest.is_empty() {
            let first = self.next_batch();
            self.cipher.fill(first, &mut self.buffer);
            rest.copy_from_slice(&self.buffer[..rest.len()]);
            self.used = rest.len();
        }
    }

    fn next_batch(&mut self) -> u64 {
        self.counter += (BATCH / 16) as u64;
        self.counter - (BATCH / 16) as u64
    }

    /// Overwrites a slice of plain words with the next bytes of the stream.
    pub fn fill<T: Pod>(&mut self, out: &mut [T]) {
        self.fill_bytes(bytemuck::cast_slice_mut(out));
    }

    /// `n` fresh words.
    pub fn words<T: Pod>(&mut self, n: usize) -> Vec<T> {
        let mut out = vec![T::zeroed(); n];
        self.fill(&mut out);
        out
    }

    /// One fresh block.
    pub fn block(&mut self) -> Block {
        let mut out = [Block::ZERO];
        self.fill(&mut out);
        out[0]
    }

    /// A fresh 16-byte key for another stream.
    pub fn key(&mut self) -> [u8; 16] {
        let mut key = [0; 16];
        self.fill_bytes(&mut key);
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counter_mode_of_the_fips_197_key() {
        // AES-128 with key 000102..0f of the zero block, from the standard's key schedule example.
        let mut prg = Prg::from_key(std::array::from_fn(|i| i as u8));
        let mut out = [0u8; 16];
        prg.fill_bytes(&mut out);
        assert_eq!(
            out,
            [0xc6, 0xa1, 0x3b, 0x37, 0x87, 0x8f, 0x5b, 0x82, 0x6f, 0x4f, 0x81, 0x62, 0xa1, 0xc8, 0xd8, 0x79]
        );
    }

    #[test]
    fn the_stream_does_not_depend_on_how_it_is_read() {
        let whole: Vec<u8> = Seed::from_u64(7).prg().words(5000);
        let mut prg = Seed::from_u64(7).prg();
        let mut parts = Vec::new();
        for n in [1, 15, 16, 17, 1023, 1024, 1025, 1879] {
            parts.extend(prg.words::<u8>(n));
        }
        assert_eq!(parts, whole);
    }

    #[test]
    fn names_separate_streams() {
        let seed = Seed::from_u64(1);
        let streams = [
            seed,
            Seed::from_u64(2),
            seed.derive("a"),
            seed.derive("b"),
            seed.derive_indexed("a", 0),
            seed.derive_indexed("a", 1),
        ];
        let firsts: std::collections::HashSet<u64> = streams.iter().map(|s| s.prg().words::<u64>(1)[0]).collect();
        assert_eq!(firsts.len(), streams.len());
    }
}
