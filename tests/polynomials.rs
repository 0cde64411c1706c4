//! Every polynomial protocol of the registry over degrees and coefficients that the paper does not use.

mod harness;

use harness::{metered, run_layer, wan};
use longhaul::crypto::{Prg, Seed};
use longhaul::protocol::activation::{ActivationSpec, Family, PROTOCOLS, ProtocolEntry, find};
use longhaul::protocol::{Function, Polynomial};
use longhaul::ring::decode;

fn entries() -> impl Iterator<Item = &'static ProtocolEntry> {
    PROTOCOLS.iter().filter(|entry| entry.family == Family::Polynomial)
}

fn spec(coefficients: &[i64], precision_bits: u32, elements: usize, frac_bits: u32, shift: u32) -> ActivationSpec {
    ActivationSpec {
        function: Function::Polynomial(Polynomial { coefficients: coefficients.to_vec(), precision_bits }),
        elements,
        input_bits: frac_bits + shift,
        output_bits: frac_bits,
        settings: Default::default(),
    }
}

/// Coefficients of up to 1 in magnitude, a third of them zero, the last one not.
fn random_coefficients(prg: &mut Prg, degree: usize, precision_bits: u32) -> Vec<i64> {
    let one = 1i64 << precision_bits;
    let words = prg.words::<u64>(2 * (degree + 1));
    let random = |k: usize| (words[2 * k] % (2 * one as u64 + 1)) as i64 - one;
    let mut coefficients: Vec<i64> =
        (0..=degree).map(|k| if words[2 * k + 1].is_multiple_of(3) { 0 } else { random(k) }).collect();
    if coefficients[degree] == 0 {
        coefficients[degree] = one / 2;
    }
    coefficients
}

/// The largest error without a wrap: what an error of the base, and a unit of every truncation, can become.
fn tolerance(entry: &ProtocolEntry, spec: &ActivationSpec, x: f64) -> f64 {
    let Function::Polynomial(polynomial) = &spec.function else { unreachable!("polynomials only") };
    let (f, unit) = (spec.output_bits, (-f64::from(spec.output_bits)).exp2());
    let mut sum = 2.0 * unit;
    for (k, c) in polynomial.coefficients.iter().enumerate().skip(1) {
        let k = k as u32;
        // Two floors of s_k bits, in the protocols that raise a coarser x.
        let floored = if entry.exact { 0 } else { (k.saturating_sub(2) * f).div_ceil(k) };
        let base = if floored > 0 { 2.0 * f64::from(floored).exp2() * unit } else { 0.0 } + unit;
        let power = (x.abs() + base).powi(k as i32) - x.abs().powi(k as i32);
        sum += (*c as f64).abs() / f64::from(polynomial.precision_bits).exp2() * (power + unit);
    }
    sum
}

fn assert_computes(entry: &ProtocolEntry, spec: &ActivationSpec, range: f64, seed: Seed) {
    let Function::Polynomial(polynomial) = &spec.function else { unreachable!("polynomials only") };
    let limit = (range * f64::from(spec.input_bits).exp2()) as i64;
    let random = seed.derive("inputs").prg().words::<i64>(spec.elements).into_iter().map(|w| w % limit);
    let edges = [0, 1, -1, limit, -limit];
    let y: Vec<u64> = edges.into_iter().chain(random).take(spec.elements).map(|y| y as u64).collect();
    let client_share = seed.derive("client share").prg().words(spec.elements);
    let run = run_layer(entry, spec, &y, &client_share, seed, &wan()).unwrap_or_else(|e| panic!("{}: {e}", entry.id));
    assert_eq!(metered(&run), entry.protocol.cost(spec), "{}: {polynomial:?}", entry.id);
    for ((y, s), c) in y.iter().zip(&run.server).zip(&run.client) {
        let x = decode(*y, spec.input_bits);
        let (expected, actual) = (polynomial.eval(x), decode(s.wrapping_add(*c), spec.output_bits));
        let tolerance = tolerance(entry, spec, x);
        assert!(
            (expected - actual).abs() <= tolerance,
            "{}: {polynomial:?} at {x}, {} + {} bits: expected {expected}, got {actual}, tolerance {tolerance}",
            entry.id,
            spec.output_bits,
            spec.shift(),
        );
    }
}

