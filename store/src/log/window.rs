//! A moving view into a file that reads ahead, so that small records cost few reads.

use std::sync::Arc;

use bytes::Bytes;

use crate::disk::{File, Result};

const AHEAD_BYTES: usize = 256 << 10;

pub(super) struct Window {
    file: Arc<dyn File>,
    at: u64,
    end: u64,
    /// The file's bytes from `at` on, as far as they were read.
    ahead: Bytes,
}

impl Window {
    /// From `at` up to `end`, where the file ends for this window.
    pub(super) fn new(file: Arc<dyn File>, at: u64, end: u64) -> Self {
        Window { file, at, end, ahead: Bytes::new() }
    }

    pub(super) fn at(&self) -> u64 {
        self.at
    }

    pub(super) fn left(&self) -> u64 {
        self.end.saturating_sub(self.at)
    }

    /// The next `len` bytes, fewer only at the end.
    pub(super) async fn peek(&mut self, len: usize) -> Result<Bytes> {
        let len = len.min(usize::try_from(self.left()).unwrap_or(usize::MAX));
        if self.ahead.len() < len {
            let most = usize::try_from(self.left()).unwrap_or(usize::MAX);
            let want = len.max(AHEAD_BYTES).min(most);
            self.ahead = self.file.read_at(self.at, want).await?;
        }
        Ok(self.ahead.slice(..len.min(self.ahead.len())))
    }

    pub(super) fn seek(&mut self, to: u64) {
        let skip = to.checked_sub(self.at).and_then(|skip| usize::try_from(skip).ok());
        self.ahead = match skip {
            Some(skip) if skip <= self.ahead.len() => self.ahead.slice(skip..),
            _ => Bytes::new(),
        };
        self.at = to;
    }
}
