//! From what is in memory to the batch that one checkpoint writes.
//!
//! All of it is one batch, so a crash keeps all or nothing; and it says all that memory holds, so one that failed, or of
//! which it is not known whether it did, is simply written again under the same id.

use tributary_spanmetrics::Layout;

use super::state::State;
use super::touched::Touched;
use crate::disk::Batch;
use crate::family::blocks::{self, BlockKey};
use crate::family::commit::{CommitRow, SourceState};
use crate::family::samples::{self, Points, SampleKey};
use crate::family::{self, totals};
use crate::windows::Windows;

#[derive(Debug)]
pub(crate) struct Checkpoint {
    pub(crate) row: CommitRow,
    pub(crate) batch: Batch,
    pub(crate) touched: Touched,
}

impl Checkpoint {
    /// `logged`: entries that are in the log. What was applied besides is words that sources say again.
    pub(crate) fn of(before: CommitRow, state: &State, logged: u64) -> Self {
        let row = CommitRow { id: before.id + 1, applied: logged };
        let (mut batch, mut touched) = (Batch::default(), Touched::default());
        for (tenant, definition) in state.definitions() {
            batch.put(family::DICTIONARY, definition.key(tenant), definition.value());
        }
        let dictionary = &state.view.dictionary;
        let rows = state.view.head.rows(dictionary);
        for (key, windows) in rows.blocks {
            put_block(
                &mut batch,
                &key,
                row.id,
                &windows,
                dictionary.layout(&key.tenant, key.layout),
            );
            touched.blocks.insert(key);
        }
        for (key, points) in rows.samples {
            put_samples(&mut batch, &key, row.id, &points);
            touched.samples.insert(key);
        }
        for (source, state) in state.sources() {
            batch.put(family::COMMIT, SourceState::key(source), state.value());
        }
        batch.put(family::COMMIT, CommitRow::key(), row.value());
        Checkpoint { row, batch, touched }
    }
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
