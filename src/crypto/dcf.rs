//! Distributed comparison function: two keys whose evaluations at a public `x` add up to `beta` if
//! `x < alpha`, else to zero, while one key alone says nothing about `alpha` and `beta`.
//!
//! Source: Boyle, Chandran, Gilboa, Gupta, Ishai, Kumar, Rathee, "Function Secret Sharing for Mixed-Mode and
//! Fixed-Point Secure Computation" (EUROCRYPT 2021, ePrint 2020/1392), figure 1. Payload group: pairs of 64-bit
//! words, `Z_2^64 x Z_2^64`, so that a block converts to a group element without bias.
//!
//! Deviations:
//! * The tree stops [`TERMINAL_BITS`] levels early: the last correction word becomes a table of
//!   `2^TERMINAL_BITS` group elements, one for every leaf below a node (early termination of Boyle, Gilboa, Ishai,
//!   CCS 2016, ePrint 2018/707, with a payload for every leaf). A level costs 32 bytes, the table 64 instead of 16: with two
//!   bits the key is 16 bytes shorter than the full tree's, and six AES calls of key generation per bit and party go.
//! * Seeds have 126 bits. In the two bits left, a correction word carries the two control bits of its level, and the
//!   input of the hash names which of a node's four blocks is wanted.
//! * `G` is one permutation: block `i` of the seed `s` is `pi(s + i) ^ (s + i)` with `pi` = AES-128 under a public key
//!   of the caller's (Matyas, Meyer, Oseas; Guo, Katz, Wang, Yu, ePrint 2019/074, in the ideal-permutation model).
//!   A fresh key for every batch confines what an attacker can precompute to that batch: `q` seeds and `T`
//!   calls of AES find one with probability at most about `q T / 2^126`.
//!
//! Size: with `l = domain_bits - 2` levels, `32 l + 64` bytes of correction words, the same for both holders, and a root
//! of 16 bytes each that they can draw themselves. Work: `2 l + 1` AES calls to evaluate, `8 (l + 1)` to generate.
//!
//! Both walk [`LANES`] trees side by side, level by level, so that the AES units stay busy. A span of `m <= LANES` keys
//! is laid out the way it is read: per level `m` seed corrections, then `m` value corrections; at the end
//! `m` tables of four.

mod evaluate;
mod generate;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod vaes;

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};

/// Trees that are walked side by side.
pub const LANES: usize = 64;

/// Lowest bits of the input that a table decides instead of the tree.
pub const TERMINAL_BITS: u32 = 2;

/// Leaves below the last node of a path.
const LEAVES: usize = 1 << TERMINAL_BITS;

/// The bits of a block's low word that are not the seed's.
const TAG: u64 = 3;

/// Words of a block, of a group element.
const WORDS: usize = 2;

/// Bytes of a block, of a correction word.
const BLOCK_BYTES: usize = 16;

/// An element of the payload group: two words, each mod 2^64.
pub type Payload = [u64; WORDS];

/// One value per lane, as words.
type Row = [u64; WORDS * LANES];

/// Which of the two keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Starts with control bit 0; its outputs are sums.
    First,
    /// Starts with control bit 1; its outputs are negated sums.
    Second,
}

/// Kernels with the same keys and results, bit for bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// Crate `aes` and loops for the compiler's vectoriser, on every machine.
    Portable,
    /// VAES on 512-bit registers, four trees per register.
    Vaes512,
}

impl Kernel {
    /// The kernels that this machine can run, slowest first.
    pub fn available() -> impl Iterator<Item = Kernel> {
        #[cfg(target_arch = "x86_64")]
        let vaes = vaes::Vaes512::is_available();
        #[cfg(not(target_arch = "x86_64"))]
        let vaes = false;
        std::iter::once(Kernel::Portable).chain(vaes.then_some(Kernel::Vaes512))
    }
}

/// The comparison function of one domain under one public AES key.
pub struct Dcf {
    hash: Hash,
    domain_bits: u32,
}

/// The public permutation, keyed.
enum Hash {
    Portable(Aes128),
    #[cfg(target_arch = "x86_64")]
    Vaes512(vaes::Vaes512),
}

impl Dcf {
    /// Comparison of integers below `2^domain_bits`, with the fastest kernel of this machine.
    ///
    /// # Panics
    /// If `domain_bits` is not in `2..=64`.
    pub fn new(key: [u8; 16], domain_bits: u32) -> Dcf {
        Dcf::with_kernel(Kernel::available().last().unwrap_or(Kernel::Portable), key, domain_bits)
    }

    /// The same with a kernel of the caller's choice.
    ///
    /// # Panics
    /// If `domain_bits` is not in `2..=64`, or the machine lacks the kernel.
    pub fn with_kernel(kernel: Kernel, key: [u8; 16], domain_bits: u32) -> Dcf {
        assert!((TERMINAL_BITS..=64).contains(&domain_bits), "a domain of {domain_bits} bits");
        let hash = match kernel {
            Kernel::Portable => Hash::Portable(Aes128::new(&key.into())),
            #[cfg(target_arch = "x86_64")]
            Kernel::Vaes512 => {
                Hash::Vaes512(vaes::Vaes512::new(key).expect("the caller asks for available kernels only"))
            }
            #[cfg(not(target_arch = "x86_64"))]
            Kernel::Vaes512 => panic!("the caller asks for available kernels only"),
        };
        Dcf { hash, domain_bits }
    }

    /// Bytes of one key's correction words.
    pub fn key_bytes(domain_bits: u32) -> usize {
        BLOCK_BYTES * (2 * (domain_bits - TERMINAL_BITS) as usize + LEAVES)
    }

    /// Levels of the tree.
    fn levels(&self) -> usize {
        (self.domain_bits - TERMINAL_BITS) as usize
    }
}

/// The bits of the input that the tree decides, from the top.
fn tree_bits(levels: usize) -> impl Iterator<Item = u32> {
    (TERMINAL_BITS..TERMINAL_BITS + levels as u32).rev()
}

/// `blocks[i] = pi(blocks[i]) ^ blocks[i]`; the permuted blocks go by way of `scratch`.
fn hash(cipher: &Aes128, blocks: &mut [u64], scratch: &mut [u64]) {
    scratch.copy_from_slice(blocks);
    let (permuted, _) = aes::Block::slice_as_chunks_mut(bytemuck::cast_slice_mut(scratch));
    cipher.encrypt_blocks(permuted);
    for (block, permuted) in blocks.iter_mut().zip(scratch) {
        *block ^= *permuted;
    }
}

/// Words of correction words, wherever they lie in memory.
fn word(bytes: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*bytes)
}
