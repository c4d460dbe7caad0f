//! The store as a series source: deltas become series here and nowhere else.
//!
//! A group's series have a sample at every window's end, from one window before its birth (zero, so
//! that `rate()` loses no first increment) until the idle time after its last delta; a group that
//! comes back repeats its old value one window earlier. Stored samples are answered as they stand.
//!
//! ```text
//! matchers ─wanted─▶ groups, metrics, bounds ─▶ View::group_histories
//!                                                   │ opening sums + windows, by layout
//!                         times ◀─grid─ window ends │
//!                           └──────── columns ◀─────┘   layouts united: each counts at its greatest
//!                                                       bound ≤ le
//! ```
//!
//! Every series of one answer is complete up to the same time: the slowest live source's promise,
//! over all shards. A source that is further behind than the engine steps back is named in a warning.

mod columns;
mod grid;
mod lag;
mod wanted;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::try_join_all;
use tributary_spanmetrics::{Group, GroupId, Labels, Layout, Naming, SeriesId};
use tributary_store::disk::DiskError;
use tributary_store::{
    GroupHistory, LayoutHistory, SampleHistory, StoreHandle, TenantDictionary, Totals, View,
    Windows,
};

use self::columns::Columns;
use self::grid::Grid;
use self::lag::Lag;
use self::wanted::Wanted;
use crate::source::{Points, Selection, Series, SeriesSet, SeriesSource, SourceError, TimeMs};

#[derive(Clone, Debug)]
pub struct Options {
    pub naming: Naming,
    /// How long a group's series go on after its last delta.
    pub idle: Duration,
    /// A selection that comes to more points is refused.
    pub max_points: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            naming: Naming::default(),
            idle: Duration::from_secs(3600),
            max_points: 50_000_000,
        }
    }
}

/// The wall clock, by which a source is told to lag: it never moves an answer.
pub type NowMs = Arc<dyn Fn() -> TimeMs + Send + Sync>;

#[derive(Clone)]
pub struct SpanSeries {
    store: StoreHandle,
    options: Options,
    now: NowMs,
}

/// Groups whose histories are held at a time, by shard.
const GROUPS_AT_ONCE: usize = 256;

impl SpanSeries {
    pub fn new(store: StoreHandle, options: Options, now: NowMs) -> Self {
        SpanSeries { store, options, now }
    }

    async fn read(
        &self,
        selection: &Selection,
        labels_only: bool,
    ) -> Result<SeriesSet, SourceError> {
        let views = self.store.views();
        let wanted = Wanted::of(&selection.matchers, &self.options.naming);
        let lag = Lag::of(&views, selection.end.min((self.now)()));
        let points = AtomicUsize::new(0);
        let shards = views.iter().map(|view| {
            let reading = Reading {
                view,
                selection,
                wanted: &wanted,
                options: &self.options,
                complete_to: lag.complete_to,
                labels_only,
                of_all_time: selection.start <= 0 && selection.end >= (self.now)(),
                points: &points,
            };
            async move { reading.run().await }
        });
        let mut answer = SeriesSet::default();
        for part in try_join_all(shards).await? {
            answer.series.extend(part.series);
            answer.warnings.extend(part.warnings);
        }
        if answer.series.iter().any(|series| series.complete_to.is_some()) {
            answer.warnings.extend(lag.warnings);
        }
        Ok(answer)
    }
}

#[async_trait]
impl SeriesSource for SpanSeries {
    async fn select(&self, selection: &Selection) -> Result<SeriesSet, SourceError> {
        self.read(selection, false).await
    }

    async fn labels(&self, selection: &Selection) -> Result<Vec<Labels>, SourceError> {
        let answer = self.read(selection, true).await?;
        Ok(answer.series.into_iter().map(|series| series.labels).collect())
    }
}

/// One shard's part of an answer.
struct Reading<'a> {
    view: &'a View,
    selection: &'a Selection,
    wanted: &'a Wanted<'a>,
    options: &'a Options,
    complete_to: Option<TimeMs>,
    labels_only: bool,
    /// Nothing that is stored lies outside the selection.
    of_all_time: bool,
    /// Points of the answer so far, over all shards.
    points: &'a AtomicUsize,
}

