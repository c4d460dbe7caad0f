//! What a reader of a shard holds: one commit's state, unmoved by later ones.
//!
//! A counter's value at a time is the totals of all stretches before, plus the windows since. So a
//! history of a group is an opening sum and the windows behind it, by layout.

use std::collections::BTreeMap;
use std::sync::Arc;

use tributary_spanmetrics::{
    Delta, GroupId, Layout, LayoutId, SampleBits, SeriesId, Tenant, WindowEnd,
};

use super::dictionary::{Dictionary, TenantDictionary};
use super::head::{Head, TenantChunk};
use super::sources::{Completeness, Sources};
use crate::Totals;
use crate::disk::{self, DiskError, ErrorKind, FamilyId, KeyRange, Row, Snapshot};
use crate::family::blocks::{self, BlockKey};
use crate::family::samples::{self, SampleKey};
use crate::family::{self, Damaged, LONGEST, OF_SAMPLES, Stretch, after_prefix};
use crate::windows::Windows;

#[derive(Clone)]
pub struct View {
    pub(crate) snapshot: Arc<dyn Snapshot>,
    /// What the snapshot does not hold yet.
    pub(crate) head: Head,
    pub(crate) dictionary: Arc<Dictionary>,
    pub(crate) sources: Arc<Sources>,
    /// Entries applied.
    pub(crate) applied: u64,
    pub(crate) dir: Arc<str>,
}

/// A group's deltas in a range of time.
#[derive(Clone, Debug, Default)]
pub struct GroupHistory {
    pub layouts: BTreeMap<LayoutId, LayoutHistory>,
    /// Rows that were damaged and left out, with what is wrong with each.
    pub damaged: Vec<String>,
}

/// A series' samples in a range of time.
#[derive(Clone, Debug, Default)]
pub struct SampleHistory {
    pub points: BTreeMap<i64, SampleBits>,
    /// Rows that were damaged and left out, with what is wrong with each.
    pub damaged: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct LayoutHistory {
    pub layout: Arc<Layout>,
    /// The sum of everything up to the start of the range.
    pub opening: Totals,
    pub windows: Windows,
}

impl LayoutHistory {
    fn stretch(&self) -> Stretch {
        Stretch::of(&self.layout)
    }

    fn add(&mut self, deltas: impl Iterator<Item = (WindowEnd, Delta)>, from_ms: i64, to_ms: i64) {
        for (end, delta) in deltas.take_while(|(end, _)| end.0 <= to_ms) {
            if end.0 <= from_ms {
                self.opening.add_delta(&delta);
            } else {
                self.windows.add_delta(end, &delta);
            }
        }
    }
}

impl View {
    pub fn tenant(&self, tenant: &Tenant) -> Option<&TenantDictionary> {
        self.dictionary.tenant(tenant)
    }

    pub fn completeness(&self) -> Completeness {
        self.sources.completeness()
    }

    /// The groups' deltas in windows with `from_ms < end <= to_ms`, and their sums up to `from_ms`.
    pub async fn group_histories(
        &self,
        tenant: &Tenant,
        groups: &[GroupId],
        from_ms: i64,
        to_ms: i64,
    ) -> disk::Result<Vec<GroupHistory>> {
        let mut histories = vec![GroupHistory::default(); groups.len()];
        let Some(known) = self.dictionary.tenant(tenant) else { return Ok(histories) };
        let of_group = |group| BlockKey::of_group(tenant, group);
        // A block that begins before `from_ms` may reach behind it; its own stretch says whether it does.
        let first = LONGEST.start(from_ms.saturating_add(1));
        let before = ranges(groups, |id| (of_group(id).done(), of_group(id).time(from_ms).done()));
        let totals = self.snapshot.scan(family::TOTALS, before).await?;
        let inside =
            ranges(groups, |id| (of_group(id).time(first).done(), of_group(id).time(to_ms).done()));
        let blocks = self.snapshot.scan(family::BLOCKS, inside).await?;
        for (history, rows) in histories.iter_mut().zip(&totals) {
            history.add_rows(rows, known, |of_layout, stretch_ms, value| {
                if of_layout.stretch().end(stretch_ms) <= from_ms {
                    of_layout.opening.add(&Totals::decode(value, &of_layout.layout)?);
                }
                Ok(())
            });
        }
        for (history, rows) in histories.iter_mut().zip(&blocks) {
            history.add_rows(rows, known, |of_layout, stretch_ms, value| {
                if of_layout.stretch().end(stretch_ms) > from_ms {
                    let windows = blocks::decode(value, &of_layout.layout)?;
                    let (from, to) = (windows.until(from_ms), windows.until(to_ms));
                    windows.add_to(0..from, &mut of_layout.opening);
                    of_layout.windows.add(windows.rows(from..to.max(from)));
                }
                Ok(())
            });
        }
        for (layout_id, held) in self.head.of_tenant(tenant).flat_map(TenantChunk::layouts) {
            let Some(layout) = known.layouts.get(&layout_id) else { continue };
            for (history, group) in histories.iter_mut().zip(groups) {
                if let Some(deltas) = held.group(*group) {
                    history.layout(layout_id, layout).add(deltas.deltas(layout), from_ms, to_ms);
                }
            }
        }
        histories.iter_mut().for_each(GroupHistory::forget_empty);
        Ok(histories)
    }

