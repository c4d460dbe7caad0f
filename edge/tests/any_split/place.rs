//! Where a world's nodes keep what they keep.

use std::sync::Arc;

use tempfile::TempDir;
use tributary_store::disk::Files;
use tributary_store::disk::memory::MemoryDisk;
use tributary_store::disk::real::{self, RealDisk};
use tributary_store::{Store, StoreHandle};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    Memory,
    /// Files and RocksDB in a folder of its own.
    Real,
}

#[derive(Clone)]
pub(crate) enum NodeDisk {
    Memory(MemoryDisk),
    Real(RealDisk),
}

impl NodeDisk {
    pub(crate) fn new(place: &Place, folder: &TempDir) -> Self {
        match place {
            Place::Memory => NodeDisk::Memory(MemoryDisk::new()),
            Place::Real => {
                let root = folder.path().join("data");
                NodeDisk::Real(RealDisk::open(root, real::Options::default()).expect("opens"))
            }
        }
    }

    pub(crate) async fn store(&self) -> (Store, StoreHandle) {
        let opened = match self {
            NodeDisk::Memory(disk) => Store::open(disk, Default::default()).await,
            NodeDisk::Real(disk) => Store::open(disk, Default::default()).await,
        };
        opened.expect("opens")
    }

    /// For another node: in memory a machine of its own, which can crash alone.
    pub(crate) fn another(&self) -> Self {
        match self {
            NodeDisk::Memory(_) => NodeDisk::Memory(MemoryDisk::new()),
            NodeDisk::Real(disk) => NodeDisk::Real(disk.clone()),
        }
    }

    pub(crate) fn files(&self) -> Arc<dyn Files> {
        match self {
            NodeDisk::Memory(disk) => Arc::new(disk.clone()),
            NodeDisk::Real(disk) => Arc::new(disk.clone()),
        }
    }

    /// Files outlive their process; only in memory can what was not synced be lost.
    pub(crate) fn crash(&mut self, seed: u64) {
        if let NodeDisk::Memory(disk) = self {
            disk.crash(seed);
            *disk = disk.reopen();
        }
    }
}
