//! Comparing and hashing short byte strings by words of eight.
//!
//! A call of the C library's `memcmp` costs more than these comparisons do: most texts that tell groups
//! apart have eight to forty bytes.

/// Whether two slices are the same.
#[inline(always)]
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    match (ends::<8>(a), ends::<8>(b)) {
        (Some(ends_a), Some(ends_b)) => {
            if a.len() <= 16 {
                return differ(ends_a, ends_b) == 0;
            }
            same_long(a, b)
        }
        _ => short(a) == short(b),
    }
}

#[inline(always)]
fn same_long(a: &[u8], b: &[u8]) -> bool {
    let (Some(ends_a), Some(ends_b)) = (ends::<16>(a), ends::<16>(b)) else { return false };
    if differ_wide(ends_a, ends_b) != 0 {
        return false;
    }
    // What lies between the first sixteen and the last.
    let (mut at, end) = (16, a.len().saturating_sub(16));
    while at < end {
        match (a.get(at..).and_then(<[u8]>::first_chunk), b.get(at..).and_then(<[u8]>::first_chunk))
        {
            (Some(a), Some(b)) if word(*a) == word(*b) => at += 8,
            _ => return false,
        }
    }
    true
}

/// The first and the last bytes, which may overlap.
#[inline(always)]
fn ends<const N: usize>(bytes: &[u8]) -> Option<(&[u8; N], &[u8; N])> {
    Some((bytes.first_chunk()?, bytes.last_chunk()?))
}

#[inline(always)]
fn differ(a: (&[u8; 8], &[u8; 8]), b: (&[u8; 8], &[u8; 8])) -> u64 {
    (word(*a.0) ^ word(*b.0)) | (word(*a.1) ^ word(*b.1))
}

#[inline(always)]
fn differ_wide(a: (&[u8; 16], &[u8; 16]), b: (&[u8; 16], &[u8; 16])) -> u128 {
    (u128::from_le_bytes(*a.0) ^ u128::from_le_bytes(*b.0))
        | (u128::from_le_bytes(*a.1) ^ u128::from_le_bytes(*b.1))
}

/// Mixes a slice into a hash; equal hashes of different slices are to be expected.
#[inline(always)]
pub(super) fn mix(seed: u64, bytes: &[u8]) -> u64 {
    let seed = seed ^ (bytes.len() as u64).wrapping_mul(SPREAD);
    match ends::<8>(bytes) {
        Some((first, last)) => {
            let hash = fold(seed ^ word(*first), SPREAD ^ word(*last));
            if bytes.len() <= 16 { hash } else { mix_between(hash, bytes) }
        }
        None => fold(seed ^ short(bytes), SPREAD),
    }
}

/// What the first and the last word leave out.
#[inline(always)]
fn mix_between(mut hash: u64, bytes: &[u8]) -> u64 {
    let (mut at, end) = (8, bytes.len() - 8);
    while at < end {
        let Some(part) = bytes.get(at..).and_then(<[u8]>::first_chunk) else { break };
        hash = fold(hash ^ word(*part), SPREAD);
        at += 8;
    }
    hash
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
