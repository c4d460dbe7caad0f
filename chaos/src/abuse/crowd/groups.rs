//! Spans whose names nobody has seen before.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::answers::AnswersOf;
use super::bodies::Body;
use super::link::{Link, Protocol};
use crate::load::Ports;

const SENDERS: u32 = 8;
const SPANS: u64 = 1000;
pub(super) const SENT: &str = "new groups sent";
/// A lost second is made up for, so that the groups of a round come to what was asked for.
const REFUSED_PAUSE: Duration = Duration::from_millis(50);

/// New groups at a rate, in all.
pub(super) fn join(
    ports: Ports,
    rate: u64,
    next: &Arc<AtomicU64>,
    answers: &AnswersOf,
    crowd: &mut JoinSet<()>,
) {
    let every = Duration::from_secs_f64((SPANS * u64::from(SENDERS)) as f64 / rate.max(1) as f64);
    for number in 0..SENDERS {
        let (next, answers) = (next.clone(), answers.clone());
        crowd.spawn(async move {
            tokio::time::sleep(every * number / SENDERS).await;
            send(ports, every, &next, &answers).await;
        });
    }
}

async fn send(ports: Ports, every: Duration, next: &AtomicU64, answers: &AnswersOf) {
    let mut link = Link::new(ports);
    let mut due = tokio::time::interval(every);
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        due.tick().await;
        let first = next.fetch_add(SPANS, Relaxed);
        answers.add(SENT, SPANS);
        let answer = link.call(Protocol::Grpc, &body(first)).await;
        if answer == "gRPC 0" {
            answers.add("new groups taken", SPANS);
        } else {
            tokio::time::sleep(REFUSED_PAUSE).await;
        }
        answers.note(answer);
    }
}

fn body(first: u64) -> Body {
    let now_ns = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos());
    let now_ns = u64::try_from(now_ns).unwrap_or(u64::MAX);
    let span = |number: u64| Span {
        name: format!("GET /orders/{number:010}/items"),
        kind: 2,
        start_time_unix_nano: now_ns - 1_000_000,
        end_time_unix_nano: now_ns,
        ..Span::default()
    };
    let spans = (first..first + SPANS).map(span).collect();
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
            ..ResourceSpans::default()
        }],
    };
    Body::protobuf(request.encode_to_vec())
}
