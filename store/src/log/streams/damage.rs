//! What a log of streams tells of what it lost.

use std::fmt;

use super::{CellId, Index, StreamId};
use crate::log;

/// What a start found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Of the files: by position, not by stream.
    pub log: log::Recovered,
    /// What streams are without, until they cut, purge or put it anew. Lost records that no stream needs any more are
    /// not told of.
    pub damaged: Vec<Damage>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// From the first up to, not with, the second. Reading one of them is an error; those around them are there.
    Records { stream: StreamId, from: Index, to: Index },
    /// Reading it is an error. An earlier value is not shown, since it may have been a vote.
    Cell { stream: StreamId, cell: CellId },
    /// So many records are lost of which nothing tells what they were: the last operations of any stream, or of one
    /// that is not known, may be undone. Told until `Op::AcceptDamage`.
    AnyStream { records: u64 },
}

impl Damage {
    /// `None`: any.
    pub fn stream(&self) -> Option<StreamId> {
        match self {
            Damage::Records { stream, .. } | Damage::Cell { stream, .. } => Some(*stream),
            Damage::AnyStream { .. } => None,
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::Records { stream, from, to } => {
                write!(f, "stream {stream}: {} records from {from} on are lost", to.0 - from.0)
            }
            Damage::Cell { stream, cell } => write!(f, "stream {stream}: cell {cell} is lost"),
            Damage::AnyStream { records } => write!(
                f,
                "{records} records are lost of which it is not known what they were: the last \
                 operations of any stream may be undone"
            ),
        }
    }
}
