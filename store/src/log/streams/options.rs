//! How large a log of streams may be.

use super::{Result, StreamError};
use crate::log;

/// Positions in a segment are kept in 32 bits.
const MAX_SEGMENT_BYTES: u64 = 1 << 30;
/// Of a log, so that what is kept back is a quarter of it at most.
pub const MIN_SEGMENTS: u64 = 24;
/// What is kept back from appends, in segments.
const RESERVED_SEGMENTS: u64 = 6;
/// Of them, for copying alone: the longest segment, which a last append may have made twice as long as it
/// should be, and the tables.
const COPYING_SEGMENTS: u64 = 3;

/// A table is one record.
const MAX_TABLE_BYTES: usize = log::MAX_RECORD_BYTES / 2;

#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Of one file. One append is at most as large. All streams' tables are at most a quarter of it.
    pub segment_bytes: u64,
    /// Of all files, whatever happens. **When it is full**: appends are refused with `StreamError::Full` from six
    /// segments below it on, and may be tried again. Cuts, purges, cells and drops, by which room is made, go through
    /// until three segments below it. Those three are for copying forward, which frees what nobody needs.
    /// At least three quarters of what appends may have can be live.
    pub max_bytes: u64,
    /// What waits to be written. Who comes when it is full waits for room.
    pub queue_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { segment_bytes: 32 << 20, max_bytes: 4 << 30, queue_bytes: 32 << 20 }
    }
}

impl Options {
    pub(super) fn check(&self) -> Result<()> {
        let Options { segment_bytes, max_bytes, .. } = *self;
        if !(1..=MAX_SEGMENT_BYTES).contains(&segment_bytes) {
            let what = "segment_bytes is not between 1 and 1073741824";
            return Err(StreamError::Unfit { what });
        }
        if max_bytes / segment_bytes < MIN_SEGMENTS {
            return Err(StreamError::Unfit { what: "max_bytes is less than 24 segments" });
        }
        Ok(())
    }

    pub(super) fn base(&self) -> log::Options {
        log::Options { segment_bytes: self.segment_bytes }
    }

    /// From here on appends are refused.
    pub(super) fn append_limit(&self) -> u64 {
        self.max_bytes - RESERVED_SEGMENTS * self.segment_bytes
    }

    /// From here on everything is.
    pub(super) fn op_limit(&self) -> u64 {
        self.max_bytes - COPYING_SEGMENTS * self.segment_bytes
    }

    pub(super) fn table_limit(&self) -> usize {
        usize::try_from(self.segment_bytes / 4).unwrap_or(usize::MAX).min(MAX_TABLE_BYTES)
    }
}
