//! The three-halves garbling of AND gates: 1.5 kappa and a few bits per gate, by slicing and dicing.
//!
//! Source: Rosulek, Roy, "Three Halves Make a Whole? Beating the Half-Gates Lower Bound for Garbled Circuits"
//! (Crypto 2021, ePrint 2021/749), for gates known to be AND; matrices re-derived below.
//!
//! **Slicing.** `x_L`, `x_R` are the halves of a label, `(i, j)` the colours of the evaluator's labels `A`, `B`,
//! `S = A ^ B`, `H` is half a hash. The evaluator computes
//!
//! ```text
//! C_L = H(A) ^ H(S) ^ i G0 ^ (i^j) G2 ^ l . (A_L, A_R, B_L, B_R)
//! C_R = H(B) ^ H(S) ^ j G1 ^ (i^j) G2 ^ r . (A_L, A_R, B_L, B_R)
//! ```
//!
//! Over all four `(i, j)` these are 8 equations; the 6 hashes in them have rank 5, which is what `C_L`, `C_R`,
//! `G0`, `G1`, `G2` can absorb. For `C` to be the AND of the permute bits `p = (p_a, p_b)`, the coefficients
//! must satisfy three more equations. With `w = (0 1; 1 1)`, which generates GF(4), a solution for every
//! `y` in GF(4) is
//!
//! ```text
//! l = (w^2 s | s ^ (i, 0)),   r = (s ^ (0, j) | w s),   s = y ^ i w p ^ j w^2 p
//! ```
//!
//! **Dicing.** `s`, the control bits, is all that depends on secrets; for a uniform `y` it is uniform at each
//! single `(i, j)`, whatever `p` is. It has the form of the equations above, with `p_a`, `p_b`, `p_a ^ p_b` in
//! place of the `G`, so it is encrypted the same way, under a further bit of each hash:
//!
//! ```text
//! s_1 = h(A) ^ h(S) ^ i z0 ^ (i^j) z2,   s_2 = h(B) ^ h(S) ^ j z1 ^ (i^j) z2
//! ```
//!
//! Deviation: the paper draws `y` and sends two more bits to correct `s` at colours (0, 0). Here `y` is what
//! the hashes give there, as in row reduction: 3 bits per gate instead of 5, and garbling needs no randomness.
//!
//! Security: semi-honest garbler, kappa = 128, in the ideal-cipher model. At any `(i, j)` three of the six
//! hashes belong to labels that the evaluator lacks. Each of them masks just one of `G0`, `G1`, `G2` with its
//! half and one of `z0`, `z1`, `z2` with its bit, so the table is uniform and independent of `p`; given `p`,
//! the table and the evaluator's hashes determine `s` everywhere. (The paper's proof from circular correlation
//! robustness fixes `y` before the hashes; with our `y` it would have to guess two bits per gate.)
//!
//! The hash is [`RowHash::hash_triple`]: AES-128 under the key `session ^ (gate + 2^32 instance)`, one key
//! schedule for the three wires, whose inputs are told apart by offsets. The offsets are needed, for a gate
//! may take one wire twice: its `A` and `B`, or `A` and `S`, would coincide. Without a coincidence (they differ
//! by 0, delta, or something random), six outputs of one ideal permutation are as good as two each of three,
//! up to 2^-124 per gate; but a decryption or encryption by the evaluator under the key has three chances
//! to hit an unknown label instead of one: 1.6 bits of 128 (three keys would be a sixth to a quarter slower).
//! As `H ^ L(delta)` becomes known for linear `L` chosen by `s`, the feed-forward `w` of the hash is such that
//! its half, and it XOR any of `0`, `x_L`, `x_R`, `x_L ^ x_R`, has full rank.
//!
//! Cost: 24 bytes and 3 bits of table per AND gate (390 bytes per 16 instances); six hashes to garble it,
//! three to evaluate it, one key schedule.
//!
//! Shapes: the table of a gate is `G0 | G1` in every lane, then `G2` in every lane, then the bits `z0, z1` of
//! every lane, then `z2` of every lane, filled up to a byte.

use super::instances::{AndGate, Scheme, read, write};
use crate::crypto::Block;
use crate::crypto::rekeyed::{LANES, Row, RowHash};
use crate::crypto::row_words::{HIGH, LOW};

/// Three halves.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThreeHalves;

impl Scheme for ThreeHalves {
    #[inline(always)]
    fn gate_bytes(lanes: usize) -> usize {
        24 * lanes + (3 * lanes).div_ceil(8)
    }

