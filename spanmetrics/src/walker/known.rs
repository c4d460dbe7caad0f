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
    /// Blocks of its signature.
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
    seed: u64,
    by_signature: HashTable<Spot>,
    groups: Vec<KnownGroup>,
    /// The signatures of all.
    blocks: Vec<Block>,
}

/// What the table has of a group: enough to fetch the rest at one time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    hash: u64,
    pub(super) known: u32,
    /// Where its signature begins.
    at: u32,
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
    pub(super) fn hash(&self, signature: &[Block]) -> u64 {
        signature::hash(signature, self.seed)
    }

    #[inline(always)]
    pub(super) fn find(&self, hash: u64, signature: &[Block]) -> Option<u32> {
        let is_it = |spot: &Spot| spot.hash == hash && self.is(*spot, signature);
        self.by_signature.find(hash, is_it).map(|spot| spot.known)
    }

    /// One that may be it; another may have the same hash.
    #[inline(always)]
    pub(super) fn first_with(&self, hash: u64) -> Option<Spot> {
        self.by_signature.find(hash, |spot| spot.hash == hash).copied()
    }

    #[inline(always)]
    pub(super) fn is(&self, spot: Spot, signature: &[Block]) -> bool {
        let known = self.get(spot.known);
        let stored = self.blocks.get(spot.at as usize..).unwrap_or_default();
        let stored = stored.get(..known.blocks as usize);
        stored.is_some_and(|stored| signature::are_same(stored, signature))
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
            blocks: signature.len() as u32,
            encoded_len,
            interned,
            shortened,
            request: 0,
            cell: 0,
        });
        self.by_signature.insert_unique(hash, Spot { hash, known, at }, |spot| spot.hash);
        known
    }

    /// From now on it is not found.
    pub(super) fn forget(&mut self, known: u32, hash: u64) {
        if let Ok(entry) = self.by_signature.find_entry(hash, |spot| spot.known == known) {
            entry.remove();
        }
    }

    /// Forgets all but the first `len`: those that came with a request that was refused.
    pub(super) fn truncate(&mut self, len: usize) {
        if len >= self.groups.len() {
            return;
        }
        let left = self.groups[..len].iter().map(|known| known.blocks as usize).sum();
        self.blocks.truncate(left);
        self.by_signature.retain(|spot| (spot.known as usize) < len);
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
        signature.end();
        signature.blocks().to_vec()
    }

    fn find(known: &KnownGroups, number: u64, parts: &[Option<&[u8]>]) -> Option<u32> {
        let signature = signature(number, parts);
        known.find(known.hash(&signature), &signature)
    }

    fn add(known: &mut KnownGroups, number: u64, parts: &[Option<&[u8]>]) -> u32 {
        let signature = signature(number, parts);
        let hash = known.hash(&signature);
        known.add(hash, &signature, 0, false)
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
