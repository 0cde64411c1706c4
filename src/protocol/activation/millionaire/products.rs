//! Products of shared random bits with values of one party, made offline from random OTs, one each.
//!
//! Of a pair of pads `(p0, p1)` the receiver with choice `c` has `p_c`: `p_c - p0 = c (p1 - p0)`. Where the sender may use
//! the difference `p1 - p0` as its value, nothing is sent; else a word corrects it, which hides the value from a
//! receiver of either pad.

use crate::crypto::Block;
use crate::protocol::ot::random::{RandomOtReceiver, RandomOtSender};

/// The two words of a pad.
fn halves(pad: Block) -> [u64; 2] {
    bytemuck::cast(pad)
}

/// The sender's pads of the low (0) or high (1) word.
pub(super) fn pairs(ots: &RandomOtSender, half: usize) -> Vec<[u64; 2]> {
    ots.pads().map(|pads| [halves(pads[0])[half], halves(pads[1])[half]]).collect()
}

/// The receiver's pads of that word.
pub(super) fn chosen(ots: &RandomOtReceiver, half: usize) -> Vec<u64> {
    ots.pads().map(|(_, pad)| halves(pad)[half]).collect()
}

/// The sender's share of `c value`, and the correction that gives the receiver its own.
pub(super) fn correct([p0, p1]: [u64; 2], value: u64) -> (u64, u64) {
    (p0.wrapping_neg(), p0.wrapping_add(value).wrapping_sub(p1))
}

/// The receiver's share of `c value`.
pub(super) fn corrected(c: u64, pad: u64, correction: u64) -> u64 {
    pad.wrapping_add(c.wrapping_mul(correction))
}

/// `1 - 2 bit`.
pub(super) fn sign(bit: u64) -> u64 {
    1u64.wrapping_sub(2 * bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_a_product_add_up() {
        for c in [0, 1] {
            let pads = [123u64, u64::MAX - 5];
            let (sender, correction) = correct(pads, 77);
            let receiver = corrected(c, pads[c as usize], correction);
            assert_eq!(sender.wrapping_add(receiver), 77 * c);
        }
    }
}