    #[inline(always)]
    fn garble<H: RowHash>(hash: H, gate: &AndGate<'_>, delta: Block, inputs: [&Row; 2], table: &mut [u8]) -> Row {
        let wires = Wires::new(hash, inputs);
        let [a, b] = inputs;
        let [[a0, a1], [b0, b1], [s0, s1]] = hash.hash_triple_both(gate.keys, gate.index, [a, b, &wires.sum], delta);

        // The colours of the zero labels are the permute bits.
        let permute = wires.colours;
        let [a, b, s] = [a0 ^ a1, b0 ^ b1, s0 ^ s1];
        let z = Encrypted::new(hash.lsbs(&hash.high_halves(&a, &b)), hash.lsbs(&hash.high_halves(&s, &s)), permute);
        let control = z.decrypt(hash_bits(hash, [&a0, &b0, &s0]), permute);

        // The equations at the colours p and at both flipped give G0 and G1, those at p and at b's flipped G2. With
        // s at p, hh the XOR of both labels' hashes, and a, b zero labels:
        // G0 = hh(a) ^ (w^2 p | p ^ (1, 0)) . (a, b) ^ (w (s ^ p) ^ (p_a, 0)) . delta,
        // G1 = hh(b) ^ (p ^ (0, 1) | w p) . (a, b) ^ (w^2 (s ^ p) ^ (0, p_b)) . delta,
        // G2 = hh(a ^ b) ^ (w p | w^2 p) . (a, b) ^ (s ^ (p_b, p_a)) . delta.
        let delta_row = Row::splat(delta);
        let delta_swapped = Row::splat(Block(delta.0.rotate_left(64)));
        let delta_both = delta_row ^ delta_swapped;
        let g01 = hash.low_halves(&a, &b)
            ^ wires.cross
            ^ mix(hash, permute, &(wires.straight ^ delta_both), &(wires.crossed ^ delta_both))
            ^ mix(hash, control, &delta_swapped, &delta_both);
        let halves = hash.select(swap_bits(permute), &(wires.straight ^ delta_row)) ^ hash.select(control, &delta_row);
        let g2 = halves ^ hash.swap(&halves) ^ hash.low_halves(&s, &s);
        write_table(hash, gate.lanes, &g01, &g2, z, table);
        // With both zero labels the evaluator gets the output's zero label.
        wires.output(hash, [&a0, &b0, &s0], &g01, &g2, control)
    }

    #[inline(always)]
    fn evaluate<H: RowHash>(hash: H, gate: &AndGate<'_>, inputs: [&Row; 2], table: &[u8]) -> Row {
        let wires = Wires::new(hash, inputs);
        let (g01, g2, z) = read_table(hash, gate.lanes, table);
        let [a, b] = inputs;
        let hashes = hash.hash_triple(gate.keys, gate.index, [a, b, &wires.sum]);
        let hashes = hashes.each_ref();
        let control = z.decrypt(hash_bits(hash, hashes), wires.colours);
        wires.output(hash, hashes, &g01, &g2, control)
    }
}

/// A gate's input labels, sliced and rearranged. Rows are written `[low half | high half]`.
struct Wires {
    /// `a ^ b`.
    sum: Row,
    /// Bits `[i | j]`: the colours of `a` and `b`.
    colours: u32,
    /// Bits `[i ^ j | i ^ j]`.
    colours_sum: u32,
    /// `[b_L | a_R]`: what `i` and `j` select besides the table.
    cross: Row,
    /// What `s_1` in the equation of `C_L`, and `s_2` in that of `C_R`, selects: `[a_L ^ q | b_R ^ q]`, `q = a_R ^ b_L`.
    straight: Row,
    /// What `s_2` in the equation of `C_L`, and `s_1` in that of `C_R`, selects: `a_L ^ b_R` twice.
    crossed: Row,
}

impl Wires {
    #[inline(always)]
    fn new<H: RowHash>(hash: H, [a, b]: [&Row; 2]) -> Wires {
        let sum = *a ^ *b;
        let cross = hash.select(LOW, b) ^ hash.select(HIGH, a);
        let outer = sum ^ cross;
        let colours = hash.lsbs(&hash.low_halves(a, b));
        Wires {
            sum,
            colours,
            colours_sum: colours ^ swap_bits(colours),
            cross,
            straight: outer ^ cross ^ hash.swap(&cross),
            crossed: outer ^ hash.swap(&outer),
        }
    }

    /// The evaluator's equations for `C`.
    #[inline(always)]
    fn output<H: RowHash>(&self, hash: H, [a, b, s]: [&Row; 3], g01: &Row, g2: &Row, control: u32) -> Row {
        hash.low_halves(a, b)
            ^ hash.low_halves(s, s)
            ^ hash.select(self.colours, &(*g01 ^ self.cross))
            ^ hash.select(self.colours_sum, g2)
            ^ mix(hash, control, &self.straight, &self.crossed)
    }
}

/// The control bits of all lanes, encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Encrypted {
    /// `[z0 | z1]`.
    z01: u32,
    /// `[z2 | z2]`.
    z2: u32,
}

impl Encrypted {
    /// From `[h | h]` of wires `a | b` and of `S` twice, each XORed over both labels, and `[p_a | p_b]`.
    #[inline(always)]
    fn new(ab: u32, s: u32, permute: u32) -> Encrypted {
        Encrypted { z01: ab ^ permute, z2: s ^ permute ^ swap_bits(permute) }
    }

    /// `[s_1 | s_2]` from `[h(A) ^ h(S) | h(B) ^ h(S)]` and the colours `[i | j]`.
    #[inline(always)]
    fn decrypt(&self, hash_bits: u32, colours: u32) -> u32 {
        hash_bits ^ colours & self.z01 ^ (colours ^ swap_bits(colours)) & self.z2
    }
}

