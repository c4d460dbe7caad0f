//! A real small disk in memory, which fills and empties.

use std::ffi::CString;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

const BALLAST: &str = "ballast";

pub(crate) struct Tmpfs {
    point: PathBuf,
    ballast: Option<File>,
}

impl Tmpfs {
    pub(crate) fn mount(point: &Path, bytes: u64) -> anyhow::Result<Tmpfs> {
        std::fs::create_dir_all(point)?;
        let size = CString::new(format!("size={bytes}"))?;
        mount("tmpfs", point, "tmpfs", MountFlags::empty(), size.as_c_str())
            .with_context(|| format!("mounting a tmpfs on {}: it needs root", point.display()))?;
        Ok(Tmpfs { point: point.to_owned(), ballast: None })
    }

    pub(crate) fn point(&self) -> &Path {
        &self.point
    }

    pub(crate) fn free_bytes(&self) -> anyhow::Result<u64> {
        let found = statvfs(&self.point)?;
        Ok(found.f_bavail * found.f_frsize)
    }

    /// Takes all room but so much. What is freed meanwhile is taken by calling it again.
    pub(crate) fn fill(&mut self, leave_bytes: u64) -> anyhow::Result<()> {
        let file = match &self.ballast {
            Some(file) => file,
            None => self.ballast.insert(File::create(self.point.join(BALLAST))?),
        };
        let free = statvfs(&self.point).map(|found| found.f_bavail * found.f_frsize)?;
        let grow = free.saturating_sub(leave_bytes);
        if grow > 0 {
            let len = file.metadata()?.len();
            // Somebody else may have been quicker; then the disk is full all the same.
            let _ = fallocate(file, FallocateFlags::empty(), len, grow);
        }
        Ok(())
    }

    pub(crate) fn empty(&mut self) -> anyhow::Result<()> {
        if self.ballast.take().is_some() {
            std::fs::remove_file(self.point.join(BALLAST))?;
        }
        Ok(())
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        self.ballast = None;
        // Detached: its last files close when their process is gone.
        let _ = unmount(&self.point, UnmountFlags::DETACH);
    }
}
