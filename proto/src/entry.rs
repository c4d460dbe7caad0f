//! What an edge offers to a shard, and what the shard answers.

use bytes::Bytes;
use thiserror::Error;

use crate::{Digest, Seq, ShardId, SourceId};

/// Offered to one shard; the unit that its state is a function of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The source has sealed every window up to `sealed_to`, and what this shard gets of them ends
    /// with seq `after`. A source makes itself known with its first one.
    Sealed {
        source: SourceId,
        after: Seq,
        sealed_to_ms: i64,
    },
    Slice(Slice),
    /// The source is over: `last` was its last slice here, and none will follow.
    Close {
        source: SourceId,
        last: Seq,
    },
}

/// What a source has for one shard in one flush. The unit of counting once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    pub source: SourceId,
    pub shard: ShardId,
    pub seq: Seq,
    pub digest: Digest,
    /// Once this slice is applied, the source's windows are whole up to here.
    pub sealed_to_ms: i64,
    pub payload: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Durable, together with the watermark that says so.
    Applied,
    /// Was applied before, with the same digest.
    Duplicate,
    /// Something before it is missing: send again from here.
    Resend(Seq),
    /// The same seq was applied with another digest, or too long ago to tell: two disks speak in one
    /// source's name.
    Forked,
    /// The source was closed; nothing more is taken in its name.
    Closed,
}

impl Entry {
    pub fn source(&self) -> SourceId {
        match self {
            Entry::Sealed { source, .. } | Entry::Close { source, .. } => *source,
            Entry::Slice(slice) => slice.source,
        }
    }
}

/// Why a shard gave no answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum OfferError {
    /// Nothing is known of the entry: offer it again.
    #[error("shard {shard} is not available: {reason}")]
    Unavailable { shard: ShardId, reason: String },
    /// The same bytes will never be taken.
    #[error("shard {shard} refuses a malformed slice: {reason}")]
    Malformed { shard: ShardId, reason: String },
}

impl OfferError {
    pub fn is_retryable(&self) -> bool {
        matches!(self, OfferError::Unavailable { .. })
    }
}
