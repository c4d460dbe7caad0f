//! Remembered answers in the order in which they came, oldest first, and an index over them.
//!
//! The index is a table of chains: a head for each slot, and in each entry a link to the next older one
//! of its slot. A new entry goes to the head, so the oldest of all is always the last of its chain, and
//! forgetting it leaves no gap and moves nothing. There are as many slots as entries; the table gets them
//! one by one and splits one chain for each ("Linear Hashing", Litwin, 1980). So no push ever waits for
//! a table to be made anew, as it would with a map that doubles, and memory comes by the page.
//!
//! An entry is 36 bytes, its slot 4: 40 in all, and 24 more for an answer that is too large to be packed.
//!
//! Time and limits are not here: the [`Table`](super::table::Table) decides what is forgotten.

use std::ops::Range;

use super::pages::Pages;
use super::{Fingerprint, Remembered, Uptime};
use crate::TraceAnswer;

/// An entry's number among all that were ever pushed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(pub(crate) u64);

#[derive(Debug)]
pub(super) struct History {
    key: u64,
    entries: Pages<Entry>,
    heads: Pages<Link>,
    large: Pages<TraceAnswer>,
}

// Packed to 36 bytes; by itself a u128 would have it aligned to 16.
#[derive(Clone, Copy, Debug)]
#[repr(C, packed(4))]
struct Entry {
    fingerprint: u128,
    uptime: u64,
    answer: Packed,
    older: Link,
}

/// An entry by the low bits of its number, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link(u32);

/// Three counts of 21 bits, or, with the highest bit set, a number in `large`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Packed(u64);

impl History {
    pub(super) fn new(key: u64) -> Self {
        let mut heads = Pages::new();
        heads.push(Link::NONE);
        History { key, entries: Pages::new(), heads, large: Pages::new() }
    }

    pub(super) fn len(&self) -> u64 {
        self.entries.len()
    }

    /// Where the next one goes.
    pub(super) fn end(&self) -> Place {
        Place(self.entries.kept().end)
    }

    /// The uptime of the one that came first.
    pub(super) fn oldest(&self) -> Option<Uptime> {
        self.entries.kept().next().map(|number| Uptime(self.entries.get(number).uptime))
    }

    /// The one that came last, where the fingerprint is there twice.
    pub(super) fn find(&self, fingerprint: Fingerprint) -> Option<Remembered> {
        let mut at = self.heads.get(self.slot(fingerprint));
        while let Some(number) = self.number(at) {
            let entry = self.entries.get(number);
            if entry.fingerprint == fingerprint.0 {
                return Some(self.unpack(&entry));
            }
            at = entry.older;
        }
        None
    }

    /// What is still there of these places.
    pub(super) fn copied(&self, places: Range<Place>) -> impl Iterator<Item = Remembered> {
        let kept = self.entries.kept();
        let numbers = places.start.0.max(kept.start)..places.end.0.min(kept.end);
        numbers.map(|number| self.unpack(&self.entries.get(number)))
    }

    /// Puts it beside whatever is there.
    pub(super) fn push(&mut self, new: Remembered) {
        let Remembered { fingerprint, uptime, answer } = new;
        let slot = self.slot(fingerprint);
        let answer =
            Packed::counts(answer).unwrap_or_else(|| Packed::large(self.large.push(answer)));
        let older = self.heads.get(slot);
        let entry = Entry { fingerprint: fingerprint.0, uptime: uptime.0, answer, older };
        *self.heads.get_mut(slot) = Link::to(self.entries.push(entry));
    }

    /// Forgets the one that came first; answers its uptime.
    pub(super) fn pop(&mut self) -> Option<Uptime> {
        let number = self.entries.kept().next()?;
        self.unlink_last(number);
        let entry = self.entries.pop()?;
        if entry.answer.as_large().is_some() {
            self.large.pop();
        }
        Some(Uptime(entry.uptime))
    }

    /// On the heap, all of it.
    pub(super) fn bytes(&self) -> usize {
        self.entries.bytes() + self.heads.bytes() + self.large.bytes()
    }

    /// How much it takes to push such an answer.
    pub(super) fn bytes_due(&self, answer: TraceAnswer) -> usize {
        let large = if Packed::counts(answer).is_none() { self.large.bytes_due() } else { 0 };
        self.entries.bytes_due() + large
    }

    /// With fewer than entries the chains get long.
    pub(super) fn slots(&self) -> u64 {
        self.heads.len()
    }

