//! The disk seam: everything that outlives the process goes through it.
//!
//! Two halves, because two kinds of thing are kept: **files** (append, sync, truncate, rename,
//! remove, link), under the segment log, and **families** (ordered keys, atomic batches over several
//! families, durable only after an explicit flush, snapshot reads, range delete), under the shards.
//!
//! ```text
//!            SegmentLog            Shard
//!                │                   │
//!              Files             Families          this seam
//!             ┌──┴───┐           ┌───┴────┐
//!           real   memory     RocksDB   memory
//! ```
//!
//! The real half has threads; the memory half has none, keeps synced and unsynced apart, and on a
//! crash drops or tears what was not synced. `conformance` runs the same suite on both.
//!
//! Paths are relative to the disk's root, with `/` between their parts.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

#[cfg(test)]
pub(crate) mod conformance;
mod error;
pub mod memory;
#[cfg(feature = "rocksdb")]
pub mod real;

pub use error::{DiskError, ErrorKind};

pub type Result<T> = std::result::Result<T, DiskError>;

/// One node's disk.
#[async_trait]
pub trait Disk: Files {
    /// Opens the ordered families below `dir`, making what is missing, name of `dir` included.
    async fn families(
        &self,
        dir: &str,
        names: &'static [&'static str],
    ) -> Result<Arc<dyn Families>>;
}

#[async_trait]
pub trait Files: Send + Sync + 'static {
    /// Opens a file for appending and reading, makes it when it is not there. What survives a crash
    /// of a new file is decided by its own `sync` and its folder's `sync_dir`.
    async fn open(&self, path: &str) -> Result<Arc<dyn File>>;

    /// The whole of a small file; `None` when there is none.
    async fn read(&self, path: &str) -> Result<Option<Bytes>>;

    /// Replaces a small file in one step: after a crash it holds the old bytes or the new, and once
    /// this returns, the new.
    async fn replace(&self, path: &str, bytes: Bytes) -> Result<()>;

    /// The names in a folder, sorted; an absent folder is empty.
    async fn list(&self, dir: &str) -> Result<Vec<String>>;

    /// Makes a folder, with what is missing above it. The names become durable as all names do,
    /// with a `sync_dir` of the folder they stand in.
    async fn create_dir(&self, dir: &str) -> Result<()>;
    /// Makes the names in a folder durable.
    async fn sync_dir(&self, dir: &str) -> Result<()>;
    async fn rename(&self, from: &str, to: &str) -> Result<()>;
    /// Removes a file; an absent one is no error, so that a removal can be tried again.
    async fn remove(&self, path: &str) -> Result<()>;
    /// Removes a folder with all that is in it, families too; an absent one is no error. A crash on
    /// the way may leave a part: rename first what must go in one step.
    async fn remove_dir(&self, dir: &str) -> Result<()>;
    /// A second name for the same bytes.
    async fn link(&self, from: &str, to: &str) -> Result<()>;

    /// Holds `path` against every other process until the guard is dropped or the process dies.
    async fn lock(&self, path: &str) -> Result<Box<dyn Lock>>;
}

/// Held while it lives.
pub trait Lock: Send + Sync + fmt::Debug {}

#[async_trait]
pub trait File: Send + Sync {
    fn len(&self) -> u64;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Appends all of `bytes`. After an error any part of them may stand at the end.
    async fn append(&self, bytes: Bytes) -> Result<()>;
    /// Makes what was appended and truncated so far durable. After an error nothing is known of the
    /// bytes since the last good sync, and syncing again proves nothing.
    async fn sync(&self) -> Result<()>;
    async fn truncate(&self, len: u64) -> Result<()>;
    /// `append` and `sync` in one step, for those who wait for both anyhow.
    async fn append_sync(&self, bytes: Bytes) -> Result<()> {
        self.append(bytes).await?;
        self.sync().await
    }
    /// Writes the bytes from `offset` on once more as they are, so that the next sync covers them.
    /// For bytes found at a start, which an earlier process may have failed to sync: Linux counts
    /// such pages as clean and a sync alone would not write them.
    async fn rewrite(&self, offset: u64) -> Result<()>;
    /// Fewer bytes than asked for only at the end of the file.
    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes>;
}

/// A family is named by its place in the list that it was opened with.
pub type FamilyId = usize;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    Put(FamilyId, Vec<u8>, Vec<u8>),
    Delete(FamilyId, Vec<u8>),
    /// From the first key up to, not with, the second.
    DeleteRange(FamilyId, Vec<u8>, Vec<u8>),
}

/// Writes that become visible, and survive, together. Later operations win over earlier ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    pub ops: Vec<Op>,
}

impl Batch {
    pub fn put(&mut self, family: FamilyId, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.ops.push(Op::Put(family, key.into(), value.into()));
    }

    pub fn delete(&mut self, family: FamilyId, key: impl Into<Vec<u8>>) {
        self.ops.push(Op::Delete(family, key.into()));
    }

    pub fn delete_range(
        &mut self,
        family: FamilyId,
        from: impl Into<Vec<u8>>,
        to: impl Into<Vec<u8>>,
    ) {
        self.ops.push(Op::DeleteRange(family, from.into(), to.into()));
    }

    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Of keys and values.
    pub fn bytes(&self) -> usize {
        let of = |op: &Op| match op {
            Op::Put(_, key, value) | Op::DeleteRange(_, key, value) => key.len() + value.len(),
            Op::Delete(_, key) => key.len(),
        };
        self.ops.iter().map(of).sum()
    }
}

#[async_trait]
pub trait Families: Send + Sync + 'static {
    /// Visible at once to new snapshots. A crash before the next `flush` keeps a prefix of the
    /// batches written, over all families alike.
    async fn write(&self, batch: Batch) -> Result<()>;
    /// Makes every batch written before it durable. After an error other than a lack of room this and every
    /// `write` fail, though the disk be well again, until the families are opened anew; they are then as after
    /// a crash. The same holds for a `write` that failed. Snapshots go on.
    async fn flush(&self) -> Result<()>;
    /// What stands now, unmoved by later writes.
    fn snapshot(&self) -> Arc<dyn Snapshot>;
}

/// From the first key up to, not with, the second.
pub type KeyRange = (Vec<u8>, Vec<u8>);
pub type Row = (Bytes, Bytes);

#[async_trait]
pub trait Snapshot: Send + Sync {
    async fn get(&self, family: FamilyId, key: &[u8]) -> Result<Option<Bytes>>;
    /// The rows of each range, in key order. The answer is whole, so the caller bounds its ranges.
    async fn scan(&self, family: FamilyId, ranges: Vec<KeyRange>) -> Result<Vec<Vec<Row>>>;
    /// At most `limit` rows from the start of a range; go on from behind the last key.
    async fn page(&self, family: FamilyId, range: KeyRange, limit: usize) -> Result<Vec<Row>>;
}
