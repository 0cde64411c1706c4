//! Words of fewer than 64 bits, one after another without gaps, as they cross the channel.

/// Bytes of `n` words of `width` bits.
pub(super) fn packed_bytes(n: usize, width: u32) -> usize {
    (n * width as usize).div_ceil(8)
}

/// The low `width` bits of each value, least significant first; the last byte is filled up with zeros.
pub(super) fn pack(values: &[u64], width: u32) -> Vec<u8> {
    if width == 64 {
        return bytemuck::cast_slice(values).to_vec();
    }
    let mut bytes = Vec::with_capacity(packed_bytes(values.len(), width) + 16);
    let (mut pending, mut bits) = (0u128, 0);
    for &value in values {
        pending |= u128::from(value & low_bits(width)) << bits;
        bits += width;
        if bits >= 64 {
            bytes.extend_from_slice(&(pending as u64).to_le_bytes());
            pending >>= 64;
            bits -= 64;
        }
    }
    bytes.extend_from_slice(&(pending as u64).to_le_bytes()[..bits.div_ceil(8) as usize]);
    bytes
}

/// The `n` words that [`pack`] made.
///
/// # Panics
/// If there are fewer bytes than `n` words take.
pub(super) fn unpack(bytes: &[u8], width: u32, n: usize) -> Vec<u64> {
    if width == 64 {
        return bytemuck::allocation::pod_collect_to_vec(bytes);
    }
    let word = |i: usize| {
        let bit = i * width as usize;
        let mut field = [0; 16];
        let from = &bytes[bit / 8..bytes.len().min(bit / 8 + 16)];
        field[..from.len()].copy_from_slice(from);
        (u128::from_le_bytes(field) >> (bit % 8)) as u64 & low_bits(width)
    };
    assert!(bytes.len() >= packed_bytes(n, width), "{} bytes for {n} words of {width} bits", bytes.len());
    (0..n).map(word).collect()
}

/// [`pack`] into words; the last word is filled up with zeros.
pub(super) fn pack_words(values: &[u64], width: u32) -> Vec<u64> {
    let mut bytes = pack(values, width);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytemuck::allocation::pod_collect_to_vec(&bytes)
}

/// The `width` lowest bits set.
pub(super) fn low_bits(width: u32) -> u64 {
    u64::MAX >> (64 - width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_follow_without_gaps() {
        assert_eq!(pack(&[0xf123, 0xf456, 0xf789], 12), [0x23, 0x61, 0x45, 0x89, 0x07]);
        assert_eq!(
            pack_words(&[0x1111_2222_3333_4444, 0x5555_6666_7777_8888], 48),
            [0x8888_2222_3333_4444, 0x6666_7777]
        );
    }

    proptest! {
        #[test]
        fn unpacking_restores_the_low_bits(values: Vec<u64>, width in 1u32..65) {
            let bytes = pack(&values, width);
            prop_assert_eq!(bytes.len(), packed_bytes(values.len(), width));
            let low: Vec<u64> = values.iter().map(|value| value & low_bits(width)).collect();
            prop_assert_eq!(unpack(&bytes, width, values.len()), low);
        }
    }
}
