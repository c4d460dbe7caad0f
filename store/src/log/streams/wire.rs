//! Numbers as bytes: little endian, of fixed width.

use bytes::Bytes;

use super::{CellId, Index, Position, StreamId};

pub(super) trait Put {
    fn put_u16(&mut self, number: u16);
    fn put_u32(&mut self, number: u32);
    fn put_u64(&mut self, number: u64);
}

impl Put for Vec<u8> {
    fn put_u16(&mut self, number: u16) {
        self.extend_from_slice(&number.to_le_bytes());
    }

    fn put_u32(&mut self, number: u32) {
        self.extend_from_slice(&number.to_le_bytes());
    }

    fn put_u64(&mut self, number: u64) {
        self.extend_from_slice(&number.to_le_bytes());
    }
}

/// Takes from the front; `None` where the bytes end too soon.
pub(super) struct Take(pub(super) Bytes);

impl Take {
    pub(super) fn bytes(&mut self, len: usize) -> Option<Bytes> {
        (len <= self.0.len()).then(|| self.0.split_to(len))
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        Some(self.bytes(1)?[0])
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes(*self.bytes(2)?.first_chunk()?))
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(*self.bytes(4)?.first_chunk()?))
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(*self.bytes(8)?.first_chunk()?))
    }

    pub(super) fn stream(&mut self) -> Option<StreamId> {
        self.u32().map(StreamId)
    }

    pub(super) fn index(&mut self) -> Option<Index> {
        self.u64().map(Index)
    }

    pub(super) fn position(&mut self) -> Option<Position> {
        self.u64().map(Position)
    }

    pub(super) fn cell(&mut self) -> Option<CellId> {
        self.u8().map(CellId)
    }

    /// All that is left.
    pub(super) fn rest(self) -> Bytes {
        self.0
    }

    pub(super) fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}
