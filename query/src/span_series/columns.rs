//! A group's counters as columns: running sums of integers, made floats at the very end.
//!
//! Layouts are united: in a bucket series each layout counts at its greatest bound ≤ `le`. So a new
//! layout adds series and never makes one fall.

use std::collections::BTreeSet;
use std::sync::Arc;

use tributary_spanmetrics::{Labels, Naming, SPAN_WEIGHT};
use tributary_store::{GroupHistory, LayoutHistory, Totals};

use super::wanted::Wanted;
use crate::source::{Points, Series, TimeMs};

pub(super) struct Columns<'a> {
    history: &'a GroupHistory,
    metrics: Vec<(Labels, Metric)>,
    naming: &'a Naming,
}

#[derive(Clone, Debug)]
enum Metric {
    Calls,
    Sum,
    /// How many of each layout's buckets lie at or below the bound.
    Bucket(Vec<usize>),
}

impl<'a> Columns<'a> {
    pub(super) fn of(
        history: &'a GroupHistory,
        wanted: &Wanted<'_>,
        base: &Labels,
        naming: &'a Naming,
    ) -> Self {
        let mut metrics = Vec::new();
        if wanted.calls {
            metrics.push((naming.calls_labels(base), Metric::Calls));
        }
        if wanted.count {
            metrics.push((naming.count_labels(base), Metric::Calls));
        }
        if wanted.sum {
            metrics.push((naming.sum_labels(base), Metric::Sum));
        }
        if wanted.buckets {
            for bound in bounds(history) {
                if wanted.bucket(&naming.le(bound)) {
                    let at_or_below = history.layouts.values().map(|l| at_or_below(l, bound));
                    let labels = naming.bucket_labels(base, bound);
                    metrics.push((labels, Metric::Bucket(at_or_below.collect())));
                }
            }
        }
        Columns { history, metrics, naming }
    }

    pub(super) fn metrics(&self) -> usize {
        self.metrics.len()
    }

    /// One series a metric, all with the same times. `labels_only` leaves the values out.
    pub(super) fn series(
        self,
        times: &Arc<[TimeMs]>,
        complete_to: Option<TimeMs>,
        labels_only: bool,
    ) -> Vec<Series> {
        let columns =
            if labels_only { vec![Vec::new(); self.metrics.len()] } else { self.values(times) };
        let times = if labels_only { Arc::from([]) } else { times.clone() };
        // Without any promise nothing is known to be whole; the engine may step back all it can.
        let complete_to = Some(complete_to.unwrap_or(TimeMs::MIN));
        let series = |((labels, _), values)| Series {
            labels,
            times: times.clone(),
            points: Points::Floats(values),
            complete_to,
        };
        self.metrics.into_iter().zip(columns).map(series).collect()
    }

    fn values(&self, times: &[TimeMs]) -> Vec<Vec<f64>> {
        let layouts: Vec<_> = self.history.layouts.values().collect();
        let mut running: Vec<Totals> = layouts.iter().map(|l| l.opening.clone()).collect();
        let mut added = vec![0; layouts.len()];
        let mut columns = vec![Vec::with_capacity(times.len()); self.metrics.len()];
        for &time in times {
            for ((of_layout, running), added) in layouts.iter().zip(&mut running).zip(&mut added) {
                let until = of_layout.windows.until(time);
                of_layout.windows.add_to(*added..until, running);
                *added = until;
            }
            for ((_, metric), column) in self.metrics.iter().zip(&mut columns) {
                column.push(self.value(metric, &running));
            }
        }
        columns
    }

    fn value(&self, metric: &Metric, running: &[Totals]) -> f64 {
        match metric {
            Metric::Calls => spans(running.iter().map(|totals| totals.count).sum()),
            Metric::Sum => self.naming.sum(running.iter().map(|totals| totals.sum_us).sum()),
            Metric::Bucket(at_or_below) => {
                let units = running
                    .iter()
                    .zip(at_or_below)
                    .flat_map(|(totals, buckets)| totals.buckets.iter().take(*buckets));
                spans(units.sum())
            }
        }
    }
}

/// The bounds of every layout that the group ever had, and the one without an end.
fn bounds(history: &GroupHistory) -> Vec<Option<u64>> {
    let all: BTreeSet<u64> =
        history.layouts.values().flat_map(|l| l.layout.bounds_ns()).copied().collect();
    all.into_iter().map(Some).chain([None]).collect()
}

fn at_or_below(of_layout: &LayoutHistory, bound: Option<u64>) -> usize {
    match bound {
        Some(bound) => of_layout.layout.bounds_ns().partition_point(|mine| *mine <= bound),
        None => of_layout.layout.buckets(),
    }
}

fn spans(units: u128) -> f64 {
    units as f64 / SPAN_WEIGHT as f64
}
