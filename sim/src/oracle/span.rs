//! One span as its client knows it, and where it must land.

use std::sync::Arc;

use tributary_spanmetrics::{Group, GroupId, Labels, SpanKind, StatusCode, Tenant};

use super::tally::{Cell, Series, Sum};

pub(crate) const WINDOW_MS: i64 = 10_000;

const BOUNDS_NS: [u64; 16] = [
    2_000_000,
    4_000_000,
    6_000_000,
    8_000_000,
    10_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    400_000_000,
    800_000_000,
    1_000_000_000,
    1_400_000_000,
    2_000_000_000,
    5_000_000_000,
    10_000_000_000,
    15_000_000_000,
];

#[derive(Clone, Debug)]
pub(crate) struct SentSpan {
    pub(crate) tenant: Tenant,
    pub(crate) service: String,
    pub(crate) name: String,
    /// As the protocol numbers it, or beyond.
    pub(crate) kind: i32,
    /// `None`: the span has no status at all.
    pub(crate) status: Option<i32>,
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    /// Whether its end lies within the limits, clear of them whatever the clocks do.
    pub(crate) limits: Limits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limits {
    Within,
    TooLate,
    TooFarAhead,
    /// Within or too late by the clock that reads it first.
    Borderline,
}

impl SentSpan {
    pub(crate) fn may_count(&self) -> bool {
        matches!(self.limits, Limits::Within | Limits::Borderline)
    }

    pub(super) fn cell(&self, region: &str) -> Cell {
        let window = self.end_ns / (WINDOW_MS as u64 * 1_000_000);
        let series = Arc::new(Series {
            tenant: self.tenant.as_str().into(),
            service: self.service.clone(),
            span_name: self.name.clone(),
            kind: kind_name(self.kind).into(),
            status: status_name(self.status).into(),
            region: region.into(),
        });
        Cell { window_end_ms: (window as i64 + 1) * WINDOW_MS, series }
    }

    pub(super) fn sum(&self) -> Sum {
        let duration_ns = self.end_ns.saturating_sub(self.start_ns);
        let bucket = BOUNDS_NS.iter().position(|bound| duration_ns <= *bound).unwrap_or(16);
        let mut buckets = [0; 17];
        buckets[bucket] = 1;
        let (whole, rest) = (duration_ns / 1000, duration_ns % 1000);
        Sum { spans: 1, sum_us: u128::from(whole) + u128::from(rest >= 500), buckets }
    }
}

/// The address of a span's group, for asking the right shard.
pub(crate) fn group_of(span: &SentSpan, region: &str) -> GroupId {
    let group = Group {
        service: span.service.clone(),
        span_name: span.name.clone(),
        kind: SpanKind::from_number(span.kind).unwrap_or_default(),
        status: span.status.and_then(StatusCode::from_number).unwrap_or_default(),
        dimensions: Labels::default(),
        external: Labels::from_pairs([("region", region)]),
    };
    group.id(&span.tenant)
}

fn kind_name(kind: i32) -> &'static str {
    match kind {
        1 => "SPAN_KIND_INTERNAL",
        2 => "SPAN_KIND_SERVER",
        3 => "SPAN_KIND_CLIENT",
        4 => "SPAN_KIND_PRODUCER",
        5 => "SPAN_KIND_CONSUMER",
        _ => "SPAN_KIND_UNSPECIFIED",
    }
}

fn status_name(status: Option<i32>) -> &'static str {
    match status {
        Some(1) => "STATUS_CODE_OK",
        Some(2) => "STATUS_CODE_ERROR",
        _ => "STATUS_CODE_UNSET",
    }
}
