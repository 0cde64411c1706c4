use super::super::instances::tests::{Case, and_circuit, decode};
use super::*;
use crate::crypto::rekeyed::{Kernel, TRIPLE_OFFSETS};
use crate::crypto::{Prg, Seed};
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use std::collections::BTreeMap;

// Elements of GF(4), pairs of bits, are integers below 4 here: bit 0 is the first (`_1`, `_L`, `p_a`).

/// `w x`.
fn w(x: u8) -> u8 {
    x >> 1 | ((x ^ x >> 1) & 1) << 1
}

/// `x` if the bit is set.
fn times(bit: u8, x: u8) -> u8 {
    (bit & 1) * x
}

/// `s` at the colours `(i, j)`.
fn control_bits(y: u8, p: u8, i: u8, j: u8) -> u8 {
    y ^ times(i, w(p)) ^ times(j, w(w(p)))
}

fn dot(coefficients: u8, [left, right]: [u64; 2]) -> u64 {
    (u64::from(coefficients & 1) * left) ^ (u64::from(coefficients >> 1) * right)
}

/// The evaluator's equations for `C_L` and `C_R`, less the `G`.
fn equations(s: u8, [i, j]: [u8; 2], a: [u64; 2], b: [u64; 2], h: [u64; 3]) -> [u64; 2] {
    [h[0] ^ h[2] ^ dot(w(w(s)), a) ^ dot(s ^ times(i, 1), b), h[1] ^ h[2] ^ dot(s ^ times(j, 2), a) ^ dot(w(s), b)]
}

/// The part of the `G` in the evaluator's equations.
fn table_part([i, j]: [u8; 2], [g0, g1, g2]: [u64; 3]) -> [u64; 2] {
    let [i, j] = [u64::from(i), u64::from(j)];
    [(i * g0) ^ ((i ^ j) * g2), (j * g1) ^ ((i ^ j) * g2)]
}

const COLOURS: [[u8; 2]; 4] = [[0, 0], [0, 1], [1, 0], [1, 1]];

#[test]
fn w_generates_gf4() {
    assert_eq!([0, 1, 2, 3].map(w), [0, 2, 3, 1]);
    assert!((0..4).all(|x| w(w(x)) ^ w(x) ^ x == 0));
}

#[test]
fn the_eight_equations_have_a_solution() {
    // Halves as linear forms: a bit per variable. The labels are those of colour 0.
    let (a, b, delta): ([u64; 2], [u64; 2], [u64; 2]) = ([1, 2], [4, 8], [16, 32]);
    let hash = |wire: usize, colour: u8| 64u64 << (2 * wire + usize::from(colour));
    let offset = |bit: u8, x: [u64; 2]| x.map(|x| u64::from(bit) * x);
    let xor = |x: [u64; 2], y: [u64; 2]| [x[0] ^ y[0], x[1] ^ y[1]];
    for (p, y) in (0..16u8).map(|bits| (bits & 3, bits >> 2)) {
        // Equals the table's part plus C, the label of zero.
        let side = |[i, j]: [u8; 2]| {
            let hashes = [hash(0, i), hash(1, j), hash(2, i ^ j)];
            let (a, b) = (xor(a, offset(i, delta)), xor(b, offset(j, delta)));
            let and = (i ^ p) & (j ^ p >> 1) & 1;
            xor(equations(control_bits(y, p, i, j), [i, j], a, b, hashes), offset(and, delta))
        };
        let c = side([0, 0]);
        let g = [side([1, 1])[0] ^ c[0], side([1, 1])[1] ^ c[1], side([0, 1])[0] ^ c[0]];
        for colours in COLOURS {
            assert_eq!(side(colours), xor(c, table_part(colours, g)), "p = {p}, y = {y}, {colours:?}");
        }
    }
}

