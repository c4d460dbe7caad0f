//! Ordered families of the memory disk.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;

use super::faults::Operation;
use super::tables::Tables;
use super::{MemoryDisk, State, locked, refusal};
use crate::disk::{
    Batch, DiskError, ErrorKind, Families, FamilyId, KeyRange, Op, Result, Row, Snapshot,
};

type Names = &'static [&'static str];

#[derive(Clone)]
pub(super) struct MemoryFamilies {
    opened: Arc<Opened>,
}

/// Held by the families and by every snapshot of them: while one lives, nobody else can open them.
struct Opened {
    disk: MemoryDisk,
    dir: String,
    names: Names,
    tables: Arc<Mutex<Tables>>,
}

struct MemorySnapshot {
    opened: Arc<Opened>,
    at: u64,
}

impl MemoryFamilies {
    pub(super) async fn open(disk: &MemoryDisk, dir: &str, names: Names) -> Result<Self> {
        let tables = disk.act(Operation::Open, dir, |state| open(state, dir, names)).await?;
        let opened = Opened { disk: disk.clone(), dir: dir.to_owned(), names, tables };
        Ok(MemoryFamilies { opened: Arc::new(opened) })
    }
}

fn open(state: &mut State, dir: &str, names: Names) -> Result<Arc<Mutex<Tables>>> {
    let refuse = |kind, reason: &str| Err(DiskError::new(kind, dir, "open families", reason));
    let folder = state.tree.make(dir)?;
    state.tree.keep(dir)?;
    let tables = Arc::clone(locked(&folder).tables.get_or_insert_default());
    let mut inner = locked(&tables);
    if inner.is_open {
        return refuse(ErrorKind::Locked, "already open");
    }
    if inner.is_torn {
        return refuse(ErrorKind::Corrupt, "a part of it was removed");
    }
    if let Some(name) = inner.names().find(|name| !names.contains(name)) {
        let reason = format!("it has a family {name:?} that was not asked for");
        return refuse(ErrorKind::Io, &reason);
    }
    inner.add_families(names);
    inner.is_open = true;
    drop(inner);
    let known = Arc::downgrade(&tables);
    if !state.tables.iter().any(|other| other.ptr_eq(&known)) {
        state.tables.push(known);
    }
    Ok(tables)
}

#[async_trait]
impl Families for MemoryFamilies {
    async fn write(&self, batch: Batch) -> Result<()> {
        let Opened { disk, dir, names, tables } = &*self.opened;
        disk.act_or_fail(Operation::Write, dir, |_, refused| {
            sound(tables, dir, refused)?;
            for op in &batch.ops {
                let (Op::Put(family, ..) | Op::Delete(family, _) | Op::DeleteRange(family, ..)) =
                    op;
                check(dir, names, *family)?;
            }
            locked(tables).write(names, batch);
            Ok(())
        })
        .await
    }

    async fn flush(&self) -> Result<()> {
        let Opened { disk, dir, tables, .. } = &*self.opened;
        disk.act_or_fail(Operation::Flush, dir, |state, refused| {
            sound(tables, dir, refused)?;
            if state.capacity.is_some_and(|capacity| state.tree.used() > capacity) {
                return Err(refusal(ErrorKind::Full, Operation::Flush, dir));
            }
            locked(tables).flush();
            Ok(())
        })
        .await
    }

    fn snapshot(&self) -> Arc<dyn Snapshot> {
        let at = locked(&self.opened.tables).snapshot();
        Arc::new(MemorySnapshot { opened: Arc::clone(&self.opened), at })
    }
}

#[async_trait]
impl Snapshot for MemorySnapshot {
    async fn get(&self, family: FamilyId, key: &[u8]) -> Result<Option<Bytes>> {
        self.read(family, |tables, name| tables.get(name, self.at, key)).await
    }

    async fn scan(&self, family: FamilyId, ranges: Vec<KeyRange>) -> Result<Vec<Vec<Row>>> {
        self.read(family, |tables, name| {
            ranges.iter().map(|range| tables.rows(name, self.at, range, usize::MAX)).collect()
        })
        .await
    }

    async fn page(&self, family: FamilyId, range: KeyRange, limit: usize) -> Result<Vec<Row>> {
        self.read(family, |tables, name| tables.rows(name, self.at, &range, limit)).await
    }
}

impl MemorySnapshot {
    async fn read<T: Send>(
        &self,
        family: FamilyId,
        read: impl FnOnce(&Tables, &'static str) -> T + Send,
    ) -> Result<T> {
        let Opened { disk, dir, names, tables } = &*self.opened;
        disk.act(Operation::Read, dir, |_| {
            check(dir, names, family)?;
            Ok(read(&locked(tables), names[family]))
        })
        .await
    }
}

/// Neither refused now nor failed before. A lack of room is forgotten once there is some.
fn sound(tables: &Mutex<Tables>, dir: &str, refused: Option<DiskError>) -> Result<()> {
    let mut tables = locked(tables);
    if let Some(error) = refused {
        tables.has_failed |= error.kind != ErrorKind::Full;
        return Err(error);
    }
    if tables.has_failed {
        let reason = "a flush or a write failed before; open them anew";
        return Err(DiskError::new(ErrorKind::Io, dir, "use families", reason));
    }
    Ok(())
}

fn check(dir: &str, names: Names, family: FamilyId) -> Result<()> {
    if family < names.len() {
        return Ok(());
    }
    let reason = format!("family {family} of {}", names.len());
    Err(DiskError::new(ErrorKind::Io, dir, "find family", reason))
}

impl Drop for MemorySnapshot {
    fn drop(&mut self) {
        let Opened { disk, tables, .. } = &*self.opened;
        disk.release(|_| locked(tables).release(self.at));
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.disk.release(|_| locked(&self.tables).close());
    }
}
