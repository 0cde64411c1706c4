//! A 128-bit block: wire label, AES block, row of an OT matrix.

use bytemuck::{Pod, Zeroable};
use std::ops::{BitAnd, BitXor, BitXorAssign};

/// 128 bits, little-endian: bit `i` of the block is bit `i` of the integer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(16))]
pub struct Block(pub u128);

impl Block {
    /// All bits zero.
    pub const ZERO: Block = Block(0);

    /// The least significant bit: the colour bit of a wire label.
    pub fn lsb(self) -> bool {
        self.0 & 1 == 1
    }

    /// `self` if `keep`, else zero, without a branch.
    pub fn if_bit(self, keep: bool) -> Block {
        Block(self.0 & (keep as u128).wrapping_neg())
    }
}

impl BitXor for Block {
    type Output = Block;
    fn bitxor(self, other: Block) -> Block {
        Block(self.0 ^ other.0)
    }
}

impl BitXorAssign for Block {
    fn bitxor_assign(&mut self, other: Block) {
        self.0 ^= other.0;
    }
}

impl BitAnd for Block {
    type Output = Block;
    fn bitand(self, other: Block) -> Block {
        Block(self.0 & other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Block;

    #[test]
    fn selects_without_branching() {
        let block = Block(0x1234_5678_9abc_def1);
        assert_eq!(block.if_bit(true), block);
        assert_eq!(block.if_bit(false), Block::ZERO);
        assert!(block.lsb() && !(block ^ Block(1)).lsb());
    }
}
