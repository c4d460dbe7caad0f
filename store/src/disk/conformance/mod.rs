//! The one suite for every disk: the memory twin always, RocksDB and real files with their feature.
//!
//! A test takes a [`Rig`]: a disk that can be restarted. The memory twin restarts with a power cut, the
//! real one by opening its folder anew, so a test may rely only on what was synced.

use std::sync::Arc;

use super::Disk;
use super::memory::{Fault, MemoryDisk, Operation};

mod families;
mod files;
mod model;

pub(crate) trait Rig: Send {
    fn disk(&self) -> Arc<dyn Disk>;
    /// Everything that was opened is gone, and what was not synced may be.
    fn restart(&mut self);
    /// Whether flushes of the families in `dir` fail, by other than a lack of room.
    fn fail_flushes(&mut self, dir: &str, fail: bool);
}

pub(crate) struct MemoryRig {
    disk: MemoryDisk,
    crashes: u64,
}

impl MemoryRig {
    pub(crate) fn new() -> Self {
        MemoryRig { disk: MemoryDisk::new(), crashes: 0 }
    }
}

impl Rig for MemoryRig {
    fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(self.disk.clone())
    }

    fn restart(&mut self) {
        self.crashes += 1;
        self.disk.crash(self.crashes);
        self.disk = self.disk.reopen();
    }

    fn fail_flushes(&mut self, dir: &str, fail: bool) {
        self.disk.clear_faults();
        if fail {
            self.disk.fail(Fault::always(Operation::Flush).under(dir));
        }
    }
}

#[cfg(feature = "rocksdb")]
pub(crate) struct RealRig {
    dir: tempfile::TempDir,
    disk: crate::disk::real::RealDisk,
}

#[cfg(feature = "rocksdb")]
impl RealRig {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealRig::open(&dir);
        RealRig { dir, disk }
    }

    fn open(dir: &tempfile::TempDir) -> crate::disk::real::RealDisk {
        crate::disk::real::RealDisk::open(dir.path().to_owned(), Default::default()).unwrap()
    }
}

#[cfg(feature = "rocksdb")]
impl Rig for RealRig {
    fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(self.disk.clone())
    }

    fn restart(&mut self) {
        self.disk = RealRig::open(&self.dir);
    }

    /// A table is made by its path, and so finds no folder. RocksDB takes this as it takes EIO.
    fn fail_flushes(&mut self, dir: &str, fail: bool) {
        let (here, away) = (self.dir.path().join(dir), self.dir.path().join("away"));
        let (from, to) = if fail { (here, away) } else { (away, here) };
        std::fs::rename(from, to).unwrap();
    }
}

/// Runs each `async fn(&mut dyn Rig)` on every disk.
macro_rules! on_every_disk {
    ($($name:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&mut $crate::disk::conformance::MemoryRig::new()).await;
            })+
        }

        #[cfg(feature = "rocksdb")]
        mod real {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&mut $crate::disk::conformance::RealRig::new()).await;
            })+
        }
    };
}
pub(crate) use on_every_disk;
