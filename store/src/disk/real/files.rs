//! Names, small files and locks.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::file::RealFile;
use super::{RealDisk, hop};
use crate::disk::{DiskError, ErrorKind, File, Files, Lock, Result};

impl RealDisk {
    async fn act<T: Send + 'static>(
        &self,
        path: &str,
        doing: &'static str,
        act: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (full, path) = (self.resolve(path)?, path.to_owned());
        hop(move || act(&full).map_err(|error| DiskError::io(path, doing, &error))).await
    }
}

#[async_trait]
impl Files for RealDisk {
    async fn open(&self, path: &str) -> Result<Arc<dyn File>> {
        let name = path.to_owned();
        let file = self
            .act(path, "open", move |full| {
                let mut options = fs::OpenOptions::new();
                let file =
                    options.read(true).write(true).create(true).truncate(false).open(full)?;
                RealFile::new(name, file)
            })
            .await?;
        Ok(Arc::new(file))
    }

    async fn read(&self, path: &str) -> Result<Option<Bytes>> {
        self.act(path, "read", |full| absent(fs::read(full).map(|bytes| Some(bytes.into())))).await
    }

    async fn replace(&self, path: &str, bytes: Bytes) -> Result<()> {
        self.act(path, "replace", move |full| replace(full, &bytes)).await
    }

    async fn list(&self, dir: &str) -> Result<Vec<String>> {
        self.act(dir, "list", |full| {
            let mut names = Vec::new();
            for entry in absent(fs::read_dir(full).map(Some))?.into_iter().flatten() {
                names.push(entry?.file_name().to_string_lossy().into_owned());
            }
            names.sort_unstable();
            Ok(names)
        })
        .await
    }

    async fn create_dir(&self, dir: &str) -> Result<()> {
        self.act(dir, "make folder", |full| fs::create_dir_all(full)).await
    }

    async fn sync_dir(&self, dir: &str) -> Result<()> {
        self.act(dir, "sync folder", sync_folder).await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<()> {
        let to = self.resolve(to)?;
        self.act(from, "rename", move |full| fs::rename(full, to)).await
    }

    async fn remove(&self, path: &str) -> Result<()> {
        self.act(path, "remove", |full| absent(fs::remove_file(full))).await
    }

    async fn remove_dir(&self, dir: &str) -> Result<()> {
        self.act(dir, "remove folder", |full| absent(fs::remove_dir_all(full))).await
    }

    async fn link(&self, from: &str, to: &str) -> Result<()> {
        let to = self.resolve(to)?;
        self.act(from, "link", move |full| fs::hard_link(full, to)).await
    }

    async fn lock(&self, path: &str) -> Result<Box<dyn Lock>> {
        let (full, name) = (self.resolve(path)?, path.to_owned());
        let lock = hop(move || RealLock::take(&name, full)).await?;
        Ok(Box::new(lock))
    }
}

/// The kernel lets go of it when the file is closed, by whatever end.
#[derive(Debug)]
struct RealLock {
    _file: fs::File,
}

impl Lock for RealLock {}

impl RealLock {
    fn take(name: &str, full: PathBuf) -> Result<Self> {
        let mut options = fs::OpenOptions::new();
        let options = options.write(true).create(true).truncate(false);
        let file = options.open(&full).map_err(|error| DiskError::io(name, "open", &error))?;
        file.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => {
                let full = full.display().to_string();
                let reason = "another tributary process uses this folder; stop it or choose \
                              another --data";
                DiskError::new(ErrorKind::Locked, full, "lock", reason)
            }
            fs::TryLockError::Error(error) => DiskError::io(name, "lock", &error),
        })?;
        Ok(RealLock { _file: file })
    }
}

pub(super) fn sync_folder(full: &Path) -> io::Result<()> {
    fs::File::open(full)?.sync_all()
}

fn replace(full: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = full.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let written = (|| {
        let mut file = fs::File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, full)
    })();
    if written.is_err() {
        // Whether it was made at all or not, it is in nobody's way.
        let _ = fs::remove_file(&new);
        return written;
    }
    sync_folder(full.parent().unwrap_or(full))
}

/// What is not there is no error.
fn absent<T: Default>(answer: io::Result<T>) -> io::Result<T> {
    match answer {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        answer => answer,
    }
}
