//! What an edge counts. An edge's own: two edges in one process share none of it.

use tributary_proto::{Counter, Gauge, Histogram, Metric};
use tributary_store::log::Damage;

use crate::ingest::{Counts, Refusal};

#[derive(Debug, Default)]
pub struct EdgeMetrics {
    /// Handed to the edge: accepted, answered again, refused, or under way.
    pub requests_received: Counter,
    pub requests_accepted: Counter,
    /// Acknowledged again and not counted again.
    pub requests_duplicate: Counter,
    pub spans_accepted: Counter,
    pub spans_late: Counter,
    pub spans_future: Counter,
    pub spans_shortened: Counter,
    pub spans_clamped: Counter,
    pub spans_overflowed: Counter,
    pub groups: Gauge,
    pub groups_bytes: Gauge,
    pub open_deltas: Gauge,
    pub open_bytes: Gauge,
    pub totals_bytes: Gauge,
    pub groups_retired: Counter,
    pub dedup_entries: Gauge,
    pub dedup_bytes: Gauge,
    pub dedup_evicted: Gauge,
    /// As this start found them.
    pub fingerprint_records_damaged: Gauge,
    pub journal_records_damaged: Gauge,
    pub journal_bytes_damaged: Gauge,
    /// Requests that were refused, by reason.
    pub refused_bad_data: Counter,
    pub refused_too_large: Counter,
    pub refused_content_type: Counter,
    pub refused_encoding: Counter,
    pub refused_method: Counter,
    pub refused_unknown_path: Counter,
    pub refused_slow: Counter,
    pub refused_panic: Counter,
    /// The client reset the call or hung up before the request was whole.
    pub refused_cancelled: Counter,
    pub refused_overload: Counter,
    pub refused_journal: Counter,
    pub refused_unfinished: Counter,
    pub refused_memory: Counter,
    /// Signals that are not taken, by number of points or records.
    pub rejected_data_points: Counter,
    pub rejected_log_records: Counter,
    pub seals: Counter,
    pub slices_answered: Counter,
    pub slices_refused: Counter,
    pub slices_known_otherwise: Counter,
    pub slices_filled: Counter,
    pub offers_retried: Counter,
    pub journal_records: Counter,
    pub journal_syncs: Counter,
    pub journal_failures: Counter,
    /// What a batch took to be appended and synced.
    pub journal_seconds: Histogram,
    pub journal_bytes: Gauge,
    /// Records that wait for the journal, with what belongs to them.
    pub queue_bytes: Gauge,
    pub unsettled_seals: Gauge,
    /// Of the receivers, on both ports.
    pub connections: Gauge,
    /// Ended, so that others could come.
    pub connections_displaced: Counter,
    /// Ended for what the client did, by reason; no request of theirs is refused.
    pub connections_ended_header_timeout: Counter,
    pub connections_ended_malformed: Counter,
    pub connections_ended_not_http: Counter,
    pub connections_ended_flood: Counter,
    pub window_bytes: Gauge,
    pub held_bytes: Gauge,
    /// When the oldest of them went on its way; 0 while there is none.
    pub(crate) unsettled_since_ms: Gauge,
    pub unsettled_age_seconds: Gauge,
}

impl EdgeMetrics {
    /// What `collect` says of times is as of then.
    pub fn observe_time(&self, now_ms: i64) {
        let age_ms = match self.unsettled_since_ms.get() {
            0 => 0,
            since_ms => (now_ms as u64).saturating_sub(since_ms),
        };
        self.unsettled_age_seconds.set(age_ms / 1000);
    }

    /// `unreadable`: records that are whole and of no use without others that are lost.
    pub(crate) fn observe_damage(&self, damaged: &[Damage], unreadable: u64) {
        let records: u64 = damaged.iter().map(|damage| damage.to.0 - damage.from.0).sum();
        self.journal_records_damaged.set(records + unreadable);
        self.journal_bytes_damaged.set(damaged.iter().map(|damage| damage.bytes).sum());
    }

    pub(crate) fn count(&self, counts: &Counts) {
        self.requests_accepted.add(1);
        self.spans_accepted.add(counts.answer.accepted);
        self.spans_late.add(counts.answer.late);
        self.spans_future.add(counts.answer.future);
        self.spans_shortened.add(counts.shortened);
        self.spans_clamped.add(counts.clamped);
        self.spans_overflowed.add(counts.overflowed);
    }

