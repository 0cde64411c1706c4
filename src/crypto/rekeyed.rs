//! The re-keyed hash of garbling: `H(x, j) = AES-128(k ^ j, x) ^ w(x)`, a fresh AES key for every tweak.
//!
//! Guo, Katz, Wang, Weng, Yu, "Better Concrete Security for Half-Gates Garbling" (ePrint 2019/1168):
//! in the ideal-cipher model this hash is multi-instance circular correlation robust, with concrete
//! security that a fixed-key hash does not reach. A key hashes the two labels of one wire of one gate.
//!
//! `w` maps the two 32-bit words of each half, `(u, v)`, to `(u ^ v, u)`. It is a linear orthomorphism: `w` and
//! `w ^ 1` are bijective, here even on each half, so that delta never cancels from `H(x ^ delta) ^ delta`. With
//! the plain feed-forward `x` it would: the evaluator, who has the key, could decrypt what is left to `x ^ delta`.
//! (The paper applies its orthomorphism to the cipher's input too, which only renames inputs.)
//!
//! [`RowHash::hash_triple`] is `H(x, j, t) = AES-128(k ^ j, x ^ t) ^ w(x)`, three wires of a gate under one key:
//! the offset `t` tells them apart.
//!
//! The unit of work is a [`Row`]: the same wire in [`LANES`] circuit instances. Kernels differ only in
//! speed; [`Kernel::run`] compiles a whole computation for the one chosen.

use super::Block;
use super::row_words::RowWords;
#[cfg(target_arch = "x86_64")]
use super::{
    rekeyed_narrow::{AesNi, Vaes256},
    rekeyed_vaes::Vaes512,
};
use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use bytemuck::{Pod, Zeroable};
use std::ops::BitXor;

/// Circuit instances that a kernel processes side by side.
pub const LANES: usize = 16;

/// One block in each of [`LANES`] instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
pub struct Row(pub [Block; LANES]);

impl Row {
    /// All bits zero.
    pub const ZERO: Row = Row([Block::ZERO; LANES]);

    /// The same block in every lane.
    #[inline(always)]
    pub fn splat(block: Block) -> Row {
        Row([block; LANES])
    }
}

/// 64-bit words of a row.
const WORDS: usize = size_of::<Row>() / 8;

impl BitXor for Row {
    type Output = Row;

    // Over 64-bit words: 128-bit integers do not vectorise.
    #[inline(always)]
    fn bitxor(self, other: Row) -> Row {
        let mut words: [u64; WORDS] = bytemuck::cast(self);
        let other: &[u64; WORDS] = bytemuck::cast_ref(&other);
        for (word, other) in words.iter_mut().zip(other) {
            *word ^= other;
        }
        bytemuck::cast(words)
    }
}

/// The AES keys of [`LANES`] consecutive instances, less the part that names the half gate.
///
/// The key of a half gate is `session ^ (half_gate + 2^32 instance)`, as little-endian integers.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub struct KeyRow {
    /// `words[i][lane]`: the `i`-th 32-bit word of the lane's key.
    pub(super) words: [[u32; LANES]; 4],
}

impl KeyRow {
    /// Keys of the instances `first_instance..first_instance + LANES`.
    pub fn new(session: [u8; 16], first_instance: u64) -> KeyRow {
        let mut words = [[0; LANES]; 4];
        for lane in 0..LANES {
            let instance = first_instance.wrapping_add(lane as u64);
            let key = u128::from_le_bytes(session) ^ (u128::from(instance) << 32);
            for (i, word) in words.iter_mut().enumerate() {
                word[lane] = (key >> (32 * i)) as u32;
            }
        }
        KeyRow { words }
    }

    /// The AES key of one lane.
    fn key(&self, lane: usize, half_gate: u32) -> [u8; 16] {
        let mut words = [0; 4];
        for (word, row) in words.iter_mut().zip(&self.words) {
            *word = row[lane];
        }
        words[0] ^= half_gate;
        let mut key = [0; 16];
        for (bytes, word) in key.chunks_exact_mut(4).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        key
    }
}

/// What is xored into the three operands of [`RowHash::hash_triple`] before they are encrypted.
pub const TRIPLE_OFFSETS: [Block; 3] = [Block::ZERO, Block(1 << 64), Block(2 << 64)];

/// The feed-forward `w`.
pub(super) fn feed_forward(x: Block) -> Block {
    let half = |x: u64| u128::from(x.rotate_left(32) ^ (x & 0xffff_ffff));
    Block(half(x.0 as u64) | half((x.0 >> 64) as u64) << 64)
}

/// The hash of the two operands of an AND gate, by some kernel: those of gate `g` are hashed under the
/// tweaks of the half gates `2 g` and `2 g + 1`.
pub trait RowHash: RowWords {
    /// `H(x, j)` in every lane of both rows.
    fn hash(self, keys: &KeyRow, gate: u32, x: [&Row; 2]) -> [Row; 2];

