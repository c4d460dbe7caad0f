//! The task that owns a shard, and the handle that others hold.
//!
//! Entries wait in a queue bounded by their bytes; a full queue makes the offerer wait. The task takes
//! all that wait, applies them as one commit and flushes once for all of them.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tracing::warn;
use tributary_proto::{Answer, Entry, OfferError, ShardId};

use super::batch::commit;
use super::compaction::compact;
use super::database::Database;
use super::gather::gather;
use super::open::open;
use super::touched::Touched;
use super::view::View;
use crate::disk::{self, Disk, DiskError, ErrorKind};
use crate::metrics::StoreMetrics;

/// Entries that wait for one shard hold at most this much; an entry that is larger waits alone.
const QUEUE_BYTES: usize = 16 << 20;
/// What an entry costs in the queue beside its payload.
const ENTRY_BYTES: usize = 256;
/// Entries that one commit takes at most.
const COMMIT_ENTRIES: usize = 256;
/// Commits between two compactions of what they touched.
const COMPACT_EVERY: u64 = 32;

pub struct ShardService {
    shard: ShardId,
    shards: u16,
    database: Database,
    view: View,
    /// The last commit that a flush is known to have covered.
    flushed: u64,
    /// A write stands that no flush has covered yet.
    unflushed: bool,
    /// An answer, given or refused, promises that such a write is on disk.
    owes_flush: bool,
    /// Memory may be behind the database, since a write's outcome is unknown.
    stale: bool,
    touched: Touched,
    offers: mpsc::Receiver<Offer>,
    published: watch::Sender<View>,
    turns: Turns,
    metrics: Arc<StoreMetrics>,
}

/// What the shards of a store apply at one time, by the bytes of the payloads. A seal comes to all of them at
/// once, and a large one would take ten times its size of memory, and every thread from whoever else has work
/// for it, if all went to work on it together.
#[derive(Clone, Debug)]
pub struct Turns {
    free: Arc<Semaphore>,
    most_bytes: usize,
}

impl Turns {
    pub fn new(most_bytes: usize) -> Self {
        Turns { free: Arc::new(Semaphore::new(most_bytes)), most_bytes }
    }

    async fn take(&self, entries: &[Entry]) -> OwnedSemaphorePermit {
        let bytes: usize = entries.iter().map(payload_bytes).sum();
        let permits = bytes.min(self.most_bytes) as u32;
        self.free.clone().acquire_many_owned(permits).await.expect("turns are never closed")
    }
}

fn payload_bytes(entry: &Entry) -> usize {
    if let Entry::Slice(slice) = entry { slice.payload.len() } else { 0 }
}

#[derive(Clone)]
pub struct ShardHandle {
    shard: ShardId,
    offers: mpsc::Sender<Offer>,
    room: Arc<Semaphore>,
    view: watch::Receiver<View>,
}

struct Offer {
    entry: Entry,
    answer: oneshot::Sender<Result<Answer, OfferError>>,
    _room: OwnedSemaphorePermit,
}

impl ShardHandle {
    /// Waits for room in the queue, then for the answer. Dropping the future takes nothing back.
    pub async fn offer(&self, entry: Entry) -> Result<Answer, OfferError> {
        let gone = || self.unavailable("the store has stopped");
        let bytes = ENTRY_BYTES + payload_bytes(&entry);
        let permits = bytes.min(QUEUE_BYTES) as u32;
        let _room = self.room.clone().acquire_many_owned(permits).await.map_err(|_| gone())?;
        let (answer, answered) = oneshot::channel();
        self.offers.send(Offer { entry, answer, _room }).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// What stands now: everything answered before this call, at least.
    pub fn view(&self) -> View {
        self.view.borrow().clone()
    }

    fn unavailable(&self, reason: impl ToString) -> OfferError {
        OfferError::Unavailable { shard: self.shard, reason: reason.to_string() }
    }
}

impl ShardService {
    pub async fn open(
        disk: Arc<dyn Disk>,
        shard: ShardId,
        shards: u16,
        turns: Turns,
        metrics: Arc<StoreMetrics>,
    ) -> disk::Result<(ShardService, ShardHandle)> {
        let dir: Arc<str> = format!("shards/{:05}", shard.0).into();
        let database = Database::open(disk, dir.clone()).await?;
        let view = open(database.snapshot(), dir).await?;
        let (published, watching) = watch::channel(view.clone());
        let (sender, offers) = mpsc::channel(COMMIT_ENTRIES);
        let room = Arc::new(Semaphore::new(QUEUE_BYTES));
        let handle = ShardHandle { shard, offers: sender, room, view: watching };
        let service = ShardService {
            shard,
            shards,
            database,
            flushed: view.row.id,
            view,
            unflushed: false,
            owes_flush: false,
            stale: false,
            touched: Touched::default(),
            offers,
            published,
            turns,
            metrics,
        };
        Ok((service, handle))
    }

    /// Runs until every handle is gone or `shutdown` says so; what is being applied then is finished.
    pub async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        let mut offers = Vec::new();
        loop {
            tokio::select! {
                // Stopping comes before further work; an unanswered entry is offered again later.
                biased;
                _ = shutdown.wait_for(|stop| *stop) => break,
                taken = self.offers.recv_many(&mut offers, COMMIT_ENTRIES) => if taken == 0 { break },
            }
            let (entries, waiting): (Vec<_>, Vec<_>) =
                offers.drain(..).map(|offer| (offer.entry, (offer.answer, offer._room))).unzip();
            let turn = self.turns.take(&entries).await;
            let answers = self.apply(&entries).await;
            drop((turn, entries));
            for ((waiter, _room), answer) in waiting.into_iter().zip(answers) {
                self.metrics.count(&answer);
                // The offerer may have given up: it will offer again.
                let _ = waiter.send(answer);
            }
        }
        if self.unflushed
            && let Err(error) = self.database.flush().await
        {
            warn!(shard = self.shard.0, %error, "the last flush failed; edges will offer again");
        }
    }

