//! What a segment log answers when it cannot.

use thiserror::Error;

use super::Index;
use super::record::MAX_RECORD_BYTES;
use crate::disk::DiskError;

pub type Result<T> = std::result::Result<T, LogError>;

#[derive(Clone, Debug, Error)]
pub enum LogError {
    /// The batch does not count. It may go through when it is appended again.
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("record of {bytes} bytes is over the limit of {MAX_RECORD_BYTES}")]
    TooLarge { bytes: usize },
    #[error(
        "{path}: segment format {found} is unknown, this version knows {known}; start the version of \
         tributary that wrote it"
    )]
    UnknownFormat { path: String, found: u32, known: u32 },
    /// It was whole at the start.
    #[error("{path}: record {index} does not read as it was written")]
    Unreadable { path: String, index: Index },
}

impl LogError {
    /// Whether the same call may go through later without anybody mending data.
    pub fn is_retryable(&self) -> bool {
        match self {
            LogError::Disk(error) => error.is_retryable(),
            _ => false,
        }
    }
}