    /// `[H(x, j), H(x ^ delta, j)]` in every lane of both rows: both labels of a wire, one key schedule.
    fn hash_both(self, keys: &KeyRow, gate: u32, x: [&Row; 2], delta: Block) -> [[Row; 2]; 2];

    /// `H(x, j, t)` in every lane, with offset `t = TRIPLE_OFFSETS[i]` for row `i`, under one key:
    /// that of the tweak `j = gate`.
    fn hash_triple(self, keys: &KeyRow, gate: u32, x: [&Row; 3]) -> [Row; 3];

    /// `[H(x, j, t), H(x ^ delta, j, t)]` in every lane: both labels of each wire.
    fn hash_triple_both(self, keys: &KeyRow, gate: u32, x: [&Row; 3], delta: Block) -> [[Row; 2]; 3];

    /// `value` in the lanes where `x` has colour 1, else zero.
    fn if_colour(self, x: &Row, value: &Row) -> Row;

    /// Starts loading a cache line that will be needed about a microsecond later.
    #[inline(always)]
    fn prefetch<T>(self, _at: &T) {}
}

/// A computation over rows that does not care which kernel hashes.
///
/// Implementations should be `#[inline(always)]`, so that the whole computation is compiled with the
/// kernel's instruction set.
pub trait WithRowHash {
    /// What the computation returns.
    type Output;

    /// Runs with this kernel.
    fn with<H: RowHash>(self, hash: H) -> Self::Output;
}

/// The implementations of the hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// Crate `aes`, on every machine.
    Portable,
    /// AES-NI, one block per register.
    AesNi,
    /// VAES on 256-bit registers, two blocks per register.
    Vaes256,
    /// VAES on 512-bit registers, four blocks per register.
    Vaes512,
}

impl Kernel {
    /// All kernels, slowest first.
    pub const ALL: [Kernel; 4] = [Kernel::Portable, Kernel::AesNi, Kernel::Vaes256, Kernel::Vaes512];

    /// The fastest kernel of this machine.
    pub fn best() -> Kernel {
        Kernel::available().last().unwrap_or(Kernel::Portable)
    }

    /// The kernels that this machine can run, slowest first.
    pub fn available() -> impl Iterator<Item = Kernel> {
        Kernel::ALL.into_iter().filter(|k| k.is_available())
    }

