//! What a log of streams answers when it cannot.

use thiserror::Error;

use super::{CellId, Index, StreamId};
use crate::disk::DiskError;
use crate::log::LogError;

pub type Result<T> = std::result::Result<T, StreamError>;

#[derive(Clone, Debug, Error)]
pub enum StreamError {
    /// Nothing of the batch counts. It may be tried again.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Goes away when somebody purges.
    #[error("the log holds {bytes} bytes and takes {bytes_more} more only below {limit}")]
    Full { bytes: u64, bytes_more: u64, limit: u64 },
    #[error("stream {stream}: an append begins at {given}, and the next index is {next}")]
    NotNext { stream: StreamId, given: Index, next: Index },
    #[error("stream {stream}: {given} is below the first index, {first}")]
    Purged { stream: StreamId, given: Index, first: Index },
    #[error("stream {stream}: {bytes} bytes are over the limit of {most}")]
    TooLarge { stream: StreamId, bytes: usize, most: usize },
    #[error("stream {stream}: all streams and cells together would take {bytes} of {most} bytes")]
    TooMany { stream: StreamId, bytes: usize, most: usize },
    #[error(
        "stream {stream}: record {index} is lost to damage; bring it back from a replica, or purge"
    )]
    Lost { stream: StreamId, index: Index },
    #[error("stream {stream}: cell {cell} is lost to damage; put it anew, or drop the stream")]
    LostCell { stream: StreamId, cell: CellId },
    #[error(
        "{dir}: record {position} is none of a log of streams that this version knows; start the version of tributary that wrote it"
    )]
    Foreign { dir: String, position: u64 },
    #[error("{what}")]
    Unfit { what: &'static str },
    #[error("the log has stopped")]
    Stopped,
}

impl StreamError {
    /// Whether the same call may go through later without anybody mending data.
    pub fn is_retryable(&self) -> bool {
        match self {
            StreamError::Log(error) => error.is_retryable(),
            StreamError::Full { .. } => true,
            _ => false,
        }
    }
}

impl From<DiskError> for StreamError {
    fn from(error: DiskError) -> Self {
        StreamError::Log(error.into())
    }
}
