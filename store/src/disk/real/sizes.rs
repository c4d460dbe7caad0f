//! What families take on disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{RealDisk, hop};
use crate::disk::{DiskError, ErrorKind, Result};

impl RealDisk {
    /// Bytes of table files by family, over all databases that are open. A file that only a reader still holds
    /// is not in it; a family without a file is absent.
    pub async fn table_bytes(&self) -> Result<BTreeMap<String, u64>> {
        let engine = Arc::clone(&self.engine);
        hop(move || {
            let mut bytes = BTreeMap::new();
            for db in engine.databases() {
                let failed = |error| DiskError::new(ErrorKind::Io, "tables", "list", error);
                for file in db.live_files().map_err(failed)? {
                    *bytes.entry(file.column_family_name).or_default() += file.size as u64;
                }
            }
            Ok(bytes)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::super::Options;
    use super::*;
    use crate::disk::{Batch, Disk};

    const NAMES: [&str; 2] = ["full", "empty"];

    #[tokio::test]
    async fn flushed_tables_count_under_their_family_while_they_are_open() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::open(dir.path().to_owned(), Options::default()).unwrap();
        let mut all = Vec::new();
        for folder in ["a", "b"] {
            let families = disk.families(folder, &NAMES).await.unwrap();
            let mut batch = Batch::default();
            batch.put(0, "key", "value");
            families.write(batch).await.unwrap();
            assert_eq!(disk.table_bytes().await.unwrap().get("empty"), None);
            families.flush().await.unwrap();
            all.push(families);
        }
        let both = disk.table_bytes().await.unwrap()["full"];
        all.pop();
        let one = disk.table_bytes().await.unwrap();
        assert_eq!(one.into_iter().collect::<Vec<_>>(), [("full".to_owned(), both / 2)]);
    }
}
