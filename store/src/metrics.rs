//! What a store counts, over all its shards.

use tributary_proto::{Answer, Counter, Gauge, Metric, MetricValue, OfferError};

use crate::log::streams::Usage;

#[derive(Debug, Default)]
pub struct StoreMetrics {
    pub applied: Counter,
    pub duplicates: Counter,
    /// Asked to send again, since something before is missing.
    pub resends: Counter,
    pub forked: Counter,
    pub closed: Counter,
    pub malformed: Counter,
    pub unavailable: Counter,
    pub commits: Counter,
    pub checkpoints: Counter,
    pub checkpoints_failed: Counter,
    /// Held in memory until it is written as rows.
    pub head_bytes: Gauge,
    pub compactions: Counter,
    /// Shards opened anew, since a flush or a write of theirs had failed.
    pub reopened: Counter,
}

impl StoreMetrics {
    pub(crate) fn count(&self, answer: &Result<Answer, OfferError>) {
        let counter = match answer {
            Ok(Answer::Applied) => &self.applied,
            Ok(Answer::Duplicate) => &self.duplicates,
            Ok(Answer::Resend(_)) => &self.resends,
            Ok(Answer::Forked) => &self.forked,
            Ok(Answer::Closed) => &self.closed,
            Err(OfferError::Malformed { .. }) => &self.malformed,
            Err(OfferError::Unavailable { .. }) => &self.unavailable,
        };
        counter.add(1);
    }

    pub fn collect(&self) -> Vec<Metric> {
        const ENTRIES: &str = "tributary_store_entries_total";
        const ENTRIES_HELP: &str = "Entries offered to shards, by what they were answered.";
        let entries = |counter: &Counter, answer| {
            counter.labelled(ENTRIES, ENTRIES_HELP, &[("answer", answer)])
        };
        vec![
            entries(&self.applied, "applied"),
            entries(&self.duplicates, "duplicate"),
            entries(&self.resends, "resend"),
            entries(&self.forked, "forked"),
            entries(&self.closed, "closed"),
            entries(&self.malformed, "malformed"),
            entries(&self.unavailable, "unavailable"),
            self.commits.metric(
                "tributary_store_commits_total",
                "Runs of entries that shards had their log make durable, and applied.",
            ),
            self.checkpoints.metric(
                "tributary_store_checkpoints_total",
                "Times that a shard wrote what it held in memory as rows.",
            ),
            self.checkpoints_failed.metric(
                "tributary_store_checkpoints_failed_total",
                "Times that a shard could not; the log holds it, and it tries again.",
            ),
            self.head_bytes.metric(
                "tributary_store_head_bytes",
                "Held in memory until it is written as rows.",
            ),
            self.compactions.metric(
                "tributary_store_compactions_total",
                "Batches that added rows of a stretch together.",
            ),
            self.reopened.metric(
                "tributary_store_reopened_total",
                "Times that a shard was opened anew, since a flush or a write of it had failed.",
            ),
        ]
    }
}

pub(crate) fn of_log(usage: Usage) -> [Metric; 4] {
    let metric = |name, help, value| Metric { name, help, labels: Vec::new(), value };
    let gauge = |name, help, bytes: u64| metric(name, help, MetricValue::Gauge(bytes as f64));
    let counter = |name, help, count: u64| metric(name, help, MetricValue::Counter(count as f64));
    [
        gauge("tributary_store_log_bytes", "Size of the shards' log.", usage.bytes),
        gauge(
            "tributary_store_log_live_bytes",
            "Part of it that is not purged yet.",
            usage.live_bytes,
        ),
        counter(
            "tributary_store_log_syncs_total",
            "Batches that the log made durable, each with one sync for all shards that waited.",
            usage.syncs,
        ),
        counter(
            "tributary_store_log_records_lost_total",
            "Records that could not be read when they were to be copied forward.",
            usage.lost_records,
        ),
    ]
}
