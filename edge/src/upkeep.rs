//! What the journal needs so that its beginning can be let go of: segments that stand alone, what was known
//! of the records that go, and a word on how everything stands (decision 0009).
//!
//! Says what is due; the sequencer, whose log it is, appends it.

use std::collections::VecDeque;

use tributary_store::log::{Index, LogError};

use crate::dedup::{Dedup, FingerprintLog, Place};

/// Fingerprints that are copied to their log at a time.
const CARRIED: u64 = 64 << 10;

pub(crate) struct Upkeep {
    fingerprints: FingerprintLog,
    /// Up to where the fingerprints' log has what is remembered.
    carried: Place,
    /// Which requests stand before a segment of the journal that this start has begun.
    segments: VecDeque<(Index, Place)>,
    /// Where this start last said how everything stands.
    stands_at: Option<Index>,
    /// How many times that is to be said again, each in another batch, before anything is let go of.
    to_restate: u8,
}

impl Upkeep {
    /// `carried`: what the log of fingerprints has. `stands_at`: what this start has said already.
    pub(crate) fn new(
        fingerprints: FingerprintLog,
        carried: Place,
        stands_at: Option<Index>,
    ) -> Self {
        Upkeep { fingerprints, carried, segments: VecDeque::new(), stands_at, to_restate: 1 }
    }

    /// The next record, `first`, begins a segment; `before`: which requests stand before it. Answers whether
    /// that is news: then what the segment names is to be defined in it.
    pub(crate) fn begin_segment(&mut self, first: Index, before: Place) -> bool {
        if self.segments.back().is_some_and(|(known, _)| *known == first) {
            return false;
        }
        self.segments.push_back((first, before));
        // It stands alone, and would without one of its records.
        self.to_restate = 2;
        true
    }

    pub(crate) fn is_to_restate(&self) -> bool {
        self.to_restate > 0
    }

    /// It was said again.
    pub(crate) fn restated(&mut self, at: Index) {
        self.stands_at = Some(at);
        self.to_restate -= 1;
    }

    /// Something stands otherwise now.
    pub(crate) fn changed(&mut self) {
        self.to_restate = self.to_restate.max(1);
    }

    /// It was said how everything stands now, which was otherwise before.
    pub(crate) fn stated(&mut self, at: Index) {
        self.stands_at = Some(at);
        self.changed();
    }

    pub(crate) fn stands_at(&self) -> Option<Index> {
        self.stands_at
    }

    /// What a record was known by outlives it: before those up to `until` go, their fingerprints go to a log
    /// of their own.
    pub(crate) async fn carry(&mut self, until: Index, dedup: &Dedup) -> Result<(), LogError> {
        let behind = self.segments.iter().find(|(first, _)| *first >= until);
        let until = behind.map_or_else(|| dedup.end(), |(_, place)| *place);
        while self.carried < until {
            let next = Place(self.carried.0.saturating_add(CARRIED)).min(until);
            self.fingerprints.append(&dedup.copied(self.carried..next)).await?;
            self.carried = next;
        }
        self.fingerprints.trim(dedup.oldest()).await
    }

    /// The journal begins here now.
    pub(crate) fn trimmed(&mut self, first: Index) {
        self.segments.retain(|(segment, _)| *segment >= first);
    }
}
