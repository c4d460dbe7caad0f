//! Many streams in one log: each with its own contiguous indexes, all of them synced together.
//!
//! The shards' logs are its users; raft's and the outbox will be. [`Streams`] is the owner's side
//! and has no tasks: a batch of operations of any streams becomes one append of the [`SegmentLog`] below, and
//! so one sync. [`StreamsService`] is the task around it, [`StreamsHandle`] what writers hold, [`StreamReader`] what
//! readers hold.
//!
//! ```text
//!   shard 0 ─┐ append, cut, purge, cell
//!   shard 1 ─┼──▶ queue, bounded ──▶ Streams::write ──▶ one append and sync ──▶ all of the batch are acked
//!   raft 7  ─┘                                                   │
//!                                                                ▼
//!   segment  │ Table │ Copied 7/12 │ Data 0/90 │ Data 0/91 │ Cut 1/40 │ BatchEnd │ Data 1/40 │ BatchEnd │ …
//!            │       │             └── stream 0, index 90
//!            │       └── live in the oldest segment, which may go after this
//!            └── how every stream stood when the segment began
//! ```
//!
//! A record's place in the log below is its *position*; its number in its stream is its [`Index`].
//!
//! **A stream** is `[first, next)`. An append says the index that it begins at, and is refused where that is not the
//! next: so a writer may have several on their way, and what follows a failed one fails as well. A *cut* takes the end
//! away, a *purge* the beginning. Cells are small values beside the records, of which the latest counts.
//!
//! **Tables.** Each segment begins with one: every stream's first and next index, its cells. So the oldest segment that
//! is kept says all that stood in those before it, and a stream that has nothing left keeps its next index for 30
//! bytes a segment. Two tables are always kept, so that any one may be lost.
//!
//! **Copying forward.** Space is freed by whole segments, from the oldest. Once little of the oldest is live, or the
//! log is near its bound, its live records are written again at the end, a few with each batch; then it goes. So a
//! stream that lags pins nothing. See `copying`.
//!
//! **A batch's end** says what every record since the last one was. So of a damaged record it is known which stream
//! lost which index, and a lost cut, purge or drop is done all the same. Where the end is lost too, the next table and
//! the gaps tell; what no table tells is damage of *any stream*. See `replay`.
//!
//! **Memory**: 16 bytes a live record, up to four times that after a purge; and a run of indexes for each stream and segment.
//!
//! Not here: what the bytes mean, who may purge what, and which streams there are. The owner of a stream knows.
//!
//! [`SegmentLog`]: super::SegmentLog

use std::fmt;

mod batch_end;
mod copying;
mod damage;
mod error;
mod handle;
mod item;
mod op;
mod options;
mod place;
mod reader;
mod replay;
mod segments;
mod service;
mod staging;
mod state;
mod stream;
mod table;
mod wire;
mod writer;

#[cfg(test)]
mod crash_test;
#[cfg(test)]
mod damage_test;
#[cfg(test)]
mod history_test;
#[cfg(test)]
mod model;
#[cfg(test)]
mod ops_test;
#[cfg(test)]
mod service_test;
#[cfg(test)]
mod space_test;

pub use damage::{Damage, Recovered};
pub use error::{Result, StreamError};
pub use handle::{Ack, StreamsHandle};
pub use op::{MAX_CELL_BYTES, Op};
pub use options::{MIN_SEGMENTS, Options};
pub use reader::{StreamReader, Usage};
pub use service::StreamsService;
pub use writer::Streams;

use super::Index;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which of a stream's cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellId(pub u8);

impl fmt::Display for CellId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A record's index in the log below, whatever stream it is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Position(u64);

impl From<Index> for Position {
    fn from(index: Index) -> Self {
        Position(index.0)
    }
}
