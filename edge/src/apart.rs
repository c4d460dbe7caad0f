//! Damaged files are set apart, for somebody to look at: a second name that no trim takes away.

use std::sync::Arc;

use tracing::warn;
use tributary_store::disk::{self, Files};
use tributary_store::log::Damage;

/// Of each log the newest so many are kept, so that a dying disk does not fill itself with them.
const KEPT: usize = 8;

/// Tells of the damage to the log named `log`, and keeps its files in `dir/damaged`. Failing at that stops
/// nobody: what can be read is not in there.
pub(crate) async fn set_apart(files: &Arc<dyn Files>, dir: &str, log: &str, damaged: &[Damage]) {
    if damaged.is_empty() {
        return;
    }
    let apart = format!("{dir}/damaged");
    for damage in damaged {
        let Damage { path, from, to, bytes } = damage;
        let kept = format!("{apart}/{}", name(log, path));
        match keep(files, &apart, path, &kept).await {
            Ok(()) => warn!(
                path,
                from = from.0,
                to = to.0,
                bytes,
                kept,
                newest = KEPT,
                "damaged records are lost; their file is kept, with the newest others, to be looked at"
            ),
            Err(error) => warn!(
                path, from = from.0, to = to.0, bytes, %error,
                "damaged records are lost; their file could not be set apart"
            ),
        }
    }
    if let Err(error) = thin_out(files, &apart, log).await {
        warn!(apart, %error, "older damaged files could not be removed");
    }
}

fn name(log: &str, path: &str) -> String {
    let file = path.rsplit_once('/').map_or(path, |(_, file)| file);
    format!("{log}-{file}")
}

async fn keep(files: &Arc<dyn Files>, apart: &str, path: &str, kept: &str) -> disk::Result<()> {
    files.create_dir(apart).await?;
    let (_, name) = kept.rsplit_once('/').unwrap_or_default();
    if !files.list(apart).await?.iter().any(|known| known == name) {
        files.link(path, kept).await?;
        files.sync_dir(apart).await?;
        if let Some((above, _)) = apart.rsplit_once('/') {
            files.sync_dir(above).await?;
        }
    }
    Ok(())
}

/// Names have the first index in them, so the order of names is that of age.
async fn thin_out(files: &Arc<dyn Files>, apart: &str, log: &str) -> disk::Result<()> {
    let mut names = files.list(apart).await?;
    names.retain(|name| name.strip_prefix(log).is_some_and(|rest| rest.starts_with('-')));
    let old = names.len().saturating_sub(KEPT);
    for name in &names[..old] {
        files.remove(&format!("{apart}/{name}")).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tributary_store::disk::ErrorKind;
    use tributary_store::disk::memory::{Fault, MemoryDisk, Operation};
    use tributary_store::log::Index;

    use super::*;

    async fn damaged(disk: &MemoryDisk, first: u64) -> Damage {
        let path = format!("edge/journal/{first:020}.log");
        disk.create_dir("edge/journal").await.unwrap();
        disk.replace(&path, Bytes::from(first.to_string())).await.unwrap();
        Damage { path, from: Index(first), to: Index(first + 1), bytes: 1 }
    }

    async fn kept(disk: &MemoryDisk) -> Vec<String> {
        disk.list("edge/damaged").await.unwrap()
    }

    #[tokio::test]
    async fn a_damaged_file_outlives_its_trim_under_another_name() {
        let disk = MemoryDisk::new();
        let files: Arc<dyn Files> = Arc::new(disk.clone());
        set_apart(&files, "edge", "journal", &[]).await;
        assert_eq!(kept(&disk).await, [""; 0], "nothing is damaged");
        let damage = [damaged(&disk, 7).await];
        for _ in 0..2 {
            set_apart(&files, "edge", "journal", &damage).await;
            assert_eq!(kept(&disk).await, ["journal-00000000000000000007.log"]);
        }
        disk.remove(&damage[0].path).await.unwrap();
        disk.sync_dir("").await.unwrap();
        disk.crash(1);
        let bytes = disk.reopen().read("edge/damaged/journal-00000000000000000007.log").await;
        assert_eq!(bytes.unwrap(), Some(Bytes::from("7")));
    }

    #[tokio::test]
    async fn the_newest_are_kept_of_each_log() {
        let disk = MemoryDisk::new();
        let files: Arc<dyn Files> = Arc::new(disk.clone());
        let other = damaged(&disk, 3).await;
        set_apart(&files, "edge", "fingerprints", &[other]).await;
        for first in 0..20 {
            let damage = damaged(&disk, first).await;
            set_apart(&files, "edge", "journal", &[damage]).await;
        }
        let kept = kept(&disk).await;
        assert_eq!((kept.len(), &kept[0][..]), (KEPT + 1, "fingerprints-00000000000000000003.log"));
        assert_eq!(kept[1], "journal-00000000000000000012.log");
    }

    #[tokio::test]
    async fn a_disk_that_keeps_nothing_stops_nobody() {
        let disk = MemoryDisk::new();
        let files: Arc<dyn Files> = Arc::new(disk.clone());
        let damage = [damaged(&disk, 7).await];
        let (on, under, kind) = (Operation::Name, String::new(), ErrorKind::Full);
        disk.fail(Fault { on, under, after: 0, times: u64::MAX, kind });
        set_apart(&files, "edge", "journal", &damage).await;
        assert_eq!(kept(&disk).await, [""; 0]);
    }
}
