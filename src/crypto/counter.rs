//! AES-128 in counter mode, many blocks at a time.
//!
//! The crate `aes` has kernels as fast as the hardware, but takes the counters from memory, where they were just written in
//! narrower pieces than it reads: waiting for those stores costs more than the cipher. Where VAES on 512-bit registers is
//! there, counters are made in registers instead.

#[cfg(target_arch = "x86_64")]
use super::counter_vaes::RoundKeys;
use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};

/// Bytes of a batch: 64 blocks, enough to fill the pipelines of every kernel.
pub(super) const BATCH: usize = 64 * 16;

/// An expanded key.
pub(super) enum CounterCipher {
    Portable(Aes128),
    #[cfg(target_arch = "x86_64")]
    Vaes(RoundKeys),
}

impl CounterCipher {
    /// The key, expanded for the fastest kernel of this processor.
    pub(super) fn new(key: [u8; 16]) -> CounterCipher {
        #[cfg(target_arch = "x86_64")]
        if let Some(keys) = RoundKeys::new(&key) {
            return CounterCipher::Vaes(keys);
        }
        CounterCipher::portable(key)
    }

    fn portable(key: [u8; 16]) -> CounterCipher {
        CounterCipher::Portable(Aes128::new(&key.into()))
    }

    /// The encryptions of `first`, `first + 1`, ..., little-endian.
    pub(super) fn fill(&self, first: u64, out: &mut [u8; BATCH]) {
        match self {
            CounterCipher::Portable(cipher) => {
                let blocks = aes::Block::slice_as_chunks_mut(out).0;
                for (i, block) in blocks.iter_mut().enumerate() {
                    *block = u128::from(first.wrapping_add(i as u64)).to_le_bytes().into();
                }
                cipher.encrypt_blocks(blocks);
            }
            #[cfg(target_arch = "x86_64")]
            CounterCipher::Vaes(keys) => keys.fill(first, out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Seed;

    #[test]
    fn kernels_agree() {
        let mut prg = Seed::from_u64(1).prg();
        for first in [0, 64, (1 << 32) - 7, u64::MAX - 20] {
            let key = prg.key();
            let (mut portable, mut best) = ([0; BATCH], [1; BATCH]);
            CounterCipher::portable(key).fill(first, &mut portable);
            CounterCipher::new(key).fill(first, &mut best);
            assert!(portable == best, "from {first}");
            let blocks = best.as_chunks::<16>().0;
            assert!(blocks[1..].iter().all(|block| *block != blocks[0]));
        }
    }
}
