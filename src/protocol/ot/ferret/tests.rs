use super::*;
use crate::crypto::Seed;
use crate::protocol::ot::ideal::assert_cot;

/// Both ends over ideal transfers.
fn ends(seed: u64) -> (FerretSender, FerretReceiver) {
    let mut prg = Seed::from_u64(seed).prg();
    let delta = Block(prg.block().0 | 1);
    let (q, choices) = (prg.words::<Block>(KEPT), prg.words::<u64>(KEPT / 64));
    let t = q.iter().enumerate().map(|(j, q)| *q ^ delta.if_bit(choices[j / 64] >> (j % 64) & 1 == 1)).collect();
    (FerretSender::new(delta, q), FerretReceiver::new(&choices, t))
}

/// The receiver's lowest bits.
fn choices(t: &[Block]) -> Vec<u64> {
    t.chunks_exact(64).map(|t| t.iter().enumerate().fold(0, |word, (j, t)| word | u64::from(t.lsb()) << j)).collect()
}

#[test]
fn small_and_large_extensions_are_correlated_and_choices_uniform() {
    let (sender, receiver) = ends(1);
    let mut rng = Seed::from_u64(2).prg();
    let (q, message) = sender.extend_by(&mut rng, SMALL, &sender.kept);
    assert_eq!(message.len(), SMALL.message_bytes());
    let t = receiver.extend_by(SMALL, &receiver.kept, &message);
    assert_eq!((q.len(), t.len()), (SMALL.outputs(), SMALL.outputs()));
    assert_cot(sender.delta, &q, &t, &choices(&t));
    let ones = t.iter().filter(|t| t.lsb()).count() as f64;
    let n = t.len() as f64;
    assert!((ones - n / 2.0).abs() < 6.0 * n.sqrt() / 2.0, "{ones} of {n}");

    let (q, t) = (&q[KEPT..], &t[KEPT..]);
    let (large_q, message) = sender.extend_by(&mut rng, LARGE, q);
    let large_t = receiver.extend_by(LARGE, t, &message);
    assert_cot(sender.delta, &large_q, &large_t, &choices(&large_t));
}

#[test]
fn sizes_fit_together() {
    const { assert!(SMALL.outputs() > KEPT && SMALL_YIELD >= LARGE.inputs()) };
    assert_eq!(SMALL.outputs(), 470_016);
    assert_eq!(LARGE.outputs(), 10_268_672);
    for n in [0, 64, SMALL_YIELD, SMALL_YIELD + 1, LARGE_FROM, LARGE_FROM + 64, 30_000_000] {
        let Reserve { large, small } = Reserve::for_transfers(n);
        assert!(large * LARGE.outputs() + small * SMALL_YIELD >= n, "{n}");
        assert!(small <= 6, "{n}");
    }
    assert_eq!(Reserve::for_transfers(64), Reserve { large: 0, small: 1 });
    assert_eq!(Reserve::for_transfers(10_000_000), Reserve { large: 1, small: 0 });
}

#[test]
fn the_noise_is_one_transfer_in_each_bin() {
    // With zeros in place of the code's inputs, the receiver's lowest bits are the noise.
    let (sender, receiver) = ends(3);
    let blank = |kept: &[Block]| [vec![Block::ZERO; SMALL.k], kept[SMALL.k..].to_vec()].concat();
    let (_, message) = sender.extend_by(&mut Seed::from_u64(4).prg(), SMALL, &blank(&sender.kept));
    let t = receiver.extend_by(SMALL, &blank(&receiver.kept), &message);
    let positions: Vec<usize> = t
        .chunks_exact(1 << SMALL.h)
        .map(|bin| {
            assert_eq!(bin.iter().filter(|t| t.lsb()).count(), 1);
            bin.iter().position(|t| t.lsb()).expect("counted")
        })
        .collect();
    let distinct: std::collections::HashSet<_> = positions.iter().collect();
    assert!(distinct.len() > 300, "{} positions in 918 bins of 512", distinct.len());
}
