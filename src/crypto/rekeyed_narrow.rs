//! The re-keyed hash with AES-NI and with VAES on 256-bit registers: one text over two register widths.
//!
//! Four registers of blocks and the four registers of their key schedules fill the sixteen that these machines have.
//! Everything here is inlined into [`run_aes_ni`] or [`run_vaes_256`], which have the instruction set.
#![allow(unsafe_code)]

use super::Block;
use super::rekeyed::{KeyRow, LANES, Row, RowHash, TRIPLE_OFFSETS, WithRowHash};
use super::row_words::RowWords;
use std::arch::x86_64::*;
use std::marker::PhantomData;

/// Registers that are hashed together.
const REGISTERS: usize = 4;

/// The round constants of AES-128's key schedule.
const ROUND_CONSTANTS: [i32; 10] = [1, 2, 4, 8, 16, 32, 64, 128, 0x1b, 0x36];

/// Evidence that the machine can run the instructions over registers `R`.
#[derive(Clone, Copy)]
pub(super) struct Narrow<R>(PhantomData<R>);

/// One block per register.
pub(super) type AesNi = Narrow<__m128i>;

/// Two blocks per register.
pub(super) type Vaes256 = Narrow<__m256i>;

impl AesNi {
    pub(super) fn detect() -> Option<AesNi> {
        (is_x86_feature_detected!("aes") && is_x86_feature_detected!("avx")).then_some(Narrow(PhantomData))
    }

    /// Runs a computation, compiled with AES-NI.
    pub(super) fn run<W: WithRowHash>(self, work: W) -> W::Output {
        // SAFETY: an `AesNi` exists only where `detect` found the features.
        unsafe { run_aes_ni(self, work) }
    }
}

impl Vaes256 {
    pub(super) fn detect() -> Option<Vaes256> {
        (is_x86_feature_detected!("vaes") && is_x86_feature_detected!("avx2") && is_x86_feature_detected!("aes"))
            .then_some(Narrow(PhantomData))
    }

    /// Runs a computation, compiled with VAES.
    pub(super) fn run<W: WithRowHash>(self, work: W) -> W::Output {
        // SAFETY: a `Vaes256` exists only where `detect` found the features.
        unsafe { run_vaes_256(self, work) }
    }
}

#[target_feature(enable = "aes,avx")]
fn run_aes_ni<W: WithRowHash>(hash: AesNi, work: W) -> W::Output {
    work.with(hash)
}

#[target_feature(enable = "aes,avx2,vaes")]
fn run_vaes_256<W: WithRowHash>(hash: Vaes256, work: W) -> W::Output {
    work.with(hash)
}

/// A register of AES blocks. Shuffles act within 128 bits.
///
/// # Safety
/// Every method may be called only where the register's [`Narrow`] exists.
trait Register: Copy {
    /// Blocks in a register.
    const BLOCKS: usize;

    unsafe fn zero() -> Self;
    /// The same block in every place.
    unsafe fn splat(block: Block) -> Self;
    unsafe fn splat_word(word: i32) -> Self;
    unsafe fn load(blocks: *const Block) -> Self;
    unsafe fn store(self, blocks: *mut Block);
    /// Words such that [`transposed`] gives the block at place `q` of register `r` that of lane `BLOCKS r + q`.
    unsafe fn load_words(words: *const u32) -> Self;
    unsafe fn xor(self, other: Self) -> Self;
    unsafe fn and(self, other: Self) -> Self;
    unsafe fn round(self, key: Self) -> Self;
    unsafe fn last_round(self, key: Self) -> Self;
    unsafe fn shuffle_bytes(self, places: Self) -> Self;
    /// The two words of each half exchanged.
    unsafe fn swap_words(self) -> Self;
    /// All ones in the blocks whose lowest bit is set, else zero.
    unsafe fn colour_mask(self) -> Self;
    unsafe fn interleave_words(self, other: Self) -> [Self; 2];
    unsafe fn interleave_halves(self, other: Self) -> [Self; 2];
}

