//! From gathered content to the batch that one commit writes.

use std::collections::{BTreeMap, BTreeSet};

use tributary_spanmetrics::{Content, WindowEnd};

use super::dictionary::Dictionary;
use super::gather::Gathered;
use crate::disk::Batch;
use crate::family::blocks::{self, BlockKey, Windows};
use crate::family::commit::{CommitRow, SourceState};
use crate::family::dictionary::Definition;
use crate::family::samples::{self, Points, SampleKey};
use crate::family::totals::Totals;
use crate::family::{self, stretch_of};
use tributary_spanmetrics::Tenant;

/// The rows of a commit, and what memory has to learn once they are written.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) row: CommitRow,
    pub(crate) batch: Batch,
    pub(crate) learned: Vec<(Tenant, Definition)>,
    pub(crate) touched: Touched,
}

/// The stretches that got a further row.
#[derive(Clone, Debug, Default)]
pub(crate) struct Touched {
    pub(crate) blocks: BTreeSet<BlockKey>,
    pub(crate) samples: BTreeSet<SampleKey>,
}

pub(crate) fn commit(
    before: CommitRow,
    entries: u64,
    gathered: &Gathered,
    dictionary: &Dictionary,
) -> Commit {
    let row = CommitRow { id: before.id + 1, applied: before.applied + entries };
    let mut batch = Batch::default();
    let learned = dictionary.unknown_in(&gathered.content);
    for (tenant, definition) in &learned {
        batch.put(family::DICTIONARY, definition.key(tenant), definition.value());
    }
    let touched = rows(&gathered.content, row.id, &mut batch);
    for (source, state) in &gathered.sources {
        batch.put(family::COMMIT, SourceState::key(*source), state.value());
    }
    batch.put(family::COMMIT, CommitRow::key(), row.value());
    Commit { row, batch, learned, touched }
}

fn rows(content: &Content, id: u64, batch: &mut Batch) -> Touched {
    let mut touched = Touched::default();
    for (tenant, content) in &content.tenants {
        for (layout, of_layout) in &content.layouts {
            for (group, of_group) in &of_layout.groups {
                let at = |end: &WindowEnd| stretch_of(end.0);
                for (stretch_ms, windows) in by_stretch(&of_group.windows, at) {
                    let (tenant, group, layout) = (tenant.clone(), *group, *layout);
                    let key = BlockKey { tenant, group, stretch_ms, layout };
                    put_block(batch, &key, id, &windows);
                    touched.blocks.insert(key);
                }
            }
        }
        for (series, of_series) in &content.samples {
            for (stretch_ms, points) in
                by_stretch(&of_series.points, |time_ms| stretch_of(*time_ms))
            {
                let key = SampleKey { tenant: tenant.clone(), series: *series, stretch_ms };
                put_samples(batch, &key, id, &points);
                touched.samples.insert(key);
            }
        }
    }
    touched
}

/// A block and its total, which never stand without each other.
pub(crate) fn put_block(batch: &mut Batch, key: &BlockKey, id: u64, windows: &Windows) {
    batch.put(family::BLOCKS, key.row(id), blocks::encode(windows));
    batch.put(family::TOTALS, key.row(id), Totals::of(windows).encode());
}

pub(crate) fn put_samples(batch: &mut Batch, key: &SampleKey, id: u64, points: &Points) {
    batch.put(family::SAMPLES, key.row(id), samples::encode(points));
}

fn by_stretch<K: Ord + Copy, V: Clone>(
    columns: &BTreeMap<K, V>,
    stretch_of: impl Fn(&K) -> i64,
) -> BTreeMap<i64, BTreeMap<K, V>> {
    let mut stretches = BTreeMap::<i64, BTreeMap<K, V>>::new();
    for (at, value) in columns {
        stretches.entry(stretch_of(at)).or_default().insert(*at, value.clone());
    }
    stretches
}
