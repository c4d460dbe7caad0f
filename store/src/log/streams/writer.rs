//! The owner's side: one batch after the other.

use std::sync::Arc;

use bytes::Bytes;
use tracing::{error, warn};

use super::batch_end::BatchEnd;
use super::copying::{self, Step};
use super::place::Place;
use super::reader::{Shared, StreamReader, Wanted, fetch};
use super::replay::replay;
use super::staging::{Batch, Staging};
use super::state::State;
use super::{Op, Options, Position, Recovered, Result};
use crate::disk::Files;
use crate::log::record::{HEAD_BYTES, Payload};
use crate::log::{Index, SegmentLog};

/// A segment that has come to so much is left for a new one once nearly nothing of the log is live: what its streams
/// have let go of would stay until it is full.
const LEFT_BYTES: u64 = 1 << 20;
/// What is left of a log that an owner has tidied.
const TIDY_BYTES: u64 = 64 << 10;
/// Nearly nothing: one in so many bytes.
const NEARLY_NOTHING: u64 = 16;

pub struct Streams {
    log: SegmentLog,
    options: Options,
    state: Shared,
    /// Of records that no batch's end tells of yet.
    pending: BatchEnd,
    /// Behind the last batch that somebody had something in.
    written: Position,
}

impl Streams {
    /// Opens the log in `dir`, making the folder if it is missing; reads every record twice.
    pub async fn open(
        files: Arc<dyn Files>,
        dir: impl Into<String>,
        options: Options,
    ) -> Result<(Self, Recovered)> {
        options.check()?;
        let dir = dir.into();
        let (log, recovered) = SegmentLog::open(files, dir.clone(), options.base()).await?;
        let (state, pending) = replay(&log, &dir).await?;
        let damaged = state.damage();
        for damage in &damaged {
            warn!(dir, "{damage}");
        }
        let (written, state) = (log.next_index().into(), Shared::new(state));
        let mut streams = Streams { log, options, state, pending, written };
        streams.trim().await;
        Ok((streams, Recovered { log: recovered, damaged }))
    }

    pub fn reader(&self) -> StreamReader {
        StreamReader::new(self.state.clone())
    }

    /// Writes the operations in their order, with one sync; answers each. Those that are answered well are durable. After
    /// an error none of them counts, in this process, and they may be tried again.
    ///
    /// The caller bounds a batch: one segment's bytes, unless it is one operation.
    pub async fn write(&mut self, ops: &[Op]) -> Result<Vec<Result<()>>> {
        let step = match self.step().await {
            Ok(step) => step,
            Err(error) => {
                warn!(%error, "what lags could not be read to be copied; it is tried again");
                None
            }
        };
        self.write_with(ops, step).await
    }

    /// Whether there is something to copy though nobody writes.
    pub fn is_copying_due(&self) -> bool {
        let state = self.state.read();
        copying::due(&state, &self.options, self.log.bytes(), self.written).is_some()
    }

    /// Whether what frees something should not wait.
    pub fn needs_room(&self) -> bool {
        self.log.bytes() >= self.options.append_limit() / 4 * 3
    }

    /// Copies a part of what lags in a batch of its own.
    pub async fn copy(&mut self) -> Result<()> {
        let step = self.step().await?;
        self.write_with(&[], step).await.map(drop)
    }

    /// For an owner that stops: what is dead goes, where nearly nothing is live.
    pub async fn tidy(&mut self) -> Result<()> {
        // Two tables are kept.
        for _ in 0..2 {
            if self.log.bytes() < TIDY_BYTES || !self.is_nearly_dead(self.log.bytes()) {
                break;
            }
            let batch = {
                let state = self.state.read();
                let mut staging = self.staging(&state);
                staging.begin_segment();
                staging.write_anyhow();
                staging.finish()
            };
            if let Some(batch) = batch {
                self.append(&batch, &[], true).await?;
            }
        }
        Ok(())
    }

    async fn write_with(&mut self, ops: &[Op], step: Option<Copies>) -> Result<Vec<Result<()>>> {
        let last_bytes = self.log.segments().next_back().map_or(0, |last| last.len);
        let leave = last_bytes >= LEFT_BYTES && self.is_nearly_dead(last_bytes);
        let (answers, batch) = self.stage(ops, step.as_ref(), leave);
        let Some(batch) = batch else {
            self.give_back(step);
            // What is so already is so after a crash only without what a failed batch may have left.
            self.log.settle().await?;
            return Ok(answers);
        };
        if let Err(error) = self.append(&batch, ops, leave).await {
            self.give_back(step);
            return Err(error);
        }
        Ok(answers)
    }

