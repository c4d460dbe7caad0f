//! A file of the simulated disk.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tributary_store::disk::{File, Result};

use super::SimDisk;

pub(super) struct SimFile {
    memory: Arc<dyn File>,
    disk: SimDisk,
    path: String,
    /// A planted bug: what is synced stays as unsynced as it was.
    skips_sync: bool,
}

impl SimFile {
    pub(super) fn new(memory: Arc<dyn File>, disk: SimDisk, path: &str) -> Self {
        let (path, skips_sync) = (path.to_owned(), disk.skips_sync(path));
        SimFile { memory, disk, path, skips_sync }
    }
}

#[async_trait]
impl File for SimFile {
    fn len(&self) -> u64 {
        self.memory.len()
    }

    async fn append(&self, bytes: Bytes) -> Result<()> {
        self.disk.trap.step(&self.path).await;
        self.memory.append(bytes).await
    }

    async fn sync(&self) -> Result<()> {
        self.disk.trap.step(&self.path).await;
        self.disk.spin().await;
        if !self.skips_sync {
            self.memory.sync().await?;
        }
        self.disk.trap.step(&self.path).await;
        Ok(())
    }

    async fn truncate(&self, len: u64) -> Result<()> {
        self.disk.trap.step(&self.path).await;
        self.memory.truncate(len).await
    }

    async fn rewrite(&self, offset: u64) -> Result<()> {
        self.disk.trap.step(&self.path).await;
        self.memory.rewrite(offset).await
    }

    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes> {
        self.memory.read_at(offset, len).await
    }
}