#[test]
fn control_bits_say_nothing_about_permute_bits() {
    // One lane; hash bits of both labels of A, B, S run through all values.
    for [i, j] in COLOURS {
        let mut views: [BTreeMap<_, usize>; 4] = Default::default();
        for (p, bits) in (0..4u8).flat_map(|p| (0..64u32).map(move |bits| (p, bits))) {
            // [h(A) | h(B)] and [h(S) | h(S)] of three labels, given which.
            let of_labels = |[a, b, s]: [u8; 3]| {
                let bit = |index: u8| bits >> index & 1;
                (bit(a) | bit(2 + b) << 1, 3 * bit(4 + s))
            };
            let (zeros, ones) = (of_labels([0, 0, 0]), of_labels([1, 1, 1]));
            let z = Encrypted::new(zeros.0 ^ ones.0, zeros.1 ^ ones.1, u32::from(p));
            // The active labels have colours i and j.
            let (truth_a, truth_b) = ((i ^ p) & 1, (j ^ p >> 1) & 1);
            let active = of_labels([truth_a, truth_b, truth_a ^ truth_b]);
            let s = z.decrypt(active.0 ^ active.1, u32::from(i | j << 1));
            // The garbler's at the zero labels, whose colours are p, belong to the same y.
            let y = z.decrypt(zeros.0 ^ zeros.1, u32::from(p)) as u8 ^ control_bits(0, p, p & 1, p >> 1);
            assert_eq!(s as u8, control_bits(y, p, i, j));
            *views[usize::from(p)].entry((active, z, s)).or_default() += 1;
        }
        assert!(views.iter().all(|view| *view == views[0]), "colours {i} {j}");
        // Three hash bits and three of z, all free.
        assert_eq!(views[0].len(), 64);
        assert!((0..4).all(|s| views[0].keys().filter(|view| view.2 == s).count() == 16));
    }
}

/// A single gate, its active labels having these colours.
fn case_with_colours(seed: u64, n: usize, colours: [u8; 2]) -> Case<ThreeHalves> {
    let mut case = Case::new(ThreeHalves, and_circuit(), n, &mut Seed::from_u64(seed).prg());
    for ((labels, bits), colour) in case.inputs.iter_mut().zip(colours) {
        for (label, bit) in labels.iter_mut().zip(bits) {
            label.0 = label.0 & !1 | u128::from(u8::from(*bit) ^ colour);
        }
    }
    case
}

fn halves(block: Block) -> [u64; 2] {
    [block.0 as u64, (block.0 >> 64) as u64]
}

/// `H(x, gate 0, t)` of the first instance, by crate `aes`: half and control bit.
fn hash(case: &Case<ThreeHalves>, x: Block, wire: usize) -> (u64, u8) {
    let key = (u128::from_le_bytes(case.key) ^ u128::from(case.first_instance) << 32).to_le_bytes();
    let mut state = (x ^ TRIPLE_OFFSETS[wire]).0.to_le_bytes().into();
    aes::Aes128::new(&key.into()).encrypt_block(&mut state);
    let [low, high] = halves(Block(u128::from_le_bytes(state.into())));
    let words = halves(x).map(|x| (x as u32, (x >> 32) as u32));
    let low = low ^ (u64::from(words[0].0) << 32 | u64::from(words[0].0 ^ words[0].1));
    (low, (high as u32 ^ words[1].0 ^ words[1].1) as u8 & 1)
}

