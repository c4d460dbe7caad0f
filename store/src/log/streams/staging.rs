//! Makes one batch of operations, as they would stand, out of how the streams stand.
//!
//! Nothing that is seen changes here: a batch may fail, and then nothing of it counts.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::batch_end::BatchEnd;
use super::item::{self, Item};
use super::reader::Wanted;
use super::state::State;
use super::table::{cell_bytes, row_bytes};
use super::{CellId, Index, MAX_CELL_BYTES, Op, Options, Position, Result, StreamError, StreamId};
use crate::log::MAX_RECORD_BYTES;
use crate::log::record::HEAD_BYTES;

/// What a record costs beside its bytes.
pub(super) const RECORD_BYTES: usize = HEAD_BYTES + item::HEAD_BYTES;
/// What takes room only to make some is no longer.
const SMALL_BYTES: u64 = (RECORD_BYTES + MAX_CELL_BYTES) as u64;

pub(super) struct Staging<'a> {
    state: &'a State,
    options: &'a Options,
    /// Of the log, with what is staged.
    bytes: u64,
    next: Position,
    /// `None`: dropped.
    drafts: BTreeMap<StreamId, Option<Draft>>,
    table_bytes: Option<usize>,
    heads: Vec<u8>,
    pieces: Vec<(usize, Bytes)>,
    items: Vec<Item>,
    end: BatchEnd,
    has_news: bool,
}

/// How a stream will stand.
#[derive(Clone, Copy)]
struct Draft {
    first: Index,
    next: Index,
    since: Position,
}

/// Ready to be appended.
pub(super) struct Batch {
    pub(super) payloads: Vec<[Bytes; 2]>,
    /// What each payload is.
    pub(super) items: Vec<Item>,
}

impl<'a> Staging<'a> {
    /// `pending` tells of records before this batch that no batch's end tells of yet.
    pub(super) fn new(
        state: &'a State,
        options: &'a Options,
        bytes: u64,
        next: Position,
        pending: BatchEnd,
    ) -> Self {
        Staging {
            state,
            options,
            bytes,
            next,
            drafts: BTreeMap::new(),
            table_bytes: None,
            heads: Vec::new(),
            pieces: Vec::new(),
            items: Vec::new(),
            end: pending,
            has_news: false,
        }
    }

    /// Before anything else.
    pub(super) fn begin_segment(&mut self) {
        self.push(Item::Table(self.state.table()), Bytes::new());
        self.has_news = false;
    }

    /// It is written though nothing is in it but a table.
    pub(super) fn write_anyhow(&mut self) {
        self.has_news = true;
    }

    pub(super) fn copy(&mut self, wanted: &Wanted, bytes: Bytes) {
        let Wanted { stream, index, since, .. } = *wanted;
        self.push(Item::Copied { stream, index, since }, bytes);
    }

    pub(super) fn op(&mut self, op: &Op) -> Result<()> {
        match op {
            Op::Append { stream, first, records } => self.append(*stream, *first, records),
            Op::Cut { stream, from } => self.cut(*stream, *from),
            Op::Purge { stream, before } => self.purge(*stream, *before),
            Op::Restart { stream, next } => self.restart(*stream, *next),
            Op::PutCell { stream, cell, value } => self.put_cell(*stream, *cell, value),
            Op::Drop { stream } => self.drop_stream(*stream),
            Op::AcceptDamage => match self.state.doubt.unknown {
                0 => Ok(()),
                unknown => self.push_small(Item::Accept { unknown }),
            },
        }
    }

    /// `None` when there is nothing to write.
    pub(super) fn finish(mut self) -> Option<Batch> {
        if !self.has_news {
            return None;
        }
        let end = Item::BatchEnd(std::mem::take(&mut self.end));
        self.push(end, Bytes::new());
        let heads = Bytes::from(self.heads);
        let mut begin = 0;
        let payloads = self.pieces.into_iter().map(|(end, body)| {
            let head = heads.slice(begin..end);
            begin = end;
            [head, body]
        });
        Some(Batch { payloads: payloads.collect(), items: self.items })
    }

    fn append(&mut self, stream: StreamId, first: Index, records: &[Bytes]) -> Result<()> {
        let draft = self.draft(stream);
        let most = usize::try_from(self.options.segment_bytes).unwrap_or(usize::MAX);
        let bytes = records.iter().map(|record| RECORD_BYTES + record.len()).sum();
        if bytes > most {
            return Err(StreamError::TooLarge { stream, bytes, most });
        }
        let most = MAX_RECORD_BYTES - item::HEAD_BYTES;
        if let Some(bytes) = records.iter().map(Bytes::len).find(|bytes| *bytes > most) {
            return Err(StreamError::TooLarge { stream, bytes, most });
        }
        match draft {
            // Cells alone, so far.
            Some(Draft { next: Index(0), .. }) => {}
            Some(Draft { next, .. }) if next != first => {
                return Err(StreamError::NotNext { stream, given: first, next });
            }
            _ => {}
        }
        if records.is_empty() {
            return Ok(());
        }
        self.check_room(bytes as u64, self.options.append_limit())?;
        match draft {
            None => self.check_table(stream, row_bytes(&BTreeMap::new()))?,
            Some(draft) if draft.next < first => self.push_purge(stream, first),
            Some(_) => {}
        }
        let since = self.draft(stream).map_or(self.next, |draft| draft.since);
        for (index, record) in (first.0..).map(Index).zip(records) {
            self.push(Item::Data { stream, index, since }, record.clone());
        }
        let next = Index(first.0 + records.len() as u64);
        let first = self.draft(stream).map_or(first, |draft| draft.first);
        self.drafts.insert(stream, Some(Draft { first, next, since }));
        Ok(())
    }

