//! All shards of a node.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use tokio::sync::watch;
use tributary_proto::{Answer, Entry, Metric, OfferError, ShardId};

use crate::disk::{self, Disk, DiskError, ErrorKind};
use crate::log::LogError;
use crate::log::streams::{self, Damage, StreamError, StreamReader, StreamsHandle, StreamsService};
use crate::metrics::{self, StoreMetrics};
use crate::shard::{ShardHandle, ShardOptions, ShardService, Turns, View};

#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Fixed when a pool is made.
    pub shards: u16,
    /// What is held in memory until it is written as rows, over all shards.
    pub head_bytes: usize,
    pub log: streams::Options,
    /// Payloads that all shards apply at one time. Decoded, and as rows to be written, they come to some ten
    /// times as much; a commit that is larger is applied alone.
    pub applied_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        // A slice of a million groups fits in one segment many times.
        let log = streams::Options { segment_bytes: 64 << 20, ..Default::default() };
        Options { shards: 16, head_bytes: 8 << 20, log, applied_bytes: 256 << 10 }
    }
}

/// A shard of which the log holds more writes a checkpoint.
const LOG_BYTES: usize = 16 << 20;
const LOG_DIR: &str = "log";

pub struct Store {
    log: StreamsService,
    shards: Vec<ShardService>,
}

#[derive(Clone)]
pub struct StoreHandle {
    shards: Arc<[ShardHandle]>,
    log: StreamReader,
    metrics: Arc<StoreMetrics>,
}

impl Store {
    /// Each shard keeps a handle of the disk, to open its folder anew when the disk has failed.
    pub async fn open(
        disk: &(impl Disk + Clone),
        options: Options,
    ) -> disk::Result<(Store, StoreHandle)> {
        keep_count(disk, options.shards).await?;
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        let metrics = Arc::new(StoreMetrics::default());
        let turns = Turns::new(options.applied_bytes);
        let (log, streams) = open_log(disk.clone(), options.log).await?;
        let opening = (0..options.shards).map(|shard| {
            let (disk, turns, metrics) = (disk.clone(), turns.clone(), metrics.clone());
            let part = options.log.max_bytes / (4 * u64::from(options.shards));
            let options = ShardOptions {
                shard: ShardId(shard),
                shards: options.shards,
                head_bytes: options.head_bytes / usize::from(options.shards),
                log_bytes: usize::try_from(part).unwrap_or(usize::MAX).min(LOG_BYTES),
            };
            ShardService::open(disk, streams.clone(), options, turns, metrics)
        });
        // All of them, also when one is refused: a process that ended while RocksDB still opens others
        // would end by a signal.
        let opened: disk::Result<Vec<_>> = join_all(opening).await.into_iter().collect();
        let (shards, handles): (Vec<_>, Vec<_>) = opened?.into_iter().unzip();
        let handle = StoreHandle { shards: handles.into(), log: streams.reader().clone(), metrics };
        Ok((Store { log, shards }, handle))
    }

    /// Runs every shard until `shutdown` says stop; returns when all have written what they hold.
    pub async fn run(self, shutdown: watch::Receiver<bool>) {
        // The log outlives the shards, whose last checkpoints write to it.
        let (stop_log, log_stops) = watch::channel(false);
        let log = tokio::spawn(self.log.run(log_stops));
        let tasks = self.shards.into_iter().map(|shard| tokio::spawn(shard.run(shutdown.clone())));
        let mut running: FuturesUnordered<_> = tasks.collect();
        while let Some(ended) = running.next().await {
            ended.expect("a shard's task does not panic");
        }
        stop_log.send_replace(true);
        log.await.expect("the log's task does not panic");
    }
}

/// The log of all shards.
async fn open_log(
    disk: Arc<dyn Disk>,
    options: streams::Options,
) -> disk::Result<(StreamsService, StreamsHandle)> {
    let wrong = |kind, reason: String| DiskError::new(kind, LOG_DIR, "open the log", reason);
    let opened = StreamsService::open(disk, LOG_DIR, options).await;
    let (service, handle, recovered) = opened.map_err(|error| match error {
        StreamError::Log(LogError::Disk(error)) => error,
        error => wrong(ErrorKind::Corrupt, error.to_string()),
    })?;
    // What one stream lost is a matter of its shard, which may not need it any more.
    if let Some(damage) =
        recovered.damaged.iter().find(|damage| matches!(damage, Damage::AnyStream { .. }))
    {
        return Err(wrong(
            ErrorKind::Corrupt,
            format!("{damage}; bring the folder back from a copy"),
        ));
    }
    Ok((service, handle))
}

impl StoreHandle {
    pub fn metrics(&self) -> &Arc<StoreMetrics> {
        &self.metrics
    }

    pub fn collect(&self) -> Vec<Metric> {
        self.metrics.collect().into_iter().chain(metrics::of_log(self.log.usage())).collect()
    }

    pub fn shards(&self) -> u16 {
        self.shards.len() as u16
    }

    pub async fn offer(&self, shard: ShardId, entry: Entry) -> Result<Answer, OfferError> {
        match self.shards.get(usize::from(shard.0)) {
            Some(handle) => handle.offer(entry).await,
            None => {
                let reason = format!("there are {} shards", self.shards.len());
                Err(OfferError::Malformed { shard, reason })
            }
        }
    }

    /// Writes what shards hold in memory as rows, so that the next start has less to apply again.
    pub async fn checkpoint(&self) -> Result<(), OfferError> {
        let shards = self.shards.iter().map(ShardHandle::checkpoint);
        join_all(shards).await.into_iter().collect()
    }

    /// One view of each shard, in their order.
    pub fn views(&self) -> Vec<View> {
        self.shards.iter().map(ShardHandle::view).collect()
    }
}

/// The count is fixed when a store is made: with another one, groups would be looked for elsewhere.
async fn keep_count(disk: &dyn Disk, shards: u16) -> disk::Result<()> {
    const PATH: &str = "shards/COUNT";
    disk.create_dir("shards").await?;
    disk.sync_dir("").await?;
    match disk.read(PATH).await? {
        None => disk.replace(PATH, Bytes::from(format!("{shards}\n"))).await,
        Some(text) => {
            let found = String::from_utf8_lossy(&text).trim().to_owned();
            if found == shards.to_string() {
                return Ok(());
            }
            let reason = format!(
                "the store was made with {found} shards and is opened with {shards}: open it with \
                 {found}"
            );
            Err(DiskError::new(ErrorKind::Corrupt, PATH, "opening", reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::memory::MemoryDisk;

    #[tokio::test]
    async fn another_number_of_shards_is_refused() {
        let disk = MemoryDisk::new();
        Store::open(&disk, Options { shards: 4, ..Options::default() }).await.map(drop).unwrap();
        Store::open(&disk, Options { shards: 4, ..Options::default() }).await.map(drop).unwrap();
        let refused = Store::open(&disk, Options { shards: 5, ..Options::default() })
            .await
            .map(drop)
            .unwrap_err();
        assert!(refused.to_string().contains("open it with 4"), "{refused}");
    }
}
