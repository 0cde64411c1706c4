//! AES-128 in counter mode over a range of blocks: block `i` of a key's stream is AES-128(key, i), little-endian.
//!
//! The kernel with VAES makes its counters in registers; the portable one calls the crate `aes` (which uses AES-NI)
//! and is its twin in the tests.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};

#[cfg(target_arch = "x86_64")]
pub(super) mod vaes;

/// An expanded key, as the kernel in use wants it.
pub(super) enum AesStream {
    Portable(Box<Aes128>),
    #[cfg(target_arch = "x86_64")]
    Vaes(vaes::Key),
}

impl AesStream {
    /// The stream of `key`, with the fastest kernel of this processor.
    pub fn new(key: [u8; 16]) -> AesStream {
        #[cfg(target_arch = "x86_64")]
        if let Some(key) = vaes::Key::new(&key) {
            return AesStream::Vaes(key);
        }
        AesStream::portable(key)
    }

    fn portable(key: [u8; 16]) -> AesStream {
        AesStream::Portable(Box::new(Aes128::new(&key.into())))
    }

    /// Overwrites `out` with the blocks from `first` on.
    ///
    /// # Panics
    /// If `out` is not whole blocks.
    pub fn fill(&self, first: u64, out: &mut [u8]) {
        let (blocks, rest) = out.as_chunks_mut::<16>();
        assert!(rest.is_empty(), "whole blocks");
        match self {
            AesStream::Portable(cipher) => fill_portable(cipher, first, out),
            #[cfg(target_arch = "x86_64")]
            AesStream::Vaes(key) => key.fill(first, blocks),
        }
    }
}

fn fill_portable(cipher: &Aes128, first: u64, out: &mut [u8]) {
    let (blocks, _) = aes::Block::slice_as_chunks_mut(out);
    for (block, counter) in blocks.iter_mut().zip(first..) {
        block.copy_from_slice(&u128::from(counter).to_le_bytes());
    }
    cipher.encrypt_blocks(blocks);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_agree_on_every_range() {
        let key = std::array::from_fn(|i| (i * 7) as u8);
        for blocks in [0, 1, 3, 4, 5, 31, 32, 33, 64, 100] {
            for first in [0, 1, 5, u64::from(u32::MAX) - 2, u64::MAX - 200] {
                let [mut fast, mut portable] = [vec![1u8; 16 * blocks], vec![2u8; 16 * blocks]];
                AesStream::new(key).fill(first, &mut fast);
                AesStream::portable(key).fill(first, &mut portable);
                assert_eq!(fast, portable, "{blocks} blocks from {first}");
            }
        }
    }
}