impl Reading<'_> {
    async fn run(&self) -> Result<SeriesSet, SourceError> {
        let mut answer = SeriesSet::default();
        let Some(known) = self.view.tenant(&self.selection.tenant) else {
            return Ok(answer);
        };
        if self.wanted.any_span_metric() {
            let groups: Vec<_> = known
                .groups
                .iter()
                .filter_map(|(id, group)| Some((*id, self.base_labels(group)?)))
                .collect();
            let widths = known.layouts.values().map(|layout| TimeMs::from(layout.window_ms()));
            let widest = widths.max().unwrap_or_default();
            if self.labels_only && self.of_all_time {
                self.name_groups(&groups, known, &mut answer);
                return self.with_samples(known, answer).await;
            }
            for groups in groups.chunks(GROUPS_AT_ONCE) {
                self.read_groups(groups, widest, &mut answer).await?;
            }
        }
        self.with_samples(known, answer).await
    }

    async fn with_samples(
        &self,
        known: &TenantDictionary,
        mut answer: SeriesSet,
    ) -> Result<SeriesSet, SourceError> {
        let series: Vec<_> = known
            .series
            .iter()
            .filter(|(_, labels)| self.wanted.whole(labels))
            .map(|(id, labels)| (*id, (**labels).clone()))
            .collect();
        for series in series.chunks(GROUPS_AT_ONCE) {
            self.read_samples(series, &mut answer).await?;
        }
        Ok(answer)
    }

    fn base_labels(&self, group: &Group) -> Option<Labels> {
        let base = self.options.naming.labels(group);
        self.wanted.base(&base).then_some(base)
    }

    /// The series of groups without a look at their history: over all time each has some.
    fn name_groups(
        &self,
        groups: &[(GroupId, Labels)],
        known: &TenantDictionary,
        answer: &mut SeriesSet,
    ) {
        let empty = |layout: &Arc<Layout>| {
            let windows = Windows::new(layout.buckets());
            LayoutHistory { layout: layout.clone(), opening: Totals::default(), windows }
        };
        let layouts = known.layouts.iter().map(|(id, layout)| (*id, empty(layout)));
        let history = GroupHistory { layouts: layouts.collect(), damaged: Vec::new() };
        for (_, base) in groups {
            let columns = Columns::of(&history, self.wanted, base, &self.options.naming);
            answer.series.extend(columns.series(&Arc::from([]), self.complete_to, true));
        }
    }

    async fn read_groups(
        &self,
        groups: &[(GroupId, Labels)],
        widest: TimeMs,
        answer: &mut SeriesSet,
    ) -> Result<(), SourceError> {
        let (start, end) = (self.selection.start, self.selection.end);
        let idle = self.options.idle.as_millis() as TimeMs;
        // Earlier deltas have no sample behind `start` any more, not even before a comeback.
        let from = start.saturating_sub(idle).saturating_sub(widest);
        let ids: Vec<_> = groups.iter().map(|(id, _)| *id).collect();
        // A delta right behind the end still gives a sample one window before it.
        let to = end.saturating_add(widest);
        let histories = self
            .view
            .group_histories(&self.selection.tenant, &ids, from, to)
            .await
            .map_err(store_error)?;
        for ((_, base), mut history) in groups.iter().zip(histories) {
            answer.warnings.extend(damage_warnings(&mut history.damaged));
            let grid = Grid { start, end, idle, complete_to: self.complete_to };
            let times: Arc<[TimeMs]> = grid.times(&history).into();
            if times.is_empty() {
                continue;
            }
            let columns = Columns::of(&history, self.wanted, base, &self.options.naming);
            self.count(columns.metrics() * if self.labels_only { 1 } else { times.len() })?;
            let series = columns.series(&times, self.complete_to, self.labels_only);
            answer.series.extend(series);
        }
        // Series are made without waiting for anything: others get their turn here.
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn read_samples(
        &self,
        series: &[(SeriesId, Labels)],
        answer: &mut SeriesSet,
    ) -> Result<(), SourceError> {
        let ids: Vec<_> = series.iter().map(|(id, _)| *id).collect();
        let Selection { tenant, start, end, .. } = self.selection;
        let points = self.view.samples(tenant, &ids, *start, *end).await.map_err(store_error)?;
        for ((_, labels), SampleHistory { points, mut damaged }) in series.iter().zip(points) {
            answer.warnings.extend(damage_warnings(&mut damaged));
            if points.is_empty() {
                continue;
            }
            self.count(points.len())?;
            let times = points.keys().copied().collect();
            let values = points.values().map(|bits| bits.value()).collect();
            answer.series.push(Series {
                labels: labels.clone(),
                times,
                points: Points::Floats(values),
                complete_to: None,
            });
        }
        Ok(())
    }

    /// Before they are made: the limit is over all shards.
    fn count(&self, points: usize) -> Result<(), SourceError> {
        let limit = self.options.max_points;
        if self.points.fetch_add(points, Ordering::Relaxed).saturating_add(points) > limit {
            return Err(SourceError::TooMuch(format!("more than {limit} points")));
        }
        Ok(())
    }
}

fn damage_warnings(damaged: &mut Vec<String>) -> impl Iterator<Item = String> {
    damaged.drain(..).map(|what| format!("left out, since it is damaged: {what}"))
}

fn store_error(error: DiskError) -> SourceError {
    SourceError::Store(error.to_string())
}

#[cfg(test)]
#[path = "span_series_test.rs"]
mod tests;
