//! Digits compared by 1-of-16 OT: the client's digit is the choice, the server's messages are both comparisons with
//! every possible digit, masked by its shares.
//!
//! A message word holds `less` for the 16 choices in its low half and `equal` in its high half.

use super::{DIGIT_BITS, Layer, bit};
use crate::crypto::Block;
use crate::crypto::Prg;
use crate::protocol::ot::random::{RandomOtReceiver, RandomOtSender};

/// The server's: the pads of every digit, and its shares of the results.
pub(super) struct SenderLeaves {
    /// Activation-major.
    pads: Vec<u32>,
    /// By digit, a bit per activation.
    pub less: Vec<Vec<u64>>,
    pub equal: Vec<Vec<u64>>,
}

impl SenderLeaves {
    pub fn new(layer: Layer, rng: &mut Prg) -> SenderLeaves {
        let mut shares = || (0..layer.digits()).map(|_| rng.words(layer.words())).collect();
        SenderLeaves { pads: Vec::with_capacity(layer.n * layer.digits()), less: shares(), equal: shares() }
    }

    /// The next digits' pads.
    pub fn extend(&mut self, ots: &RandomOtSender) {
        self.pads.extend(ots.pads().map(|pads| {
            let word = |(x, pad): (usize, &Block)| (pad.0 as u32 & 1) << x | (pad.0 as u32 >> 1 & 1) << (16 + x);
            pads.iter().enumerate().map(word).fold(0, |word, bits| word | bits)
        }));
    }

    /// The masked messages for the server's numbers.
    pub fn messages(&self, layer: Layer, numbers: &[u64]) -> Vec<u32> {
        let digits = layer.digits();
        let mut words = self.pads.clone();
        for (i, (words, &number)) in words.chunks_exact_mut(digits).zip(numbers).enumerate() {
            for (j, word) in words.iter_mut().enumerate() {
                let b = layer.digit(number, j);
                // `x < b` for the lowest b choices, `x = b` for one.
                let truth = ((1u32 << b) - 1) | 1 << (16 + b);
                let mask = (bit(&self.less[j], i) as u32).wrapping_neg() & 0xffff
                    | (bit(&self.equal[j], i) as u32).wrapping_neg() & 0xffff_0000;
                *word ^= truth ^ mask;
            }
        }
        words
    }
}

/// The client's: its digits, and the bits of its pads.
#[derive(Default)]
pub(super) struct ReceiverLeaves {
    /// Activation-major; a digit, and above it the pads of `less` and `equal`.
    chosen: Vec<u8>,
}

impl ReceiverLeaves {
    pub fn extend(&mut self, ots: &RandomOtReceiver) {
        self.chosen.extend(ots.pads().map(|(digit, pad)| digit | (pad.0 as u8 & 3) << DIGIT_BITS));
    }

    /// The client's shares of `less` and `equal`, by digit.
    pub fn open(&self, layer: Layer, messages: &[u32]) -> [Vec<Vec<u64>>; 2] {
        let digits = layer.digits();
        let [mut less, mut equal] = [0, 0].map(|_| vec![vec![0u64; layer.words()]; digits]);
        let rows = messages.chunks_exact(digits).zip(self.chosen.chunks_exact(digits));
        for (i, (messages, chosen)) in rows.enumerate() {
            for (j, (message, chosen)) in messages.iter().zip(chosen).enumerate() {
                let x = chosen & 15;
                let result = |half: u32, pad: u8| u64::from((message >> (half + u32::from(x))) as u8 & 1 ^ pad & 1);
                less[j][i / 64] |= result(0, chosen >> DIGIT_BITS) << (i % 64);
                equal[j][i / 64] |= result(16, chosen >> (DIGIT_BITS + 1)) << (i % 64);
            }
        }
        [less, equal]
    }
}

/// The client's numbers, as digits for the OTs: four bits each without gaps, from the most significant one.
pub(super) fn choices(layer: Layer, numbers: &[u64]) -> Vec<u64> {
    let digits = layer.digits();
    let mut words = vec![0u64; (numbers.len() * digits * DIGIT_BITS).div_ceil(64)];
    for (i, &number) in numbers.iter().enumerate() {
        for j in 0..digits {
            let at = i * digits + j;
            words[at / 16] |= (layer.digit(number, j) as u64) << (at % 16 * DIGIT_BITS);
        }
    }
    words
}
