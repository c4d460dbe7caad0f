//! The folder that a node keeps everything in: held by one process, of a format that it knows.

use bytes::Bytes;
use thiserror::Error;

use crate::disk::{DiskError, Disk, Lock};

/// Raised when a build writes what an older one cannot read.
pub const FORMAT: u32 = 1;

const LOCK_FILE: &str = "LOCK";
const FORMAT_FILE: &str = "FORMAT";

#[derive(Debug, Error)]
pub enum HomeError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(
        "the data folder has format {found:?}, and this build knows {FORMAT}: start the build that \
         wrote it, or name another folder"
    )]
    UnknownFormat { found: String },
    #[error(
        "the folder holds {found:?} and no {FORMAT_FILE}, so it is not one of ours: name an empty \
         folder, or one that does not exist yet"
    )]
    NotOurs { found: String },
}

/// Holds the folder while it lives.
#[derive(Debug)]
pub struct Home {
    _lock: Box<dyn Lock>,
}

impl Home {
    /// Takes the folder for this process, and makes it one of ours where it is empty.
    pub async fn take(disk: &dyn Disk) -> Result<Home, HomeError> {
        let before = disk.list("").await?;
        let lock = disk.lock(LOCK_FILE).await?;
        match disk.read(FORMAT_FILE).await? {
            Some(text) => {
                let found = String::from_utf8_lossy(&text).trim().to_owned();
                if found != FORMAT.to_string() {
                    return Err(HomeError::UnknownFormat { found });
                }
            }
            None => {
                if let Some(found) = before.into_iter().find(|name| name != LOCK_FILE) {
                    return Err(HomeError::NotOurs { found });
                }
                disk.replace(FORMAT_FILE, Bytes::from(format!("{FORMAT}\n"))).await?;
            }
        }
        Ok(Home { _lock: lock })
    }
}