#[test]
fn one_gate_follows_the_paper() {
    let mut seen = [0; 4];
    for (seed, colours) in (0..64).flat_map(|seed| COLOURS.map(|colours| (seed, colours))) {
        let case = case_with_colours(seed, 1, colours);
        let [a, b] = [0, 1].map(|i| case.inputs[i].0[0] ^ case.delta.if_bit(case.inputs[i].1[0]));
        let (table, outputs0) = case.garble(Kernel::best(), 0, 1);
        assert_eq!(table.len(), 25);
        let word = |index: usize| u64::from_le_bytes(table[8 * index..][..8].try_into().expect("8 bytes"));
        let z = [0, 1, 2].map(|index| table[24] >> index & 1);
        let (h, bits): (Vec<_>, Vec<_>) =
            [a, b, a ^ b].into_iter().enumerate().map(|(wire, x)| hash(&case, x, wire)).unzip();
        let [i, j] = colours;
        let s = bits[0] ^ bits[2] ^ i & z[0] ^ (i ^ j) & z[2] | (bits[1] ^ bits[2] ^ j & z[1] ^ (i ^ j) & z[2]) << 1;
        seen[usize::from(s)] += 1;
        let [left, right] = equations(s, colours, halves(a), halves(b), [h[0], h[1], h[2]]);
        let [table_left, table_right] = table_part(colours, [word(0), word(1), word(2)]);
        let label = Block(u128::from(left ^ table_left) | u128::from(right ^ table_right) << 64);
        assert_eq!(case.evaluate(Kernel::best(), 0, 1, &table), [label]);
        assert_eq!(decode(case.delta, &outputs0, &[label]), Some(case.expected()));
    }
    // 256 draws of uniform control bits.
    assert!(seen.iter().all(|&count| count > 32), "{seen:?}");
}

#[test]
fn exactly_the_selected_table_bits_matter() {
    // Three lanes: 48 bytes of G0, G1, 24 of G2, bits of z0 and z1, then of z2, then padding.
    for (seed, [i, j]) in (0..).zip(COLOURS) {
        let case = case_with_colours(seed, 3, [i, j]);
        let selected = |bit: usize| match bit {
            0..384 => [i, j][bit / 64 % 2],
            384..576 => i ^ j,
            576..582 => [i, j][bit % 2],
            582..585 => i ^ j,
            _ => 0,
        };
        for kernel in Kernel::available() {
            let (mut table, outputs0) = case.garble(kernel, 0, 3);
            assert_eq!(table.len(), 74);
            for bit in 0..8 * table.len() {
                table[bit / 8] ^= 1 << (bit % 8);
                let outputs = case.evaluate(kernel, 0, 3, &table);
                table[bit / 8] ^= 1 << (bit % 8);
                let expected = (selected(bit) == 0).then(|| case.expected());
                assert_eq!(decode(case.delta, &outputs0, &outputs), expected, "{kernel:?}, {i} {j}, bit {bit}");
            }
        }
    }
}

#[test]
fn tables_are_uniform_for_every_permute_bit() {
    // The share of ones in each of the 195 bits, given the permute bits: 4096 draws, six standard deviations.
    let mut prg = Seed::from_u64(11).prg();
    for p in 0..4u8 {
        let mut case = Case::new(ThreeHalves, and_circuit(), 4096, &mut prg);
        for (bundle, (labels, _)) in case.inputs.iter_mut().enumerate() {
            labels.iter_mut().for_each(|label| label.0 = label.0 & !1 | u128::from(p >> bundle & 1));
        }
        let (tables, _) = case.garble(Kernel::best(), 0, 4096);
        let mut ones = [0i32; 195];
        for group in tables.chunks(ThreeHalves::gate_bytes(LANES)) {
            let bit = |index: usize| i32::from(group[index / 8] >> (index % 8) & 1);
            for (lane, index) in (0..LANES).flat_map(|lane| (0..195).map(move |index| (lane, index))) {
                ones[index] += bit(match index {
                    0..128 => 128 * lane + index,
                    128..192 => 128 * LANES + 64 * lane + index - 128,
                    192..194 => 192 * LANES + 2 * lane + index - 192,
                    _ => 194 * LANES + lane,
                });
            }
        }
        assert!(ones.iter().all(|&count| (count - 2048).abs() < 6 * 32), "p = {p}: {ones:?}");
    }
}

#[test]
fn masks_compress_and_expand() {
    let mut prg: Prg = Seed::from_u64(12).prg();
    for bits in prg.words::<u32>(100) {
        let lanes = (0..16).fold(0, |lanes, lane| lanes | (bits >> (2 * lane) & 1) << lane);
        assert_eq!(compress(bits), lanes);
        assert_eq!(expand(lanes), (bits & LOW) * 3);
        assert_eq!(swap_bits(swap_bits(bits)), bits);
    }
    assert_eq!(swap_bits(0b0110), 0b1001);
}
