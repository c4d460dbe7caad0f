//! Reads streams beside the one who writes them.

use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;

use super::item::{HEAD_BYTES, Item};
use super::place::Place;
use super::state::State;
use super::{CellId, Index, Position, Result, StreamError, StreamId};
use crate::disk::{self, File};
use crate::log::record;

/// Records that stand so close are read at once, with what is between them.
const GAP_BYTES: u64 = 16 << 10;
/// One read takes no more, unless one record does.
const READ_BYTES: u64 = 1 << 20;

/// Sees what is durable. Others may append, cut and purge meanwhile: what a read began with it ends with, since it
/// holds the files.
#[derive(Clone)]
pub struct StreamReader {
    state: Shared,
}

/// Since the start, but for the first three.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub bytes: u64,
    pub live_bytes: u64,
    pub streams: usize,
    pub syncs: u64,
    pub ops: u64,
    /// Appended, without those copied.
    pub records: u64,
    pub copied_records: u64,
    pub copied_bytes: u64,
    /// They could not be read when they were to be copied.
    pub lost_records: u64,
}

impl Usage {
    pub(super) fn count(&mut self, item: &Item, bytes: u64) {
        match item {
            Item::Data { .. } => self.records += 1,
            Item::Copied { .. } => {
                self.copied_records += 1;
                self.copied_bytes += bytes;
            }
            _ => {}
        }
    }
}

/// No lock is held while something waits.
#[derive(Clone, Default)]
pub(super) struct Shared(Arc<RwLock<State>>);

impl Shared {
    pub(super) fn new(state: State) -> Self {
        Shared(Arc::new(RwLock::new(state)))
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StreamReader {
    pub(super) fn new(state: Shared) -> Self {
        StreamReader { state }
    }

    pub fn streams(&self) -> Vec<StreamId> {
        self.state.read().streams.keys().copied().collect()
    }

    /// The first index that is kept, and the next one. `None`: there is no such stream.
    pub fn bounds(&self, stream: StreamId) -> Option<Range<Index>> {
        let state = self.state.read();
        state.streams.get(&stream).map(|stream| stream.first()..stream.next())
    }

    pub fn cell(&self, stream: StreamId, cell: CellId) -> Result<Option<Bytes>> {
        let state = self.state.read();
        match state.streams.get(&stream).and_then(|stream| stream.cells.get(&cell)) {
            Some(None) => Err(StreamError::LostCell { stream, cell }),
            Some(value) => Ok(value.clone()),
            None => Ok(None),
        }
    }

    pub fn usage(&self) -> Usage {
        let state = self.state.read();
        let (live_bytes, streams) = (state.segments.live_bytes(), state.streams.len());
        Usage { live_bytes, streams, ..state.usage }
    }

    /// Records from the first index up to, not with, the second, as far as there are any: as many as `most_bytes`
    /// hold, and one if there is one. It ends before a record that is lost, and begins at none.
    pub async fn read(
        &self,
        stream: StreamId,
        indexes: Range<Index>,
        most_bytes: usize,
    ) -> Result<Vec<(Index, Bytes)>> {
        let wanted = self.find(stream, &indexes, most_bytes as u64)?;
        let found = fetch(&wanted).await?;
        let mut records = Vec::with_capacity(found.len());
        for (wanted, bytes) in wanted.into_iter().zip(found) {
            let index = wanted.index;
            match bytes {
                Some(bytes) => records.push((index, bytes)),
                None if records.is_empty() => return Err(StreamError::Lost { stream, index }),
                None => break,
            }
        }
        Ok(records)
    }

    fn find(&self, id: StreamId, indexes: &Range<Index>, most_bytes: u64) -> Result<Vec<Wanted>> {
        let state = self.state.read();
        let Some(stream) = state.streams.get(&id) else { return Ok(Vec::new()) };
        let (given, first) = (indexes.start, stream.first());
        if given < first {
            return Err(StreamError::Purged { stream: id, given, first });
        }
        let (mut wanted, mut bytes) = (Vec::new(), 0);
        for index in (given.0..indexes.end.min(stream.next()).0).map(Index) {
            let place = stream.get(index).unwrap_or(Place::LOST);
            let Some(next) = Wanted::new(&state, id, index, place) else {
                if wanted.is_empty() {
                    return Err(StreamError::Lost { stream: id, index });
                }
                break;
            };
            bytes += place.size();
            if bytes > most_bytes && !wanted.is_empty() {
                break;
            }
            wanted.push(next);
        }
        Ok(wanted)
    }
}

/// A record to be read.
pub(super) struct Wanted {
    pub(super) stream: StreamId,
    pub(super) index: Index,
    pub(super) since: Position,
    pub(super) place: Place,
    file: Arc<dyn File>,
}

impl Wanted {
    /// `None` for what is lost.
    pub(super) fn new(state: &State, stream: StreamId, index: Index, place: Place) -> Option<Self> {
        let since = state.streams.get(&stream)?.since;
        let segment = state.segments.of(place.position).filter(|_| !place.is_lost())?;
        let file = Arc::clone(&segment.file);
        Some(Wanted { stream, index, since, place, file })
    }

    /// Its bytes out of those that were read; `None` when it is not there as it was written.
    fn take(&self, bytes: &Bytes) -> Option<Bytes> {
        let record = record::parse(bytes)?;
        let (Item::Data { stream, index, .. } | Item::Copied { stream, index, .. }) =
            Item::parse(&record.payload)?
        else {
            return None;
        };
        let is_it = Position::from(record.index) == self.place.position
            && (stream, index) == (self.stream, self.index);
        is_it.then(|| record.payload.slice(HEAD_BYTES..))
    }
}

/// Reads them in as few reads as their places allow. `None` for a record that is damaged.
pub(super) async fn fetch(mut wanted: &[Wanted]) -> disk::Result<Vec<Option<Bytes>>> {
    let mut found = Vec::with_capacity(wanted.len());
    while let Some(first) = wanted.first() {
        let (near, rest) = wanted.split_at(together(wanted));
        let (at, end) = (u64::from(first.place.at), near.last().map_or(0, |last| last.place.end()));
        let bytes = first.file.read_at(at, (end - at) as usize).await?;
        found.extend(near.iter().map(|wanted| {
            let from = (u64::from(wanted.place.at) - at) as usize;
            wanted.take(&bytes.slice(from.min(bytes.len())..))
        }));
        wanted = rest;
    }
    Ok(found)
}

/// How many from the first on are read at once.
fn together(wanted: &[Wanted]) -> usize {
    let begin = u64::from(wanted[0].place.at);
    let joins = |pair: &[Wanted]| {
        let (before, next) = (&pair[0], &pair[1]);
        let at = u64::from(next.place.at);
        Arc::ptr_eq(&before.file, &next.file)
            && (before.place.end()..=before.place.end() + GAP_BYTES).contains(&at)
            && next.place.end() - begin <= READ_BYTES
    };
    1 + wanted.windows(2).take_while(|pair| joins(pair)).count()
}
