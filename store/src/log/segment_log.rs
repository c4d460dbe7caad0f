//! The log's owner side: append, trim, and what to do when a write fails.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use tracing::warn;

use super::record::{self, HEAD_BYTES, MAX_RECORD_BYTES, Payload};
use super::recover::{Recovered, recover};
use super::segment::{self, HEADER_BYTES, Segment};
use super::{Index, LogError, Options, Reader, Result};
use crate::disk::{File, Files};
use crate::plants::{self, Plant};

pub struct SegmentLog {
    files: Arc<dyn Files>,
    dir: String,
    options: Options,
    segments: VecDeque<Segment>,
    next: Index,
    /// Whether the last segment takes further batches.
    is_open: bool,
    doubt: Option<Doubt>,
}

/// A file with bytes behind `len` that must not count. It is noted before they are written, so that it
/// also stands when the writing future is dropped half way.
struct Doubt {
    file: Arc<dyn File>,
    len: u64,
}

struct Target {
    path: String,
    file: Arc<dyn File>,
    len: u64,
    is_new: bool,
}

impl SegmentLog {
    /// Opens the log in `dir`, making the folder if it is missing; reads every record once.
    pub async fn open(
        files: Arc<dyn Files>,
        dir: impl Into<String>,
        options: Options,
    ) -> Result<(Self, Recovered)> {
        let dir = dir.into();
        let opened = recover(&files, &dir).await?;
        let mut log = SegmentLog {
            files,
            dir,
            options,
            segments: opened.segments,
            next: opened.recovered.next,
            is_open: opened.is_contiguous,
            doubt: None,
        };
        if !opened.is_contiguous {
            // The new segment's first index keeps in mind that lost records were there, and vouches for
            // those that are left.
            log.write::<Bytes>(&[], true).await?;
        }
        Ok((log, opened.recovered))
    }

    /// The lowest index that is kept; the next one when nothing is.
    pub fn first_index(&self) -> Index {
        self.segments.front().map_or(self.next, |segment| segment.first)
    }

