//! A shard's stream in the node's log: what it applied, entry by entry.

use bytes::Bytes;
use tributary_proto::ShardId;

use crate::log::Index;
use crate::log::streams::{Result, StreamId, StreamsHandle};

/// Records that wait for one that somebody waits for; more are written for their own sake.
const WAITING: usize = 1024;

pub(crate) struct ShardLog {
    streams: StreamsHandle,
    stream: StreamId,
    /// Of what is durable.
    next: Index,
    waiting: Vec<Bytes>,
    /// Appended since the last purge.
    bytes: usize,
}

pub(crate) fn stream_of(shard: ShardId) -> StreamId {
    StreamId(shard.0.into())
}

impl ShardLog {
    /// `bytes`: of what was replayed.
    pub(crate) fn new(streams: StreamsHandle, shard: ShardId, next: Index, bytes: usize) -> Self {
        ShardLog { streams, stream: stream_of(shard), next, waiting: Vec::new(), bytes }
    }

    /// Entries of it that are durable.
    pub(crate) fn durable(&self) -> u64 {
        self.next.0
    }

    /// Entries in it, those that wait among them.
    pub(crate) fn end(&self) -> u64 {
        self.next.0 + self.waiting.len() as u64
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Durable on return, all that waits as well. After an error none of `records` is there, and what waits still does.
    pub(crate) async fn append(&mut self, records: Vec<Bytes>) -> Result<()> {
        let all: Vec<_> = self.waiting.iter().cloned().chain(records).collect();
        if all.is_empty() {
            return Ok(());
        }
        let (entries, bytes) = (all.len() as u64, all.iter().map(Bytes::len).sum::<usize>());
        self.streams.append(self.stream, self.next, all).await?;
        self.next = Index(self.next.0 + entries);
        self.bytes += bytes;
        self.waiting.clear();
        Ok(())
    }

    /// For what nobody is told is durable: it is written with the next that somebody waits for.
    pub(crate) async fn append_lazily(&mut self, records: Vec<Bytes>) -> Result<()> {
        if self.waiting.len() + records.len() > WAITING {
            return self.append(records).await;
        }
        self.waiting.extend(records);
        Ok(())
    }

    /// A checkpoint holds all entries below.
    pub(crate) async fn forget(&mut self, before: u64) -> Result<()> {
        self.bytes = 0;
        self.streams.purge_lazily(self.stream, Index(before)).await
    }
}
