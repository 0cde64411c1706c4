use super::*;
use crate::crypto::Seed;
use proptest::prelude::*;

/// The dealer's part and both parties' online parts for masks `r` and inputs `y`, in the clear.
fn relu(opening: MaskedOpening, y: &[i64], r: &[u64], prg: &mut Prg) -> Vec<u64> {
    let n = y.len();
    let secrets: Vec<Secrets> = r.iter().map(|&r| Secrets::new(opening, r)).collect();
    let thresholds: Vec<u64> = secrets.iter().map(|secrets| secrets.threshold).collect();
    let payloads: Vec<Payload> = secrets.iter().map(|secrets| secrets.payload).collect();
    let bits = opening.truncated_bits() - 1;
    let dcf = Dcf::new(prg.key(), bits);
    let roots: [Vec<Block>; 2] = [prg.words(n), prg.words(n)];
    let mut keys = vec![0; n * Dcf::key_bytes(bits)];
    dcf.generate([&roots[0], &roots[1]], &thresholds, &payloads, &mut keys);
    let server_constants: Vec<Constants> = prg.words(n);
    let sums: Vec<u64> =
        y.iter().zip(r).map(|(y, r)| (*y as u64).wrapping_add(opening.offset()).wrapping_add(*r)).collect();
    let points: Vec<u64> = sums.iter().map(|sum| sum >> opening.shift).collect();
    let mut result = vec![0u64; n];
    for holder in [Holder::First, Holder::Second] {
        let mut compared = vec![[0; 2]; n];
        dcf.evaluate(holder, &roots[holder as usize], &points, &keys, &mut compared);
        for i in 0..n {
            let constants = match holder {
                Holder::First => server_constants[i],
                Holder::Second => subtract(secrets[i].constants, server_constants[i]),
            };
            result[i] = result[i].wrapping_add(relu_share(opening, sums[i], compared[i], constants));
        }
    }
    result
}

fn assert_relu(opening: MaskedOpening, y: &[i64], r: &[u64], prg: &mut Prg) {
    for ((y, r), actual) in y.iter().zip(r).zip(relu(opening, y, r, prg)) {
        let error = actual.wrapping_sub((y.max(&0) >> opening.shift) as u64);
        // The borrow of the masks' lowest bits, for positive inputs that are truncated at all.
        let low = (1u64 << opening.shift) - 1;
        let borrow = u64::from(*y > 0 && (*y as u64 & low) + (r & low) > low);
        assert_eq!(error, borrow, "{opening:?}: y = {y}, r = {r}");
    }
}

#[test]
fn every_mask_and_every_input_of_small_rings() {
    let mut prg = Seed::from_u64(1).prg();
    for (width, shift) in [(8, 2), (8, 0), (8, 5), (7, 1), (5, 2), (3, 0)] {
        let bound = 1i64 << (width - 2);
        let (y, r): (Vec<i64>, Vec<u64>) =
            (1 - bound..bound).flat_map(|y| (0..1u64 << width).map(move |r| (y, r))).unzip();
        assert_relu(MaskedOpening { width, shift }, &y, &r, &mut prg);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn wide_rings(width in 20u32..=64, shift in 0u32..=17, seed: u64) {
        let mut prg = Seed::from_u64(seed).prg();
        let opening = MaskedOpening { width, shift };
        let end = (1i64 << (width - 2)) - 1;
        let mut y = vec![0, 1, -1, 1 << shift, -1 << shift, (1 << shift) - 1, end, -end, end >> 1, -(end >> 1)];
        y.extend(prg.words::<i64>(30).into_iter().map(|y| y % (end + 1)));
        y.extend(prg.words::<i64>(30).into_iter().map(|y| y % (4 << shift).min(end + 1)));
        // Masks at the ends of the ring and of its quarters, then uniform ones.
        for r in [0, 1, u64::MAX, 1 << (width - 1), 1 << (width - 2), 3 << (width - 2), (1 << (width - 1)) - 1] {
            assert_relu(opening, &y, &vec![r; y.len()], &mut prg);
        }
        let r: Vec<u64> = prg.words(y.len());
        assert_relu(opening, &y, &r, &mut prg);
    }
}

#[test]
fn a_width_too_small_for_the_shift_is_refused() {
    let spec = |width, input_bits| ActivationSpec {
        function: crate::protocol::Function::Relu,
        elements: 1,
        input_bits,
        output_bits: 16,
        settings: Settings { width: Some(width), ..Settings::default() },
    };
    assert!(Fss.supports(&spec(19, 32)).is_ok() && Fss.supports(&spec(8, 16)).is_ok());
    let refusal = Fss.supports(&spec(18, 32)).unwrap_err();
    assert!(refusal.contains("3 bits more than the 16 it truncates, here 18"), "{refusal}");
}
