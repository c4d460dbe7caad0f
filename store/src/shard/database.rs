//! A shard's families, with a way back after the disk failed under them.
//!
//! Families whose flush or write failed stay failed though the disk is well again: they are closed, and opened as
//! a crash would have left them. What was not flushed is gone then, or a first part of it is there. Nobody was
//! told that it counts, so whoever offered it offers it again.
//!
//! A lack of room is no such failure at first: the next flush goes well once somebody has made some. Now and then
//! RocksDB does not find out, and fails each flush with the error of the first; so after some of them it is opened
//! anew as well, once there is room for a small file.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::disk::{
    self, Batch, Disk, DiskError, ErrorKind, Families, FamilyId, KeyRange, Row, Snapshot,
};
use crate::family;

/// About what opening families writes, so that a disk with less room is not asked to.
const PROBE: &[u8] = &[0; 64 << 10];

pub(crate) struct Database {
    disk: Arc<dyn Disk>,
    dir: Arc<str>,
    /// `None` while they are closed.
    families: Option<Arc<dyn Families>>,
    has_failed: bool,
    /// Writes and flushes that found no room, since the last good flush.
    without_room: u32,
}

/// So many, and it is not believed any more.
const WITHOUT_ROOM: u32 = 3;

impl Database {
    pub(crate) async fn open(disk: Arc<dyn Disk>, dir: Arc<str>) -> disk::Result<Self> {
        let families = disk.families(&dir, family::NAMES).await?;
        Ok(Database { disk, dir, families: Some(families), has_failed: false, without_room: 0 })
    }

    /// Whether nothing can be written until it was opened anew.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed
    }

    pub(crate) async fn write(&mut self, batch: Batch) -> disk::Result<()> {
        let written = self.families()?.write(batch).await;
        self.note(written)
    }

    pub(crate) async fn flush(&mut self) -> disk::Result<()> {
        let flushed = self.families()?.flush().await;
        self.note(flushed)?;
        self.without_room = 0;
        Ok(())
    }

    pub(crate) fn snapshot(&self) -> Arc<dyn Snapshot> {
        match self.families() {
            Ok(families) => families.snapshot(),
            Err(closed) => Arc::new(Closed(closed)),
        }
    }

    /// Closed to new readers. An error leaves it open, since the disk is not well yet: its readers keep what they have.
    pub(crate) async fn close(&mut self) -> disk::Result<()> {
        let path = format!("{}.probe", self.dir);
        self.disk.replace(&path, Bytes::from_static(PROBE)).await?;
        self.disk.remove(&path).await?;
        self.families = None;
        Ok(())
    }

    /// Fails until the last reader of what was closed is gone.
    pub(crate) async fn reopen(&mut self) -> disk::Result<()> {
        self.families = Some(self.disk.families(&self.dir, family::NAMES).await?);
        Ok(())
    }

    /// What was opened anew is what it should be: it may be written again.
    pub(crate) fn trust(&mut self) {
        self.has_failed = false;
        self.without_room = 0;
    }

    fn families(&self) -> disk::Result<&dyn Families> {
        self.families.as_deref().ok_or_else(|| {
            let reason =
                "its disk failed, and it is opened anew once its readers are gone: ask again";
            DiskError::new(ErrorKind::Io, &*self.dir, "use", reason)
        })
    }

    fn note(&mut self, done: disk::Result<()>) -> disk::Result<()> {
        match done.as_ref().map_err(|error| error.kind) {
            Ok(()) => {}
            Err(ErrorKind::Full) => self.without_room += 1,
            Err(_) => self.has_failed = true,
        }
        self.has_failed |= self.without_room >= WITHOUT_ROOM;
        done
    }
}

/// What readers get of families that are closed.
struct Closed(DiskError);

#[async_trait]
impl Snapshot for Closed {
    async fn get(&self, _: FamilyId, _: &[u8]) -> disk::Result<Option<Bytes>> {
        Err(self.0.clone())
    }

    async fn scan(&self, _: FamilyId, _: Vec<KeyRange>) -> disk::Result<Vec<Vec<Row>>> {
        Err(self.0.clone())
    }

    async fn page(&self, _: FamilyId, _: KeyRange, _: usize) -> disk::Result<Vec<Row>> {
        Err(self.0.clone())
    }
}
