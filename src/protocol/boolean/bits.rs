//! Values of a few bits each, packed without gaps, least significant bit first.

/// Packs values behind one another.
pub(crate) struct BitWriter {
    bytes: Vec<u8>,
    pending: u128,
    pending_bits: u32,
}

impl BitWriter {
    /// A writer that will hold `bits` bits.
    pub(crate) fn new(bits: usize) -> BitWriter {
        BitWriter { bytes: Vec::with_capacity(bits.div_ceil(8) + 8), pending: 0, pending_bits: 0 }
    }

    /// Appends the low `bits` bits of every value, at most 64.
    pub(crate) fn extend(&mut self, values: impl IntoIterator<Item = u64>, bits: u32) {
        let kept = u64::MAX >> (64 - bits);
        for value in values {
            self.pending |= ((value & kept) as u128) << self.pending_bits;
            self.pending_bits += bits;
            if self.pending_bits >= 64 {
                self.bytes.extend_from_slice(&(self.pending as u64).to_le_bytes());
                self.pending >>= 64;
                self.pending_bits -= 64;
            }
        }
    }

    /// The bytes; the last one is filled up with zeros.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let rest = self.pending_bits.div_ceil(8) as usize;
        self.bytes.extend_from_slice(&self.pending.to_le_bytes()[..rest]);
        self.bytes
    }
}

/// Reads what [`BitWriter`] packed; beyond the end there are zeros.
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    pending: u128,
    pending_bits: u32,
}

impl<'a> BitReader<'a> {
    /// A reader from the first bit on.
    pub(crate) fn new(bytes: &'a [u8]) -> BitReader<'a> {
        BitReader { bytes, pending: 0, pending_bits: 0 }
    }

    /// The next value of `bits` bits, 1 to 64.
    pub(crate) fn next(&mut self, bits: u32) -> u64 {
        if self.pending_bits < bits {
            let word = match self.bytes.split_first_chunk::<8>() {
                Some((word, rest)) => {
                    self.bytes = rest;
                    u64::from_le_bytes(*word)
                }
                None => {
                    let rest = std::mem::take(&mut self.bytes);
                    rest.iter().rev().fold(0, |word, &byte| word << 8 | byte as u64)
                }
            };
            self.pending |= (word as u128) << self.pending_bits;
            self.pending_bits += 64;
        }
        let value = self.pending as u64 & (u64::MAX >> (64 - bits));
        self.pending >>= bits;
        self.pending_bits -= bits;
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn values_come_back_and_no_bit_is_wasted(
            runs in proptest::collection::vec((1u32..=64, proptest::collection::vec(any::<u64>(), 0..9)), 0..9)
        ) {
            let total: usize = runs.iter().map(|(bits, values)| *bits as usize * values.len()).sum();
            let mut writer = BitWriter::new(total);
            for (bits, values) in &runs {
                writer.extend(values.iter().copied(), *bits);
            }
            let bytes = writer.finish();
            prop_assert_eq!(bytes.len(), total.div_ceil(8));
            let mut reader = BitReader::new(&bytes);
            for (bits, values) in &runs {
                for value in values {
                    prop_assert_eq!(reader.next(*bits), value & (u64::MAX >> (64 - bits)));
                }
            }
        }
    }

    #[test]
    fn first_bit_is_the_lowest_of_the_first_byte() {
        let mut writer = BitWriter::new(9);
        writer.extend([1, 0b10], 4);
        writer.extend([1], 1);
        assert_eq!(writer.finish(), [0b0010_0001, 1]);
    }
}
