//! Reads of one version.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use rocksdb::{DBRawIterator, ReadOptions};

use super::families::Place;
use super::hop;
use super::sys::OwnedSnapshot;
use crate::disk::{FamilyId, KeyRange, Result, Row, Snapshot};

pub(super) struct RealSnapshot {
    version: Arc<Version>,
}

struct Version {
    snapshot: OwnedSnapshot,
    place: Arc<Place>,
}

impl RealSnapshot {
    pub(super) fn new(snapshot: OwnedSnapshot, place: Arc<Place>) -> Self {
        RealSnapshot { version: Arc::new(Version { snapshot, place }) }
    }
}

#[async_trait]
impl Snapshot for RealSnapshot {
    async fn get(&self, family: FamilyId, key: &[u8]) -> Result<Option<Bytes>> {
        let (version, key) = (Arc::clone(&self.version), Bytes::copy_from_slice(key));
        hop(move || version.get(family, &key)).await
    }

    async fn scan(&self, family: FamilyId, ranges: Vec<KeyRange>) -> Result<Vec<Vec<Row>>> {
        let version = Arc::clone(&self.version);
        hop(move || version.scan(family, &ranges, usize::MAX)).await
    }

    async fn page(&self, family: FamilyId, range: KeyRange, limit: usize) -> Result<Vec<Row>> {
        let version = Arc::clone(&self.version);
        let rows = hop(move || version.scan(family, &[range], limit)).await?;
        Ok(rows.into_iter().flatten().collect())
    }
}

impl Version {
    fn get(&self, family: FamilyId, key: &[u8]) -> Result<Option<Bytes>> {
        let family = self.place.family(self.snapshot.db(), family)?;
        let value = self.snapshot.get().get_pinned_cf(family, key);
        let value = value.map_err(|error| self.place.error("get", &error))?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    /// One iterator for all ranges: making one costs more than moving it.
    fn scan(&self, family: FamilyId, ranges: &[KeyRange], limit: usize) -> Result<Vec<Vec<Row>>> {
        let family = self.place.family(self.snapshot.db(), family)?;
        let mut options = ReadOptions::default();
        if let Some((least, _)) = ranges.iter().min() {
            options.set_iterate_lower_bound(least.clone());
        }
        if let Some(most) = ranges.iter().map(|(_, to)| to).max() {
            options.set_iterate_upper_bound(most.clone());
        }
        let mut iterator = self.snapshot.get().raw_iterator_cf_opt(family, options);
        ranges.iter().map(|range| self.rows(&mut iterator, range, limit)).collect()
    }

    fn rows(
        &self,
        iterator: &mut DBRawIterator<'_>,
        (from, to): &KeyRange,
        limit: usize,
    ) -> Result<Vec<Row>> {
        let mut found = Found::default();
        if from < to && limit > 0 {
            iterator.seek(from);
            while let Some((key, value)) = iterator.item().filter(|(key, _)| *key < to.as_slice()) {
                found.push(key, value);
                if found.ends.len() == limit {
                    break;
                }
                iterator.next();
            }
            iterator.status().map_err(|error| self.place.error("scan", &error))?;
        }
        Ok(found.rows())
    }
}

/// Rows of one range in one piece of memory: two allocations in place of two a row.
#[derive(Default)]
struct Found {
    bytes: Vec<u8>,
    ends: Vec<(usize, usize)>,
}

impl Found {
    fn push(&mut self, key: &[u8], value: &[u8]) {
        self.bytes.extend_from_slice(key);
        let key_end = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.ends.push((key_end, self.bytes.len()));
    }

    fn rows(self) -> Vec<Row> {
        let bytes = Bytes::from(self.bytes);
        let mut at = 0;
        let row = |(key_end, end): (usize, usize)| {
            let row = (bytes.slice(at..key_end), bytes.slice(key_end..end));
            at = end;
            row
        };
        self.ends.into_iter().map(row).collect()
    }
}
