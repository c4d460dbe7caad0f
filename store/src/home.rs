//! The folder that a node keeps everything in: held by one process, of a format that it knows.

use bytes::Bytes;
use thiserror::Error;

use crate::disk::{Disk, DiskError, Lock};

/// Raised when a build writes what an older one cannot read.
pub const FORMAT: u32 = 2;

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
        // A folder that is somebody else's is left as it is: not even a lock file goes in.
        if disk.read(FORMAT_FILE).await?.is_none() {
            let ours = |name: &String| name.starts_with(LOCK_FILE) || name.starts_with(FORMAT_FILE);
            if let Some(found) = disk.list("").await?.into_iter().find(|name| !ours(name)) {
                return Err(HomeError::NotOurs { found });
            }
        }
        let lock = disk.lock(LOCK_FILE).await?;
        match disk.read(FORMAT_FILE).await? {
            Some(text) => {
                let found = String::from_utf8_lossy(&text).trim().to_owned();
                if found != FORMAT.to_string() {
                    return Err(HomeError::UnknownFormat { found });
                }
            }
            None => disk.replace(FORMAT_FILE, Bytes::from(format!("{FORMAT}\n"))).await?,
        }
        Ok(Home { _lock: lock })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Files;
    use crate::disk::memory::MemoryDisk;

    #[tokio::test]
    async fn an_empty_folder_becomes_ours_and_stays_so() {
        let disk = MemoryDisk::new();
        let home = Home::take(&disk).await.unwrap();
        let second = Home::take(&disk).await.unwrap_err();
        assert!(second.to_string().contains("LOCK"), "{second}");
        drop(home);
        Home::take(&disk).await.unwrap();
    }

    #[tokio::test]
    async fn another_format_is_refused_with_what_to_do() {
        let disk = MemoryDisk::new();
        disk.replace(FORMAT_FILE, Bytes::from_static(b"7\n")).await.unwrap();
        let refused = Home::take(&disk).await.unwrap_err().to_string();
        assert!(refused.contains("has format \"7\"") && refused.contains("name another folder"));
    }

    #[tokio::test]
    async fn a_folder_of_somebody_elses_is_left_untouched() {
        let disk = MemoryDisk::new();
        disk.replace("note.txt", Bytes::from_static(b"mine")).await.unwrap();
        let refused = Home::take(&disk).await.unwrap_err().to_string();
        assert!(refused.contains("note.txt"), "{refused}");
        assert_eq!(disk.list("").await.unwrap(), ["note.txt"]);
    }
}
