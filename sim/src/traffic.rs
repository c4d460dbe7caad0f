//! Random requests: mostly ordinary spans, and all the odd ones.

use bytes::Bytes;
use madsim::rand::seq::SliceRandom;
use madsim::rand::{Rng, thread_rng};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use tributary_edge::TraceAnswer;
use tributary_spanmetrics::Tenant;

use crate::clock::{LONGEST_STEP_S, now_ns};
use crate::oracle::{FUTURE_S, LATENESS_S, Limits, SentSpan, WINDOW_MS};

const SERVICES: [&str; 5] = ["cart", "checkout", "ads", "mail", ""];
const NAMES: [&str; 4] = ["GET /", "POST /pay", "render", "ü \"quoted\""];
const SECOND_NS: u64 = 1_000_000_000;
/// Spans that count end at most so far ahead.
const AHEAD_S: u64 = 60;

#[derive(Clone)]
pub(crate) struct Sent {
    pub(crate) tenant: Tenant,
    pub(crate) body: Bytes,
    /// The marker is one of them.
    pub(crate) spans: Vec<SentSpan>,
    pub(crate) marker: SentSpan,
}

impl Sent {
    /// What it may be answered the first time; more than one where that hangs on the edge's clock.
    pub(crate) fn possible_answers(&self) -> Vec<TraceAnswer> {
        let of = |limits| self.spans.iter().filter(|span| span.limits == limits).count() as u64;
        let (accepted, late, future) =
            (of(Limits::Within), of(Limits::TooLate), of(Limits::TooFarAhead));
        match of(Limits::Borderline) {
            0 => vec![TraceAnswer { accepted, late, future }],
            borderline => vec![
                TraceAnswer { accepted: accepted + borderline, late, future },
                TraceAnswer { accepted, late: late + borderline, future },
            ],
        }
    }
}

/// The `number`-th request of the run.
pub(crate) fn request(number: usize) -> Sent {
    let mut rng = thread_rng();
    let tenant =
        if rng.gen_ratio(1, 4) { Tenant::new("shop").expect("valid") } else { Tenant::default() };
    let mut spans: Vec<SentSpan> = (0..rng.gen_range(0..12)).map(|_| span(&tenant)).collect();
    let marker = SentSpan {
        service: format!("request-{number}"),
        limits: Limits::Within,
        end_ns: now_ns(),
        ..span(&tenant)
    };
    spans.insert(rng.gen_range(0..=spans.len()), marker.clone());
    if rng.gen_ratio(1, 8) {
        spans.extend(borderline(&tenant, number));
    }
    Sent { tenant, body: encode(&spans).into(), spans, marker }
}

fn span(tenant: &Tenant) -> SentSpan {
    let mut rng = thread_rng();
    let (end_ns, limits) = end();
    let start_ns = match rng.gen_range(0..20) {
        0 => end_ns,
        1 => end_ns.saturating_add(rng.gen_range(1..20 * SECOND_NS)),
        2 => 0,
        3 => end_ns.saturating_sub(2_000_000),
        4 => end_ns.saturating_sub(2_000_001),
        5 => end_ns.saturating_sub(rng.gen_range(0..2_000)),
        _ => end_ns.saturating_sub(rng.gen_range(0..2 * SECOND_NS)),
    };
    SentSpan {
        tenant: tenant.clone(),
        service: (*SERVICES.choose(&mut rng).expect("some")).into(),
        name: (*NAMES.choose(&mut rng).expect("some")).into(),
        kind: rng.gen_range(0..=6),
        status: (rng.gen_range(0..4) > 0).then(|| rng.gen_range(0..=3)),
        start_ns,
        end_ns,
        limits,
    }
}

/// Spans in a group of their own that are late or not by how far the edge's clock is off just then: all
/// of them or none.
fn borderline(tenant: &Tenant, number: usize) -> Vec<SentSpan> {
    let mut rng = thread_rng();
    let off_ns = rng.gen_range(0..2 * LONGEST_STEP_S * SECOND_NS);
    let end_ns = now_ns() - (LATENESS_S + LONGEST_STEP_S) * SECOND_NS + off_ns;
    let one = SentSpan {
        service: format!("borderline-{number}"),
        limits: Limits::Borderline,
        end_ns,
        ..span(tenant)
    };
    let start_ns = |at: u64| end_ns - at * SECOND_NS;
    (0..rng.gen_range(1..4)).map(|at| SentSpan { start_ns: start_ns(at), ..one.clone() }).collect()
}

/// Minutes clear of the limits on either side, since the edges' clocks step by minutes and repeats come
/// minutes later.
fn end() -> (u64, Limits) {
    let mut rng = thread_rng();
    let now = now_ns();
    let window = WINDOW_MS as u64 * 1_000_000;
    match rng.gen_range(0..100) {
        0..10 => (now / window * window, Limits::Within),
        10..13 => (now / window * window - 1, Limits::Within),
        13..22 => (now - rng.gen_range(10..LATENESS_S - 900) * SECOND_NS, Limits::Within),
        22..26 => (now - rng.gen_range(LATENESS_S + 900..100_000) * SECOND_NS, Limits::TooLate),
        26..31 => (now + rng.gen_range(0..AHEAD_S) * SECOND_NS, Limits::Within),
        31..33 => (now + rng.gen_range(FUTURE_S * 2..100_000) * SECOND_NS, Limits::TooFarAhead),
        33 => (0, Limits::TooLate),
        34 => (u64::MAX - 100 * SECOND_NS, Limits::TooFarAhead),
        _ => (now - rng.gen_range(0..3 * SECOND_NS), Limits::Within),
    }
}

fn encode(spans: &[SentSpan]) -> Vec<u8> {
    let resource_spans = spans.iter().map(|span| ResourceSpans {
        resource: Some(Resource {
            attributes: vec![KeyValue {
                key: "service.name".into(),
                value: Some(AnyValue { value: Some(Value::StringValue(span.service.clone())) }),
                ..Default::default()
            }],
            ..Default::default()
        }),
        scope_spans: vec![ScopeSpans {
            spans: vec![Span {
                name: span.name.clone(),
                kind: span.kind,
                status: span.status.map(|code| Status { code, ..Default::default() }),
                start_time_unix_nano: span.start_ns,
                end_time_unix_nano: span.end_ns,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    });
    ExportTraceServiceRequest { resource_spans: resource_spans.collect() }.encode_to_vec()
}
