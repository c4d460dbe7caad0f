//! From gathered content to the batch that one commit writes.

use std::collections::BTreeMap;

use tributary_spanmetrics::{Content, Delta, Layout, Tenant, WindowEnd};

use super::dictionary::Dictionary;
use super::gather::Gathered;
use super::touched::Touched;
use crate::disk::Batch;
use crate::family::blocks::{self, BlockKey};
use crate::family::commit::{CommitRow, SourceState};
use crate::family::dictionary::Definition;
use crate::family::samples::{self, Points, SampleKey};
use crate::family::totals;
use crate::family::{self, OF_SAMPLES, Stretch};
use crate::windows::Windows;

/// The rows of a commit, and what memory has to learn once they are written.
#[derive(Debug)]
pub(crate) struct Commit {
    pub(crate) row: CommitRow,
    pub(crate) batch: Batch,
    pub(crate) learned: Vec<(Tenant, Definition)>,
    pub(crate) touched: Touched,
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
                for (stretch_ms, windows) in
                    windows_by_stretch(&of_group.windows, &of_layout.layout)
                {
                    let (tenant, group, layout) = (tenant.clone(), *group, *layout);
                    let key = BlockKey { tenant, group, stretch_ms, layout };
                    put_block(batch, &key, id, &windows, &of_layout.layout);
                    touched.blocks.insert(key);
                }
            }
        }
        for (series, of_series) in &content.samples {
            for (stretch_ms, points) in points_by_stretch(&of_series.points) {
                let key = SampleKey { tenant: tenant.clone(), series: *series, stretch_ms };
                put_samples(batch, &key, id, &points);
                touched.samples.insert(key);
            }
        }
    }
    touched
}

/// A block and its total, which never stand without each other.
pub(crate) fn put_block(
    batch: &mut Batch,
    key: &BlockKey,
    id: u64,
    windows: &Windows,
    layout: &Layout,
) {
    batch.put(family::BLOCKS, key.row(id), blocks::encode(windows, layout));
    batch.put(family::TOTALS, key.row(id), totals::encode(windows));
}

pub(crate) fn put_samples(batch: &mut Batch, key: &SampleKey, id: u64, points: &Points) {
    batch.put(family::SAMPLES, key.row(id), samples::encode(points));
}

fn windows_by_stretch(
    windows: &BTreeMap<WindowEnd, Delta>,
    layout: &Layout,
) -> BTreeMap<i64, Windows> {
    let stretch = Stretch::of(layout);
    let mut stretches = BTreeMap::new();
    for (end, delta) in windows {
        let empty = || Windows::new(layout.buckets());
        stretches.entry(stretch.start(end.0)).or_insert_with(empty).push(*end, delta);
    }
    stretches
}

fn points_by_stretch(points: &Points) -> BTreeMap<i64, Points> {
    let mut stretches = BTreeMap::<i64, Points>::new();
    for (time_ms, bits) in points {
        stretches.entry(OF_SAMPLES.start(*time_ms)).or_default().insert(*time_ms, *bits);
    }
    stretches
}
