//! The edge's persistent id: drawn once, kept beside its journal.

use bytes::Bytes;
use tributary_proto::EdgeId;
use tributary_store::disk::{self, DiskError, ErrorKind, Files};

/// Reads the id below `dir`; where there is none, keeps `fresh`.
pub(crate) async fn load_or_keep(
    files: &dyn Files,
    dir: &str,
    fresh: EdgeId,
) -> disk::Result<EdgeId> {
    let path = format!("{dir}/edge-id");
    match files.read(&path).await? {
        Some(text) => String::from_utf8_lossy(&text).trim().parse().map_err(|error| {
            let reason = format!("{error}: put the edge's own id back, or move the folder away");
            DiskError::new(ErrorKind::Corrupt, path, "reading", reason)
        }),
        None => {
            files.create_dir(dir).await?;
            files.replace(&path, Bytes::from(format!("{fresh}\n"))).await?;
            Ok(fresh)
        }
    }
}
