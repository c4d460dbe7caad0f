//! The task that owns a shard: it takes all entries that wait, has the log make them durable in one step, applies them
//! to memory and answers. Now and then it writes a checkpoint.
//!
//! A checkpoint that fails costs nothing but memory: the log holds what the head does. It is tried again after a
//! while, and once the head is several times as large as it should be, entries are refused until one goes well.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tracing::warn;
use tributary_proto::{Answer, Entry, OfferError, ShardId};

use super::checkpoint::Checkpoint;
use super::compaction::compact;
use super::database::Database;
use super::error::ShardError;
use super::gather::gather;
use super::handle::{Offer, QUEUE, Request, ShardHandle};
use super::logged;
use super::open::{commit_row, load, replay};
use super::shard_log::ShardLog;
use super::state::State;
use super::touched::Touched;
use super::turns::Turns;
use super::view::View;
use crate::disk::{self, Disk, DiskError, ErrorKind};
use crate::family::commit::CommitRow;
use crate::log::streams::{StreamError, StreamsHandle};
use crate::metrics::StoreMetrics;

/// A head of so many commits becomes rows: readers look into each.
const HEAD_CHUNKS: usize = 64;
/// A head that is so many times as large as it should be takes no more.
const MOST_HEADS: usize = 4;
/// From one checkpoint that failed to the next try.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug)]
pub struct ShardOptions {
    pub shard: ShardId,
    pub shards: u16,
    /// A head that is larger becomes rows. Zero: after each commit.
    pub head_bytes: usize,
    /// So does what of a shard is in the log, however little of it is in the head.
    pub log_bytes: usize,
}

pub struct ShardService {
    options: ShardOptions,
    database: Database,
    log: ShardLog,
    /// It refused entries: a checkpoint lets it go of some.
    is_log_full: bool,
    state: State,
    /// The last checkpoint that is known to be durable.
    written: CommitRow,
    /// When the next checkpoint is tried, since the last one failed.
    retry: Option<Instant>,
    touched: Touched,
    /// Of the head, in the metrics.
    counted_bytes: u64,
    requests: mpsc::Receiver<Request>,
    published: watch::Sender<View>,
    turns: Turns,
    metrics: Arc<StoreMetrics>,
}

impl ShardService {
    pub async fn open(
        disk: Arc<dyn Disk>,
        streams: StreamsHandle,
        options: ShardOptions,
        turns: Turns,
        metrics: Arc<StoreMetrics>,
    ) -> disk::Result<(ShardService, ShardHandle)> {
        let ShardOptions { shard, shards, .. } = options;
        let dir: Arc<str> = format!("shards/{:05}", shard.0).into();
        let database = Database::open(disk, dir.clone()).await?;
        let (written, mut state) = load(database.snapshot(), dir).await?;
        let (next, bytes) = replay(shard, shards, &streams, &mut state).await?;
        let (published, watching) = watch::channel(state.view.clone());
        let (handle, requests) = ShardHandle::new(shard, watching);
        let log = ShardLog::new(streams, shard, next, bytes);
        let mut service = ShardService {
            options,
            database,
            log,
            is_log_full: false,
            state,
            written,
            retry: None,
            touched: Touched::default(),
            counted_bytes: 0,
            requests,
            published,
            turns,
            metrics,
        };
        service.publish();
        Ok((service, handle))
    }