#[test]
fn every_degree_and_any_coefficients() {
    for entry in entries() {
        let mut computed = [0; Polynomial::MAX_DEGREE + 1];
        for (degree, computed) in computed.iter_mut().enumerate().skip(1) {
            for (case, (frac_bits, precision_bits, shift)) in
                [(12, 8, 12), (12, 10, 0), (8, 6, 8), (9, 1, 3), (16, 10, 16)].into_iter().enumerate()
            {
                let seed = Seed::from_u64((degree * 10 + case) as u64);
                let coefficients = random_coefficients(&mut seed.prg(), degree, precision_bits);
                let spec = spec(&coefficients, precision_bits, 300, frac_bits, shift);
                if entry.protocol.supports(&spec).is_ok() {
                    assert_computes(entry, &spec, 1.5, seed);
                    *computed += 1;
                }
            }
        }
        // Only `fused` holds fewer fractional bits than these.
        assert!(entry.id == "fused" || computed[1..] == [5; 8], "{}: {computed:?}", entry.id);
        assert!(computed[1..].iter().all(|&n| n >= 1), "{}: {computed:?}", entry.id);
    }
}

/// Online words per activation, up and down, and the dealer's words to the client.
fn words(id: &str, coefficients: &[i64]) -> (u64, u64, u64) {
    let n = 1000;
    let spec = spec(coefficients, 10, n as usize, 16, 16);
    let cost = find(id).unwrap().protocol.cost(&spec);
    let dealt = cost.dealer_client.saturating_sub(16) / (8 * n);
    (cost.online.up / (8 * n), cost.online.down / (8 * n), dealt)
}

#[test]
fn zero_coefficients_cost_nothing() {
    let (full, published, fourth) = ([322, 512, 160, 7, -3], [322, 512, 160, 0, -3], [0, 0, 0, 0, -3]);
    assert_eq!([full, published, fourth].map(|c| words("espn", &c)), [(0, 6, 3), (0, 4, 2), (0, 3, 1)]);
    assert_eq!([full, published, fourth].map(|c| words("honeybadger", &c)), [(0, 3, 6), (0, 2, 4), (0, 1, 3)]);
    assert_eq!([full, published, fourth].map(|c| words("beaver-poly", &c)), [(2, 2, 3), (2, 2, 2), (2, 2, 2)]);
    // As its authors coded it: 12 products of two operands whatever the coefficients, 384 bytes both ways together.
    assert_eq!([full, published, fourth].map(|c| words("espn-reference", &c)), [(24, 24, 12); 3]);
    // Powers of one scale are opened once: x^7 and x^8 share s = 12.
    assert_eq!(words("espn", &[0, 0, 0, 0, 0, 0, 0, 1, 1]), (0, 7, 2));
    assert_eq!(words("honeybadger", &[0, 0, 0, 0, 0, 0, 0, 1, 1]), (0, 1, 7));
    for id in ["espn", "honeybadger", "beaver-poly", "espn-reference"] {
        let cost = find(id).unwrap().protocol.cost(&spec(&[5, 512], 10, 9, 16, 16));
        assert_eq!(cost, Default::default(), "{id}: a linear function is local");
    }
}

#[test]
fn rounds_are_one_or_the_logarithm_of_the_degree() {
    for degree in 2..=Polynomial::MAX_DEGREE {
        let rounds = |id| find(id).unwrap().protocol.cost(&spec(&vec![1; degree + 1], 0, 1, 16, 16)).online.rounds;
        assert_eq!(["fused", "espn", "espn-reference", "honeybadger"].map(rounds), [1; 4]);
        assert_eq!(rounds("beaver-poly"), degree.next_power_of_two().ilog2(), "degree {degree}");
    }
}
