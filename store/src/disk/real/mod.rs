//! The real disk: files through the kernel, families in RocksDB.
//!
//! Calls that may wait for the disk hop to the runtime's blocking threads, one hop a call; the log's
//! `append_sync` is one hop for both. Calls on one file take turns, and a call that was begun is
//! carried out though its caller went away, so the next one finds it done.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::{Disk, DiskError, ErrorKind, Families, Result};
use engine::Engine;

mod engine;
mod families;
mod file;
mod files;
mod manifest;
mod sizes;
mod snapshot;
mod sys;

/// What all databases of one disk share.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Blocks of tables, uncompressed, with their indexes and filters.
    pub cache_bytes: usize,
    /// Rows that are not flushed yet. Beyond it the database that was written last flushes by itself.
    pub write_buffer_bytes: usize,
    /// One family's part of it at most.
    pub memtable_bytes: usize,
    /// Table files that each database holds open.
    pub open_files: i32,
    pub flush_threads: i32,
    pub compaction_threads: i32,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            cache_bytes: 64 << 20,
            write_buffer_bytes: 32 << 20,
            memtable_bytes: 4 << 20,
            open_files: 128,
            flush_threads: 1,
            compaction_threads: 1,
        }
    }
}

#[derive(Clone)]
pub struct RealDisk {
    root: Arc<Path>,
    engine: Arc<Engine>,
}

impl RealDisk {
    /// Makes the root folder when it is missing. Whoever must be alone takes a lock in it.
    pub fn open(root: PathBuf, options: Options) -> Result<Self> {
        let name = root.display().to_string();
        fs::create_dir_all(&root).map_err(|error| DiskError::io(&name, "make folder", &error))?;
        let root =
            root.canonicalize().map_err(|error| DiskError::io(&name, "find folder", &error))?;
        if let Some(above) = root.parent() {
            files::sync_folder(above)
                .map_err(|error| DiskError::io(&name, "sync folder above", &error))?;
        }
        let engine = Engine::new(options)
            .map_err(|error| DiskError::new(ErrorKind::Io, &name, "set up rocksdb", error))?;
        Ok(RealDisk { root: root.into(), engine: Arc::new(engine) })
    }

    fn resolve(&self, path: &str) -> Result<PathBuf> {
        let mut full = self.root.to_path_buf();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            if matches!(part, "." | "..") {
                let reason = "a path goes down only, without . and ..";
                return Err(DiskError::new(ErrorKind::Io, path, "find", reason));
            }
            full.push(part);
        }
        Ok(full)
    }
}

#[async_trait]
impl Disk for RealDisk {
    async fn families(
        &self,
        dir: &str,
        names: &'static [&'static str],
    ) -> Result<Arc<dyn Families>> {
        let (full, root) = (self.resolve(dir)?, Arc::clone(&self.root));
        let (engine, dir) = (Arc::clone(&self.engine), dir.to_owned());
        let opened = hop(move || {
            let db = families::open(&engine, &dir, &full, names)?;
            // RocksDB syncs its folder, but not the folder's name in the one above.
            for above in full.ancestors().skip(1).take_while(|above| above.starts_with(&root)) {
                files::sync_folder(above)
                    .map_err(|error| DiskError::io(&dir, "sync folder above", &error))?;
            }
            Ok(db)
        })
        .await?;
        Ok(Arc::new(opened))
    }
}

/// Runs on a thread that may wait.
async fn hop<T: Send + 'static>(act: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(act).await {
        Ok(answer) => answer,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) => Err(DiskError::new(ErrorKind::Io, "disk", "wait for a thread", error)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bytes::Bytes;

    use super::*;
    use crate::disk::{Batch, Files};

    const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

    /// A time would drift with the machine: the numbers are printed, what is counted is checked.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_databases_cost_little() {
        let dir = tempfile::tempdir().unwrap();
        for round in 0..2 {
            let disk = RealDisk::open(dir.path().to_owned(), Options::default()).unwrap();
            let start = Instant::now();
            let opening: Vec<_> = (0..16)
                .map(|n| {
                    let disk = disk.clone();
                    tokio::spawn(async move { disk.families(&format!("s/{n}/db"), &NAMES).await })
                })
                .collect();
            let mut all = Vec::new();
            for opened in opening {
                all.push(opened.await.unwrap().unwrap());
            }
            println!("round {round}: opened in {:?}", start.elapsed());
            for families in &all {
                let mut batch = Batch::default();
                (0..6).for_each(|family| batch.put(family, "key", "value"));
                families.write(batch).await.unwrap();
                families.flush().await.unwrap();
            }
            println!("with one flush each {:?}", start.elapsed());
        }
        let names = std::fs::read_dir(dir.path().join("s/0/db")).unwrap().count();
        assert!(names < 40, "{names} files in one database");
    }

    #[tokio::test]
    async fn a_replacement_that_failed_leaves_no_trace() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(dir.path().to_owned(), Options::default()).unwrap();
        disk.create_dir("taken/by").await.unwrap();
        disk.replace("taken", Bytes::from_static(b"a folder is there")).await.unwrap_err();
        assert_eq!(disk.list("").await.unwrap(), ["taken"]);
    }

    #[tokio::test]
    async fn a_call_whose_caller_went_away_is_done_before_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(dir.path().to_owned(), Options::default()).unwrap();
        for round in 0..50 {
            let file = disk.open(&format!("f{round}")).await.unwrap();
            {
                let mut append = file.append_sync(Bytes::from(vec![1; 100_000]));
                let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                let _ = append.as_mut().poll(&mut context);
            }
            file.truncate(0).await.unwrap();
            file.append(Bytes::from_static(b"mine")).await.unwrap();
            assert_eq!(&file.read_at(0, 9).await.unwrap()[..], b"mine");
        }
    }
}
