//! The pure core: which requests were answered before, and what. No lock, no clock.
//!
//! A fingerprint is in flight from its registration until it is completed or given up; then, once
//! completed, it is remembered for a window. Age is judged at the look-up, by each entry's own uptime;
//! that the expired ones also leave memory is done by the way, a few with each call.
//!
//! **Bounded**: what is remembered makes room when `bytes()` would pass the limit, oldest first, counted
//! as evicted if it had not expired. What is in flight is never evicted: a repeat of it would count
//! twice. Its number is bounded by the queue of those who registered it, and its bytes are taken from the
//! others. Above the limit come at most a page of entries, one of slots, one of large answers, and what
//! is in flight.

use std::ops::Range;
use std::time::Duration;

use hashbrown::HashTable;

use super::history::{ENTRY_BYTES, History, MOST_BYTES};
use super::{Fingerprint, Place, Remembered, Uptime};
use crate::TraceAnswer;

/// How many expired entries a call forgets at most: more than it adds, so that they do not pile up.
const EXPIRED_PER_CALL: usize = 8;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// How long an answer is remembered, in the edge's running time.
    pub(crate) window: Duration,
    /// What may be remembered at most. Beyond it the oldest answers go early.
    pub(crate) limit_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { window: Duration::from_secs(600), limit_bytes: 64 << 20 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It is registered now: `complete` or `give_up` must follow.
    New,
    InFlight,
    Known(TraceAnswer),
}

#[derive(Debug)]
pub(crate) struct Table {
    options: Options,
    key: u64,
    history: History,
    in_flight: HashTable<Fingerprint>,
    /// Never goes back, so what has expired stays so.
    latest: Uptime,
    evicted: u64,
}

impl Table {
    /// `key`: random, and unknown to those who send requests.
    pub(crate) fn new(options: Options, key: u64) -> Self {
        let limit_bytes = options.limit_bytes.min(MOST_BYTES);
        Table {
            options: Options { limit_bytes, ..options },
            key,
            history: History::new(key),
            in_flight: HashTable::new(),
            latest: Uptime::default(),
            evicted: 0,
        }
    }

    pub(crate) fn lookup_or_register(&mut self, fingerprint: Fingerprint, now: Uptime) -> Seen {
        self.pass(now);
        if let Some(known) = self.history.find(fingerprint)
            && !self.has_expired(known.uptime)
        {
            return Seen::Known(known.answer);
        }
        let (key, hash) = (self.key, fingerprint.spread(self.key));
        if self.in_flight.find(hash, |other| *other == fingerprint).is_some() {
            return Seen::InFlight;
        }
        self.in_flight.insert_unique(hash, fingerprint, |other| other.spread(key));
        self.make_room(0);
        Seen::New
    }

    /// The registered request counts.
    pub(crate) fn complete(&mut self, done: Remembered) {
        self.give_up(done.fingerprint);
        self.remember(done);
    }

    /// The registered request came to nothing; the next one starts afresh.
    pub(crate) fn give_up(&mut self, fingerprint: Fingerprint) {
        let hash = fingerprint.spread(self.key);
        if let Ok(registered) = self.in_flight.find_entry(hash, |other| *other == fingerprint) {
            registered.remove();
        }
    }

    /// About so many entries will follow. It only spares them time: no chain needs to be split.
    pub(crate) fn expect(&mut self, entries: u64) {
        let most = (self.options.limit_bytes / ENTRY_BYTES) as u64;
        let slots = (self.len() + entries).min(most);
        while self.history.slots() < slots && self.has_room(self.history.slot_bytes_due()) {
            self.history.add_slot();
        }
    }

    /// Takes what was recorded; again, or older than what is known, it changes nothing.
    pub(crate) fn remember(&mut self, recorded: Remembered) {
        self.pass(recorded.uptime);
        let known = self.history.find(recorded.fingerprint);
        if self.has_expired(recorded.uptime)
            || known.is_some_and(|known| known.uptime >= recorded.uptime)
        {
            return;
        }
        self.make_room(self.history.bytes_due(recorded.answer));
        self.history.push(recorded);
        // Where there is no room for a page of slots the chains just get longer.
        let is_crowded = self.history.len() > self.history.slots();
        if is_crowded && self.has_room(self.history.slot_bytes_due()) {
            self.history.add_slot();
        }
    }

    /// Remembered, expired ones included that did not leave yet.
    pub(crate) fn len(&self) -> u64 {
        self.history.len()
    }

    #[cfg(test)]
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// On the heap, all of it.
    pub(crate) fn bytes(&self) -> usize {
        self.history.bytes() + self.in_flight.allocation_size()
    }

    /// How many went before their window was over.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The highest uptime that was heard of.
    pub(crate) fn latest(&self) -> Uptime {
        self.latest
    }

    /// The uptime of the first that is kept: what came before it need not be kept elsewhere.
    pub(crate) fn oldest(&self) -> Uptime {
        self.history.oldest().unwrap_or(self.latest)
    }

    /// Where the next that is remembered goes.
    pub(crate) fn end(&self) -> Place {
        self.history.end()
    }

    /// What is still remembered of these places, in order.
    pub(crate) fn copied(&self, places: Range<Place>) -> impl Iterator<Item = Remembered> {
        self.history.copied(places)
    }

    fn pass(&mut self, now: Uptime) {
        self.latest = self.latest.max(now);
        for _ in 0..EXPIRED_PER_CALL {
            if !self.history.oldest().is_some_and(|oldest| self.has_expired(oldest)) {
                break;
            }
            self.history.pop();
        }
    }

    /// Lets so many bytes more stay within the limit, as far as forgetting helps.
    fn make_room(&mut self, bytes: usize) {
        while !self.has_room(bytes)
            && let Some(gone) = self.history.pop()
        {
            self.evicted += u64::from(!self.has_expired(gone));
        }
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.bytes() + bytes <= self.options.limit_bytes
    }

    fn has_expired(&self, uptime: Uptime) -> bool {
        self.latest.since(uptime) >= self.options.window
    }
}

#[cfg(test)]
#[path = "table_test.rs"]
mod tests;
