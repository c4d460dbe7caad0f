//! Groups that a walker has met, by the bytes that told it so.
//!
//! The same attribute bytes come again and again. They are remembered as they came, and whoever brings
//! them again costs a hash and a comparison: no text is decoded, none checked. Different bytes may mean
//! one group; then it is remembered twice, and nothing depends on it.

use hashbrown::HashTable;

use super::words;
use crate::groups::{GroupNumber, Interned, Slot};

/// What tells groups apart, before it is decoded: numbers, and bytes that may be absent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signature<'a> {
    pub(super) numbers: u64,
    pub(super) parts: &'a [Option<&'a [u8]>],
}

#[derive(Debug)]
pub(super) struct KnownGroup {
    hash: u64,
    numbers: u64,
    /// Where its parts begin.
    at: u32,
    pub(super) interned: Interned,
    /// A text of the group was cut.
    pub(super) shortened: bool,
    /// The last request that had it, and the cell that it has there.
    pub(super) request: u32,
    pub(super) cell: u32,
}

#[derive(Debug)]
pub(super) struct KnownGroups {
    seed: u64,
    by_signature: HashTable<u32>,
    groups: Vec<KnownGroup>,
    /// The parts of all: a length, then the bytes.
    parts: Vec<u8>,
}

/// A part has to be shorter: its length takes two bytes, and one of them says that it is absent.
pub(super) const MAX_PART_BYTES: usize = u16::MAX as usize;
const ABSENT: u16 = u16::MAX;

const UNKNOWN: Interned =
    Interned { slot: Slot(u32::MAX), number: GroupNumber(u32::MAX), overflowed: false };

impl KnownGroups {
    pub(super) fn new(seed: u64) -> Self {
        KnownGroups { seed, by_signature: HashTable::new(), groups: Vec::new(), parts: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.parts.capacity()
            + self.groups.capacity() * size_of::<KnownGroup>()
            + self.by_signature.allocation_size()
    }

    pub(super) fn clear(&mut self) {
        *self = KnownGroups::new(self.seed);
    }

    #[inline(always)]
    pub(super) fn hash(&self, signature: Signature<'_>) -> u64 {
        let mut hash = words::fold(self.seed ^ signature.numbers, self.seed | 1);
        for part in signature.parts {
            // Each on its own, so that they are computed side by side.
            hash = hash.rotate_left(23)
                ^ part.map_or(self.seed.rotate_left(17), |part| words::mix(self.seed, part));
        }
        words::fold(hash, self.seed | 1)
    }

    #[inline(always)]
    pub(super) fn find(&self, hash: u64, signature: Signature<'_>) -> Option<u32> {
        let is_it = |&at: &u32| {
            let known = &self.groups[at as usize];
            known.hash == hash
                && known.numbers == signature.numbers
                && self.has(known.at, signature)
        };
        self.by_signature.find(hash, is_it).copied()
    }

    #[inline(always)]
    fn has(&self, at: u32, signature: Signature<'_>) -> bool {
        let mut stored = &self.parts[at as usize..];
        for part in signature.parts {
            let Some((length, rest)) = stored.split_first_chunk() else { return false };
            let length = u16::from_le_bytes(*length);
            stored = match part {
                None if length == ABSENT => rest,
                Some(part) if part.len() == usize::from(length) && length != ABSENT => {
                    let Some((bytes, rest)) = rest.split_at_checked(part.len()) else {
                        return false;
                    };
                    if !words::same(bytes, part) {
                        return false;
                    }
                    rest
                }
                _ => return false,
            };
        }
        true
    }

    /// Adds a group that is not interned yet.
    pub(super) fn add(&mut self, hash: u64, signature: Signature<'_>, shortened: bool) -> u32 {
        let at = self.parts.len() as u32;
        for part in signature.parts {
            let length = part.map_or(ABSENT, |part| part.len() as u16);
            self.parts.extend_from_slice(&length.to_le_bytes());
            self.parts.extend_from_slice(part.unwrap_or_default());
        }
        let known = self.groups.len() as u32;
        let numbers = signature.numbers;
        let interned = UNKNOWN;
        self.groups.push(KnownGroup {
            hash,
            numbers,
            at,
            interned,
            shortened,
            request: 0,
            cell: 0,
        });
        let groups = &self.groups;
        self.by_signature.insert_unique(hash, known, |&known| groups[known as usize].hash);
        known
    }

    /// Forgets all but the first `len`: those that came with a request that was refused.
    pub(super) fn truncate(&mut self, len: usize) {
        let Some(first) = self.groups.get(len) else { return };
        self.parts.truncate(first.at as usize);
        self.by_signature.retain(|known| (*known as usize) < len);
        self.groups.truncate(len);
    }

    #[inline(always)]
    pub(super) fn get(&self, known: u32) -> &KnownGroup {
        &self.groups[known as usize]
    }

    #[inline(always)]
    pub(super) fn get_mut(&mut self, known: u32) -> &mut KnownGroup {
        &mut self.groups[known as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(known: &KnownGroups, numbers: u64, parts: &[Option<&[u8]>]) -> Option<u32> {
        let signature = Signature { numbers, parts };
        known.find(known.hash(signature), signature)
    }

    fn add(known: &mut KnownGroups, numbers: u64, parts: &[Option<&[u8]>]) -> u32 {
        let signature = Signature { numbers, parts };
        known.add(known.hash(signature), signature, false)
    }

    #[test]
    fn parts_are_told_apart_by_place_and_absence() {
        let mut known = KnownGroups::new(5);
        let signatures: [&[Option<&[u8]>]; 5] = [
            &[Some(b"a"), Some(b"b")],
            &[Some(b"b"), Some(b"a")],
            &[Some(b"ab"), Some(b"")],
            &[Some(b"ab"), None],
            &[None, Some(b"ab")],
        ];
        for (at, parts) in signatures.into_iter().enumerate() {
            assert_eq!(find(&known, 1, parts), None);
            assert_eq!(add(&mut known, 1, parts), at as u32);
        }
        for (at, parts) in signatures.into_iter().enumerate() {
            assert_eq!(find(&known, 1, parts), Some(at as u32));
            assert_eq!(find(&known, 2, parts), None);
        }
        known.truncate(2);
        assert_eq!(find(&known, 1, signatures[1]), Some(1));
        assert_eq!(find(&known, 1, signatures[2]), None);
        assert_eq!(add(&mut known, 1, signatures[4]), 2);
    }
}