macro_rules! register {
    ($register:ty, $blocks:literal, $load_words:expr, $splat:expr, $set1_epi32:ident, $zero:ident, $load:ident, $store:ident, $xor:ident, $and:ident,
     $round:ident, $last:ident, $shuffle8:ident, $shuffle32:ident, $sll:ident, $sra:ident, $lo32:ident, $hi32:ident,
     $lo64:ident, $hi64:ident) => {
        impl Register for $register {
            const BLOCKS: usize = $blocks;

            #[inline(always)]
            unsafe fn zero() -> Self {
                unsafe { $zero() }
            }
            #[inline(always)]
            unsafe fn splat(block: Block) -> Self {
                let bits = block.0;
                unsafe { $splat(_mm_set_epi64x((bits >> 64) as i64, bits as i64)) }
            }
            #[inline(always)]
            unsafe fn splat_word(word: i32) -> Self {
                unsafe { $set1_epi32(word) }
            }
            #[inline(always)]
            unsafe fn load(blocks: *const Block) -> Self {
                unsafe { $load(blocks.cast()) }
            }
            #[inline(always)]
            unsafe fn store(self, blocks: *mut Block) {
                unsafe { $store(blocks.cast(), self) }
            }
            #[inline(always)]
            unsafe fn load_words(words: *const u32) -> Self {
                unsafe { $load_words($load(words.cast())) }
            }
            #[inline(always)]
            unsafe fn xor(self, other: Self) -> Self {
                unsafe { $xor(self, other) }
            }
            #[inline(always)]
            unsafe fn and(self, other: Self) -> Self {
                unsafe { $and(self, other) }
            }
            #[inline(always)]
            unsafe fn round(self, key: Self) -> Self {
                unsafe { $round(self, key) }
            }
            #[inline(always)]
            unsafe fn last_round(self, key: Self) -> Self {
                unsafe { $last(self, key) }
            }
            #[inline(always)]
            unsafe fn shuffle_bytes(self, places: Self) -> Self {
                unsafe { $shuffle8(self, places) }
            }
            #[inline(always)]
            unsafe fn swap_words(self) -> Self {
                unsafe { $shuffle32::<0b10_11_00_01>(self) }
            }
            #[inline(always)]
            unsafe fn colour_mask(self) -> Self {
                unsafe { $sra::<31>($shuffle32::<0>($sll::<31>(self))) }
            }
            #[inline(always)]
            unsafe fn interleave_words(self, other: Self) -> [Self; 2] {
                unsafe { [$lo32(self, other), $hi32(self, other)] }
            }
            #[inline(always)]
            unsafe fn interleave_halves(self, other: Self) -> [Self; 2] {
                unsafe { [$lo64(self, other), $hi64(self, other)] }
            }
        }
    };
}

register!(
    __m128i,
    1,
    std::convert::identity,
    std::convert::identity,
    _mm_set1_epi32,
    _mm_setzero_si128,
    _mm_loadu_si128,
    _mm_storeu_si128,
    _mm_xor_si128,
    _mm_and_si128,
    _mm_aesenc_si128,
    _mm_aesenclast_si128,
    _mm_shuffle_epi8,
    _mm_shuffle_epi32,
    _mm_slli_epi32,
    _mm_srai_epi32,
    _mm_unpacklo_epi32,
    _mm_unpackhi_epi32,
    _mm_unpacklo_epi64,
    _mm_unpackhi_epi64
);

register!(
    __m256i,
    2,
    |words| _mm256_permutevar8x32_epi32(words, _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7)),
    _mm256_broadcastsi128_si256,
    _mm256_set1_epi32,
    _mm256_setzero_si256,
    _mm256_loadu_si256,
    _mm256_storeu_si256,
    _mm256_xor_si256,
    _mm256_and_si256,
    _mm256_aesenc_epi128,
    _mm256_aesenclast_epi128,
    _mm256_shuffle_epi8,
    _mm256_shuffle_epi32,
    _mm256_slli_epi32,
    _mm256_srai_epi32,
    _mm256_unpacklo_epi32,
    _mm256_unpackhi_epi32,
    _mm256_unpacklo_epi64,
    _mm256_unpackhi_epi64
);

impl<R: Register> RowWords for Narrow<R> {}