    pub(super) fn slot_bytes_due(&self) -> usize {
        self.heads.bytes_due()
    }

    /// Makes a slot, with its part of the chain that held its entries so far.
    pub(super) fn add_slot(&mut self) {
        let new = self.heads.push(Link::NONE);
        let half = (new + 1).next_power_of_two() / 2;
        let slots = [new - half, new];
        let mut at = std::mem::replace(self.heads.get_mut(slots[0]), Link::NONE);
        let mut last = [None; 2];
        while let Some(number) = self.number(at) {
            let entry = self.entries.get(number);
            at = entry.older;
            let side = usize::from(self.hash(entry.fingerprint) & half != 0);
            *self.link_behind(slots[side], last[side]) = Link::to(number);
            last[side] = Some(number);
        }
        for (slot, last) in slots.into_iter().zip(last) {
            *self.link_behind(slot, last) = Link::NONE;
        }
    }

    /// The oldest entry is the last of its chain.
    fn unlink_last(&mut self, oldest: u64) {
        let slot = self.slot(Fingerprint(self.entries.get(oldest).fingerprint));
        let mut before = None;
        let mut at = self.heads.get(slot);
        while let Some(number) = self.number(at).filter(|number| *number != oldest) {
            before = Some(number);
            at = self.entries.get(number).older;
        }
        *self.link_behind(slot, before) = Link::NONE;
    }

    /// The link of the entry, or without one the slot's head.
    fn link_behind(&mut self, slot: u64, entry: Option<u64>) -> &mut Link {
        match entry {
            Some(number) => &mut self.entries.get_mut(number).older,
            None => self.heads.get_mut(slot),
        }
    }

    fn slot(&self, fingerprint: Fingerprint) -> u64 {
        let (hash, slots) = (self.hash(fingerprint.0), self.heads.len());
        let mask = slots.next_power_of_two() - 1;
        // Slots that are not there yet have their entries in the lower half.
        if hash & mask < slots { hash & mask } else { hash & (mask >> 1) }
    }

    fn hash(&self, fingerprint: u128) -> u64 {
        Fingerprint(fingerprint).spread(self.key)
    }

    /// The linked entry's whole number.
    fn number(&self, link: Link) -> Option<u64> {
        let first = self.entries.kept().start;
        let ahead = link.0.wrapping_sub(first as u32) & Link::BITS;
        (link != Link::NONE).then(|| first + u64::from(ahead))
    }

    fn unpack(&self, entry: &Entry) -> Remembered {
        let answer = match entry.answer.as_large() {
            Some(number) => self.large.get(number),
            None => entry.answer.as_counts(),
        };
        let (fingerprint, uptime) = (Fingerprint(entry.fingerprint), Uptime(entry.uptime));
        Remembered { fingerprint, uptime, answer }
    }
}

impl Link {
    const BITS: u32 = u32::MAX >> 1;
    const NONE: Link = Link(u32::MAX);

    fn to(number: u64) -> Self {
        Link(number as u32 & Self::BITS)
    }
}

/// With its slot.
pub(super) const ENTRY_BYTES: usize = size_of::<Entry>() + size_of::<Link>();

/// Of entries there must be fewer than links can tell apart: a limit on memory must not be above this.
pub(super) const MOST_BYTES: usize = Link::BITS as usize * size_of::<Entry>();

impl Packed {
    const BITS: u32 = 21;
    const MASK: u64 = (1 << Self::BITS) - 1;
    const LARGE: u64 = 1 << 63;

    fn counts(answer: TraceAnswer) -> Option<Self> {
        let TraceAnswer { accepted, late, future } = answer;
        let fit = [accepted, late, future].iter().all(|count| *count <= Self::MASK);
        fit.then_some(Packed(accepted | late << Self::BITS | future << (2 * Self::BITS)))
    }

    fn large(number: u64) -> Self {
        Packed(Self::LARGE | number)
    }

    fn as_large(self) -> Option<u64> {
        (self.0 & Self::LARGE != 0).then_some(self.0 & !Self::LARGE)
    }

    fn as_counts(self) -> TraceAnswer {
        TraceAnswer {
            accepted: self.0 & Self::MASK,
            late: self.0 >> Self::BITS & Self::MASK,
            future: self.0 >> (2 * Self::BITS) & Self::MASK,
        }
    }
}

#[cfg(test)]
#[path = "history_test.rs"]
mod tests;
