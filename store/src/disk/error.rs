//! What a disk answers when it cannot.

use std::io;

use thiserror::Error;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// No room left: goes away when somebody makes room.
    Full,
    /// Another process holds it.
    Locked,
    /// The bytes are there and wrong.
    Corrupt,
    /// The disk failed to read or write.
    Io,
}

#[derive(Clone, Debug, Error)]
#[error("{path}: {doing}: {reason}")]
pub struct DiskError {
    pub kind: ErrorKind,
    pub path: String,
    pub doing: &'static str,
    pub reason: String,
}

impl DiskError {
    pub fn new(
        kind: ErrorKind,
        path: impl Into<String>,
        doing: &'static str,
        reason: impl ToString,
    ) -> Self {
        DiskError { kind, path: path.into(), doing, reason: reason.to_string() }
    }

    pub fn io(path: impl Into<String>, doing: &'static str, error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::Full,
            _ => ErrorKind::Io,
        };
        DiskError::new(kind, path, doing, error)
    }

    /// Whether the same call may go through later without anybody mending data.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, ErrorKind::Full | ErrorKind::Io)
    }
}
