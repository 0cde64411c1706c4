use super::*;
use crate::crypto::Seed;
use crate::protocol::ot::ideal::{assert_cot, ideal_base_ots};

const GROUP_BITS: [usize; 3] = [2, 4, 8];

/// Both ends over real base transfers.
fn real(k: usize, seed: Seed) -> (SoftSpokenSender, SoftSpokenReceiver) {
    let (base, message) = BaseSender::new(&mut seed.derive("receiver").prg());
    let (pending, answer) = PendingSender::from_base(k, &mut seed.derive("sender").prg(), &message).unwrap();
    let (receiver, sums) = SoftSpokenReceiver::from_base(k, base, &answer).unwrap();
    assert_eq!(sums.len(), sums_bytes(k));
    (pending.finish(&sums).unwrap(), receiver)
}

/// The sender before the receiver's sums, the receiver, and the sums, over ideal base transfers.
fn pending(k: usize, seed: Seed) -> (PendingSender, SoftSpokenReceiver, Vec<u8>) {
    let delta = random_delta(&mut seed.derive("delta").prg());
    let (pairs, keys) = ideal_base_ots(seed, &base_choices(delta));
    let (receiver, sums) = SoftSpokenReceiver::new(k, &pairs);
    (PendingSender { k, delta, keys }, receiver, sums)
}

fn ideal(k: usize, seed: Seed) -> (SoftSpokenSender, SoftSpokenReceiver) {
    let (pending, receiver, sums) = pending(k, seed);
    (pending.finish(&sums).unwrap(), receiver)
}

fn choices(seed: Seed, words: usize) -> Vec<u64> {
    seed.derive("choices").prg().words(words)
}

#[test]
fn outputs_are_correlated_over_real_and_ideal_base_transfers() {
    for k in GROUP_BITS {
        let seed = Seed::from_u64(k as u64);
        for (mut sender, mut receiver) in [real(k, seed), ideal(k, seed)] {
            // Repeated calls on the same streams; the last spans three tiles, one of them short.
            for m in [64, 128, 192, 2048 + 64, 0, 2 * TILE + 64] {
                let choices = choices(seed, m / 64);
                let (d, t) = receiver.extend(&choices);
                assert_eq!(d.len(), 16 * m / k);
                let q = sender.extend(m, &d).unwrap();
                assert_cot(sender.delta(), &q, &t, &choices);
            }
        }
    }
}

#[test]
fn streams_are_never_used_twice() {
    for k in GROUP_BITS {
        let (_, mut receiver) = ideal(k, Seed::from_u64(12));
        let mut seen = std::collections::HashSet::new();
        for words in [1, 1, 3, 31, 32, 33, TILE / 64 + 1] {
            let (d, t) = receiver.extend(&vec![0; words]);
            assert!(t.into_iter().all(|t| seen.insert(t.0)), "a row of the matrix repeats");
            let words = d.as_chunks::<8>().0;
            assert!(words.iter().all(|word| seen.insert(u64::from_le_bytes(*word).into())), "a column repeats");
        }
    }
}

#[test]
fn messages_of_the_wrong_length_are_refused_and_move_nothing() {
    for k in GROUP_BITS {
        let (_, _, sums) = pending(k, Seed::from_u64(14));
        let (sender, ..) = pending(k, Seed::from_u64(14));
        let expected = OtError::Length { message: SUMS, expected: sums.len(), actual: sums.len() + 1 };
        assert_eq!(sender.finish(&[sums, vec![0]].concat()).err(), Some(expected));

        let (mut sender, mut receiver) = ideal(k, Seed::from_u64(14));
        let choices = [7, 8, 9];
        let (d, t) = receiver.extend(&choices);
        for actual in [0, d.len() - 1] {
            let expected = OtError::Length { message: MESSAGE, expected: d.len(), actual };
            assert_eq!(sender.extend(192, &d[..actual]), Err(expected));
        }
        let q = sender.extend(192, &d).unwrap();
        assert_cot(sender.delta(), &q, &t, &choices);
    }
}

#[test]
#[should_panic(expected = "transfer ")]
fn a_corrupt_column_breaks_the_correlation() {
    let (mut sender, mut receiver) = ideal(4, Seed::from_u64(15));
    let (mut d, t) = receiver.extend(&[0, 0]);
    // Group 0, whose lowest bit of delta is set.
    d[5] ^= 4;
    let q = sender.extend(128, &d).unwrap();
    assert_cot(sender.delta(), &q, &t, &[0, 0]);
}

#[test]
#[should_panic(expected = "transfer ")]
fn corrupt_sums_break_the_correlation() {
    let (pending, mut receiver, mut sums) = pending(2, Seed::from_u64(16));
    sums.iter_mut().for_each(|byte| *byte ^= 1);
    let mut sender = pending.finish(&sums).unwrap();
    let (d, t) = receiver.extend(&[0, 0]);
    let q = sender.extend(128, &d).unwrap();
    assert_cot(sender.delta(), &q, &t, &[0, 0]);
}

/// Whatever the choices, the columns have balanced bits, also to a sender who takes off all streams that it knows:
/// over 64 seeds, the sum over the columns of (ones - zeros)^2 / bits is chi-square.
#[test]
fn the_message_hides_the_choices() {
    for k in GROUP_BITS {
        for choices in [0, u64::MAX] {
            let mut statistic = [0.0; 2];
            for seed in 0..64 {
                let (sender, mut receiver) = ideal(k, Seed::from_u64(seed));
                let (d, _) = receiver.extend(&[choices; 32]);
                let mut known = vec![Block::ZERO; (k + 1) * 16];
                for (d, group) in d.chunks_exact(256).zip(&sender.streams.groups) {
                    group.fill(0, &mut known);
                    let known: &[u8] = bytemuck::cast_slice(&known[16 * k..]);
                    let rest: Vec<u8> = d.iter().zip(known).map(|(d, known)| d ^ known).collect();
                    for (statistic, column) in statistic.iter_mut().zip([d, &rest]) {
                        let ones: u32 = column.iter().map(|byte| byte.count_ones()).sum();
                        *statistic += (2.0 * ones as f64 - 2048.0).powi(2) / 2048.0;
                    }
                }
            }
            let freedom = 64.0 * (BASE_OTS / k) as f64;
            for statistic in statistic {
                assert!((statistic - freedom).abs() < 5.0 * (2.0 * freedom).sqrt(), "k = {k}: {statistic}");
            }
        }
    }
}

#[test]
#[should_panic(expected = "groups of 3 bits")]
fn groups_that_do_not_divide_delta_are_refused() {
    let _ = SoftSpokenReceiver::new(3, &[]);
}
