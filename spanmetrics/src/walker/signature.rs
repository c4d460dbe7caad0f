//! What tells groups apart, before it is decoded: laid out so that it is hashed and compared by blocks.
//!
//! ```text
//! a number 8 · lengths 2 × parts, then zeros up to a word · parts, each then zeros up to a word · zeros up
//! to a block
//! ```
//!
//! Those of one number have as many parts, so two that are the same are of the same parts. A call of the C
//! library's `memcmp` or a loop over bytes costs more than all of it: most parts have four to forty.

#[derive(Debug)]
pub(super) struct Signature {
    bytes: Vec<u8>,
    /// Where the next part goes.
    len: usize,
    parts: usize,
}

/// A part is shorter: this says that one is absent.
const ABSENT: u16 = u16::MAX;
const BLOCK_BYTES: usize = 32;
/// Written before anybody looks at a part's length.
const AHEAD_BYTES: usize = BLOCK_BYTES + 8;

const FIRST_BYTES: usize = 512;
const KEPT_BYTES: usize = 8 << 10;

/// So much of what stands behind a part in memory is read, and left out again.
pub(super) const READ_BEHIND: usize = BLOCK_BYTES;

impl Signature {
    pub(super) fn new() -> Self {
        Signature { bytes: vec![0; FIRST_BYTES], len: 0, parts: 0 }
    }

    /// The room that a long one took.
    pub(super) fn give_back(&mut self) {
        if self.bytes.len() > KEPT_BYTES {
            *self = Signature::new();
        }
    }

    #[inline(always)]
    pub(super) fn begin(&mut self, number: u64, parts: usize) {
        self.parts = 0;
        self.len = 8 + ((2 * parts + 7) & !7);
        if let Some(head) = self.bytes.first_chunk_mut::<BLOCK_BYTES>()
            && self.len <= BLOCK_BYTES
        {
            head[..8].copy_from_slice(&number.to_le_bytes());
            head[8..].fill(0);
            return;
        }
        self.begin_long(number);
    }

    #[inline(never)]
    fn begin_long(&mut self, number: u64) {
        self.bytes.truncate(0);
        self.bytes.extend(number.to_le_bytes());
        self.bytes.resize(self.len + FIRST_BYTES, 0);
    }

    /// Adds the first `len` of the bytes. False: it is too long, or less than [`READ_BEHIND`] of them are there.
    #[inline(always)]
    #[must_use]
    pub(super) fn push(&mut self, bytes: &[u8], len: usize) -> bool {
        let Some(block) = bytes.first_chunk::<BLOCK_BYTES>() else { return false };
        let Some(room) = self.bytes.get_mut(self.len..).and_then(<[u8]>::first_chunk_mut) else {
            return self.grow(len) && self.push(bytes, len);
        };
        if len > BLOCK_BYTES {
            return self.push_long(bytes, len);
        }
        let room: &mut [u8; AHEAD_BYTES] = room;
        room[..BLOCK_BYTES].copy_from_slice(block);
        // Not a call of `memset`.
        if let Some(behind) = room[len..].first_chunk_mut() {
            *behind = [0u8; 8];
        }
        self.push_length(len as u16);
        self.len += (len + 7) & !7;
        true
    }

    #[inline(never)]
    fn push_long(&mut self, bytes: &[u8], len: usize) -> bool {
        let Some(part) = bytes.get(..len).filter(|_| len < usize::from(ABSENT)) else {
            return false;
        };
        if self.bytes.len() < self.len + len + AHEAD_BYTES {
            self.grow(len);
        }
        let room = &mut self.bytes[self.len..][..len + 8];
        room[..len].copy_from_slice(part);
        room[len..].fill(0);
        self.push_length(len as u16);
        self.len += (len + 7) & !7;
        true
    }

    /// Adds a part that is not there.
    #[inline(always)]
    pub(super) fn push_absent(&mut self) {
        self.push_length(ABSENT);
    }