    pub(crate) fn count_refusal(&self, refusal: &Refusal) {
        let counter = match refusal {
            Refusal::TooLarge(_) => &self.refused_too_large,
            Refusal::BadData(_) => &self.refused_bad_data,
            Refusal::Overload { .. } | Refusal::Stopping => &self.refused_overload,
            Refusal::Memory { .. } => &self.refused_memory,
            Refusal::Journal(_) => &self.refused_journal,
            Refusal::Unfinished => &self.refused_unfinished,
        };
        counter.add(1);
    }

    pub fn collect(&self) -> Vec<Metric> {
        let parts = [
            self.of_requests(),
            self.of_refusals(),
            self.of_spans(),
            self.of_groups(),
            self.of_receivers(),
            self.of_journal(),
            self.of_shipping(),
        ];
        parts.concat()
    }

    /// With what is remembered of them.
    fn of_requests(&self) -> Vec<Metric> {
        vec![
            self.requests_received.metric(
                "tributary_edge_requests_received_total",
                "Trace requests that came whole: accepted, duplicates, refused, or under way.",
            ),
            self.requests_accepted
                .metric("tributary_edge_requests_accepted_total", "Trace requests acknowledged, once each."),
            self.requests_duplicate.metric(
                "tributary_edge_requests_duplicate_total",
                "Trace requests that were acknowledged before: answered again, not counted again.",
            ),
            self.dedup_entries
                .metric("tributary_edge_dedup_requests", "Requests remembered for a repeat."),
            self.dedup_bytes
                .metric("tributary_edge_dedup_bytes", "Memory that remembered requests take."),
            self.dedup_evicted.metric(
                "tributary_edge_dedup_evicted_early",
                "Requests forgotten before their window was over, since there were too many.",
            ),
            self.fingerprint_records_damaged.metric(
                "tributary_edge_fingerprint_records_damaged",
                "Records of remembered requests that this start found damaged: their repeats count again.",
            ),
        ]
    }

    fn of_refusals(&self) -> Vec<Metric> {
        const REFUSED: &str = "tributary_edge_requests_refused_total";
        const REFUSED_HELP: &str = "Requests refused whole, by reason.";
        const REJECTED: &str = "tributary_edge_items_rejected_total";
        const REJECTED_HELP: &str = "Items of signals that are not taken, by signal.";
        let refused = |counter: &Counter, reason| {
            counter.labelled(REFUSED, REFUSED_HELP, &[("reason", reason)])
        };
        vec![
            refused(&self.refused_bad_data, "bad_data"),
            refused(&self.refused_too_large, "too_large"),
            refused(&self.refused_content_type, "content_type"),
            refused(&self.refused_encoding, "encoding"),
            refused(&self.refused_method, "method"),
            refused(&self.refused_unknown_path, "unknown_path"),
            refused(&self.refused_slow, "slow"),
            refused(&self.refused_panic, "panic"),
            refused(&self.refused_cancelled, "cancelled"),
            refused(&self.refused_overload, "overload"),
            refused(&self.refused_journal, "journal"),
            refused(&self.refused_unfinished, "unfinished"),
            refused(&self.refused_memory, "memory"),
            self.rejected_data_points.labelled(REJECTED, REJECTED_HELP, &[("signal", "metrics")]),
            self.rejected_log_records.labelled(REJECTED, REJECTED_HELP, &[("signal", "logs")]),
        ]
    }

    fn of_spans(&self) -> Vec<Metric> {
        const DROPPED: &str = "tributary_edge_spans_dropped_total";
        const HELP: &str = "Spans left out of accepted requests, by reason.";
        vec![
            self.spans_accepted.metric("tributary_edge_spans_accepted_total", "Spans counted."),
            self.spans_overflowed.metric(
                "tributary_edge_spans_overflowed_total",
                "Spans counted in a tenant's overflow group, since there were too many groups.",
            ),
            self.spans_shortened.metric(
                "tributary_edge_spans_shortened_total",
                "Spans counted with a service, name or dimension that was cut to 1 KiB.",
            ),
            self.spans_clamped.metric(
                "tributary_edge_spans_clamped_total",
                "Spans counted with a duration of zero, since they ended before they began.",
            ),
            self.spans_late.labelled(DROPPED, HELP, &[("reason", "late")]),
            self.spans_future.labelled(DROPPED, HELP, &[("reason", "future")]),
        ]
    }

