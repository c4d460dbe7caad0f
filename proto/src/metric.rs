//! A metric as a component declares it. Components count, a node collects; none of them shares state
//! with another.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    Counter,
    Gauge,
}

/// One value of a metric, with the labels that tell it from its siblings.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    pub name: &'static str,
    pub help: &'static str,
    pub kind: MetricKind,
    pub labels: Vec<(&'static str, String)>,
    pub value: f64,
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
        Metric { name, help, kind: MetricKind::Counter, labels, value: self.get() as f64 }
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
        let value = self.get() as f64;
        Metric { name, help, kind: MetricKind::Gauge, labels: Vec::new(), value }
    }
}
