//! The segment log: records in order, durable when the append returns.
//!
//! The journal, the outbox and the raft log are its users. A [`SegmentLog`] is owned by one task, which
//! batches what it appends; [`Reader`]s are independent of it and may live in other tasks.
//!
//! ```text
//!   dir/00000000000000000000.log   │ header │ record 0 │ record 1 │ … │
//!   dir/00000000000000004711.log   │ header │ record 4711 │ …         ← appends go here
//!
//!   header   magic 8 · format 4 · first index 8 · crc 4
//!   record   crc 4 · length 4 · index 8 · vouched 8 · payload            crc over all behind it
//! ```
//!
//! **Torn or damaged?** A bad record may be the torn end of a batch that nobody was told is durable, or
//! a damaged one that somebody was. Each record therefore *vouches*: it carries the index below which
//! everything was synced before its batch was written, and so does a segment by its first index. At a
//! start a bad record that a later one vouches for is damage: it is set apart, skipped, and told in
//! [`Recovered`]. Any other is the torn tail, and is cut there with all that stands behind it. What vouched
//! for damage may be cut with it, so a damaged segment takes no further batch: the next one's first index
//! vouches from then on.
//!
//! **A failed write** makes nothing of its batch count. The segment is cut back to its synced length
//! and closed, for a second sync of the same bytes would prove nothing ("Can Applications Recover from
//! fsync Failures?", Rebello et al., 2020). Until the cut is durable nothing else is written. A process
//! that dies before the cut may find the batch at its next start: the caller's "unknown" then turns
//! out as "written", and the indexes go on behind it.
//!
//! **At a start** the records that nothing vouches for are written again in place and synced, so that what
//! a reader is shown is durable whatever became of the last process's syncs.
//!
//! Not here: batching, and who may trim what: they are the owner's. Several streams in one log: see [`streams`].

use std::fmt;

mod error;
mod reader;
mod record;
mod recover;
mod scan;
mod segment;
mod segment_log;
pub mod streams;
mod window;

#[cfg(test)]
mod crash_test;
#[cfg(test)]
mod log_test;

pub use error::{LogError, Result};
pub use reader::Reader;
pub use record::MAX_RECORD_BYTES;
pub use recover::{Damage, Recovered};
pub use segment_log::SegmentLog;

/// A record's place in its log, from zero and without gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Index(pub u64);

impl Index {
    /// No log comes so far. What claims to be behind it is garbage, and must not be counted on from.
    const LAST: Index = Index(1 << 62);

    #[must_use]
    pub fn next(self) -> Self {
        Index(self.0 + 1)
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// A segment that is longer takes no further batch. Space is freed by whole segments.
    pub segment_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options { segment_bytes: 64 << 20 }
    }
}