    /// With what counts by them.
    fn of_groups(&self) -> Vec<Metric> {
        vec![
            self.groups.metric("tributary_edge_groups", "Groups that the edge knows."),
            self.groups_bytes
                .metric("tributary_edge_groups_bytes", "Memory that the table of groups takes."),
            self.groups_retired.metric(
                "tributary_edge_groups_retired_total",
                "Groups forgotten, since they had nothing for a while.",
            ),
            self.open_deltas.metric(
                "tributary_edge_open_deltas",
                "Groups by window in windows that are not sealed yet.",
            ),
            self.open_bytes
                .metric("tributary_edge_open_bytes", "Memory that windows not sealed yet take."),
            self.totals_bytes.metric(
                "tributary_edge_totals_bytes",
                "Memory that the sums since the start take, for the page of span metrics.",
            ),
        ]
    }

    fn of_receivers(&self) -> Vec<Metric> {
        const ENDED: &str = "tributary_edge_connections_ended_total";
        const HELP: &str = "Connections ended for what the client did, by reason.";
        let ended =
            |counter: &Counter, reason| counter.labelled(ENDED, HELP, &[("reason", reason)]);
        vec![
            self.connections.metric(
                "tributary_edge_connections",
                "Connections to the receivers that are open.",
            ),
            self.connections_displaced.metric(
                "tributary_edge_connections_displaced_total",
                "Connections that were of no use for the longest, ended to make room for others.",
            ),
            ended(&self.connections_ended_header_timeout, "header_timeout"),
            ended(&self.connections_ended_malformed, "malformed"),
            ended(&self.connections_ended_not_http, "not_http"),
            ended(&self.connections_ended_flood, "flood"),
            self.window_bytes.metric(
                "tributary_edge_window_bytes",
                "Bytes that clients may send unasked: HTTP/2 windows and read buffers.",
            ),
            self.held_bytes.metric(
                "tributary_edge_held_bytes",
                "Bytes of requests that the receivers hold, with what decompresses them.",
            ),
        ]
    }

    fn of_journal(&self) -> Vec<Metric> {
        vec![
            self.journal_records
                .metric("tributary_edge_journal_records_total", "Records made durable."),
            self.journal_syncs
                .metric("tributary_edge_journal_syncs_total", "Syncs that made them so."),
            self.journal_failures.metric(
                "tributary_edge_journal_failures_total",
                "Batches that could not be made durable.",
            ),
            self.journal_seconds.metric(
                "tributary_edge_journal_seconds",
                "Time to append and sync a batch of records.",
            ),
            self.journal_bytes.metric("tributary_edge_journal_bytes", "Size of the journal."),
            self.queue_bytes.metric(
                "tributary_edge_queue_bytes",
                "Memory of requests that wait for the journal.",
            ),
            self.journal_records_damaged.metric(
                "tributary_edge_journal_records_damaged",
                "Records of the journal that this start found lost to damage, or of no use without such.",
            ),
            self.journal_bytes_damaged.metric(
                "tributary_edge_journal_bytes_damaged",
                "Bytes of the journal that this start found damaged.",
            ),
        ]
    }

    fn of_shipping(&self) -> Vec<Metric> {
        vec![
            self.seals.metric("tributary_edge_seals_total", "Seals written to the journal."),
            self.unsettled_seals.metric(
                "tributary_edge_unsettled_seals",
                "Seals whose slices are not all answered yet.",
            ),
            self.unsettled_age_seconds.metric(
                "tributary_edge_unsettled_age_seconds",
                "Time since the oldest of them went on its way.",
            ),
            self.slices_answered
                .metric("tributary_edge_slices_answered_total", "Slices that shards have on disk."),
            self.slices_refused.metric(
                "tributary_edge_slices_refused_total",
                "Slices that a shard will never take: forked, closed or malformed.",
            ),
            self.slices_known_otherwise.metric(
                "tributary_edge_slices_known_otherwise_total",
                "Slices made again behind damage that the shard has already, as they were before it.",
            ),
            self.slices_filled.metric(
                "tributary_edge_slices_filled_total",
                "Slices lost to damage before their shard had them: empty ones took their place.",
            ),
            self.offers_retried
                .metric("tributary_edge_offers_retried_total", "Offers that got no answer."),
        ]
    }
}
