//! A metric as a component declares it. Components count, a node collects; none of them shares state
//! with another.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::histogram::Distribution;

/// One value of a metric, with the labels that tell it from its siblings.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    pub name: &'static str,
    pub help: &'static str,
    pub labels: Vec<(&'static str, String)>,
    pub value: MetricValue,
}

#[derive(Clone, Debug, PartialEq)]
pub enum MetricValue {
    Counter(f64),
    Gauge(f64),
    Histogram(Distribution),
}

/// A number under its series' name: a counter or a gauge is one, a histogram several.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricSample {
    pub name: String,
    /// A bucket's bound.
    pub le: Option<String>,
    pub value: f64,
}

impl Metric {
    /// As Prometheus has them, a histogram's as `_bucket`, `_sum` and `_count`.
    pub fn samples(&self) -> Vec<MetricSample> {
        let sample = |suffix, value| {
            let name = format!("{}{suffix}", self.name);
            MetricSample { name, le: None, value }
        };
        match &self.value {
            MetricValue::Counter(value) | MetricValue::Gauge(value) => vec![sample("", *value)],
            MetricValue::Histogram(found) => {
                let buckets = found.buckets.iter().map(|(bound, count)| {
                    let le = if bound.is_finite() { bound.to_string() } else { "+Inf".into() };
                    MetricSample { le: Some(le), ..sample("_bucket", *count as f64) }
                });
                let rest = [sample("_sum", found.sum), sample("_count", found.count() as f64)];
                buckets.chain(rest).collect()
            }
        }
    }
}

impl MetricValue {
    /// The type's name in Prometheus's text format.
    pub fn kind(&self) -> &'static str {
        match self {
            MetricValue::Counter(_) => "counter",
            MetricValue::Gauge(_) => "gauge",
            MetricValue::Histogram(_) => "histogram",
        }
    }
}

/// Only ever goes up.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, amount: u64) {
        // Nothing is ordered by a counter.
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub fn metric(&self, name: &'static str, help: &'static str) -> Metric {
        self.labelled(name, help, &[])
    }

    pub fn labelled(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
    ) -> Metric {
        let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Metric { name, help, labels, value: MetricValue::Counter(self.get() as f64) }
    }
}

/// Goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub fn sub(&self, amount: u64) {
        self.0.fetch_sub(amount, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub fn metric(&self, name: &'static str, help: &'static str) -> Metric {
        let value = MetricValue::Gauge(self.get() as f64);
        Metric { name, help, labels: Vec::new(), value }
    }
}

#[cfg(test)]
mod tests {
    use crate::histogram::Histogram;

    #[test]
    fn a_histogram_is_its_buckets_its_sum_and_its_count() {
        let histogram = Histogram::new(&[0.5, 1.0]);
        [0.25, 0.75, 8.0].iter().for_each(|value| histogram.observe(*value));
        let samples = histogram.metric("wait_seconds", "Waiting.").samples();
        let found: Vec<_> =
            samples.iter().map(|s| (s.name.as_str(), s.le.as_deref(), s.value)).collect();
        let expected = [
            ("wait_seconds_bucket", Some("0.5"), 1.0),
            ("wait_seconds_bucket", Some("1"), 2.0),
            ("wait_seconds_bucket", Some("+Inf"), 3.0),
            ("wait_seconds_sum", None, 9.0),
            ("wait_seconds_count", None, 3.0),
        ];
        assert_eq!(found, expected);
    }
}
