//! Integers in bits of one width, the lowest first.

pub(super) fn bytes(values: usize, width: u32) -> usize {
    (values * width as usize).div_ceil(8)
}

/// What each is above `least`, which fits in `width` bits.
pub(super) fn pack(values: &[u64], least: u64, width: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes(values.len(), width) + 8);
    let (mut held, mut bits) = (0u128, 0);
    for value in values {
        held |= u128::from(value - least) << bits;
        bits += width;
        if bits >= u64::BITS {
            out.extend_from_slice(&(held as u64).to_le_bytes());
            held >>= u64::BITS;
            bits -= u64::BITS;
        }
    }
    out.extend_from_slice(&(held as u64).to_le_bytes()[..bits.div_ceil(8) as usize]);
    out
}

/// `packed` holds as many bytes as so many values take.
pub(super) fn unpack(packed: &[u8], values: usize, least: u64, width: u32) -> Vec<u64> {
    let mask = u64::MAX.checked_shr(u64::BITS - width).unwrap_or(0);
    let mut words = packed.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u128::from(u64::from_le_bytes(word))
    });
    let (mut held, mut bits) = (0u128, 0);
    let next = |_| {
        if bits < width {
            held |= words.next().unwrap_or(0) << bits;
            bits += u64::BITS;
        }
        let value = held as u64 & mask;
        held >>= width;
        bits -= width;
        least.wrapping_add(value)
    };
    (0..values).map(next).collect()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn values_of_any_width_round_trip(
            values in vec(any::<u64>(), 0..70),
            width in 1..=64u32,
            least in any::<u64>(),
        ) {
            let least = least >> 1 >> (width - 1);
            let values: Vec<u64> = values
                .iter()
                .map(|value| (value >> (64 - width)).saturating_add(least))
                .map(|value| value.min(least.saturating_add(u64::MAX >> (64 - width))))
                .collect();
            let packed = pack(&values, least, width);
            prop_assert_eq!(packed.len(), bytes(values.len(), width));
            prop_assert_eq!(unpack(&packed, values.len(), least, width), values);
        }
    }
}
