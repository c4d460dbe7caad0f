//! What a run came to: one line of JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::spans::{Catalogue, Tally};

#[derive(Debug, Serialize)]
pub struct Report {
    /// From the first request to the last answer.
    pub seconds: f64,
    pub acked_requests: u64,
    pub acked_spans: u64,
    /// Of acked requests: spans that the receiver says it did not take.
    pub rejected_spans: u64,
    /// Requests that were refused, or not taken to the end.
    pub failed_requests: u64,
    /// Requests that may have been taken.
    pub unknown_requests: u64,
    pub unknown_spans: u64,
    /// Further tries of requests that were not taken at first.
    pub retries: u64,
    pub sent_bytes: u64,
    pub spans_per_second: f64,
    pub ack_ms: Percentiles,
    /// Of this process, while it sent.
    pub cpu_seconds: f64,
    /// By what was said, cut short.
    pub errors: BTreeMap<String, u64>,
    pub tally: Expected,
}

/// From when a request was due by the rate's timetable (flat out: when it was ready) to its ack, retries included.
#[derive(Debug, Default, Serialize)]
pub struct Percentiles {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub max: f64,
}

/// What must come out of the acked requests.
#[derive(Debug, Serialize)]
pub struct Expected {
    pub count: u64,
    pub sum_us: u128,
    pub bounds_ms: Vec<f64>,
    /// Not cumulative; the last is the one without a bound.
    pub buckets: Vec<u64>,
    pub groups: usize,
    pub windows: usize,
    /// (group, window) pairs that are not empty.
    pub deltas: usize,
    pub services: BTreeMap<String, u64>,
}

impl Percentiles {
    pub(super) fn of(latencies: &mut [Duration]) -> Self {
        latencies.sort_unstable();
        let at = |part: f64| {
            let nth = (latencies.len() as f64 * part).ceil() as usize;
            let found = latencies.get(nth.saturating_sub(1)).copied().unwrap_or_default();
            (found.as_secs_f64() * 1e6).round() / 1e3
        };
        Percentiles { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1.0) }
    }
}

impl Expected {
    pub(super) fn of(tally: &Tally, catalogue: &Catalogue) -> Self {
        let total = tally.total();
        let by_group = tally.by_group();
        let mut services = BTreeMap::new();
        for (group, totals) in &by_group {
            *services.entry(catalogue.group(*group).service.clone()).or_default() += totals.count;
        }
        Expected {
            count: total.count,
            sum_us: total.sum_us,
            bounds_ms: tally.bounds_ns().iter().map(|ns| *ns as f64 / 1e6).collect(),
            buckets: total.buckets,
            groups: by_group.len(),
            windows: tally.windows(),
            deltas: tally.deltas().count(),
            services,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_least_that_so_many_reach() {
        let mut latencies: Vec<_> = (1..=100).rev().map(Duration::from_millis).collect();
        let found = Percentiles::of(&mut latencies);
        assert_eq!((found.p50, found.p90, found.p99, found.max), (50.0, 90.0, 99.0, 100.0));
        assert_eq!(Percentiles::of(&mut [Duration::from_millis(3)]).p50, 3.0);
        assert_eq!(Percentiles::of(&mut []).p99, 0.0);
    }
}
