//! Where a live record stands.

use super::Position;
use crate::log::record::HEAD_BYTES;

/// One for each live record, so it is small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) position: Position,
    /// In its segment.
    pub(super) at: u32,
    /// Of the payload.
    len: u32,
}

impl Place {
    /// Of a record that is lost.
    pub(super) const LOST: Place = Place { position: Position(u64::MAX), at: 0, len: 0 };

    pub(super) fn new(position: Position, at: u64, len: usize) -> Self {
        let at = u32::try_from(at).expect("a segment is shorter than 4 GiB");
        let len = u32::try_from(len).expect("a record is shorter than a segment");
        Place { position, at, len }
    }

    pub(super) fn is_lost(self) -> bool {
        self == Place::LOST
    }

    /// Bytes on disk.
    pub(super) fn size(self) -> u64 {
        HEAD_BYTES as u64 + u64::from(self.len)
    }

    pub(super) fn end(self) -> u64 {
        u64::from(self.at) + self.size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_record_costs_sixteen_bytes() {
        assert_eq!(size_of::<Place>(), 16);
    }
}