impl<R: Register> RowHash for Narrow<R> {
    #[inline(always)]
    fn hash(self, keys: &KeyRow, gate: u32, x: [&Row; 2]) -> [Row; 2] {
        // SAFETY: `self` exists.
        unsafe {
            let [first] = hash_row::<R, 1, 1>([x[0]], None, keys, 2 * gate);
            let [second] = hash_row::<R, 1, 1>([x[1]], None, keys, 2 * gate + 1);
            [first[0], second[0]]
        }
    }

    #[inline(always)]
    fn hash_both(self, keys: &KeyRow, gate: u32, x: [&Row; 2], delta: Block) -> [[Row; 2]; 2] {
        // SAFETY: `self` exists.
        unsafe {
            let [first] = hash_row::<R, 1, 2>([x[0]], Some(delta), keys, 2 * gate);
            let [second] = hash_row::<R, 1, 2>([x[1]], Some(delta), keys, 2 * gate + 1);
            [first, second]
        }
    }

    #[inline(always)]
    fn hash_triple(self, keys: &KeyRow, gate: u32, x: [&Row; 3]) -> [Row; 3] {
        // SAFETY: `self` exists.
        unsafe { hash_row::<R, 3, 1>(x, None, keys, gate).map(|[row]| row) }
    }

    #[inline(always)]
    fn hash_triple_both(self, keys: &KeyRow, gate: u32, x: [&Row; 3], delta: Block) -> [[Row; 2]; 3] {
        // SAFETY: `self` exists.
        unsafe { hash_row::<R, 3, 2>(x, Some(delta), keys, gate) }
    }

    #[inline(always)]
    fn if_colour(self, x: &Row, value: &Row) -> Row {
        let mut out = Row::ZERO;
        for lane in (0..LANES).step_by(R::BLOCKS) {
            // SAFETY: `self` exists, and `BLOCKS` divides the number of blocks of a row.
            unsafe {
                let mask = R::load(&x.0[lane]).colour_mask();
                mask.and(R::load(&value.0[lane])).store(&mut out.0[lane]);
            }
        }
        out
    }

    #[inline(always)]
    fn prefetch<T>(self, at: &T) {
        // SAFETY: a prefetch accesses nothing, and SSE is part of x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>((&raw const *at).cast()) }
    }
}

/// The key schedules of the lanes of four registers: `words[i]` holds the `i`-th word of every round key.
///
/// One substitution then serves a register of keys; a transposition gives the keys in the layout of the states.
struct Schedule<R> {
    words: [R; 4],
}

impl<R: Register> Schedule<R> {
    #[inline(always)]
    unsafe fn new(keys: &KeyRow, first_lane: usize, tweak: u32) -> Schedule<R> {
        // SAFETY: the caller's; a word of the four registers' lanes is a register.
        unsafe {
            let mut words = [R::zero(); 4];
            for (word, row) in words.iter_mut().zip(&keys.words) {
                *word = R::load_words(row[first_lane..first_lane + REGISTERS * R::BLOCKS].as_ptr());
            }
            words[0] = words[0].xor(R::splat_word(tweak as i32));
            Schedule { words }
        }
    }

    /// Steps to the next round key.
    #[inline(always)]
    unsafe fn step(&mut self, round_constant: i32) {
        // `RotWord` on four words, then the inverse of the `ShiftRows` that the last round is about to do.
        const ROTATE: Block = Block(u128::from_le_bytes([1, 14, 11, 4, 5, 2, 15, 8, 9, 6, 3, 12, 13, 10, 7, 0]));
        let [w0, w1, w2, w3] = self.words;
        // SAFETY: the caller's.
        unsafe {
            let t = w3.shuffle_bytes(R::splat(ROTATE)).last_round(R::splat_word(round_constant));
            let w0 = w0.xor(t);
            let w1 = w1.xor(w0);
            let w2 = w2.xor(w1);
            let w3 = w3.xor(w2);
            self.words = [w0, w1, w2, w3];
        }
    }

