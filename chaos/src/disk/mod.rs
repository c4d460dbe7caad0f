//! A disk whose power can be cut: a FUSE file system that keeps what was not synced volatile.
//!
//! ```text
//! the product ──▶ kernel ──▶ fuse ──▶ power ──▶ volume ─┬─ names   (folders, unsynced operations)
//!                                       ▲               └─ bodies  (bytes, unsynced writes)
//!                     the run ──────────┘
//!          faults, traps, hold, cut, restore
//! ```
//!
//! The volume is a core without IO, held in memory: the disk lives as long as its run, and what it held
//! can be copied out. A cut loses what POSIX and ext4 allow to be lost, in a seeded way; see `body` for
//! bytes and `names` for names. The process that made the mount must not use it itself.

mod body;
mod faults;
mod fuse;
mod names;
mod power;
mod volume;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use fuser::{BackgroundSession, Config, MountOption};

pub(crate) use self::faults::{Failing, Trap};
pub(crate) use self::power::{Power, Seen};

/// Calls served at one time. A call that waits for its latency or for the power holds one.
const THREADS: usize = 12;
/// How long a dead process's files may take to be let go of.
const UNMOUNT_TRIES: u32 = 100;

/// The disk and its mount.
pub(crate) struct Disk {
    power: Arc<Power>,
    point: PathBuf,
    session: Option<BackgroundSession>,
}

impl Disk {
    pub(crate) fn mount(point: &Path, seed: u64) -> anyhow::Result<Disk> {
        std::fs::create_dir_all(point)
            .with_context(|| format!("making the mount point {}", point.display()))?;
        let power = Arc::new(Power::new(seed));
        let mut disk = Disk { power, point: point.to_owned(), session: None };
        disk.plug_in()?;
        Ok(disk)
    }

    pub(crate) fn point(&self) -> &Path {
        &self.point
    }

    pub(crate) fn power(&self) -> &Arc<Power> {
        &self.power
    }

    /// The power goes and comes back. Whoever used the disk must be dead by now.
    pub(crate) async fn cut(&mut self, seed: u64) -> anyhow::Result<()> {
        self.power.release();
        self.unmount().await?;
        self.power.cut(seed);
        self.plug_in()
    }

    pub(crate) async fn unmount(&mut self) -> anyhow::Result<()> {
        let Some(session) = self.session.take() else { return Ok(()) };
        // The kernel closes a dead process's files when it comes to it.
        let mut tries = 0;
        loop {
            match rustix::mount::unmount(&self.point, rustix::mount::UnmountFlags::empty()) {
                Ok(()) => break,
                Err(rustix::io::Errno::BUSY) if tries < UNMOUNT_TRIES => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(error) => {
                    self.session = Some(session);
                    return Err(error)
                        .with_context(|| format!("unmounting {}", self.point.display()));
                }
            }
        }
        match tokio::task::spawn_blocking(|| session.join()).await? {
            // So ends a thread that was reading when the mount went.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => Ok(()),
            ended => ended.context("the file system's threads"),
        }
    }

    fn plug_in(&mut self) -> anyhow::Result<()> {
        self.power.restore();
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("tributary-chaos".into())];
        config.n_threads = Some(THREADS);
        let fuse = fuse::Fuse { power: self.power.clone() };
        let session = fuser::spawn_mount(fuse, &self.point, &config).with_context(|| {
            format!(
                "mounting FUSE on {}: it needs root and /dev/fuse; run --mode kill without them",
                self.point.display()
            )
        })?;
        self.session = Some(session);
        Ok(())
    }
}

impl Drop for Disk {
    /// On the way out of a failure: detached, since its process may still be about to die.
    fn drop(&mut self) {
        if self.session.take().is_some() {
            self.power.release();
            let _ = rustix::mount::unmount(&self.point, rustix::mount::UnmountFlags::DETACH);
        }
    }
}

#[cfg(test)]
mod fuse_test;