/// `[h(A) ^ h(S) | h(B) ^ h(S)]`: the lowest bits of the high halves; the low halves go into the labels.
#[inline(always)]
fn hash_bits<H: RowHash>(hash: H, [a, b, s]: [&Row; 3]) -> u32 {
    hash.lsbs(&(hash.high_halves(a, b) ^ hash.high_halves(s, s)))
}

/// `straight` in the halves of the mask, XOR `crossed` in those of the mask with halves exchanged.
#[inline(always)]
fn mix<H: RowHash>(hash: H, mask: u32, straight: &Row, crossed: &Row) -> Row {
    hash.select(mask, straight) ^ hash.select(swap_bits(mask), crossed)
}

/// A mask with the halves of every lane exchanged.
#[inline(always)]
fn swap_bits(mask: u32) -> u32 {
    (mask & LOW) << 1 | mask >> 1 & LOW
}

/// Bytes of table of a full group: its copies are spelt out, so that they compile to plain loads and stores.
const FULL: usize = 24 * LANES + 6;

#[inline(always)]
fn write_table<H: RowHash>(hash: H, lanes: usize, g01: &Row, g2: &Row, z: Encrypted, table: &mut [u8]) {
    let (g2, z2) = (hash.pack(g2), compress(z.z2));
    let Some(full) = table.as_mut_array::<FULL>() else {
        return write_tail(lanes, g01, &g2, z.z01, z2, table);
    };
    write(g01, &mut full[..16 * LANES]);
    full[16 * LANES..24 * LANES].copy_from_slice(bytemuck::bytes_of(&g2));
    full[24 * LANES..FULL - 2].copy_from_slice(&z.z01.to_le_bytes());
    full[FULL - 2..].copy_from_slice(&(z2 as u16).to_le_bytes());
}

#[cold]
fn write_tail(lanes: usize, g01: &Row, g2: &[u64; LANES], z01: u32, z2: u32, table: &mut [u8]) {
    let (blocks, rest) = table.split_at_mut(16 * lanes);
    let (words, bits) = rest.split_at_mut(8 * lanes);
    write(g01, blocks);
    words.copy_from_slice(&bytemuck::bytes_of(g2)[..8 * lanes]);
    let (z01, z2) = (u64::from(z01) & ((1 << (2 * lanes)) - 1), u64::from(z2) & ((1 << lanes) - 1));
    bits.copy_from_slice(&(z01 | z2 << (2 * lanes)).to_le_bytes()[..bits.len()]);
}

/// `[G0 | G1]`, `[G2 | G2]` and the control bits; zeros in spare lanes.
#[inline(always)]
fn read_table<H: RowHash>(hash: H, lanes: usize, table: &[u8]) -> (Row, Row, Encrypted) {
    let Some(full) = table.as_array::<FULL>() else {
        let (g01, g2, z) = read_tail(lanes, table);
        return (g01, hash.spread(&g2), z);
    };
    let mut g2 = [0u64; LANES];
    bytemuck::bytes_of_mut(&mut g2).copy_from_slice(&full[16 * LANES..24 * LANES]);
    let [z @ .., z2, z3] = full[24 * LANES..].as_array::<6>().expect("three bits per lane");
    let z = Encrypted { z01: u32::from_le_bytes(*z), z2: expand(u32::from(u16::from_le_bytes([*z2, *z3]))) };
    (read(&full[..16 * LANES]), hash.spread(&g2), z)
}

#[cold]
fn read_tail(lanes: usize, table: &[u8]) -> (Row, [u64; LANES], Encrypted) {
    let (blocks, rest) = table.split_at(16 * lanes);
    let (words, bits) = rest.split_at(8 * lanes);
    let mut g2 = [0u64; LANES];
    bytemuck::bytes_of_mut(&mut g2)[..8 * lanes].copy_from_slice(words);
    let mut z = [0; 8];
    z[..bits.len()].copy_from_slice(bits);
    let z = u64::from_le_bytes(z);
    let (z01, z2) = (z & ((1 << (2 * lanes)) - 1), z >> (2 * lanes) & ((1 << lanes) - 1));
    (read(blocks), g2, Encrypted { z01: z01 as u32, z2: expand(z2 as u32) })
}

/// Bit `lane` of the result is bit `2 lane`.
#[inline(always)]
fn compress(mask: u32) -> u32 {
    let mut x = mask & LOW;
    for (shift, keep) in [(1, 0x3333_3333), (2, 0x0f0f_0f0f), (4, 0x00ff_00ff), (8, 0x0000_ffff)] {
        x = (x | x >> shift) & keep;
    }
    x
}

/// Bits `2 lane` and `2 lane + 1` of the result are bit `lane`.
#[inline(always)]
fn expand(bits: u32) -> u32 {
    let mut x = bits;
    for (shift, keep) in [(8, 0x00ff_00ff), (4, 0x0f0f_0f0f), (2, 0x3333_3333), (1, LOW)] {
        x = (x | x << shift) & keep;
    }
    x | x << 1
}

#[cfg(test)]
#[path = "three_halves_tests.rs"]
mod tests;
