//! Counts, sums and buckets by group and window: the form in which what is expected and what is there
//! are compared.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tributary_spanmetrics::{Content, Delta, Group, Labels, SPAN_WEIGHT, Tenant};

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Series {
    pub(crate) tenant: String,
    pub(crate) service: String,
    pub(crate) span_name: String,
    pub(crate) kind: String,
    pub(crate) status: String,
    pub(crate) region: String,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cell {
    pub(crate) window_end_ms: i64,
    pub(crate) series: Arc<Series>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) spans: u64,
    pub(crate) sum_us: u128,
    pub(crate) buckets: [u64; 17],
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    cells: BTreeMap<Cell, Sum>,
}

impl Tally {
    /// So many times.
    pub(crate) fn add(&mut self, cell: Cell, sum: &Sum, times: u64) {
        if times > 0 {
            self.cells.entry(cell).or_default().add(sum, times);
        }
    }

    /// What a shard holds or a slice carries.
    pub(crate) fn add_content(&mut self, content: &Content) {
        for (tenant, content) in &content.tenants {
            let groups = content.layouts.values().flat_map(|of_layout| of_layout.groups.values());
            for group in groups {
                let series = Arc::new(series(tenant, &group.group));
                for (end, delta) in &group.windows {
                    let series = Arc::clone(&series);
                    self.add(Cell { window_end_ms: end.0, series }, &sum(delta), 1);
                }
            }
        }
    }

    /// The first cell in which this has less than `least`.
    pub(crate) fn falls_short_of(&self, least: &Tally) -> Option<String> {
        let none = Sum::default();
        least.cells.iter().find_map(|(cell, wanted)| {
            let there = self.cells.get(cell).unwrap_or(&none);
            let short = !there.is_at_least(wanted);
            short.then(|| format!("{cell}: {there} is there of {wanted}"))
        })
    }

    /// Spans by series, all windows together.
    pub(crate) fn by_series(&self) -> BTreeMap<Arc<Series>, u64> {
        let mut totals = BTreeMap::new();
        for (cell, sum) in &self.cells {
            *totals.entry(Arc::clone(&cell.series)).or_default() += sum.spans;
        }
        totals
    }

    pub(crate) fn spans(&self) -> u64 {
        self.cells.values().map(|sum| sum.spans).sum()
    }

    pub(crate) fn last_window_end_ms(&self) -> Option<i64> {
        Some(self.cells.last_key_value()?.0.window_end_ms)
    }
}

impl Sum {
    fn add(&mut self, other: &Sum, times: u64) {
        self.spans += other.spans * times;
        self.sum_us += other.sum_us * u128::from(times);
        for (mine, theirs) in self.buckets.iter_mut().zip(other.buckets) {
            *mine += theirs * times;
        }
    }

    fn is_at_least(&self, other: &Sum) -> bool {
        let buckets =
            || self.buckets.iter().zip(other.buckets).all(|(mine, theirs)| *mine >= theirs);
        self.spans >= other.spans && self.sum_us >= other.sum_us && buckets()
    }
}

fn series(tenant: &Tenant, group: &Group) -> Series {
    let label = |labels: &Labels, name| labels.get(name).unwrap_or_default().to_owned();
    Series {
        tenant: tenant.as_str().into(),
        service: group.service.clone(),
        span_name: group.span_name.clone(),
        kind: group.kind.name().into(),
        status: group.status.name().into(),
        region: label(&group.external, "region"),
    }
}

fn sum(delta: &Delta) -> Sum {
    let spans = |units: u64| units / SPAN_WEIGHT;
    let mut buckets = [0; 17];
    buckets.iter_mut().zip(&delta.buckets).for_each(|(mine, units)| *mine = spans(*units));
    Sum { spans: spans(delta.count), sum_us: delta.sum_us, buckets }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Series { tenant, service, span_name, kind, status, region } = self;
        write!(f, "{tenant}/{service}/{span_name}/{kind}/{status}/{region}")
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in the window to {}", self.series, self.window_end_ms)
    }
}

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} spans of {} µs in {:?}", self.spans, self.sum_us, self.buckets)
    }
}