    /// Runs until every handle is gone or `shutdown` says so; what is being applied then is finished.
    pub async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        let mut requests = Vec::new();
        loop {
            let retry = self.retry;
            tokio::select! {
                // Stopping comes before further work; an unanswered entry is offered again later.
                biased;
                () = async { drop(shutdown.wait_for(|stop| *stop).await) } => break,
                () = sleep_until(retry.unwrap_or_else(Instant::now)), if retry.is_some() => {
                    let _ = self.try_checkpoint().await;
                }
                taken = self.requests.recv_many(&mut requests, QUEUE) => {
                    if taken == 0 {
                        break;
                    }
                    self.take(&mut requests).await;
                }
            }
        }
        // So that the next start has nothing to apply again.
        let _ = self.try_checkpoint().await;
    }

    async fn take(&mut self, requests: &mut Vec<Request>) {
        let (mut offers, mut checkpoints) = (Vec::new(), Vec::new());
        for request in requests.drain(..) {
            match request {
                Request::Offer(offer) => offers.push(offer),
                Request::Checkpoint(waiter) => checkpoints.push(waiter),
            }
        }
        if !offers.is_empty() {
            self.take_offers(offers).await;
        }
        let is_due = self.retry.is_none() && self.is_checkpoint_due();
        if is_due || !checkpoints.is_empty() {
            let done = self.try_checkpoint().await;
            // Whoever asked may have gone.
            checkpoints.into_iter().for_each(|waiter| drop(waiter.send(done.clone())));
        }
    }

    async fn take_offers(&mut self, offers: Vec<Offer>) {
        let (entries, waiting): (Vec<_>, Vec<_>) =
            offers.into_iter().map(|offer| (offer.entry, (offer.answer, offer._room))).unzip();
        let turn = self.turns.take(&entries).await;
        let answers = self.apply(&entries).await;
        drop((turn, entries));
        for ((waiter, _room), answer) in waiting.into_iter().zip(answers) {
            self.metrics.count(&answer);
            // The offerer may have given up: it will offer again.
            let _ = waiter.send(answer);
        }
    }

    /// Applies entries in order as one commit and answers each.
    async fn apply(&mut self, entries: &[Entry]) -> Vec<Result<Answer, OfferError>> {
        match self.try_apply(entries).await {
            Ok(answers) => answers,
            Err(error) => {
                let shard = self.options.shard.0;
                self.is_log_full |= matches!(error, ShardError::Log(StreamError::Full { .. }));
                if matches!(error, ShardError::Log(StreamError::TooLarge { .. }))
                    && entries.len() == 1
                {
                    let (shard, reason) = (self.options.shard, error.to_string());
                    return vec![Err(OfferError::Malformed { shard, reason })];
                }
                warn!(shard, %error, "apply failed; the entries will be offered again");
                entries.iter().map(|_| Err(self.unavailable(&error))).collect()
            }
        }
    }

    async fn try_apply(
        &mut self,
        entries: &[Entry],
    ) -> Result<Vec<Result<Answer, OfferError>>, ShardError> {
        let ShardOptions { shard, shards, head_bytes, .. } = self.options;
        if self.retry.is_some() && self.state.view.head.bytes() > MOST_HEADS * head_bytes {
            return Err(ShardError::HeadIsFull { bytes: self.state.view.head.bytes() });
        }
        let mut gathered = gather(shard, shards, &self.state.view.sources, entries);
        let answers = std::mem::take(&mut gathered.answers);
        let applied =
            entries.iter().zip(&answers).filter(|(_, a)| matches!(a, Ok(Answer::Applied)));
        let records: Vec<_> = applied.map(|(entry, _)| logged::encode(entry)).collect();
        if !records.is_empty() {
            if gathered.promises_durability {
                self.log.append(records).await?;
            } else {
                self.log.append_lazily(records).await?;
            }
            self.state.apply(gathered, self.log.end());
            self.metrics.commits.add(1);
            self.publish();
        }
        Ok(answers)
    }

    fn is_checkpoint_due(&self) -> bool {
        let head = &self.state.view.head;
        let is_large = head.bytes() > self.options.head_bytes || head.chunks() >= HEAD_CHUNKS;
        is_large || self.is_log_full || self.log.bytes() > self.options.log_bytes
    }

    async fn try_checkpoint(&mut self) -> Result<(), OfferError> {
        (self.retry, self.is_log_full) = (None, false);
        self.checkpoint().await.map_err(|error| {
            let shard = self.options.shard.0;
            warn!(shard, %error, "a checkpoint failed; the log holds all of it, and it is tried again");
            self.metrics.checkpoints_failed.add(1);
            self.retry = Some(Instant::now() + PAUSE);
            self.unavailable(&error)
        })
    }

    fn unavailable(&self, error: &ShardError) -> OfferError {
        OfferError::Unavailable { shard: self.options.shard, reason: error.to_string() }
    }

    async fn checkpoint(&mut self) -> Result<(), ShardError> {
        if self.database.has_failed() {
            self.reopen().await?;
        }
        if self.state.is_written() {
            return Ok(());
        }
        match self.log.append(Vec::new()).await {
            // What waits is said again; the checkpoint is what makes room.
            Ok(()) | Err(StreamError::Full { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let logged = self.log.durable();
        // Rows take many times what the head does, and shards come to this together.
        let _turn = self.turns.take_bytes(self.state.view.head.bytes()).await;
        let Checkpoint { row, batch, touched } = Checkpoint::of(self.written, &self.state, logged);
        self.database.write(batch).await?;
        self.database.flush().await?;
        self.written = row;
        self.state.written(row, self.database.snapshot());
        self.publish();
        self.metrics.checkpoints.add(1);
        self.log.forget(row.applied).await?;
        self.touched.extend(touched);
        if let Err(error) = self.compact().await {
            warn!(shard = self.options.shard.0, %error, "rows were not added together");
        }
        Ok(())
    }

    async fn compact(&mut self) -> Result<(), ShardError> {
        let mut due = self.touched.take();
        let view = &self.state.view;
        let mut has_written = false;
        // No stretch is in two batches, so all are read from one snapshot.
        while !due.is_empty() {
            let batch = compact(&*view.snapshot, &view.dictionary, &mut due).await?;
            if !batch.is_empty() {
                self.database.write(batch).await?;
                self.metrics.compactions.add(1);
                has_written = true;
            }
        }
        if has_written {
            self.state.view.snapshot = self.database.snapshot();
            self.publish();
        }
        Ok(())
    }

    /// The database, as its disk has it now. Memory goes on from the checkpoint that is found there.
    async fn reopen(&mut self) -> Result<(), ShardError> {
        self.database.close().await?;
        self.state.view.snapshot = self.database.snapshot();
        self.publish();
        self.database.reopen().await?;
        let (snapshot, dir) = (self.database.snapshot(), self.state.view.dir.clone());
        let found = commit_row(&*snapshot, &dir).await?;
        if found.id < self.written.id {
            let reason = format!(
                "commit {} was on disk and {} is the last that is found: bring the folder back and start again",
                self.written.id, found.id
            );
            return Err(DiskError::new(ErrorKind::Corrupt, &*dir, "read again", reason).into());
        }
        if found.id > self.written.id {
            // The checkpoint that seemed to fail.
            self.written = found;
            self.state.view.head.drop_until(found.applied);
            self.log.forget(found.applied).await?;
        }
        self.database.trust();
        self.state.view.snapshot = snapshot;
        self.publish();
        self.metrics.reopened.add(1);
        warn!(shard = self.options.shard.0, "its disk had failed, and the shard was opened anew");
        Ok(())
    }

    fn publish(&mut self) {
        let bytes = self.state.view.head.bytes() as u64;
        self.metrics.head_bytes.add(bytes);
        self.metrics.head_bytes.sub(self.counted_bytes);
        self.counted_bytes = bytes;
        self.published.send_replace(self.state.view.clone());
    }
}