    fn cut(&mut self, stream: StreamId, from: Index) -> Result<()> {
        match self.draft(stream) {
            Some(Draft { first, .. }) if from < first => {
                Err(StreamError::Purged { stream, given: from, first })
            }
            Some(draft) if from < draft.next => {
                let since = self.next;
                self.push_small(Item::Cut { stream, from })?;
                self.drafts.insert(stream, Some(Draft { next: from, since, ..draft }));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn purge(&mut self, stream: StreamId, before: Index) -> Result<()> {
        let Some(draft) = self.draft(stream) else { return Ok(()) };
        let before = before.min(draft.next);
        if before <= draft.first {
            return Ok(());
        }
        self.check_small()?;
        self.push_purge(stream, before);
        Ok(())
    }

    fn restart(&mut self, stream: StreamId, next: Index) -> Result<()> {
        // Both records or none.
        self.check_room(2 * SMALL_BYTES, self.options.op_limit())?;
        match self.draft(stream) {
            Some(Draft { first, .. }) if next < first => {
                return Err(StreamError::Purged { stream, given: next, first });
            }
            Some(draft) if draft.first < draft.next => self.cut(stream, draft.first)?,
            Some(_) => {}
            None => self.check_table(stream, row_bytes(&BTreeMap::new()))?,
        }
        if self.draft(stream).is_none_or(|draft| draft.next < next) {
            self.push_purge(stream, next);
        }
        Ok(())
    }

    fn put_cell(&mut self, stream: StreamId, cell: CellId, value: &Bytes) -> Result<()> {
        let (bytes, most) = (value.len(), MAX_CELL_BYTES);
        if bytes > most {
            return Err(StreamError::TooLarge { stream, bytes, most });
        }
        let draft = self.draft(stream);
        let row = if draft.is_none() { row_bytes(&BTreeMap::new()) } else { 0 };
        let known = self.state.streams.get(&stream).and_then(|stream| stream.cells.get(&cell));
        let before = known.map_or(0, |value| cell_bytes(value.as_ref()));
        self.check_table(stream, (row + cell_bytes(Some(value))).saturating_sub(before))?;
        let since = self.next;
        self.push_small(Item::Cell { stream, cell, value: value.clone() })?;
        let new = Draft { first: Index(0), next: Index(0), since };
        self.drafts.insert(stream, Some(draft.unwrap_or(new)));
        Ok(())
    }

    fn drop_stream(&mut self, stream: StreamId) -> Result<()> {
        if self.draft(stream).is_some() {
            self.push_small(Item::Drop { stream })?;
            self.drafts.insert(stream, None);
        }
        Ok(())
    }

    fn draft(&self, stream: StreamId) -> Option<Draft> {
        let stands = || {
            let stream = self.state.streams.get(&stream)?;
            Some(Draft { first: stream.first(), next: stream.next(), since: stream.since })
        };
        self.drafts.get(&stream).copied().unwrap_or_else(stands)
    }

    /// Beyond the next index the stream goes on there.
    fn push_purge(&mut self, stream: StreamId, before: Index) {
        let new = Draft { first: before, next: before, since: self.next };
        let draft = self.draft(stream).unwrap_or(new);
        self.push(Item::Purge { stream, before }, Bytes::new());
        let next = draft.next.max(before);
        self.drafts.insert(stream, Some(Draft { first: before, next, ..draft }));
    }

    fn push_small(&mut self, item: Item) -> Result<()> {
        self.check_small()?;
        self.push(item, Bytes::new());
        Ok(())
    }

    fn push(&mut self, item: Item, body: Bytes) {
        let begin = self.heads.len();
        item.encode(&mut self.heads);
        self.bytes += (HEAD_BYTES + self.heads.len() - begin + body.len()) as u64;
        self.end.note(&item);
        self.pieces.push((self.heads.len(), body));
        self.items.push(item);
        self.next = Position(self.next.0 + 1);
        self.has_news = true;
    }

    fn check_small(&self) -> Result<()> {
        self.check_room(SMALL_BYTES, self.options.op_limit())
    }

    fn check_room(&self, bytes_more: u64, limit: u64) -> Result<()> {
        let bytes = self.bytes;
        if bytes + bytes_more > limit {
            return Err(StreamError::Full { bytes, bytes_more, limit });
        }
        Ok(())
    }

    /// Whether the table has room for so many bytes more.
    fn check_table(&mut self, stream: StreamId, more: usize) -> Result<()> {
        let most = self.options.table_limit();
        let bytes = more + *self.table_bytes.get_or_insert_with(|| self.state.table_bytes());
        if bytes > most {
            return Err(StreamError::TooMany { stream, bytes, most });
        }
        self.table_bytes = Some(bytes);
        Ok(())
    }
}
