//! A node's disk: the memory twin, made slow, able to stop its node at a chosen step, in trouble for a
//! while, and lying where a bug is planted.
//!
//! Slow, because a crash finds only what is under way; see [`Trap`] for the rest.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use madsim::rand::{Rng, thread_rng};
use tokio::time::Instant;
use tributary_store::disk::memory::MemoryDisk;
use tributary_store::disk::{Disk, Families, File, Files, Lock, Result};

mod families;
mod file;
mod harm;
mod trap;
mod trouble;

pub(crate) use trap::Trap;
pub(crate) use trouble::Trouble;

use crate::plant::Plant;

/// Where an edge keeps what it has acked.
pub(crate) const JOURNAL: &str = "edge/journal";
/// Where an edge keeps what its journal has let go of.
pub(crate) const FINGERPRINTS: &str = "edge/fingerprints";

#[derive(Clone)]
pub(crate) struct SimDisk {
    memory: MemoryDisk,
    trap: Trap,
    health: Arc<Mutex<Health>>,
    plant: Option<Plant>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Health {
    #[default]
    AlwaysWell,
    Troubled,
    WellSince(Instant),
}

impl SimDisk {
    pub(crate) fn new(plant: Option<Plant>) -> Self {
        let (memory, trap, health) = (MemoryDisk::new(), Trap::default(), Arc::default());
        SimDisk { memory, trap, health, plant }
    }

    /// For the node's next life.
    pub(crate) fn reopen(&self) -> Self {
        SimDisk { memory: self.memory.reopen(), ..self.clone() }
    }

    pub(crate) fn trap(&self) -> &Trap {
        &self.trap
    }

    pub(crate) fn begin(&self, trouble: Trouble) {
        self.set_health(Health::Troubled);
        trouble.begin(&self.memory);
    }

    pub(crate) fn end_trouble(&self) {
        self.set_health(Health::WellSince(Instant::now()));
        Trouble::end(&self.memory);
    }

    /// Whether what failed since then may have failed by the disk's trouble.
    pub(crate) fn was_troubled_since(&self, then: Instant) -> bool {
        match *self.health.lock().expect("nothing panics while it is held") {
            Health::AlwaysWell => false,
            Health::Troubled => true,
            Health::WellSince(end) => end >= then,
        }
    }

    /// Before a node's life: what a planted bug loses at each start.
    pub(crate) async fn lie_at_start(&self) -> Result<()> {
        if self.plant == Some(Plant::FingerprintsForgotten) {
            self.memory.remove_dir(FINGERPRINTS).await?;
        }
        Ok(())
    }

    /// The first index that the log in a folder has kept, by the names of its segments.
    pub(crate) async fn first_record_of(&self, dir: &str) -> u64 {
        let names = self.memory.reopen().list(dir).await.unwrap_or_default();
        let firsts = names.iter().filter_map(|name| name.strip_suffix(".log")?.parse().ok());
        firsts.min().unwrap_or(0)
    }

    fn set_health(&self, health: Health) {
        *self.health.lock().expect("nothing panics while it is held") = health;
    }

    /// Whether a file's sync does nothing.
    fn skips_sync(&self, path: &str) -> bool {
        self.plant == Some(Plant::AckBeforeSync) || self.carries_nothing(path)
    }

    fn carries_nothing(&self, path: &str) -> bool {
        self.plant == Some(Plant::TrimBeforeCarry) && path.starts_with(FINGERPRINTS)
    }

    /// The power goes: what was not synced is dropped, torn or kept.
    pub(crate) fn lose_power(&self) {
        self.memory.crash(thread_rng().r#gen());
    }

    /// The process goes and the machine stays.
    pub(crate) fn lose_process(&self) {
        self.memory.kill(thread_rng().r#gen());
    }

    /// A sync takes 1 to 6 ms, as on a good disk, and now and then a tenth of a second.
    async fn spin(&self) {
        let mut rng = thread_rng();
        let ms = if rng.gen_ratio(1, 50) { 100 } else { rng.gen_range(1..=6) };
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

#[async_trait]
impl Disk for SimDisk {
    async fn families(
        &self,
        dir: &str,
        names: &'static [&'static str],
    ) -> Result<Arc<dyn Families>> {
        let families = self.memory.families(dir, names).await?;
        Ok(Arc::new(families::SimFamilies::new(families, self.clone(), dir, names)))
    }
}

#[async_trait]
impl Files for SimDisk {
    async fn open(&self, path: &str) -> Result<Arc<dyn File>> {
        let file = self.memory.open(path).await?;
        Ok(Arc::new(file::SimFile::new(file, self.clone(), path)))
    }

    async fn read(&self, path: &str) -> Result<Option<Bytes>> {
        self.memory.read(path).await
    }

    async fn replace(&self, path: &str, bytes: Bytes) -> Result<()> {
        self.trap.step(path).await;
        self.spin().await;
        self.memory.replace(path, bytes).await
    }

    async fn list(&self, dir: &str) -> Result<Vec<String>> {
        self.memory.list(dir).await
    }

    async fn create_dir(&self, dir: &str) -> Result<()> {
        self.memory.create_dir(dir).await
    }

    async fn sync_dir(&self, dir: &str) -> Result<()> {
        self.trap.step(dir).await;
        self.spin().await;
        if self.carries_nothing(dir) {
            return Ok(());
        }
        self.memory.sync_dir(dir).await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.memory.rename(from, to).await
    }

    async fn remove(&self, path: &str) -> Result<()> {
        self.trap.step(path).await;
        self.memory.remove(path).await
    }

    async fn remove_dir(&self, dir: &str) -> Result<()> {
        self.memory.remove_dir(dir).await
    }

    async fn link(&self, from: &str, to: &str) -> Result<()> {
        self.memory.link(from, to).await
    }

    async fn lock(&self, path: &str) -> Result<Box<dyn Lock>> {
        self.memory.lock(path).await
    }
}