    /// Applies entries in order as one commit and answers each.
    async fn apply(&mut self, entries: &[Entry]) -> Vec<Result<Answer, OfferError>> {
        match self.try_apply(entries).await {
            Ok(answers) => answers,
            Err(error) => {
                warn!(shard = self.shard.0, %error, "apply failed; the entries will be offered again");
                let reason = error.to_string();
                let unavailable =
                    || OfferError::Unavailable { shard: self.shard, reason: reason.clone() };
                entries.iter().map(|_| Err(unavailable())).collect()
            }
        }
    }

    async fn try_apply(
        &mut self,
        entries: &[Entry],
    ) -> disk::Result<Vec<Result<Answer, OfferError>>> {
        if self.database.has_failed() {
            self.reopen().await?;
        }
        if self.stale {
            self.reload().await?;
        }
        let gathered = gather(self.shard, self.shards, &self.view.sources, entries);
        // Owed until a flush goes well, whatever is offered next.
        self.owes_flush |= gathered.promises_durability;
        if !gathered.sources.is_empty() {
            let taken =
                gathered.answers.iter().filter(|a| matches!(a, Ok(Answer::Applied))).count();
            let commit = commit(self.view.row, taken as u64, &gathered, &self.view.dictionary);
            self.unflushed = true;
            self.stale = true;
            self.database.write(commit.batch).await?;
            self.stale = false;
            self.metrics.commits.add(1);
            if !commit.learned.is_empty() {
                let dictionary = Arc::make_mut(&mut self.view.dictionary);
                for (tenant, definition) in commit.learned {
                    dictionary.learn(&tenant, definition);
                }
            }
            let sources = Arc::make_mut(&mut self.view.sources);
            for (source, state) in gathered.sources {
                sources.insert(source, state);
            }
            self.view.row = commit.row;
            self.touched.extend(commit.touched);
            self.view.snapshot = self.database.snapshot();
            self.publish();
            self.compact_now_and_then().await?;
        }
        if self.owes_flush && self.unflushed {
            self.database.flush().await?;
            self.unflushed = false;
            self.flushed = self.view.row.id;
            self.metrics.flushes.add(1);
        }
        self.owes_flush = false;
        Ok(gathered.answers)
    }

    /// Back to what is on disk.
    async fn reopen(&mut self) -> disk::Result<()> {
        self.database.close().await?;
        // Memory does not say what stands any more, whatever becomes of the rest.
        self.stale = true;
        self.view.snapshot = self.database.snapshot();
        self.publish();
        self.database.reopen().await?;
        self.unflushed = false;
        self.metrics.reopened.add(1);
        warn!(shard = self.shard.0, "its disk had failed, and the shard was opened anew");
        Ok(())
    }

    /// Memory learns from the database.
    async fn reload(&mut self) -> disk::Result<()> {
        let view = open(self.database.snapshot(), self.view.dir.clone()).await?;
        if view.row.id < self.flushed {
            let reason = format!(
                "commit {} was on disk and {} is the last that is found: bring the folder back and start again",
                self.flushed, view.row.id
            );
            return Err(DiskError::new(ErrorKind::Corrupt, &*view.dir, "read again", reason));
        }
        self.view = view;
        self.publish();
        self.stale = false;
        Ok(())
    }

    async fn compact_now_and_then(&mut self) -> disk::Result<()> {
        if self.view.row.id.is_multiple_of(COMPACT_EVERY) {
            let due = self.touched.take();
            let batch = compact(&*self.view.snapshot, &self.view.dictionary, &due).await?;
            if !batch.is_empty() {
                self.database.write(batch).await?;
                self.metrics.compactions.add(1);
                self.view.snapshot = self.database.snapshot();
                self.publish();
            }
        }
        Ok(())
    }

    fn publish(&self) {
        self.published.send_replace(self.view.clone());
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::FutureExt;
    use tributary_proto::{BootId, Digest, EdgeId, Seq, Slice, SourceId};

    use super::*;

    fn slice(bytes: usize) -> Entry {
        Entry::Slice(Slice {
            source: SourceId { edge: EdgeId([1; 16]), boot: BootId([1; 8]) },
            shard: ShardId(0),
            seq: Seq(1),
            digest: Digest(0),
            sealed_to_ms: 0,
            payload: Bytes::from(vec![0; bytes]),
        })
    }

    #[test]
    fn large_commits_take_turns_and_small_ones_go_beside_them() {
        let turns = Turns::new(1 << 20);
        let take = |bytes| turns.take(&[slice(bytes)]).now_or_never();
        let half = take(turns.most_bytes / 2).expect("nothing is applied");
        let small = take(1000).expect("there is room beside it");
        assert!(take(turns.most_bytes / 2).is_none());
        drop((half, small));
        let larger_than_all = take(2 * turns.most_bytes).expect("it goes alone");
        assert!(take(1).is_none() && take(0).is_some());
        drop(larger_than_all);
    }
}
