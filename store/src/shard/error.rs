//! Why a shard could not apply or write.

use thiserror::Error;

use crate::disk::DiskError;
use crate::log::streams::StreamError;

#[derive(Debug, Error)]
pub(crate) enum ShardError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Log(#[from] StreamError),
    #[error("{bytes} bytes wait for a checkpoint, which the disk does not take: see what it lacks")]
    HeadIsFull { bytes: usize },
}
