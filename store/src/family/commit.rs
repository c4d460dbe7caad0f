//! What apply decides by, durable in the same batch as the data: the commit row and a row for each
//! source.

use std::collections::VecDeque;

use tributary_proto::{Digest, Seq, SourceId};

use super::Damaged;

/// The last batch that the database holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CommitRow {
    /// Batches written so far; the last key part of the rows that each wrote.
    pub(crate) id: u64,
    /// Entries applied so far.
    pub(crate) applied: u64,
}

/// What a shard knows of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SourceState {
    pub(crate) last: Seq,
    pub(crate) sealed_to_ms: i64,
    pub(crate) closed: bool,
    /// Of the slices up to `last`, the newest at the back.
    pub(crate) digests: VecDeque<Digest>,
}

/// A slice that comes again further back than this cannot be told from a fork. An edge sends again
/// only what it was not answered, and stops sealing well before that comes to so many.
pub(crate) const DIGESTS_KEPT: usize = 128;

const COMMIT_KEY: &[u8] = b"commit";
const SOURCE_PREFIX: &[u8] = b"source/";
const COMMIT_V1: u8 = 1;
const SOURCE_V1: u8 = 1;

impl CommitRow {
    pub(crate) fn key() -> &'static [u8] {
        COMMIT_KEY
    }

    pub(crate) fn value(self) -> Vec<u8> {
        super::seal(COMMIT_V1, |w| {
            w.varint(self.id);
            w.varint(self.applied);
        })
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self, Damaged> {
        super::open(COMMIT_V1, value, |r| Ok(CommitRow { id: r.varint()?, applied: r.varint()? }))
    }
}

impl SourceState {
    pub(crate) fn key(source: SourceId) -> Vec<u8> {
        [SOURCE_PREFIX, &source.to_bytes()].concat()
    }

    pub(crate) fn key_range() -> (Vec<u8>, Vec<u8>) {
        (SOURCE_PREFIX.to_vec(), super::after_prefix(SOURCE_PREFIX))
    }

    pub(crate) fn source_of(key: &[u8]) -> Option<SourceId> {
        SourceId::from_bytes(key.strip_prefix(SOURCE_PREFIX)?)
    }

    pub(crate) fn value(&self) -> Vec<u8> {
        super::seal(SOURCE_V1, |w| {
            w.varint(self.last.0);
            w.signed(self.sealed_to_ms);
            w.u8(self.closed.into());
            w.varint(self.digests.len() as u64);
            self.digests.iter().for_each(|digest| w.fixed(digest.0.to_le_bytes()));
        })
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self, Damaged> {
        super::open(SOURCE_V1, value, |r| {
            let last = Seq(r.varint()?);
            let sealed_to_ms = r.signed()?;
            let closed = r.u8()? != 0;
            let mut digests = VecDeque::new();
            for _ in 0..r.varint()? {
                digests.push_back(Digest(u128::from_le_bytes(r.fixed()?)));
            }
            Ok(SourceState { last, sealed_to_ms, closed, digests })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tributary_proto::{BootId, EdgeId};

    #[test]
    fn rows_round_trip() {
        let row = CommitRow { id: 3, applied: 300 };
        assert_eq!(CommitRow::decode(&row.value()), Ok(row));
        let state = SourceState {
            last: Seq(9),
            sealed_to_ms: -5,
            closed: true,
            digests: [Digest(1), Digest(u128::MAX)].into(),
        };
        assert_eq!(SourceState::decode(&state.value()), Ok(state));
        let source = SourceId { edge: EdgeId([1; 16]), boot: BootId([2; 8]) };
        assert_eq!(SourceState::source_of(&SourceState::key(source)), Some(source));
    }

    #[test]
    fn the_bytes_are_pinned() {
        let row = CommitRow { id: 3, applied: 300 };
        let state = SourceState {
            last: Seq(900),
            sealed_to_ms: -5,
            closed: false,
            digests: [Digest(1), Digest(u128::MAX)].into(),
        };
        let closed = SourceState { closed: true, digests: VecDeque::new(), ..state.clone() };
        let source = SourceId { edge: EdgeId([1; 16]), boot: BootId([2; 8]) };
        let hex =
            |bytes: Vec<u8>| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
        assert_eq!(CommitRow::key(), b"commit");
        let written = [row.value(), SourceState::key(source), state.value(), closed.value()];
        assert_eq!(written.map(hex), PINNED);
    }

    const PINNED: [&str; 4] = [
        "0103ac02e9940277",
        "736f757263652f010101010101010101010101010101010202020202020202",
        "01840709000201000000000000000000000000000000ffffffffffffffffffffffffffffffff23e57eca",
        "0184070901002356e5b5",
    ];
}
