use super::*;
use crate::crypto::{Block, Prg, Seed};
use proptest::prelude::*;

struct Keys {
    dcf: Dcf,
    roots: [Vec<Block>; 2],
    corrections: Vec<u8>,
}

fn generate(domain_bits: u32, alpha: &[u64], beta: &[Payload], prg: &mut Prg) -> Keys {
    let n = alpha.len();
    let dcf = Dcf::new(prg.key(), domain_bits);
    let roots = [prg.words(n), prg.words(n)];
    let mut corrections = vec![0; n * Dcf::key_bytes(domain_bits)];
    dcf.generate([&roots[0], &roots[1]], alpha, beta, &mut corrections);
    Keys { dcf, roots, corrections }
}

impl Keys {
    fn shares(&self, points: &[u64]) -> [Vec<Payload>; 2] {
        [Holder::First, Holder::Second].map(|holder| {
            let mut out = vec![[0; 2]; points.len()];
            self.dcf.evaluate(holder, &self.roots[holder as usize], points, &self.corrections, &mut out);
            out
        })
    }

    fn opened(&self, points: &[u64]) -> Vec<Payload> {
        let [first, second] = self.shares(points);
        let add = |(a, b): (Payload, Payload)| [a[0].wrapping_add(b[0]), a[1].wrapping_add(b[1])];
        first.into_iter().zip(second).map(add).collect()
    }
}

fn expected(points: &[u64], alpha: &[u64], beta: &[Payload]) -> Vec<Payload> {
    points.iter().zip(alpha).zip(beta).map(|((x, a), &b)| if x < a { b } else { [0; 2] }).collect()
}

