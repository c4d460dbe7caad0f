//! Which of a group's series a selection asks for. `__name__` and `le` are virtual: no group has them.

use tributary_spanmetrics::{Labels, METRIC_NAME, Naming};
use tributary_store::Matcher;

pub(super) struct Wanted<'a> {
    name: Vec<&'a Matcher>,
    le: Vec<&'a Matcher>,
    rest: Vec<&'a Matcher>,
    pub(super) calls: bool,
    pub(super) count: bool,
    pub(super) sum: bool,
    pub(super) buckets: bool,
}

impl<'a> Wanted<'a> {
    pub(super) fn of(matchers: &'a [Matcher], naming: &Naming) -> Self {
        let named = |label: &str| matchers.iter().filter(|m| m.name() == label).collect();
        let name: Vec<&Matcher> = named(METRIC_NAME);
        let le: Vec<&Matcher> = named("le");
        let rest = |m: &&Matcher| m.name() != METRIC_NAME && m.name() != "le";
        let asks = |metric: String| name.iter().all(|m| m.matches(&metric));
        let without_le = le.iter().all(|m| m.matches(""));
        let latency = &naming.latency;
        Wanted {
            calls: without_le && asks(naming.calls.clone()),
            count: without_le && asks(format!("{latency}_count")),
            sum: without_le && asks(format!("{latency}_sum")),
            buckets: asks(format!("{latency}_bucket")),
            rest: matchers.iter().filter(rest).collect(),
            name,
            le,
        }
    }

    pub(super) fn any_span_metric(&self) -> bool {
        self.calls || self.count || self.sum || self.buckets
    }

    /// Whether a group with these labels may have wanted series.
    pub(super) fn base(&self, labels: &Labels) -> bool {
        passes(&self.rest, labels)
    }

    pub(super) fn bucket(&self, le: &str) -> bool {
        self.buckets && self.le.iter().all(|m| m.matches(le))
    }

    /// Whether a stored series is wanted.
    pub(super) fn whole(&self, labels: &Labels) -> bool {
        passes(&self.name, labels) && passes(&self.le, labels) && passes(&self.rest, labels)
    }
}

fn passes(matchers: &[&Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|m| m.matches(labels.get(m.name()).unwrap_or_default()))
}