    pub fn next_index(&self) -> Index {
        self.next
    }

    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.len).sum()
    }

    /// Durable on return, all of it. After an error none of it counts, in this process: the same
    /// records may be appended again and get the same indexes.
    pub async fn append(&mut self, records: Vec<Bytes>) -> Result<Range<Index>> {
        self.append_all(&records, false).await
    }

    /// `leave`: in a new segment, though the last one is not full. One without records is not left.
    pub(super) async fn append_all(
        &mut self,
        records: &[impl Payload],
        leave: bool,
    ) -> Result<Range<Index>> {
        if let Some(record) = records.iter().find(|record| record.size() > MAX_RECORD_BYTES) {
            return Err(LogError::TooLarge { bytes: record.size() });
        }
        let first = self.next;
        if !records.is_empty() {
            let has_records = self.segments.back().is_some_and(|last| last.first < last.next);
            self.write(records, leave && has_records || self.is_full()).await?;
        }
        Ok(first..self.next)
    }

    pub(super) fn segments(&self) -> impl DoubleEndedIterator<Item = &Segment> {
        self.segments.iter()
    }

    /// Whether the next append begins a segment: what is to stand in each is due.
    pub fn begins_segment(&self) -> bool {
        let last_is_empty = self.segments.back().is_none_or(|last| last.first == last.next);
        // A batch that is still to be cut away closes its segment.
        !self.is_open || self.doubt.is_some() || last_is_empty || self.is_full()
    }

    fn is_full(&self) -> bool {
        let full = |last: &Segment| last.first < last.next && last.len > self.options.segment_bytes;
        self.segments.back().is_some_and(full)
    }

    /// Up to where `trim` would forget.
    pub fn trimmable(&self, before: Index) -> Index {
        let done = self.segments.iter().take_while(|segment| segment.next <= before);
        // The last one goes only once there is another.
        let last = self.segments.back().map(|last| (last.next, last.first, self.may_close(before)));
        let done = done.map(|segment| segment.next).last().unwrap_or(self.first_index());
        match last {
            Some((next, first, false)) if done == next => first,
            _ => done,
        }
    }

    /// Whether the last segment is done with and worth closing.
    fn may_close(&self, before: Index) -> bool {
        let half = self.options.segment_bytes / 2;
        self.segments
            .back()
            .is_some_and(|last| last.first < last.next && last.next <= before && last.len > half)
    }

    /// Forgets records below `before`, by whole segments; those that are kept beside them stay.
    pub async fn trim(&mut self, before: Index) -> Result<()> {
        if self.may_close(before) {
            self.write::<Bytes>(&[], true).await?;
        }
        while self.segments.len() > 1 && self.segments[0].next <= before {
            self.files.remove(&self.segments[0].path).await?;
            // One by one: a crash must not bring an older one back without a younger.
            self.files.sync_dir(&self.dir).await?;
            self.segments.pop_front();
        }
        Ok(())
    }

    /// Records from an index on, up to what is durable now.
    pub fn read_from(&self, index: Index) -> Reader {
        let from = self.segments.iter().filter(|segment| segment.next > index);
        Reader::new(from.cloned().collect(), index.max(self.first_index()))
    }

    /// Writes one batch, or only a new segment's header, in one step.
    async fn write<P: Payload>(&mut self, records: &[P], roll: bool) -> Result<()> {
        self.settle().await?;
        let target = self.target(roll).await?;
        let bytes = encode(target.is_new, self.next, records);
        let end = target.len + bytes.len() as u64;

        let file = Arc::clone(&target.file);
        self.doubt = Some(Doubt { file: Arc::clone(&file), len: target.len });
        let mut written = file.append_sync(bytes).await;
        if plants::is(Plant::FailedSyncRetried) && file.len() == end && written.is_err() {
            written = file.sync().await;
        }
        if target.is_new && written.is_ok() {
            written = self.files.sync_dir(&self.dir).await;
        }
        if let Err(error) = written {
            warn!(path = target.path, %error, records = records.len(), "a batch failed");
            // It is tried again before the next write: this answer is about the batch.
            if let Err(error) = self.settle().await {
                warn!(path = target.path, %error, "the failed batch is not cut away yet");
            }
            return Err(error.into());
        }
        self.doubt = None;
        self.count(target, records, end);
        Ok(())
    }

    /// Where the next batch goes.
    async fn target(&mut self, roll: bool) -> Result<Target> {
        if let Some(last) = self.segments.back()
            && self.is_open
            && !roll
        {
            let (path, file) = (last.path.clone(), Arc::clone(&last.file));
            return Ok(Target { path, file, len: last.len, is_new: false });
        }
        // Once the new name may be there the old segment is over: what follows it is the new one's.
        self.is_open = false;
        let path = segment::path(&self.dir, self.next);
        let file = self.files.open(&path).await?;
        if !file.is_empty() {
            self.doubt = Some(Doubt { file: Arc::clone(&file), len: 0 });
            self.settle().await?;
        }
        Ok(Target { path, file, len: 0, is_new: true })
    }

    /// Takes note of a batch that is durable.
    fn count(&mut self, target: Target, records: &[impl Payload], end: u64) {
        let mut at = target.len;
        if target.is_new {
            at += HEADER_BYTES as u64;
            self.segments.push_back(Segment::new(target.path, target.file, self.next));
            self.is_open = true;
        }
        let segment = self.segments.back_mut().expect("the target is the last segment");
        for record in records {
            segment.marks.note(self.next, at);
            at += (HEAD_BYTES + record.size()) as u64;
            self.next = self.next.next();
        }
        segment.next = self.next;
        segment.len = end;
    }

    /// Cuts away a batch that failed. Until this goes well nothing else is written.
    pub(super) async fn settle(&mut self) -> Result<()> {
        let Some(doubt) = &self.doubt else {
            return Ok(());
        };
        doubt.file.truncate(doubt.len).await?;
        doubt.file.sync().await?;
        self.doubt = None;
        // A segment without records has the name that the next one would get, so it is used again.
        self.is_open = self.segments.back().is_some_and(|last| last.first == last.next);
        Ok(())
    }
}

fn encode(with_header: bool, first: Index, records: &[impl Payload]) -> Bytes {
    let payloads: usize = records.iter().map(Payload::size).sum();
    let mut out = Vec::with_capacity(HEADER_BYTES + records.len() * HEAD_BYTES + payloads);
    if with_header {
        segment::encode_header(&mut out, first);
    }
    for (index, payload) in (first.0..).map(Index).zip(records) {
        record::encode(&mut out, index, first, payload.parts());
    }
    out.into()
}
