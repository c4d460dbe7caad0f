//! A shard's families, with a way back after the disk failed under them.
//!
//! Families whose flush or write failed stay failed though the disk is well again: they are closed, and opened as
//! a crash would have left them. What was not flushed is gone then, or a first part of it is there. Nobody was
//! told that it counts, so whoever offered it offers it again.
//!
//! A lack of room is no such failure: the next flush goes well once somebody has made some.

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
}

impl Database {
    pub(crate) async fn open(disk: Arc<dyn Disk>, dir: Arc<str>) -> disk::Result<Self> {
        let families = disk.families(&dir, family::NAMES).await?;
        Ok(Database { disk, dir, families: Some(families), has_failed: false })
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
        self.note(flushed)
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
    }

    fn families(&self) -> disk::Result<&dyn Families> {
        self.families.as_deref().ok_or_else(|| {
            let reason =
                "its disk failed, and it is opened anew once its readers are gone: ask again";
            DiskError::new(ErrorKind::Io, &*self.dir, "use", reason)
        })
    }

    fn note(&mut self, done: disk::Result<()>) -> disk::Result<()> {
        self.has_failed |= done.as_ref().is_err_and(|error| error.kind != ErrorKind::Full);
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
