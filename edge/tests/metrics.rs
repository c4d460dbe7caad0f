//! What an edge tells of itself while its disk is slow and its core silent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tributary_edge::{Clock, Edge, EdgeHandle, Fresh, Options, Shards, TraceRequest};
use tributary_proto::{Answer, BootId, EdgeId, Entry, Metric, OfferError, ShardId};
use tributary_spanmetrics::{Encoding, Tenant};
use tributary_store::disk::memory::MemoryDisk;

/// A core that takes nothing until it is told to.
struct Silent(watch::Receiver<bool>);

#[async_trait]
impl Shards for Silent {
    fn count(&self) -> u16 {
        1
    }

    async fn offer(&self, _: ShardId, _: Entry) -> Result<Answer, OfferError> {
        let mut told = self.0.clone();
        let _ = told.wait_for(|told| *told).await;
        Ok(Answer::Applied)
    }
}

struct PausedClock(Instant);

impl Clock for PausedClock {
    fn now_ns(&self) -> u64 {
        1_700_000_000_000_000_000 + self.0.elapsed().as_nanos() as u64
    }
}

fn request(now_ns: u64) -> TraceRequest {
    request_of(&[(now_ns - 3_000_000, now_ns)])
}

/// Spans with these starts and ends.
fn request_of(times: &[(u64, u64)]) -> TraceRequest {
    let span = |&(start_ns, end_ns): &(u64, u64)| Span {
        start_time_unix_nano: start_ns,
        end_time_unix_nano: end_ns,
        ..Default::default()
    };
    let spans = times.iter().map(span).collect();
    let scope_spans = vec![ScopeSpans { spans, ..Default::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..Default::default() }];
    let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec().into();
    TraceRequest { tenant: Tenant::default(), encoding: Encoding::Protobuf, body }
}

fn values(edge: &EdgeHandle) -> BTreeMap<String, f64> {
    let metrics = edge.collect();
    let samples = metrics.iter().flat_map(Metric::samples);
    let plain = samples.filter(|sample| sample.le.is_none());
    plain.map(|sample| (sample.name.replace("tributary_edge_", ""), sample.value)).collect()
}

/// Its core takes nothing until it is `told` to.
async fn opened(told: watch::Receiver<bool>) -> (Arc<PausedClock>, Edge, EdgeHandle) {
    let clock = Arc::new(PausedClock(Instant::now()));
    let fresh = Fresh { edge: EdgeId([1; 16]), boot: BootId([1; 8]), seed: 7 };
    let (files, shards) = (Arc::new(MemoryDisk::new()), Arc::new(Silent(told)));
    let opened = Edge::open(Options::default(), fresh, files, clock.clone(), shards).await;
    let (edge, handle) = opened.expect("opens");
    (clock, edge, handle)
}

#[tokio::test(start_paused = true)]
async fn spans_that_end_before_they_begin_are_counted() {
    let (clock, edge, handle) = opened(watch::channel(true).1).await;
    let (stop, stopped) = watch::channel(false);
    let edge = tokio::spawn(edge.run(stopped));
    let now = clock.now_ns();
    let request = request_of(&[(now, now - 1), (now, now), (now - 1, now)]);
    handle.ingest(request.clone()).await.expect("is acked");
    // A repeat counts nothing.
    handle.ingest(request).await.expect("is acked");
    let counted = values(&handle);
    assert_eq!((counted["spans_accepted_total"], counted["spans_clamped_total"]), (3.0, 1.0));
    stop.send_replace(true);
    edge.await.expect("ends in peace");
}

#[tokio::test(start_paused = true)]
async fn what_waits_and_what_is_held_shows() {
    let (speak, told) = watch::channel(false);
    let (clock, edge, handle) = opened(told).await;

    // Nothing takes it from the queue yet.
    let ingest = tokio::spawn({
        let (handle, request) = (handle.clone(), request(clock.now_ns()));
        async move { handle.ingest(request).await }
    });
    while handle.metrics().requests_received.get() == 0 {
        tokio::task::yield_now().await;
    }
    let waiting = values(&handle);
    assert!(waiting["queue_bytes"] > 512.0, "{waiting:?}");
    assert_eq!(
        (waiting["requests_received_total"], waiting["requests_accepted_total"]),
        (1.0, 0.0)
    );
    assert_eq!(waiting["journal_seconds_count"], 0.0);

    let (stop, stopped) = watch::channel(false);
    let edge = tokio::spawn(edge.run(stopped));
    ingest.await.expect("runs").expect("is acked");
    let open = values(&handle);
    assert_eq!((open["queue_bytes"], open["requests_accepted_total"]), (0.0, 1.0));
    assert_eq!((open["open_deltas"], open["journal_seconds_count"]), (1.0, 1.0));
    assert!(open["open_bytes"] > 0.0 && open["unsettled_age_seconds"] == 0.0);

    // Its window is sealed by then, and nobody answers.
    sleep(Duration::from_secs(60)).await;
    let silent = values(&handle);
    assert_eq!((silent["open_deltas"], silent["open_bytes"]), (0.0, 0.0));
    assert_eq!((silent["unsettled_seals"], silent["groups"]), (1.0, 1.0));
    assert!(silent["totals_bytes"] > 0.0 && silent["groups_bytes"] > 0.0);
    let age = silent["unsettled_age_seconds"];
    assert!((40.0..60.0).contains(&age), "{age} s");
    sleep(Duration::from_secs(5)).await;
    assert_eq!(values(&handle)["unsettled_age_seconds"], age + 5.0);

    speak.send_replace(true);
    sleep(Duration::from_secs(20)).await;
    let settled = values(&handle);
    assert_eq!((settled["unsettled_seals"], settled["unsettled_age_seconds"]), (0.0, 0.0));
    stop.send_replace(true);
    edge.await.expect("ends in peace");
}