    fn is_nearly_dead(&self, bytes: u64) -> bool {
        self.state.read().segments.live_bytes() <= bytes / NEARLY_NOTHING
    }

    async fn append(&mut self, batch: &Batch, ops: &[Op], leave: bool) -> Result<()> {
        self.log.append_all(&batch.payloads, leave).await?;
        self.count(batch, ops);
        self.pending = BatchEnd::new(self.log.next_index().into());
        if !ops.is_empty() {
            self.written = self.log.next_index().into();
        }
        self.trim().await;
        Ok(())
    }

    fn staging<'a>(&'a self, state: &'a State) -> Staging<'a> {
        let (bytes, next) = (self.log.bytes(), self.log.next_index().into());
        Staging::new(state, &self.options, bytes, next, self.pending.clone())
    }

    fn stage(
        &self,
        ops: &[Op],
        copies: Option<&Copies>,
        leave: bool,
    ) -> (Vec<Result<()>>, Option<Batch>) {
        let state = self.state.read();
        let mut staging = self.staging(&state);
        if leave || self.log.begins_segment() {
            staging.begin_segment();
        }
        for (wanted, bytes) in copies.iter().flat_map(|copies| copies.whole()) {
            staging.copy(wanted, bytes);
        }
        let answers = ops.iter().map(|op| staging.op(op)).collect();
        (answers, staging.finish())
    }

    /// Takes note of a batch that is durable.
    fn count(&mut self, batch: &Batch, ops: &[Op]) {
        let mut state = self.state.write();
        state.segments.follow(self.log.segments());
        let size = |payload: &[Bytes; 2]| (HEAD_BYTES + payload.size()) as u64;
        let end = self.log.segments().next_back().map_or(0, |last| last.len);
        let mut at = end - batch.payloads.iter().map(size).sum::<u64>();
        let first = self.log.next_index().0 - batch.payloads.len() as u64;
        let records = batch.items.iter().zip(&batch.payloads);
        for (position, (item, payload)) in (first..).map(Position).zip(records) {
            state.apply(item, Place::new(position, at, payload.size()));
            state.usage.count(item, size(payload));
            at += size(payload);
        }
        state.usage.syncs += 1;
        state.usage.ops += ops.len() as u64;
        state.usage.bytes = self.log.bytes();
    }

    /// Reads what is due to be copied.
    async fn step(&mut self) -> Result<Option<Copies>> {
        let step = {
            let mut state = self.state.write();
            let due = copying::due(&state, &self.options, self.log.bytes(), self.written);
            let Some(segment) = due else { return Ok(None) };
            Step::take(&mut state, segment)
        };
        match fetch(&step.wanted).await {
            Ok(bytes) => {
                let copies = Copies { step, bytes };
                self.lose(&copies);
                Ok(Some(copies))
            }
            Err(error) => {
                step.give_back(&mut self.state.write());
                Err(error.into())
            }
        }
    }

    /// What cannot be read any more is told as lost: now to readers, and to the owner at the next start.
    fn lose(&self, copies: &Copies) {
        for (wanted, _) in copies.all().filter(|(_, bytes)| bytes.is_none()) {
            error!(stream = wanted.stream.0, index = wanted.index.0, "a record is lost to damage");
            self.state.write().lose(wanted.stream, wanted.index);
        }
    }

    fn give_back(&self, copies: Option<Copies>) {
        if let Some(copies) = copies {
            copies.step.give_back(&mut self.state.write());
        }
    }

    /// Lets go of segments that nobody needs. They go later where it fails.
    async fn trim(&mut self) {
        let trimmable = self.state.read().segments.trimmable();
        if let Some(before) = trimmable
            && let Err(error) = self.log.trim(Index(before.0)).await
        {
            warn!(%error, "a segment that nobody needs is still there");
        }
        let mut state = self.state.write();
        state.segments.forget_before(self.log.first_index().into());
        state.usage.bytes = self.log.bytes();
    }
}

/// A step with what was read for it; `None` for what is damaged.
struct Copies {
    step: Step,
    bytes: Vec<Option<Bytes>>,
}

impl Copies {
    fn all(&self) -> impl Iterator<Item = (&Wanted, &Option<Bytes>)> {
        self.step.wanted.iter().zip(&self.bytes)
    }

    fn whole(&self) -> impl Iterator<Item = (&Wanted, Bytes)> {
        self.all().filter_map(|(wanted, bytes)| Some((wanted, bytes.clone()?)))
    }
}
