//! How values are spread: a metric that a component observes again and again.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::metric::{Metric, MetricValue};

/// Upper bounds in seconds of what a disk takes its time over: close where a sync ends on most.
const LATENCY_SECONDS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.00075, 0.001, 0.0015, 0.002, 0.0025, 0.003, 0.0035, 0.004, 0.005,
    0.006, 0.0075, 0.01, 0.0125, 0.015, 0.02, 0.025, 0.035, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0,
];

/// Counts what is at or below each of its bounds. A reader may see an observation in one bucket
/// before it is in the sum: nothing is ordered by a metric.
#[derive(Debug)]
pub struct Histogram {
    /// Ascending; a bucket without a bound follows.
    bounds: &'static [f64],
    buckets: Vec<AtomicU64>,
    /// The bits of an `f64`.
    sum: AtomicU64,
}

/// What a histogram held at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// By upper bound, each with all that is at or below it; the last bound is infinite.
    pub buckets: Vec<(f64, u64)>,
    pub sum: f64,
}

impl Histogram {
    /// `bounds` ascend.
    pub fn new(bounds: &'static [f64]) -> Self {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Histogram { bounds, buckets, sum: AtomicU64::new(0f64.to_bits()) }
    }

    pub fn observe(&self, value: f64) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        self.buckets[at].fetch_add(1, Relaxed);
        let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
        // It answers an error only where the closure declines.
        let _ = self.sum.fetch_update(Relaxed, Relaxed, add);
    }

    pub fn observe_seconds(&self, time: Duration) {
        self.observe(time.as_secs_f64());
    }

    pub fn get(&self) -> Distribution {
        let mut below = 0;
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        let buckets = bounds.zip(&self.buckets).map(|(bound, bucket)| {
            below += bucket.load(Relaxed);
            (bound, below)
        });
        Distribution { buckets: buckets.collect(), sum: f64::from_bits(self.sum.load(Relaxed)) }
    }

    pub fn metric(&self, name: &'static str, help: &'static str) -> Metric {
        Metric { name, help, labels: Vec::new(), value: MetricValue::Histogram(self.get()) }
    }
}

/// Of latencies in seconds, from 100 µs to 5 s.
impl Default for Histogram {
    fn default() -> Self {
        Histogram::new(LATENCY_SECONDS)
    }
}

impl Distribution {
    pub fn count(&self) -> u64 {
        self.buckets.last().map_or(0, |(_, count)| *count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bucket_holds_all_at_or_below_its_bound() {
        let histogram = Histogram::new(&[1.0, 2.0]);
        for value in [0.5, 1.0, 1.5, 2.0, 3.0] {
            histogram.observe(value);
        }
        let found = histogram.get();
        assert_eq!(found.buckets, [(1.0, 2), (2.0, 4), (f64::INFINITY, 5)]);
        assert_eq!((found.sum, found.count()), (8.0, 5));
    }

    #[test]
    fn latencies_are_observed_in_seconds() {
        let histogram = Histogram::default();
        histogram.observe_seconds(Duration::from_micros(1600));
        let found = histogram.get();
        assert_eq!(found.sum, 0.0016);
        let first = found.buckets.iter().find(|(_, count)| *count > 0).expect("one was observed");
        assert_eq!(first.0, 0.002);
    }
}
