//! An edge that is short of memory: what is new shares before anybody is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tokio::sync::watch;
use tributary_edge::{Ceiling, Clock, Edge, Fresh, Options, Refusal, TraceRequest};
use tributary_proto::{BootId, EdgeId};
use tributary_spanmetrics::{Encoding, Tenant};
use tributary_store::Store;
use tributary_store::disk::memory::MemoryDisk;

const NOW_NS: u64 = 1_700_000_000_000_000_000;

struct Still;

impl Clock for Still {
    fn now_ns(&self) -> u64 {
        NOW_NS
    }
}

fn request(name: &str) -> TraceRequest {
    let span = Span { name: name.into(), end_time_unix_nano: NOW_NS, ..Span::default() };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..Default::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..Default::default() }];
    let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec().into();
    TraceRequest { tenant: Tenant::default(), encoding: Encoding::Protobuf, body }
}

#[tokio::test]
async fn new_groups_fold_long_before_requests_are_refused_and_from_the_next_request_on() {
    let used = Arc::new(AtomicUsize::new(0));
    let read = used.clone();
    let used_bytes = Arc::new(move || read.load(Relaxed));
    let ceiling = Ceiling { soft_bytes: 100, hard_bytes: 200, used_bytes };
    let disk = MemoryDisk::new();
    let (_store, shards) = Store::open(&disk, Default::default()).await.expect("opens");
    let (stop, stopped) = watch::channel(false);
    let fresh = Fresh { edge: EdgeId([1; 16]), boot: BootId([1; 8]), seed: 7 };
    let options = Options { ceiling, ..Options::default() };
    let files = Arc::new(disk.clone());
    let opened = Edge::open(options, fresh, files, Arc::new(Still), Arc::new(shards)).await;
    let (edge, handle) = opened.expect("an edge opens");
    let edge = tokio::spawn(edge.run(stopped));
    let overflowed = || handle.metrics().spans_overflowed.get();

    handle.ingest(request("known")).await.expect("there is room");
    used.store(51, Relaxed);
    handle.ingest(request("the last of its own")).await.expect("there is room");
    assert_eq!(overflowed(), 0);
    handle.ingest(request("new")).await.expect("there is room for requests");
    assert_eq!(overflowed(), 1);
    handle.ingest(request("newer")).await.expect("there is room for requests");
    assert_eq!(overflowed(), 2);
    used.store(101, Relaxed);
    let refused = handle.ingest(request("refused")).await.expect_err("there is no room");
    assert!(matches!(refused, Refusal::Memory { .. }), "{refused}");
    used.store(50, Relaxed);
    handle.ingest(request("shares once more")).await.expect("there is room");
    handle.ingest(request("has a group again")).await.expect("there is room");
    assert_eq!(overflowed(), 3);

    stop.send_replace(true);
    edge.await.expect("the edge ends in peace");
}