    /// Whether this machine can run the kernel.
    pub fn is_available(self) -> bool {
        match self {
            Kernel::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Kernel::AesNi => AesNi::detect().is_some(),
            #[cfg(target_arch = "x86_64")]
            Kernel::Vaes256 => Vaes256::detect().is_some(),
            #[cfg(target_arch = "x86_64")]
            Kernel::Vaes512 => Vaes512::detect().is_some(),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    /// Runs a computation, compiled for this kernel.
    ///
    /// # Panics
    /// If the machine lacks the kernel.
    pub fn run<W: WithRowHash>(self, work: W) -> W::Output {
        const MISSING: &str = "the caller asks for available kernels only";
        match self {
            Kernel::Portable => work.with(Portable),
            #[cfg(target_arch = "x86_64")]
            Kernel::AesNi => AesNi::detect().expect(MISSING).run(work),
            #[cfg(target_arch = "x86_64")]
            Kernel::Vaes256 => Vaes256::detect().expect(MISSING).run(work),
            #[cfg(target_arch = "x86_64")]
            Kernel::Vaes512 => Vaes512::detect().expect(MISSING).run(work),
            #[cfg(not(target_arch = "x86_64"))]
            _ => panic!("{MISSING}"),
        }
    }
}

/// Crate `aes`, a key schedule at a time.
#[derive(Clone, Copy)]
struct Portable;

impl RowWords for Portable {}

impl RowHash for Portable {
    fn hash(self, keys: &KeyRow, gate: u32, x: [&Row; 2]) -> [Row; 2] {
        let mut out = x.map(|row| [*row]);
        hash_lanes(keys, gate, &mut out);
        out.map(|[row]| row)
    }

    fn hash_both(self, keys: &KeyRow, gate: u32, x: [&Row; 2], delta: Block) -> [[Row; 2]; 2] {
        let mut out = x.map(|row| [*row, *row ^ Row::splat(delta)]);
        hash_lanes(keys, gate, &mut out);
        out
    }

    fn hash_triple(self, keys: &KeyRow, gate: u32, x: [&Row; 3]) -> [Row; 3] {
        let mut out = x.map(|row| [*row]);
        hash_lanes_triple(keys, gate, &mut out);
        out.map(|[row]| row)
    }

    fn hash_triple_both(self, keys: &KeyRow, gate: u32, x: [&Row; 3], delta: Block) -> [[Row; 2]; 3] {
        let mut out = x.map(|row| [*row, *row ^ Row::splat(delta)]);
        hash_lanes_triple(keys, gate, &mut out);
        out
    }

    fn if_colour(self, x: &Row, value: &Row) -> Row {
        let mut out = *value;
        for (block, x) in out.0.iter_mut().zip(&x.0) {
            *block = block.if_bit(x.lsb());
        }
        out
    }
}

/// Hashes `N` blocks under each key.
fn hash_lanes<const N: usize>(keys: &KeyRow, gate: u32, rows: &mut [[Row; N]; 2]) {
    for (half, rows) in (0..).zip(rows) {
        for lane in 0..LANES {
            let cipher = Aes128::new(&keys.key(lane, 2 * gate + half).into());
            let mut states: [_; N] = std::array::from_fn(|i| rows[i].0[lane].0.to_le_bytes().into());
            cipher.encrypt_blocks(&mut states);
            for (row, state) in rows.iter_mut().zip(states) {
                row.0[lane] = feed_forward(row.0[lane]) ^ Block(u128::from_le_bytes(state.into()));
            }
        }
    }
}

/// Hashes `N` blocks at each offset, all under one key.
fn hash_lanes_triple<const N: usize>(keys: &KeyRow, gate: u32, rows: &mut [[Row; N]; 3]) {
    for lane in 0..LANES {
        let cipher = Aes128::new(&keys.key(lane, gate).into());
        for (rows, offset) in rows.iter_mut().zip(TRIPLE_OFFSETS) {
            for row in rows {
                let mut state = (row.0[lane] ^ offset).0.to_le_bytes().into();
                cipher.encrypt_block(&mut state);
                row.0[lane] = feed_forward(row.0[lane]) ^ Block(u128::from_le_bytes(state.into()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Seed;
    use proptest::prelude::*;

    struct HashBoth<'a>(&'a KeyRow, u32, [&'a Row; 2], Block);

    impl WithRowHash for HashBoth<'_> {
        type Output = [[Row; 2]; 2];
        fn with<H: RowHash>(self, hash: H) -> [[Row; 2]; 2] {
            let both = hash.hash_both(self.0, self.1, self.2, self.3);
            assert_eq!(hash.hash(self.0, self.1, self.2), both.map(|rows| rows[0]));
            both
        }
    }

    struct TripleBoth<'a>(&'a KeyRow, u32, [&'a Row; 3], Block);

    impl WithRowHash for TripleBoth<'_> {
        type Output = [[Row; 2]; 3];
        fn with<H: RowHash>(self, hash: H) -> [[Row; 2]; 3] {
            let both = hash.hash_triple_both(self.0, self.1, self.2, self.3);
            assert_eq!(hash.hash_triple(self.0, self.1, self.2), both.map(|rows| rows[0]));
            let others = self.2.map(|row| *row ^ Row::splat(self.3));
            assert_eq!(hash.hash_triple(self.0, self.1, others.each_ref()), both.map(|rows| rows[1]));
            both
        }
    }

    /// Every operation on halves.
    struct Words<'a>(u32, &'a Row, &'a Row);

    impl WithRowHash for Words<'_> {
        type Output = (u32, [Row; 5], [u64; LANES]);
        fn with<H: RowHash>(self, hash: H) -> Self::Output {
            let Words(mask, x, y) = self;
            let packed = hash.pack(x);
            let (low, high) = (hash.low_halves(x, y), hash.high_halves(x, y));
            (hash.lsbs(x), [hash.select(mask, x), hash.swap(x), low, high, hash.spread(&packed)], packed)
        }
    }

    struct IfColour<'a>(&'a Row, &'a Row);

    impl WithRowHash for IfColour<'_> {
        type Output = Row;
        fn with<H: RowHash>(self, hash: H) -> Row {
            hash.if_colour(self.0, self.1)
        }
    }

    fn block(hex: u128) -> Block {
        Block(u128::from_le_bytes(hex.to_be_bytes()))
    }

    /// FIPS-197, appendix C.1 and the cipher example of appendix B: key, plain text, cipher text.
    const FIPS_197: [(u128, u128, u128); 2] = [
        (0x000102030405060708090a0b0c0d0e0f, 0x00112233445566778899aabbccddeeff, 0x69c4e0d86a7b0430d8cdb78070b4c55a),
        (0x2b7e151628aed2a6abf7158809cf4f3c, 0x3243f6a8885a308d313198a2e0370734, 0x3925841d02dc09fbdc118597196a0b32),
    ];

    #[test]
    fn every_kernel_and_lane_gives_the_fips_197_answers() {
        let (first_instance, gate) = (u64::from(u32::MAX) - 3, 77);
        for (kernel, half) in Kernel::available().flat_map(|k| [(k, 0), (k, 1)]) {
            for (key, plain, cipher) in FIPS_197 {
                for lane in 0..LANES {
                    // A session key such that this lane's key is the standard's.
                    let instance = u128::from(first_instance + lane as u64);
                    let tweak = (instance << 32) ^ (2 * gate + half as u128);
                    let session = (block(key).0 ^ tweak).to_le_bytes();
                    let keys = KeyRow::new(session, first_instance);
                    let mut x = [Row::splat(Block(5)); 2];
                    x[half].0[lane] = block(plain);
                    let work = HashBoth(&keys, gate as u32, [&x[0], &x[1]], Block(u128::MAX));
                    let hash = kernel.run(work)[half][0].0[lane];
                    assert_eq!(hash ^ feed_forward(block(plain)), block(cipher), "{kernel:?}, lane {lane}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn kernels_agree(seed: u64, first_instance: u64, gate in 0..1u32 << 31) {
            let mut prg = Seed::from_u64(seed).prg();
            let keys = KeyRow::new(prg.key(), first_instance);
            let rows = prg.words::<Row>(3);
            let triple = [&rows[0], &rows[1], &rows[2]];
            let x = [&rows[0], &rows[1]];
            let delta = prg.block();
            let expected = Kernel::Portable.run(HashBoth(&keys, gate, x, delta));
            let selected = Kernel::Portable.run(IfColour(&rows[0], &rows[1]));
            let triples = Kernel::Portable.run(TripleBoth(&keys, gate, triple, delta));
            let words = Kernel::Portable.run(Words(gate.wrapping_mul(0x9e37_79b9), &rows[0], &rows[1]));
            for kernel in Kernel::available() {
                prop_assert_eq!(kernel.run(HashBoth(&keys, gate, x, delta)), expected);
                prop_assert_eq!(kernel.run(IfColour(&rows[0], &rows[1])), selected);
                prop_assert_eq!(kernel.run(TripleBoth(&keys, gate, triple, delta)), triples);
                let actual = kernel.run(Words(gate.wrapping_mul(0x9e37_79b9), &rows[0], &rows[1]));
                prop_assert_eq!(actual, words);
            }
        }
    }

    #[test]
    fn the_second_hash_is_that_of_the_other_label() {
        let keys = KeyRow::new([9; 16], 3);
        let (x, delta) = (Row::splat(Block(1 << 90)), Block(0x123));
        let other = x ^ Row::splat(delta);
        for kernel in Kernel::available() {
            let forth = kernel.run(HashBoth(&keys, 4, [&x, &other], delta));
            let back = kernel.run(HashBoth(&keys, 4, [&other, &x], delta));
            assert_eq!(forth, back.map(|[first, second]| [second, first]));
            // One label under the keys of the two halves.
            assert_ne!(forth[0][0], forth[1][1]);
        }
    }

    #[test]
    fn delta_never_cancels_from_the_feed_forward() {
        // What a table reveals of H(x ^ delta): its low half XOR a, b multiples of delta's halves, and bit 64.
        // These 65 linear functions of delta are independent.
        for multiples in 0..4u32 {
            let reveal = |x: Block| {
                let halves = [x.0 as u64, (x.0 >> 64) as u64];
                let known = (u64::from(multiples & 1) * halves[0]) ^ (u64::from(multiples >> 1) * halves[1]);
                (feed_forward(x).0 ^ u128::from(known)) & ((1 << 65) - 1)
            };
            // Rank by elimination: a basis indexed by the leading bit.
            let mut basis = [0u128; 65];
            for bit in 0..128 {
                let mut image = reveal(Block(1 << bit));
                while image != 0 {
                    let leading = image.ilog2() as usize;
                    if basis[leading] == 0 {
                        basis[leading] = image;
                    }
                    image ^= basis[leading];
                }
            }
            assert!(basis.iter().all(|&image| image != 0), "{multiples}");
        }
    }

    #[test]
    fn equal_operands_of_a_triple_hash_differently() {
        let (keys, x) = (KeyRow::new([9; 16], 3), Row::splat(Block(1 << 90)));
        let [first, second, third] = Kernel::best().run(TripleBoth(&keys, 4, [&x; 3], Block(5)));
        assert!(first != second && second != third && first != third);
    }

    #[test]
    fn every_tweak_has_its_own_key() {
        let mut seen = std::collections::HashSet::new();
        for first_instance in [0, 16, u64::from(u32::MAX) - 7] {
            let keys = KeyRow::new([3; 16], first_instance);
            for (lane, half_gate) in (0..LANES).flat_map(|l| (0..40).map(move |h| (l, h))) {
                assert!(seen.insert(keys.key(lane, half_gate)));
            }
        }
    }
}
