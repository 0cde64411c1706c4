use super::*;
use crate::crypto::Seed;
use crate::protocol::ot::iknp::random_delta;

/// Both ends of `n` transfers over ideal correlated ones.
fn ideal(hash: [&mut PadHash; 2], n: usize, bits: usize, seed: Seed) -> (RandomOtSender, RandomOtReceiver) {
    let mut prg = seed.prg();
    let delta = random_delta(&mut prg);
    let q = prg.words::<Block>(n * bits);
    let choices = prg.words::<u64>(transfers(n, bits) / 64);
    let bit = |j: usize| choices[j / 64] >> (j % 64) & 1 == 1;
    let t: Vec<Block> = q.iter().enumerate().map(|(j, q)| *q ^ delta.if_bit(bit(j))).collect();
    let [ours, theirs] = hash;
    (RandomOtSender::new(ours, delta, &q, bits), RandomOtReceiver::new(theirs, &choices, &t, bits))
}

#[test]
fn the_receiver_has_one_pad_and_no_pad_repeats() {
    let (mut ours, mut theirs) = (PadHash::new([5; 16]), PadHash::new([5; 16]));
    let mut seen = std::collections::HashSet::new();
    for bits in 1..=MAX_BITS {
        // The same correlation twice: the tweaks keep the pads apart.
        for (n, seed) in [(0, 1), (1, 1), (7, 1), (7, 1), (100, 3)] {
            let (sender, receiver) = ideal([&mut ours, &mut theirs], n, bits, Seed::from_u64(seed));
            assert_eq!((sender.pads().count(), receiver.pads().count()), (n, n));
            for (pads, (index, pad)) in sender.pads().zip(receiver.pads()) {
                assert_eq!(pads.len(), 1 << bits);
                for (x, of_sender) in pads.iter().enumerate() {
                    assert_eq!(*of_sender == pad, x == usize::from(index), "{bits} bits, pad {x}");
                    assert!(seen.insert(of_sender.0));
                }
            }
        }
    }
}

#[test]
fn derandomised_transfers_give_the_chosen_message() {
    let (mut ours, mut theirs) = (PadHash::new([6; 16]), PadHash::new([6; 16]));
    for bits in 1..=MAX_BITS {
        for (n, width) in [(0, 8), (1, 1), (33, 1), (65, 2), (10, 13), (9, 64)] {
            let seed = Seed::from_u64(width as u64);
            let (sender, receiver) = ideal([&mut ours, &mut theirs], n, bits, seed);
            let messages: Vec<u64> = seed.derive("messages").prg().words(n << bits);
            let choices: Vec<u8> = (0..n).map(|j| (j % (1 << bits)) as u8).collect();
            let expected = choices.iter().enumerate().map(|(j, &x)| messages[(j << bits) + usize::from(x)]);
            let expected: Vec<u64> = expected.map(|message| low_bits(message, width)).collect();
            let (receiver, corrections) = receiver.choose(choices);
            assert_eq!(corrections.len(), correction_bytes(n, bits));
            let masked = sender.derandomise(&corrections, &messages, width).unwrap();
            assert_eq!(masked.len(), message_bytes(n, bits, width));
            assert_eq!(receiver.open(&masked, width).unwrap(), expected, "{bits} bits, width {width}");
        }
    }
}

#[test]
fn messages_of_the_wrong_length_are_refused() {
    let mut hash = [PadHash::new([7; 16]), PadHash::new([7; 16])];
    let mut pair = || {
        let [ours, theirs] = &mut hash;
        ideal([ours, theirs], 10, 3, Seed::from_u64(1))
    };
    let expected = OtError::Length { message: CORRECTIONS, expected: 4, actual: 5 };
    assert_eq!(pair().0.derandomise(&[0; 5], &[0; 80], 2), Err(expected));
    let (receiver, _) = pair().1.choose(vec![0; 10]);
    let expected = OtError::Length { message: MESSAGES, expected: 20, actual: 19 };
    assert_eq!(receiver.open(&[0; 19], 2), Err(expected));
}

/// Pads are the hash of the definition: AES under key, tweak and feed-forward, of `q + x delta`.
#[test]
fn pads_are_the_hash_of_the_multiples() {
    use aes::cipher::{BlockCipherEncrypt, KeyInit};
    let delta = Block(u128::MAX - 4);
    let q: Vec<Block> = Seed::from_u64(2).prg().words(2 * 40);
    let sender = RandomOtSender::new(&mut PadHash::new([9; 16]), delta, &q, 2);
    // Transfer 37 is in the second group: instance 16 + 5, half gate 0.
    let tweak = 21u128 << 32;
    let cipher = aes::Aes128::new(&(u128::from_le_bytes([9; 16]) ^ tweak).to_le_bytes().into());
    let times_x = |value: u128| (value << 1) ^ ((value >> 127) * 0x87);
    for x in 0..4u128 {
        let input = q[74].0 ^ times_x(q[75].0) ^ ((x & 1) * delta.0) ^ ((x >> 1) * times_x(delta.0));
        let mut state = input.to_le_bytes().into();
        cipher.encrypt_block(&mut state);
        // The feed-forward, by 32-bit words.
        let [u0, v0, u1, v1]: [u32; 4] = bytemuck::cast(Block(input));
        let forward: Block = bytemuck::cast([u0 ^ v0, u0, u1 ^ v1, u1]);
        let pad = Block(u128::from_le_bytes(state.into())) ^ forward;
        assert_eq!(sender.pads().nth(37).unwrap()[x as usize], pad, "pad {x}");
    }
}

#[test]
fn corrections_hide_the_choices() {
    let (mut ours, mut theirs) = (PadHash::new([8; 16]), PadHash::new([8; 16]));
    let mut ones = 0;
    for seed in 0..50 {
        let (_, receiver) = ideal([&mut ours, &mut theirs], 256, 4, Seed::from_u64(seed));
        ones += receiver.choose(vec![15; 256]).1.iter().map(|byte| byte.count_ones()).sum::<u32>();
    }
    // Of 51200 bits, half with a standard deviation of 113.
    assert!(ones.abs_diff(25600) < 600, "{ones}");
}

#[test]
#[should_panic(expected = "5 choice bits")]
fn too_many_choice_bits_are_refused() {
    RandomOtSender::new(&mut PadHash::new([0; 16]), Block(1), &[], 5);
}
