//! What one record of the log below holds.
//!
//! ```text
//!   Data, Copied   kind 1 · stream 4 · index 8 · since 8 · bytes
//!   Cut, Purge     kind 1 · stream 4 · index 8
//!   Cell           kind 1 · stream 4 · cell 1 · bytes
//!   Drop           kind 1 · stream 4
//!   Table          kind 1 · see `table`
//!   BatchEnd       kind 1 · see `batch_end`
//!   Accept         kind 1 · unknown 8
//! ```
//!
//! There is no checksum here: the record below has one.

use bytes::Bytes;

use super::batch_end::BatchEnd;
use super::table::Table;
use super::wire::{Put, Take};
use super::{CellId, Index, Position, StreamId};

/// A retired number is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Data = 1,
    Copied = 2,
    Cut = 3,
    Purge = 4,
    Cell = 5,
    Drop = 6,
    Table = 7,
    BatchEnd = 8,
    Accept = 9,
}

impl Kind {
    pub(super) fn parse(byte: u8) -> Option<Self> {
        use Kind::{Accept, BatchEnd, Cell, Copied, Cut, Data, Drop, Purge, Table};
        let all = [Data, Copied, Cut, Purge, Cell, Drop, Table, BatchEnd, Accept];
        all.into_iter().find(|kind| *kind as u8 == byte)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// `since` is where the stream's last cut stands, or what made the stream: who knows of another one has not seen
    /// that, and does not know what it cut.
    Data {
        stream: StreamId,
        index: Index,
        since: Position,
    },
    Copied {
        stream: StreamId,
        index: Index,
        since: Position,
    },
    Cut {
        stream: StreamId,
        from: Index,
    },
    /// Beyond the next index, the stream goes on there.
    Purge {
        stream: StreamId,
        before: Index,
    },
    Cell {
        stream: StreamId,
        cell: CellId,
        value: Bytes,
    },
    Drop {
        stream: StreamId,
    },
    Table(Table),
    BatchEnd(BatchEnd),
    /// So many lost records of which it is not known what they were are known of.
    Accept {
        unknown: u64,
    },
}

/// Before the bytes of a `Data` or `Copied`.
pub(super) const HEAD_BYTES: usize = 21;

impl Item {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Item::Data { .. } => Kind::Data,
            Item::Copied { .. } => Kind::Copied,
            Item::Cut { .. } => Kind::Cut,
            Item::Purge { .. } => Kind::Purge,
            Item::Cell { .. } => Kind::Cell,
            Item::Drop { .. } => Kind::Drop,
            Item::Table(_) => Kind::Table,
            Item::BatchEnd(_) => Kind::BatchEnd,
            Item::Accept { .. } => Kind::Accept,
        }
    }

    /// Of a `Data` or `Copied` the head: its bytes come behind it.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.kind() as u8);
        match self {
            Item::Data { stream, index, since } | Item::Copied { stream, index, since } => {
                out.put_u32(stream.0);
                out.put_u64(index.0);
                out.put_u64(since.0);
            }
            Item::Cut { stream, from: index } | Item::Purge { stream, before: index } => {
                out.put_u32(stream.0);
                out.put_u64(index.0);
            }
            Item::Cell { stream, cell, value } => {
                out.put_u32(stream.0);
                out.push(cell.0);
                out.extend_from_slice(value);
            }
            Item::Drop { stream } => out.put_u32(stream.0),
            Item::Table(table) => table.encode(out),
            Item::BatchEnd(end) => end.encode(out),
            Item::Accept { unknown } => out.put_u64(*unknown),
        }
    }

    /// `None` for what nobody of this version writes.
    pub(super) fn parse(payload: &Bytes) -> Option<Item> {
        let mut take = Take(payload.clone());
        let kind = Kind::parse(take.u8()?)?;
        let item = match kind {
            Kind::Data | Kind::Copied => {
                let (stream, index, since) = (take.stream()?, take.index()?, take.position()?);
                return Some(match kind {
                    Kind::Data => Item::Data { stream, index, since },
                    _ => Item::Copied { stream, index, since },
                });
            }
            Kind::Cell => {
                let (stream, cell) = (take.stream()?, take.cell()?);
                return Some(Item::Cell { stream, cell, value: take.rest() });
            }
            Kind::Cut => Item::Cut { stream: take.stream()?, from: take.index()? },
            Kind::Purge => Item::Purge { stream: take.stream()?, before: take.index()? },
            Kind::Drop => Item::Drop { stream: take.stream()? },
            Kind::Table => Item::Table(Table::parse(&mut take)?),
            Kind::BatchEnd => Item::BatchEnd(BatchEnd::parse(&mut take)?),
            Kind::Accept => Item::Accept { unknown: take.u64()? },
        };
        take.end()?;
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: StreamId = StreamId(0x0102);

    fn pinned(item: &Item, expected: &[u8]) {
        let mut out = Vec::new();
        item.encode(&mut out);
        assert_eq!(out, expected, "{item:?}");
        assert_eq!(Item::parse(&out.into()).as_ref(), Some(item));
    }

    #[test]
    fn the_bytes_of_each_kind_are_pinned() {
        let (index, since) = (Index(7), Position(9));
        pinned(
            &Item::Data { stream: STREAM, index, since },
            &[1, 2, 1, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0],
        );
        pinned(
            &Item::Copied { stream: STREAM, index, since },
            &[2, 2, 1, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0],
        );
        pinned(
            &Item::Cut { stream: STREAM, from: index },
            &[3, 2, 1, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0],
        );
        pinned(
            &Item::Purge { stream: STREAM, before: index },
            &[4, 2, 1, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0],
        );
        let value = Bytes::from_static(b"vote");
        pinned(
            &Item::Cell { stream: STREAM, cell: CellId(3), value },
            &[5, 2, 1, 0, 0, 3, b'v', b'o', b't', b'e'],
        );
        pinned(&Item::Drop { stream: STREAM }, &[6, 2, 1, 0, 0]);
        pinned(&Item::Accept { unknown: 3 }, &[9, 3, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_head_is_as_long_as_it_says() {
        let mut out = Vec::new();
        Item::Data { stream: STREAM, index: Index(1), since: Position(0) }.encode(&mut out);
        assert_eq!(out.len(), HEAD_BYTES);
    }

    #[test]
    fn what_nobody_writes_is_none() {
        for bytes in [&[][..], &[0], &[10], &[1, 0, 0], &[6, 1, 0, 0, 0, 0], &[9, 0], &[8], &[7]] {
            assert_eq!(Item::parse(&Bytes::copy_from_slice(bytes)), None, "{bytes:?}");
        }
    }
}
