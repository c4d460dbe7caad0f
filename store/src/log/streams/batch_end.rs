//! What the records of a batch are, said once more behind them.
//!
//! ```text
//!   from 8 · for each run: kind 1 · stream 4 · index 8 · records 4
//! ```
//!
//! The runs are those of the positions from `from` up to this record. They are a batch, and what is left of one before
//! it whose end was torn.

use super::item::{Item, Kind};
use super::wire::{Put, Take};
use super::{Index, Position, StreamId};

/// Records of one kind in a row. Only of `Data` and `Copied` are there several, at contiguous indexes.
///
/// `index` is what a cut, a purge and a cell say; of a table it is how many streams stand there,
/// and of an `Accept` what it accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) kind: Kind,
    pub(super) stream: StreamId,
    pub(super) index: Index,
    pub(super) records: u32,
}

impl Run {
    fn of(item: &Item) -> Run {
        let none = StreamId(0);
        let (stream, index) = match item {
            Item::Data { stream, index, .. } | Item::Copied { stream, index, .. } => {
                (*stream, *index)
            }
            Item::Cut { stream, from: index } | Item::Purge { stream, before: index } => {
                (*stream, *index)
            }
            Item::Cell { stream, cell, .. } => (*stream, Index(cell.0.into())),
            Item::Drop { stream } => (*stream, Index(0)),
            Item::Table(table) => (none, Index(table.rows.len() as u64)),
            Item::Accept { unknown } => (none, Index(*unknown)),
            Item::BatchEnd(_) => (none, Index(0)),
        };
        Run { kind: item.kind(), stream, index, records: 1 }
    }

    fn goes_on_with(&self, next: &Run) -> bool {
        matches!(self.kind, Kind::Data | Kind::Copied)
            && (self.kind, self.stream) == (next.kind, next.stream)
            && self.index.0 + u64::from(self.records) == next.index.0
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BatchEnd {
    pub(super) from: Position,
    pub(super) runs: Vec<Run>,
}

impl BatchEnd {
    pub(super) fn new(from: Position) -> Self {
        BatchEnd { from, runs: Vec::new() }
    }

    pub(super) fn note(&mut self, item: &Item) {
        let run = Run::of(item);
        match self.runs.last_mut() {
            Some(last) if last.goes_on_with(&run) && last.records < u32::MAX => last.records += 1,
            _ => self.runs.push(run),
        }
    }

    /// How many records it tells of.
    pub(super) fn records(&self) -> u64 {
        self.runs.iter().map(|run| u64::from(run.records)).sum()
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64(self.from.0);
        for run in &self.runs {
            out.push(run.kind as u8);
            out.put_u32(run.stream.0);
            out.put_u64(run.index.0);
            out.put_u32(run.records);
        }
    }

    pub(super) fn parse(take: &mut Take) -> Option<BatchEnd> {
        let mut end = BatchEnd::new(take.position()?);
        while !take.0.is_empty() {
            let kind = Kind::parse(take.u8()?)?;
            let (stream, index, records) = (take.stream()?, take.index()?, take.u32()?);
            end.runs.push(Run { kind, stream, index, records });
        }
        Some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_batch_end_are_pinned() {
        let (stream, since) = (StreamId(5), Position(0));
        let mut end = BatchEnd::new(Position(8));
        for index in [3, 4, 5, 7].map(Index) {
            end.note(&Item::Data { stream, index, since });
        }
        end.note(&Item::Drop { stream });
        assert_eq!(end.records(), 5);
        let mut out = Vec::new();
        end.encode(&mut out);
        let pinned: &[u8] = &[
            8, 0, 0, 0, 0, 0, 0, 0, // from
            1, 5, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, // three of one run
            1, 5, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, //
            6, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0,
        ];
        assert_eq!(out, pinned);
        assert_eq!(BatchEnd::parse(&mut Take(out.into())), Some(end));
    }
}