#[test]
fn every_threshold_at_every_point_of_small_domains() {
    let mut prg = Seed::from_u64(1).prg();
    for bits in 2..=7 {
        // One key per threshold: 4 to 128 of them, so partial and several spans occur.
        let alpha: Vec<u64> = (0..1 << bits).collect();
        let beta: Vec<Payload> = prg.words(alpha.len());
        let keys = generate(bits, &alpha, &beta, &mut prg);
        for x in 0..1 << bits {
            let points = vec![x; alpha.len()];
            assert_eq!(keys.opened(&points), expected(&points, &alpha, &beta), "{bits} bits, x = {x}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Random points, and points that share a long prefix with the threshold.
    #[test]
    fn wide_domains(bits in 8u32..=64, n in 1usize..150, near in 0u32..64, seed: u64) {
        let mut prg = Seed::from_u64(seed).prg();
        let domain = u64::MAX >> (64 - bits);
        let alpha: Vec<u64> = prg.words::<u64>(n).into_iter().map(|a| a & domain).collect();
        let points: Vec<u64> = prg.words::<u64>(n).into_iter().zip(&alpha).enumerate()
            .map(|(i, (p, a))| if i % 2 == 0 { p & domain } else { a ^ (p >> near & domain) })
            .collect();
        let beta: Vec<Payload> = prg.words(n);
        let keys = generate(bits, &alpha, &beta, &mut prg);
        prop_assert_eq!(keys.opened(&points), expected(&points, &alpha, &beta));
        // The ends of the domain, the threshold itself and its neighbours.
        for point in [|_, _| 0, |_, domain| domain, |a, _| a, |a: u64, d| a.wrapping_add(1) & d, |a: u64, d| a.wrapping_sub(1) & d] {
            let points: Vec<u64> = alpha.iter().map(|&a| point(a, domain)).collect();
            prop_assert_eq!(keys.opened(&points), expected(&points, &alpha, &beta));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn kernels_agree(bits in 2u32..=64, n in 1usize..150, seed: u64) {
        let mut prg = Seed::from_u64(seed).prg();
        let key = prg.key();
        let (alpha, points, beta) = (prg.words::<u64>(n), prg.words::<u64>(n), prg.words::<Payload>(n));
        let roots: [Vec<Block>; 2] = [prg.words(n), prg.words(n)];
        let run = |kernel| {
            let dcf = Dcf::with_kernel(kernel, key, bits);
            let mut corrections = vec![0; n * Dcf::key_bytes(bits)];
            dcf.generate([&roots[0], &roots[1]], &alpha, &beta, &mut corrections);
            let mut outputs = [vec![[0; 2]; n], vec![[0; 2]; n]];
            dcf.evaluate(Holder::First, &roots[0], &points, &corrections, &mut outputs[0]);
            dcf.evaluate(Holder::Second, &roots[1], &points, &corrections, &mut outputs[1]);
            (corrections, outputs)
        };
        let expected = run(Kernel::Portable);
        for kernel in Kernel::available() {
            prop_assert!(run(kernel) == expected, "{:?}", kernel);
        }
    }
}

#[test]
fn the_permutation_is_the_standards() {
    // FIPS-197, appendix C.1: the cipher behind a key's only correction words, those of a domain of two bits.
    let key: [u8; 16] = std::array::from_fn(|i| i as u8);
    let plain = u128::from_le_bytes(std::array::from_fn(|i| i as u8 * 0x11));
    let cipher = 0x5ac5_b470_80b7_cdd8_3004_7b6a_d8e0_c469_u128;
    let root = Block(plain & !u128::from(TAG));
    for kernel in Kernel::available() {
        let dcf = Dcf::with_kernel(kernel, key, 2);
        let mut output = [[0; 2]];
        // A seed's two lowest bits are the point's.
        dcf.evaluate(Holder::First, &[root], &[plain as u64 & TAG], &[0; 64], &mut output);
        assert_eq!(bytemuck::cast::<Payload, u128>(output[0]), cipher ^ plain, "{kernel:?}");
    }
}

/// Chi-square of each of the sixteen byte positions against uniform, in standard deviations; the largest.
fn worst_position(blocks: &[[u8; 16]]) -> f64 {
    let sigmas = |position: usize| {
        let mut counts = [0u64; 256];
        blocks.iter().for_each(|block| counts[block[position] as usize] += 1);
        let mean = blocks.len() as f64 / 256.0;
        let chi: f64 = counts.iter().map(|&count| (count as f64 - mean).powi(2) / mean).sum();
        ((chi - 255.0) / 510f64.sqrt()).abs()
    };
    (0..16).map(sigmas).fold(0.0, f64::max)
}

#[test]
fn one_key_and_one_output_share_say_nothing() {
    // Extreme secrets, always the same ones; only the roots and the hash key are random.
    const BITS: u32 = 12;
    let n = 20_000;
    for (alpha, beta) in [(0, [1, 0]), ((1 << BITS) - 1, [1, 0]), (1 << (BITS - 1), [0, u64::MAX])] {
        let mut prg = Seed::from_u64(alpha + 5).prg();
        let keys = generate(BITS, &vec![alpha; n], &vec![beta; n], &mut prg);
        let words = keys.corrections.as_chunks::<16>().0;
        // Every correction word of the key by itself: rows of whole spans, then the tables.
        let span = LANES * Dcf::key_bytes(BITS) / 16;
        let whole = &words[..n / LANES * span];
        for row in 0..2 * (BITS - TERMINAL_BITS) as usize {
            let column: Vec<[u8; 16]> =
                whole.chunks_exact(span).flat_map(|span| &span[row * LANES..][..LANES]).copied().collect();
            assert!(worst_position(&column) < 6.0, "alpha {alpha}: row {row}");
        }
        let tables = 2 * LANES * (BITS - TERMINAL_BITS) as usize;
        for leaf in 0..LEAVES {
            let column: Vec<[u8; 16]> = whole
                .chunks_exact(span)
                .flat_map(|span| span[tables..].iter().skip(leaf).step_by(LEAVES))
                .copied()
                .collect();
            assert!(worst_position(&column) < 6.0, "alpha {alpha}: leaf {leaf}");
        }
        for (holder, shares) in keys.shares(&vec![alpha / 2; n]).into_iter().enumerate() {
            assert!(worst_position(bytemuck::cast_slice(&shares)) < 6.0, "alpha {alpha}: outputs of {holder}");
        }
    }
}

#[test]
fn a_key_evaluated_with_another_root_opens_to_noise() {
    let mut prg = Seed::from_u64(9).prg();
    let mut keys = generate(20, &[1000; 64], &[[1, 2]; 64], &mut prg);
    assert_eq!(keys.opened(&[3; 64]), vec![[1, 2]; 64]);
    keys.roots[1][0].0 ^= 1 << 40;
    let opened = keys.opened(&[3; 64]);
    assert_ne!(opened[0], [1, 2]);
    assert_eq!(opened[1..], [[1, 2]; 63]);
}

#[test]
fn the_size_of_a_key() {
    // 45 levels of two blocks and a table of four.
    assert_eq!(Dcf::key_bytes(47), 45 * 32 + 64);
    assert_eq!(Dcf::key_bytes(2), 64);
}