    /// The series' samples with `from_ms < time <= to_ms`.
    pub async fn samples(
        &self,
        tenant: &Tenant,
        series: &[SeriesId],
        from_ms: i64,
        to_ms: i64,
    ) -> disk::Result<Vec<SampleHistory>> {
        let of_series = |id| SampleKey::of_series(tenant, id);
        let first = OF_SAMPLES.start(from_ms.saturating_add(1));
        let inside = ranges(series, |id| {
            (of_series(id).time(first).done(), of_series(id).time(to_ms).done())
        });
        let scanned = self.snapshot.scan(family::SAMPLES, inside).await?;
        let mut answer = Vec::with_capacity(series.len());
        for (rows, series) in scanned.iter().zip(series) {
            let mut history = SampleHistory::default();
            for (key, value) in rows {
                match samples::decode(value) {
                    Ok(later) => samples::add_later(&mut history.points, later),
                    Err(damage) => {
                        history
                            .damaged
                            .push(self.damaged(family::SAMPLES, key, damage).to_string());
                    }
                }
            }
            let held = self.head.of_tenant(tenant).filter_map(|held| held.samples().get(series));
            held.for_each(|later| samples::add_later(&mut history.points, later.clone()));
            history.points = history.points.split_off(&from_ms.saturating_add(1));
            history.points.split_off(&to_ms.saturating_add(1));
            answer.push(history);
        }
        Ok(answer)
    }

    pub(crate) fn damaged(&self, family: FamilyId, key: &[u8], damage: Damaged) -> DiskError {
        damaged_row(&self.dir, family, key, damage)
    }
}

impl GroupHistory {
    fn layout(&mut self, id: LayoutId, layout: &Arc<Layout>) -> &mut LayoutHistory {
        self.layouts.entry(id).or_insert_with(|| LayoutHistory {
            layout: layout.clone(),
            opening: Totals::default(),
            windows: Windows::new(layout.buckets()),
        })
    }

    /// A layout of which there is nothing up to the end of the range, though a row was looked at.
    fn forget_empty(&mut self) {
        let is_there =
            |of: &LayoutHistory| !of.windows.is_empty() || of.opening != Totals::default();
        self.layouts.retain(|_, of_layout| is_there(of_layout));
    }

    fn add_rows(
        &mut self,
        rows: &[Row],
        known: &TenantDictionary,
        mut add: impl FnMut(&mut LayoutHistory, i64, &[u8]) -> Result<(), Damaged>,
    ) {
        for (key, value) in rows {
            let Some((key, id)) = BlockKey::decode(key) else {
                self.damaged.push("a row's key cannot be read".into());
                continue;
            };
            let Some(layout) = known.layouts.get(&key.layout) else {
                self.damaged.push(format!("layout {:016x} is not in the dictionary", key.layout.0));
                continue;
            };
            if let Err(damage) = add(self.layout(key.layout, layout), key.stretch_ms, value) {
                let (group, stretch) = (key.group, key.stretch_ms);
                self.damaged
                    .push(format!("group {group}, stretch {stretch}, commit {id}: {damage}"));
            }
        }
    }
}

pub(crate) fn damaged_row(dir: &str, family: FamilyId, key: &[u8], damage: Damaged) -> DiskError {
    let name = family::NAMES[family];
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let reason = format!("row {hex}: {damage}");
    DiskError::new(ErrorKind::Corrupt, format!("{dir}/{name}"), "reading", reason)
}

pub(crate) fn all_of(prefix: Vec<u8>) -> KeyRange {
    let end = after_prefix(&prefix);
    (prefix, end)
}

fn ranges<I: Copy>(ids: &[I], range: impl Fn(I) -> KeyRange) -> Vec<KeyRange> {
    ids.iter().map(|id| range(*id)).collect()
}
