//! All shards of a node.

use std::sync::Arc;

use futures::future::{join_all, try_join_all};
use tokio::sync::watch;
use tributary_proto::{Answer, Entry, OfferError, ShardId};

use crate::disk::{self, Disk};
use crate::metrics::StoreMetrics;
use crate::shard::{ShardHandle, ShardService, View};

/// Fixed when a pool is made.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub shards: u16,
}

impl Default for Options {
    fn default() -> Self {
        Options { shards: 16 }
    }
}

pub struct Store {
    shards: Vec<ShardService>,
}

#[derive(Clone)]
pub struct StoreHandle {
    shards: Arc<[ShardHandle]>,
    metrics: Arc<StoreMetrics>,
}

impl Store {
    pub async fn open(disk: &dyn Disk, options: Options) -> disk::Result<(Store, StoreHandle)> {
        let metrics = Arc::new(StoreMetrics::default());
        let opening = (0..options.shards)
            .map(|shard| ShardService::open(disk, ShardId(shard), options.shards, metrics.clone()));
        let (shards, handles): (Vec<_>, Vec<_>) = try_join_all(opening).await?.into_iter().unzip();
        Ok((Store { shards }, StoreHandle { shards: handles.into(), metrics }))
    }

    /// Runs every shard until `shutdown` says stop; returns when all are flushed.
    pub async fn run(self, shutdown: watch::Receiver<bool>) {
        let running =
            self.shards.into_iter().map(|shard| tokio::spawn(shard.run(shutdown.clone())));
        for ended in join_all(running).await {
            ended.expect("a shard's task does not panic");
        }
    }
}

impl StoreHandle {
    pub fn metrics(&self) -> &Arc<StoreMetrics> {
        &self.metrics
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

    /// One view of each shard, in their order.
    pub fn views(&self) -> Vec<View> {
        self.shards.iter().map(ShardHandle::view).collect()
    }
}