    /// The current round keys, one per block.
    #[inline(always)]
    unsafe fn round_keys(&self) -> [R; REGISTERS] {
        let [w0, w1, w2, w3] = self.words;
        // SAFETY: the caller's.
        unsafe {
            let ([low01, high01], [low23, high23]) = (w0.interleave_words(w1), w2.interleave_words(w3));
            let ([k0, k1], [k2, k3]) = (low01.interleave_halves(low23), high01.interleave_halves(high23));
            [k0, k1, k2, k3]
        }
    }
}

/// Hashes the rows under one tweak, each at its offset of [`TRIPLE_OFFSETS`]; with a delta the other labels too.
#[inline(always)]
unsafe fn hash_row<R: Register, const WIRES: usize, const LABELS: usize>(
    x: [&Row; WIRES],
    delta: Option<Block>,
    keys: &KeyRow,
    tweak: u32,
) -> [[Row; LABELS]; WIRES] {
    let mut out = [[Row::ZERO; LABELS]; WIRES];
    // SAFETY: the caller's; four registers of blocks from a lane that they divide end within the row.
    unsafe {
        let delta = R::splat(delta.unwrap_or(Block::ZERO));
        for first_lane in (0..LANES).step_by(REGISTERS * R::BLOCKS) {
            let mut labels = [[[R::zero(); REGISTERS]; LABELS]; WIRES];
            for (labels, x) in labels.iter_mut().zip(x) {
                for (register, blocks) in labels[0].iter_mut().zip(x.0[first_lane..].chunks_exact(R::BLOCKS)) {
                    *register = R::load(blocks.as_ptr());
                }
                if LABELS == 2 {
                    labels[1] = labels[0];
                    for register in &mut labels[1] {
                        *register = register.xor(delta);
                    }
                }
            }
            let hashes = hash_registers(labels, Schedule::new(keys, first_lane, tweak));
            for (out, hashes) in out.iter_mut().zip(&hashes) {
                for (out, hashes) in out.iter_mut().zip(hashes) {
                    for (hash, blocks) in hashes.iter().zip(out.0[first_lane..].chunks_exact_mut(R::BLOCKS)) {
                        hash.store(blocks.as_mut_ptr());
                    }
                }
            }
        }
    }
    out
}

/// Hashes the labels of each wire at its offset, all under one key per lane.
#[inline(always)]
unsafe fn hash_registers<R: Register, const WIRES: usize, const LABELS: usize>(
    x: [[[R; REGISTERS]; LABELS]; WIRES],
    mut schedule: Schedule<R>,
) -> [[[R; REGISTERS]; LABELS]; WIRES] {
    let mut state = x;
    // SAFETY: the caller's.
    unsafe {
        let whitening = schedule.round_keys();
        for (labels, offset) in state.iter_mut().zip(TRIPLE_OFFSETS) {
            for registers in labels {
                for r in 0..REGISTERS {
                    registers[r] = registers[r].xor(whitening[r]);
                    if offset != Block::ZERO {
                        registers[r] = registers[r].xor(R::splat(offset));
                    }
                }
            }
        }
        for constant in &ROUND_CONSTANTS[..9] {
            schedule.step(*constant);
            let round = schedule.round_keys();
            // Nested loops: an iterator that flattens is not unrolled, and the state would live in memory.
            for labels in &mut state {
                for registers in labels {
                    for r in 0..REGISTERS {
                        registers[r] = registers[r].round(round[r]);
                    }
                }
            }
        }
        schedule.step(ROUND_CONSTANTS[9]);
        let last = schedule.round_keys();
        for (labels, x) in state.iter_mut().zip(&x) {
            for (registers, x) in labels.iter_mut().zip(x) {
                for r in 0..REGISTERS {
                    // The feed-forward joins the last round key.
                    registers[r] = registers[r].last_round(last[r].xor(feed_forward(x[r])));
                }
            }
        }
    }
    state
}

/// [`super::rekeyed::feed_forward`] of every block.
#[inline(always)]
unsafe fn feed_forward<R: Register>(x: R) -> R {
    // SAFETY: the caller's.
    unsafe { x.swap_words().xor(x.and(R::splat(Block(0xffff_ffff | 0xffff_ffff << 64)))) }
}
