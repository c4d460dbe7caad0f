//! What can be done to a stream.

use bytes::Bytes;

use super::{CellId, Index, StreamId};

/// Each table holds every cell, so they are small.
pub const MAX_CELL_BYTES: usize = 4 << 10;

/// Durable once it is answered well. What is so already is answered well, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// A stream that never had a record may begin at any index; any other goes on at its next one.
    Append {
        stream: StreamId,
        first: Index,
        records: Vec<Bytes>,
    },
    /// Forgets `from` and all behind it. The next append begins there.
    Cut {
        stream: StreamId,
        from: Index,
    },
    /// Forgets what is below `before`, and nothing that is still to come.
    Purge {
        stream: StreamId,
        before: Index,
    },
    /// Forgets all records; the next append begins at `next`, which is not below the stream's first index. For
    /// what a snapshot has put in their place.
    Restart {
        stream: StreamId,
        next: Index,
    },
    PutCell {
        stream: StreamId,
        cell: CellId,
        value: Bytes,
    },
    /// Forgets the stream with its cells, as if it had never been.
    Drop {
        stream: StreamId,
    },
    /// Whoever owns the streams knows of the damage of "any stream", and it is told no more.
    AcceptDamage,
}

impl Op {
    /// Of the bytes that others gave.
    pub(super) fn payload_bytes(&self) -> usize {
        match self {
            Op::Append { records, .. } => records.iter().map(Bytes::len).sum(),
            Op::PutCell { value, .. } => value.len(),
            _ => 0,
        }
    }

    pub(super) fn records(&self) -> usize {
        match self {
            Op::Append { records, .. } => records.len(),
            _ => 1,
        }
    }
}
