//! The rows of one folder's families, every version that somebody may still want.
//!
//! A row keeps its versions by batch number. A snapshot is a number; so is the last flush, which
//! is what a crash may fall back to; so is the prefix of later batches that the crash happens to keep.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::Bytes;

use super::dice::Dice;
use crate::disk::{Batch, KeyRange, Op, Row};

type Versions = Vec<(u64, Option<Bytes>)>;
type Name = &'static str;

#[derive(Default)]
pub(super) struct Tables {
    families: BTreeMap<Name, BTreeMap<Bytes, Versions>>,
    batches: u64,
    flushed: u64,
    snapshots: BTreeMap<u64, usize>,
    /// Rows with more to them than one value.
    untidy: BTreeSet<(Name, Bytes)>,
    pub(super) is_open: bool,
    /// A flush or a write failed: nothing is written any more until it is opened anew.
    pub(super) has_failed: bool,
    /// Some of its files were taken away: it cannot be opened again.
    pub(super) is_torn: bool,
}

impl Tables {
    pub(super) fn add_families(&mut self, names: &[Name]) {
        for name in names {
            self.families.entry(name).or_default();
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = Name> + '_ {
        self.families.keys().copied()
    }

    pub(super) fn write(&mut self, names: &[Name], batch: Batch) {
        self.batches += 1;
        for op in batch.ops {
            match op {
                Op::Put(family, key, value) => {
                    self.put(names[family], key.into(), Some(value.into()));
                }
                Op::Delete(family, key) => self.put(names[family], key.into(), None),
                Op::DeleteRange(family, from, to) => {
                    let range = (from, to);
                    for (key, _) in self.rows(names[family], self.batches, &range, usize::MAX) {
                        self.put(names[family], key, None);
                    }
                }
            }
        }
    }

    pub(super) fn flush(&mut self) {
        self.flushed = self.batches;
        self.tidy();
    }

    pub(super) fn snapshot(&mut self) -> u64 {
        *self.snapshots.entry(self.batches).or_default() += 1;
        self.batches
    }

    pub(super) fn release(&mut self, snapshot: u64) {
        if let Some(count) = self.snapshots.get_mut(&snapshot) {
            *count -= 1;
            if *count == 0 {
                self.snapshots.remove(&snapshot);
            }
        }
    }

    pub(super) fn get(&self, name: Name, at: u64, key: &[u8]) -> Option<Bytes> {
        seen(self.families[name].get(key)?, at).cloned()
    }

    pub(super) fn rows(&self, name: Name, at: u64, range: &KeyRange, limit: usize) -> Vec<Row> {
        if range.0 >= range.1 {
            return Vec::new();
        }
        let bounds = (Bound::Included(range.0.as_slice()), Bound::Excluded(range.1.as_slice()));
        self.families[name]
            .range::<[u8], _>(bounds)
            .filter_map(|(key, versions)| Some((key.clone(), seen(versions, at)?.clone())))
            .take(limit)
            .collect()
    }

    /// The process dies: some prefix of the batches since the last flush is left.
    pub(super) fn crash(&mut self, dice: &mut Dice) {
        let unflushed = (self.batches - self.flushed) as usize;
        let at = self.flushed + dice.up_to(unflushed) as u64;
        for rows in self.families.values_mut() {
            rows.retain(|_, versions| {
                versions.retain(|(batch, _)| *batch <= at);
                seen(versions, at).is_some()
            });
        }
        (self.batches, self.flushed) = (at, at);
        self.snapshots.clear();
        self.is_open = false;
        self.has_failed = false;
        self.tidy();
    }

    /// Closed in peace: what was written and not flushed stays, as in a process that reopens it. What could
    /// not be flushed is lost then, as in a crash.
    pub(super) fn close(&mut self) {
        if self.has_failed {
            self.crash(&mut Dice::new(self.batches));
        }
        self.is_open = false;
    }

    pub(super) fn bytes(&self) -> u64 {
        let rows = self.families.values().flatten();
        rows.filter_map(|(key, versions)| Some(key.len() + seen(versions, u64::MAX)?.len()))
            .map(|len| len as u64)
            .sum()
    }

    fn put(&mut self, name: Name, key: Bytes, value: Option<Bytes>) {
        let versions = self.families.entry(name).or_default().entry(key.clone()).or_default();
        if versions.last().is_some_and(|(batch, _)| *batch == self.batches) {
            versions.pop();
        }
        let is_tidy = versions.is_empty() && value.is_some();
        versions.push((self.batches, value));
        if !is_tidy {
            self.untidy.insert((name, key));
        }
    }

    /// Forgets the versions that neither a snapshot nor a crash can ask for.
    fn tidy(&mut self) {
        let oldest = self.snapshots.keys().next().copied().unwrap_or(u64::MAX).min(self.flushed);
        let families = &mut self.families;
        self.untidy.retain(|(name, key)| {
            let Some(rows) = families.get_mut(name) else {
                return false;
            };
            let Some(versions) = rows.get_mut(key) else {
                return false;
            };
            let old = versions.iter().take_while(|(batch, _)| *batch <= oldest).count();
            versions.drain(..old.saturating_sub(1));
            match versions.as_slice() {
                [(batch, None)] if *batch <= oldest => {
                    rows.remove(key);
                    false
                }
                [(_, Some(_))] => false,
                _ => true,
            }
        });
    }
}

fn seen(versions: &Versions, at: u64) -> Option<&Bytes> {
    versions.iter().rev().find(|(batch, _)| *batch <= at)?.1.as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [Name; 1] = ["rows"];

    fn put(tables: &mut Tables, key: &str, value: &str) {
        let mut batch = Batch::default();
        batch.put(0, key, value);
        tables.write(&NAMES, batch);
    }

    #[test]
    fn versions_nobody_wants_are_forgotten() {
        let mut tables = Tables::default();
        tables.add_families(&NAMES);
        for round in 0..10 {
            put(&mut tables, "key", &round.to_string());
        }
        let mut batch = Batch::default();
        put(&mut tables, "gone", "x");
        batch.delete(0, "gone");
        tables.write(&NAMES, batch);
        let held = tables.snapshot();
        put(&mut tables, "key", "last");
        tables.flush();
        assert_eq!(tables.families["rows"][&b"key"[..]].len(), 2);
        tables.release(held);
        tables.flush();
        assert_eq!(tables.families["rows"].len(), 1);
        assert_eq!(tables.families["rows"][&b"key"[..]].len(), 1);
        assert!(tables.untidy.is_empty());
    }
}
