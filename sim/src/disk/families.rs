//! Families of the simulated disk.

use std::sync::Arc;

use async_trait::async_trait;
use tributary_store::disk::{Batch, Families, FamilyId, Op, Result, Snapshot};

use super::SimDisk;
use crate::plant::Plant;

pub(super) struct SimFamilies {
    memory: Arc<dyn Families>,
    disk: SimDisk,
    dir: String,
    /// The family that holds what was counted, apart from the data.
    watermarks: Option<FamilyId>,
}

impl SimFamilies {
    pub(super) fn new(memory: Arc<dyn Families>, disk: SimDisk, dir: &str, names: &[&str]) -> Self {
        let watermarks = names.iter().position(|name| *name == "commit");
        SimFamilies { memory, disk, dir: dir.to_owned(), watermarks }
    }

    /// What a store would do that writes its watermarks first and its data after.
    async fn write_apart(&self, batch: Batch) -> Result<()> {
        let is_watermark = |op: &Op| {
            let (Op::Put(family, ..) | Op::Delete(family, _) | Op::DeleteRange(family, ..)) = op;
            Some(*family) == self.watermarks
        };
        let (watermarks, data) = batch.ops.into_iter().partition(is_watermark);
        self.memory.write(Batch { ops: watermarks }).await?;
        self.flush().await?;
        self.memory.write(Batch { ops: data }).await
    }
}

#[async_trait]
impl Families for SimFamilies {
    async fn write(&self, batch: Batch) -> Result<()> {
        self.disk.trap.step(&self.dir).await;
        match self.disk.plant {
            Some(Plant::WatermarkApart) => self.write_apart(batch).await?,
            _ => self.memory.write(batch).await?,
        }
        self.disk.trap.step(&self.dir).await;
        Ok(())
    }

    async fn flush(&self) -> Result<()> {
        self.disk.spin().await;
        self.memory.flush().await?;
        self.disk.trap.step(&self.dir).await;
        Ok(())
    }

    fn snapshot(&self) -> Arc<dyn Snapshot> {
        self.memory.snapshot()
    }
}
