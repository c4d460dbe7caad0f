//! Groups that a walker has met, by the bytes that told it so.
//!
//! The same attribute bytes come again and again. They are remembered as they came, and whoever brings
//! them again costs a hash and a comparison: no text is decoded, none checked. Different bytes may mean
//! one group; then it is remembered twice, and nothing depends on it.

use hashbrown::HashTable;

use super::signature::{self, Block};
use crate::groups::{GroupNumber, Interned, Slot};

#[derive(Debug)]
pub(super) struct KnownGroup {
    hash: u64,
    /// Where its signature begins, and how many blocks it has.
    at: u32,
    blocks: u32,
    /// Bytes of the group's encoding.
    pub(super) encoded_len: u32,
    pub(super) interned: Interned,
    /// A text of the group was cut.
    pub(super) shortened: bool,
    /// The last request that had it, and the cell that it has there.
    pub(super) request: u32,
    pub(super) cell: u32,
}

#[derive(Debug)]
pub(super) struct KnownGroups {
    pub(super) seed: u64,
    by_signature: HashTable<u32>,
    groups: Vec<KnownGroup>,
    /// The signatures of all.
    blocks: Vec<Block>,
}

const UNKNOWN: Interned =
    Interned { slot: Slot(u32::MAX), number: GroupNumber(u32::MAX), overflowed: false };

impl KnownGroups {
    pub(super) fn new(seed: u64) -> Self {
        KnownGroups { seed, by_signature: HashTable::new(), groups: Vec::new(), blocks: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.blocks.capacity() * size_of::<Block>()
            + self.groups.capacity() * size_of::<KnownGroup>()
            + self.by_signature.allocation_size()
    }

    pub(super) fn clear(&mut self) {
        *self = KnownGroups::new(self.seed);
    }

    #[inline(always)]
    pub(super) fn find(&self, hash: u64, signature: &[Block]) -> Option<u32> {
        let is_it = |&at: &u32| {
            let known = &self.groups[at as usize];
            let stored = self.blocks.get(known.at as usize..).unwrap_or_default();
            known.hash == hash
                && stored
                    .get(..known.blocks as usize)
                    .is_some_and(|stored| signature::are_same(stored, signature))
        };
        self.by_signature.find(hash, is_it).copied()
    }

    /// Adds a group that is not interned yet.
    pub(super) fn add(
        &mut self,
        hash: u64,
        signature: &[Block],
        encoded_len: usize,
        shortened: bool,
    ) -> u32 {
        let (at, known) = (self.blocks.len() as u32, self.groups.len() as u32);
        self.blocks.extend_from_slice(signature);
        let interned = UNKNOWN;
        let encoded_len = encoded_len as u32;
        self.groups.push(KnownGroup {
            hash,
            at,
            blocks: signature.len() as u32,
            encoded_len,
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
        self.blocks.truncate(first.at as usize);
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
    use super::super::signature::Signature;
    use super::*;

    fn signature(number: u64, parts: &[Option<&[u8]>]) -> Vec<Block> {
        let mut signature = Signature::new();
        signature.begin(number, parts.len());
        for part in parts {
            match part {
                Some(part) => assert!(signature.push(&[part, &[7; 64][..]].concat(), part.len())),
                None => signature.push_absent(),
            }
        }
        signature.end().to_vec()
    }

    fn find(known: &KnownGroups, number: u64, parts: &[Option<&[u8]>]) -> Option<u32> {
        let signature = signature(number, parts);
        known.find(signature::hash(&signature, known.seed), &signature)
    }

    fn add(known: &mut KnownGroups, number: u64, parts: &[Option<&[u8]>]) -> u32 {
        let signature = signature(number, parts);
        known.add(signature::hash(&signature, known.seed), &signature, 0, false)
    }

    #[test]
    fn parts_are_told_apart_by_place_length_and_absence() {
        let mut known = KnownGroups::new(5);
        let long = [b'x'; 100];
        let signatures: [&[Option<&[u8]>]; 10] = [
            &[Some(b"a"), Some(b"b")],
            &[Some(b"b"), Some(b"a")],
            &[Some(b"ab"), Some(b"")],
            &[Some(b"ab"), None],
            &[None, Some(b"ab")],
            &[Some(b"ab\0"), None],
            &[Some(b"ab\0\0\0\0\0\0\0"), None],
            &[Some(&long), None],
            &[Some(&long[1..]), None],
            &[Some(&long[2..]), Some(&long)],
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
