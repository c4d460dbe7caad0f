//! The head: what was applied since the last checkpoint, in memory.
//!
//! It is a list of chunks, one for each commit, that never change: a reader's version of it is a list of its own. A
//! chunk knows up to which entry it goes, so what a checkpoint has made rows of can be told from what came later.

use std::collections::BTreeMap;
use std::sync::Arc;

use tributary_spanmetrics::Tenant;

mod chunk;

pub(crate) use chunk::{Chunk, TenantChunk};

use super::dictionary::Dictionary;
use crate::family::blocks::BlockKey;
use crate::family::samples::{Points, SampleKey};
use crate::family::{OF_SAMPLES, Stretch};
use crate::windows::Windows;

#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    chunks: Arc<Vec<Arc<Chunk>>>,
    bytes: usize,
}

/// What a checkpoint writes, by the rows that it becomes.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) blocks: BTreeMap<BlockKey, Windows>,
    pub(crate) samples: BTreeMap<SampleKey, Points>,
}

impl Head {
    pub(crate) fn push(&mut self, chunk: Chunk) {
        self.bytes += chunk.bytes();
        Arc::make_mut(&mut self.chunks).push(Arc::new(chunk));
    }

    /// Forgets what rows hold: all chunks that go no further than to `applied`.
    pub(crate) fn drop_until(&mut self, applied: u64) {
        let chunks = Arc::make_mut(&mut self.chunks);
        chunks.retain(|chunk| chunk.until() > applied);
        self.bytes = chunks.iter().map(|chunk| chunk.bytes()).sum();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    pub(crate) fn chunks(&self) -> usize {
        self.chunks.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// In the order in which they came.
    pub(crate) fn of_tenant(&self, tenant: &Tenant) -> impl Iterator<Item = &TenantChunk> {
        self.chunks.iter().filter_map(|chunk| chunk.tenant(tenant))
    }

    /// All of it, as rows.
    pub(crate) fn rows(&self, dictionary: &Dictionary) -> Rows {
        let mut rows = Rows::default();
        for (tenant, chunk) in self.chunks.iter().flat_map(|chunk| chunk.tenants()) {
            for (id, groups) in chunk.layouts() {
                let layout = dictionary.layout(tenant, id);
                let stretch = Stretch::of(layout);
                for (group, windows) in groups.groups() {
                    for (end, delta) in windows.deltas(layout) {
                        let (tenant, stretch_ms) = (tenant.clone(), stretch.start(end.0));
                        let key = BlockKey { tenant, group, stretch_ms, layout: id };
                        let empty = || Windows::new(layout.buckets());
                        rows.blocks.entry(key).or_insert_with(empty).add_delta(end, &delta);
                    }
                }
            }
            for (series, points) in chunk.samples() {
                for (time_ms, bits) in points {
                    let stretch_ms = OF_SAMPLES.start(*time_ms);
                    let key = SampleKey { tenant: tenant.clone(), series: *series, stretch_ms };
                    rows.samples.entry(key).or_default().entry(*time_ms).or_insert(*bits);
                }
            }
        }
        rows
    }
}
