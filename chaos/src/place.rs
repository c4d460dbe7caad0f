//! Where the product keeps its data in a mode.

use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::options::{Mode, Options, Plant, Tear};
use crate::tmpfs::Tmpfs;

/// The shards' databases set room aside: 4 MiB each, and as much again while they roll over.
const TMPFS_BYTES: u64 = 384 << 20;

/// Where our own code writes, whose bytes a cut may tear at will.
const LOGS: &[&str] = &["journal/", "log/"];

pub(crate) enum Place {
    Folder(PathBuf),
    Disk(Disk),
    Tmpfs(Tmpfs),
}

impl Place {
    pub(crate) fn make(options: &Options, dir: &Path, seed: u64) -> anyhow::Result<Place> {
        Ok(match options.mode {
            Mode::Kill => {
                let folder = dir.join("disk");
                std::fs::create_dir_all(&folder)?;
                Place::Folder(folder)
            }
            Mode::Full => Place::Tmpfs(Tmpfs::mount(&dir.join("disk"), TMPFS_BYTES)?),
            Mode::Power | Mode::Eio => {
                let disk = Disk::mount(&dir.join("disk"), seed)?;
                disk.power().faults(|faults| {
                    faults.sync_latency = std::time::Duration::from_millis(3);
                    faults.tear_only = (options.tearing == Tear::Journal).then_some(LOGS);
                    match options.plant {
                        Some(Plant::SyncSkipped) => faults.ignore_sync = Some("journal/"),
                        Some(Plant::FolderNotSynced) => faults.ignore_folder_sync = true,
                        _ => {}
                    }
                });
                Place::Disk(disk)
            }
        })
    }

    /// The product's data folder.
    pub(crate) fn data(&self) -> PathBuf {
        let root = match self {
            Place::Folder(folder) => folder,
            Place::Disk(disk) => disk.point(),
            Place::Tmpfs(tmpfs) => tmpfs.point(),
        };
        root.join("data")
    }

    pub(crate) fn disk(&mut self) -> Option<&mut Disk> {
        match self {
            Place::Disk(disk) => Some(disk),
            _ => None,
        }
    }

    pub(crate) fn tmpfs(&mut self) -> Option<&mut Tmpfs> {
        match self {
            Place::Tmpfs(tmpfs) => Some(tmpfs),
            _ => None,
        }
    }
}
