//! One open file.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Mutex;

use super::hop;
use crate::disk::{DiskError, File, Result};

const REWRITE_BYTES: usize = 1 << 20;

/// Knows its own length, so a file has one writing handle at a time.
pub(super) struct RealFile {
    inner: Arc<Inner>,
    /// Held on the blocking thread: what was begun ends before the next begins.
    turn: Arc<Mutex<()>>,
}

struct Inner {
    path: String,
    file: fs::File,
    len: AtomicU64,
    /// Whether a truncation waits for a sync: `fdatasync` need not cover a length alone.
    is_cut: AtomicBool,
}

impl RealFile {
    pub(super) fn new(path: String, file: fs::File) -> io::Result<Self> {
        let len = AtomicU64::new(file.metadata()?.len());
        let inner = Inner { path, file, len, is_cut: AtomicBool::new(false) };
        Ok(RealFile { inner: Arc::new(inner), turn: Arc::default() })
    }

    async fn act<T: Send + 'static>(
        &self,
        doing: &'static str,
        act: impl FnOnce(&Inner) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let inner = Arc::clone(&self.inner);
        hop(move || {
            let answer = act(&inner).map_err(|error| DiskError::io(&inner.path, doing, &error));
            drop(turn);
            answer
        })
        .await
    }
}

#[async_trait]
impl File for RealFile {
    fn len(&self) -> u64 {
        self.inner.len()
    }

    async fn append(&self, bytes: Bytes) -> Result<()> {
        self.act("append", move |inner| inner.append(&bytes)).await
    }

    async fn sync(&self) -> Result<()> {
        self.act("sync", Inner::sync).await
    }

    async fn append_sync(&self, bytes: Bytes) -> Result<()> {
        self.act("append and sync", move |inner| {
            inner.append(&bytes)?;
            inner.sync()
        })
        .await
    }

    async fn rewrite(&self, offset: u64) -> Result<()> {
        self.act("rewrite", move |inner| inner.rewrite(offset)).await
    }

    async fn truncate(&self, len: u64) -> Result<()> {
        self.act("truncate", move |inner| inner.truncate(len)).await
    }

    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes> {
        let inner = Arc::clone(&self.inner);
        hop(move || {
            let bytes = inner.read(offset, len);
            bytes.map_err(|error| DiskError::io(&inner.path, "read", &error))
        })
        .await
    }
}

impl Inner {
    fn len(&self) -> u64 {
        self.len.load(Ordering::Acquire)
    }

    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let len = self.len();
        let written = self.file.write_all_at(bytes, len);
        let now = match &written {
            Ok(()) => len + bytes.len() as u64,
            // A part may stand there, and a truncation must know of it.
            Err(_) => self.file.metadata().map_or(len, |metadata| metadata.len()),
        };
        self.len.store(now, Ordering::Release);
        written
    }

    fn sync(&self) -> io::Result<()> {
        if self.is_cut.load(Ordering::Acquire) {
            self.file.sync_all()?;
            self.is_cut.store(false, Ordering::Release);
            return Ok(());
        }
        self.file.sync_data()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        if len < self.file.metadata()?.len() {
            self.is_cut.store(true, Ordering::Release);
            self.file.set_len(len)?;
        }
        self.len.store(len.min(self.len()), Ordering::Release);
        Ok(())
    }

    fn rewrite(&self, offset: u64) -> io::Result<()> {
        let mut at = offset;
        while at < self.len() {
            let bytes = self.read(at, REWRITE_BYTES)?;
            if bytes.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.file.write_all_at(&bytes, at)?;
            at += bytes.len() as u64;
        }
        Ok(())
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let left = usize::try_from(self.len().saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; len.min(left)];
        let mut filled = 0;
        while filled < bytes.len() {
            match self.file.read_at(&mut bytes[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes.into())
    }
}
