//! How every stream stands where a segment begins.
//!
//! ```text
//!   unknown 8 · streams 4 · for each:
//!     stream 4 · first 8 · next 8 · since 8 · cells 2 · for each:
//!       cell 1 · length 4, all ones where it is lost · bytes
//! ```

use std::collections::BTreeMap;

use bytes::Bytes;

use super::wire::{Put, Take};
use super::{CellId, Index, MAX_CELL_BYTES, Position, StreamId};

/// A cell whose value is lost is `None`.
pub(super) type Cells = BTreeMap<CellId, Option<Bytes>>;

const LOST: u32 = u32::MAX;
const ROW_BYTES: usize = 30;
const CELL_BYTES: usize = 5;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    /// Lost records of which the writer does not know what they were.
    pub(super) unknown: u64,
    pub(super) rows: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) stream: StreamId,
    pub(super) first: Index,
    pub(super) next: Index,
    pub(super) since: Position,
    pub(super) cells: Cells,
}

/// What a stream adds to each table.
pub(super) fn row_bytes(cells: &Cells) -> usize {
    ROW_BYTES + cells.values().map(|value| cell_bytes(value.as_ref())).sum::<usize>()
}

pub(super) fn cell_bytes(value: Option<&Bytes>) -> usize {
    CELL_BYTES + value.map_or(0, Bytes::len)
}

impl Table {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64(self.unknown);
        out.put_u32(self.rows.len() as u32);
        for row in &self.rows {
            out.put_u32(row.stream.0);
            out.put_u64(row.first.0);
            out.put_u64(row.next.0);
            out.put_u64(row.since.0);
            out.put_u16(row.cells.len() as u16);
            for (cell, value) in &row.cells {
                out.push(cell.0);
                out.put_u32(value.as_ref().map_or(LOST, |value| value.len() as u32));
                out.extend_from_slice(value.as_deref().unwrap_or_default());
            }
        }
    }

    pub(super) fn parse(take: &mut Take) -> Option<Table> {
        let (unknown, count) = (take.u64()?, take.u32()?);
        let mut rows = Vec::new();
        for _ in 0..count {
            let (stream, first, next) = (take.stream()?, take.index()?, take.index()?);
            let since = take.position()?;
            (first <= next).then_some(())?;
            rows.push(Row { stream, first, next, since, cells: parse_cells(take)? });
        }
        Some(Table { unknown, rows })
    }
}

fn parse_cells(take: &mut Take) -> Option<Cells> {
    let mut cells = Cells::new();
    for _ in 0..take.u16()? {
        let cell = take.cell()?;
        let value = match take.u32()? {
            LOST => None,
            len if len as usize <= MAX_CELL_BYTES => Some(take.bytes(len as usize)?),
            _ => return None,
        };
        cells.insert(cell, value);
    }
    Some(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_table_are_pinned() {
        let cells =
            [(CellId(1), Some(Bytes::from_static(b"v"))), (CellId(2), None)].into_iter().collect();
        let row =
            Row { stream: StreamId(5), first: Index(3), next: Index(9), since: Position(2), cells };
        let table = Table { unknown: 4, rows: vec![row] };
        let mut out = Vec::new();
        table.encode(&mut out);
        let pinned: &[u8] = &[
            4, 0, 0, 0, 0, 0, 0, 0, // unknown
            1, 0, 0, 0, // streams
            5, 0, 0, 0, // stream
            3, 0, 0, 0, 0, 0, 0, 0, // first
            9, 0, 0, 0, 0, 0, 0, 0, // next
            2, 0, 0, 0, 0, 0, 0, 0, // since
            2, 0, // cells
            1, 1, 0, 0, 0, b'v', // a value
            2, 0xff, 0xff, 0xff, 0xff, // a lost one
        ];
        assert_eq!(out, pinned);
        assert_eq!(out.len(), 12 + row_bytes(&table.rows[0].cells));
        assert_eq!(Table::parse(&mut Take(out.into())), Some(table));
    }

    #[test]
    fn all_cells_of_a_stream_fit() {
        let cells: Cells = (0..=255).map(|n| (CellId(n), Some(Bytes::new()))).collect();
        let (stream, first, since) = (StreamId(0), Index(0), Position(0));
        let table =
            Table { unknown: 0, rows: vec![Row { stream, first, next: first, since, cells }] };
        let mut out = Vec::new();
        table.encode(&mut out);
        assert_eq!(Table::parse(&mut Take(out.into())), Some(table));
    }
}
