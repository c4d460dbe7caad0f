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