    #[inline(always)]
    fn push_length(&mut self, length: u16) {
        let at = 8 + 2 * self.parts;
        if let Some(into) = self.bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
            *into = length.to_le_bytes();
        }
        self.parts += 1;
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, len: usize) -> bool {
        self.bytes.resize(2 * (self.len + len + AHEAD_BYTES), 0);
        true
    }

    /// After the last part.
    #[inline(always)]
    pub(super) fn end(&mut self) {
        if self.bytes.len() < self.len + BLOCK_BYTES {
            self.grow(0);
        }
        self.bytes[self.len..][..BLOCK_BYTES].fill(0);
        self.len = self.len.next_multiple_of(BLOCK_BYTES);
    }

    /// All of it, once it was ended.
    #[inline(always)]
    pub(super) fn blocks(&self) -> &[Block] {
        self.bytes[..self.len].as_chunks().0
    }
}

pub(super) type Block = [u8; BLOCK_BYTES];

#[inline(always)]
pub(super) fn hash(blocks: &[Block], seed: u64) -> u64 {
    let (mut one, mut two) = (seed, seed.rotate_left(32));
    let (secret, another) = (seed.rotate_left(13) | 1, seed.rotate_left(51) | 1);
    for block in blocks {
        let [a, b, c, d] = words(block);
        one = fold(one ^ a, secret ^ b);
        two = fold(two ^ c, another ^ d);
    }
    fold(one ^ secret, two ^ another)
}

#[inline(always)]
pub(super) fn are_same(one: &[Block], other: &[Block]) -> bool {
    let differ = one.iter().zip(other).fold([0; 4], |differ, (one, other)| {
        let (one, other) = (words(one), words(other));
        std::array::from_fn(|at| differ[at] | (one[at] ^ other[at]))
    });
    differ == [0; 4] && one.len() == other.len()
}

#[inline(always)]
fn words(block: &Block) -> [u64; 4] {
    let (words, _) = block.as_chunks();
    std::array::from_fn(|at| u64::from_le_bytes(words[at]))
}

/// The product of two words, folded to one.
#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn signature(parts: &[Option<Vec<u8>>], behind: u8) -> Vec<Block> {
        let mut signature = Signature::new();
        // What an earlier one left does not matter.
        signature.begin(u64::MAX, 1);
        assert!(signature.push(&[behind; 999], 900));
        signature.begin(3, parts.len());
        for part in parts {
            match part {
                Some(part) => {
                    let bytes = [part.as_slice(), &[behind; 64]].concat();
                    assert!(signature.push(&bytes, part.len()));
                }
                None => signature.push_absent(),
            }
        }
        signature.end();
        signature.blocks().to_vec()
    }

    proptest! {
        #[test]
        fn signatures_are_the_same_where_the_parts_are(
            parts in vec(proptest::option::of(vec(any::<u8>(), 0..90)), 0..9),
            alike in vec([proptest::option::of(vec(0u8..2, 0..20)), proptest::option::of(vec(0u8..2, 0..20))], 1..6),
            behind: u8,
        ) {
            let (one, two) = (signature(&parts, behind), signature(&parts, !behind));
            prop_assert!(are_same(&one, &two));
            prop_assert_eq!(hash(&one, 9), hash(&two, 9));
            let (one, two): (Vec<_>, Vec<_>) = alike.into_iter().map(|[a, b]| (a, b)).unzip();
            let (of_one, of_two) = (signature(&one, 1), signature(&two, 0));
            prop_assert_eq!(are_same(&of_one, &of_two), one == two);
        }
    }

    #[test]
    fn single_bytes_spread_over_the_hash() {
        let hashes: std::collections::BTreeSet<u64> = (0..=255u8)
            .map(|byte| signature(&[Some([b"/api/v1/".as_slice(), &[byte]].concat())], 0))
            .map(|blocks| hash(&blocks, 7) >> 48)
            .collect();
        assert!(hashes.len() > 240, "{}", hashes.len());
    }

    #[test]
    fn a_part_that_is_too_long_is_not_taken() {
        let bytes = vec![1; 70_000];
        let mut signature = Signature::new();
        signature.begin(0, 1);
        assert!(!signature.push(&bytes, 65_535));
        assert!(!signature.push(&bytes[..31], 1));
        assert!(signature.push(&bytes, 60_000));
    }
}
