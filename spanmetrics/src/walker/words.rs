//! Comparing and hashing short byte strings by words of eight.
//!
//! A call of the C library's `memcmp` costs more than these comparisons do: most texts that tell groups
//! apart have eight to forty bytes.

/// Of two slices of one length.
#[inline(always)]
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match (a.last_chunk::<8>(), b.last_chunk::<8>()) {
        (Some(last_a), Some(last_b)) => {
            let mut differ = word(*last_a) ^ word(*last_b);
            for (a, b) in a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0) {
                differ |= word(*a) ^ word(*b);
            }
            differ == 0
        }
        _ => short(a) == short(b),
    }
}

/// Mixes a slice into a hash; equal hashes of different slices are to be expected.
#[inline(always)]
pub(super) fn mix(seed: u64, bytes: &[u8]) -> u64 {
    let mut hash = fold(seed ^ bytes.len() as u64, SPREAD);
    match bytes.last_chunk::<8>() {
        Some(last) => {
            for part in bytes.as_chunks::<8>().0 {
                hash = fold(hash ^ word(*part), SPREAD);
            }
            fold(hash ^ word(*last), SPREAD)
        }
        None => fold(hash ^ short(bytes), SPREAD),
    }
}

/// The product of two words, folded to one.
#[inline(always)]
pub(super) fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// Odd, and without a pattern: the golden ratio's bits.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

#[inline(always)]
fn word(bytes: [u8; 8]) -> u64 {
    u64::from_le_bytes(bytes)
}

/// Fewer than eight bytes as a word; with the length, one word means one slice.
#[inline(always)]
fn short(bytes: &[u8]) -> u64 {
    match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32
        }
        _ => match bytes {
            [] => 0,
            [a] => u64::from(*a),
            [a, b] => u64::from(*a) | u64::from(*b) << 8,
            [a, b, c, ..] => u64::from(*a) | u64::from(*b) << 8 | u64::from(*c) << 16,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equality_is_that_of_slices(a in ".{0,40}", at in 0..40usize, other: u8) {
            let a = a.into_bytes();
            let mut b = a.clone();
            prop_assert!(same(&a, &b));
            prop_assert_eq!(mix(1, &a), mix(1, &b));
            if let Some(byte) = b.get_mut(at) {
                *byte = other;
            }
            prop_assert_eq!(same(&a, &b), a == b);
            b.push(0);
            prop_assert!(!same(&a, &b));
        }
    }

    #[test]
    fn single_bytes_spread_over_the_hash() {
        let hashes: std::collections::BTreeSet<u64> = (0..=255u8)
            .map(|byte| {
                mix(7, b"/api/v1/".iter().chain(&[byte]).copied().collect::<Vec<_>>().as_slice())
                    >> 48
            })
            .collect();
        assert!(hashes.len() > 240, "{}", hashes.len());
    }
}
