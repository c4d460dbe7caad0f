//! What a store counts, over all its shards.

use tributary_proto::{Answer, Counter, Metric, OfferError};

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
    pub flushes: Counter,
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
            self.commits.metric("tributary_store_commits_total", "Batches written by shards."),
            self.flushes.metric("tributary_store_flushes_total", "Flushes that made them durable."),
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
