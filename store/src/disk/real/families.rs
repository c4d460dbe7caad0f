//! Families in one RocksDB.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use rocksdb::{
    ColumnFamily, ColumnFamilyDescriptor, DB, DEFAULT_COLUMN_FAMILY_NAME, FlushOptions, WriteBatch,
    WriteOptions,
};

use super::engine::Engine;
use super::hop;
use super::manifest;
use super::snapshot::RealSnapshot;
use super::sys::OwnedSnapshot;
use crate::disk::{Batch, DiskError, ErrorKind, Families, FamilyId, Op, Result, Snapshot};

pub(super) struct RealFamilies {
    db: Arc<DB>,
    place: Arc<Place>,
}

/// Which database this is, for lookups and errors.
pub(super) struct Place {
    dir: String,
    names: &'static [&'static str],
}

pub(super) fn open(
    engine: &Engine,
    dir: &str,
    full: &Path,
    names: &'static [&'static str],
) -> Result<RealFamilies> {
    let place = Place { dir: dir.to_owned(), names };
    std::fs::create_dir_all(full).map_err(|error| DiskError::io(dir, "make folder", &error))?;
    // The default family is always there. Unless it is described it gets buffers of its own size.
    let families = [DEFAULT_COLUMN_FAMILY_NAME].iter().chain(names);
    let families = families.map(|name| ColumnFamilyDescriptor::new(*name, engine.family()));
    manifest::mend(dir, full)?;
    let db = DB::open_cf_descriptors(&engine.database(), full, families)
        .map_err(|error| manifest::advised(place.error("open families", &error)))?;
    let db = Arc::new(db);
    engine.opened(&db);
    Ok(RealFamilies { db, place: Arc::new(place) })
}

#[async_trait]
impl Families for RealFamilies {
    async fn write(&self, batch: Batch) -> Result<()> {
        let (db, place) = (Arc::clone(&self.db), Arc::clone(&self.place));
        hop(move || {
            let mut options = WriteOptions::default();
            options.disable_wal(true);
            db.write_opt(place.encode(&db, &batch)?, &options)
                .map_err(|error| place.error("write batch", &error))
        })
        .await
    }

    async fn flush(&self) -> Result<()> {
        let (db, place) = (Arc::clone(&self.db), Arc::clone(&self.place));
        hop(move || {
            let families: Vec<&ColumnFamily> = (0..place.names.len())
                .map(|family| place.family(&db, family))
                .collect::<Result<_>>()?;
            db.flush_cfs_opt(&families, &FlushOptions::default())
                .map_err(|error| place.error("flush", &error))
        })
        .await
    }

    fn snapshot(&self) -> Arc<dyn Snapshot> {
        let snapshot = OwnedSnapshot::take(Arc::clone(&self.db));
        Arc::new(RealSnapshot::new(snapshot, Arc::clone(&self.place)))
    }
}

impl Place {
    pub(super) fn family<'a>(&self, db: &'a DB, family: FamilyId) -> Result<&'a ColumnFamily> {
        self.names.get(family).and_then(|name| db.cf_handle(name)).ok_or_else(|| {
            let reason = format!("family {family} of {}", self.names.len());
            DiskError::new(ErrorKind::Io, &self.dir, "find family", reason)
        })
    }

    fn encode(&self, db: &DB, batch: &Batch) -> Result<WriteBatch> {
        let mut out = WriteBatch::default();
        for op in &batch.ops {
            match op {
                Op::Put(family, key, value) => out.put_cf(self.family(db, *family)?, key, value),
                Op::Delete(family, key) => out.delete_cf(self.family(db, *family)?, key),
                Op::DeleteRange(family, from, to) => {
                    let family = self.family(db, *family)?;
                    // RocksDB takes an empty range for a mistake.
                    if from < to {
                        out.delete_range_cf(family, from, to);
                    }
                }
            }
        }
        Ok(out)
    }

    pub(super) fn error(&self, doing: &'static str, error: &rocksdb::Error) -> DiskError {
        let reason = error.to_string();
        let kind = match error.kind() {
            rocksdb::ErrorKind::Corruption => ErrorKind::Corrupt,
            _ if reason.contains("No space left") => ErrorKind::Full,
            _ if reason.contains("lock hold by") || reason.contains("While lock file") => {
                ErrorKind::Locked
            }
            _ => ErrorKind::Io,
        };
        DiskError::new(kind, &self.dir, doing, reason)
    }
}
