//! Pages of totals beside a flood of requests, over a real edge and a disk that refuses.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tributary_edge::{Clock, Edge, EdgeHandle, Fresh, Options, Refusal, TraceRequest};
use tributary_proto::{BootId, EdgeId};
use tributary_spanmetrics::{Encoding, SPAN_WEIGHT, Tenant};
use tributary_store::Store;
use tributary_store::disk::memory::{Fault, MemoryDisk, Operation};

const NOW_NS: u64 = 1_700_000_000_000_000_000;
/// Longer than any test waits for what has to come.
const LONG: Duration = Duration::from_secs(60);

struct StandingClock;

impl Clock for StandingClock {
    fn now_ns(&self) -> u64 {
        NOW_NS
    }
}

struct Running {
    handle: EdgeHandle,
    disk: MemoryDisk,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Running {
    async fn start() -> Self {
        let (store, shards) =
            Store::open(&MemoryDisk::new(), Default::default()).await.expect("opens");
        let disk = MemoryDisk::new();
        let fresh = Fresh { edge: EdgeId([1; 16]), boot: BootId([1; 8]), seed: 7 };
        let files = Arc::new(disk.clone());
        let shards = Arc::new(shards);
        let opened =
            Edge::open(Options::default(), fresh, files, Arc::new(StandingClock), shards).await;
        let (edge, handle) = opened.expect("opens");
        let (stop, stopped) = watch::channel(false);
        let tasks = vec![tokio::spawn(store.run(stopped.clone())), tokio::spawn(edge.run(stopped))];
        Running { handle, disk, stop, tasks }
    }

    /// Names and spans of all groups.
    async fn shown(&self) -> Vec<(String, u64)> {
        let (mut found, mut from) = (Vec::new(), None);
        loop {
            let page = self.handle.totals().page(&Tenant::default(), from).await.expect("runs");
            let rows = page.rows.into_iter();
            found.extend(
                rows.map(|row| (row.group.span_name, row.by_layout[0].1.count / SPAN_WEIGHT)),
            );
            from = page.next;
            if from.is_none() {
                return found;
            }
        }
    }

    async fn end(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            task.await.expect("ends in peace");
        }
    }
}

/// A span of the name; by its number another request than all before.
fn request(name: &str, number: u64) -> TraceRequest {
    let span = Span {
        span_id: number.to_be_bytes().to_vec(),
        name: name.into(),
        start_time_unix_nano: NOW_NS - 3_000_000,
        end_time_unix_nano: NOW_NS,
        ..Default::default()
    };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..Default::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..Default::default() }];
    let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec().into();
    TraceRequest { tenant: Tenant::default(), encoding: Encoding::Protobuf, body }
}

#[tokio::test]
async fn what_is_refused_never_shows() {
    let edge = Running::start().await;
    edge.handle.ingest(request("taken", 1)).await.expect("is taken");
    edge.disk.fail(Fault::always(Operation::Append).under("edge/journal"));
    edge.disk.fail(Fault::always(Operation::Sync).under("edge/journal"));
    let refused = edge.handle.ingest(request("refused", 2)).await.expect_err("the disk is broken");
    assert!(matches!(refused, Refusal::Journal(_)), "{refused}");
    let bad = TraceRequest { body: vec![0xff; 8].into(), ..request("bad", 3) };
    edge.handle.ingest(bad).await.expect_err("no spans");
    assert_eq!(edge.shown().await, [("taken".to_owned(), 1)]);
    edge.disk.clear_faults();
    edge.end().await;
}

#[tokio::test]
async fn a_repeat_shows_once() {
    let edge = Running::start().await;
    for _ in 0..3 {
        edge.handle.ingest(request("once", 1)).await.expect("is answered");
    }
    assert_eq!(edge.shown().await, [("once".to_owned(), 1)]);
    edge.end().await;
}

#[tokio::test]
async fn pages_and_requests_keep_each_other_waiting_for_a_turn_only() {
    let edge = Running::start().await;
    let flood: Vec<_> = (0..8u64)
        .map(|client| {
            let handle = edge.handle.clone();
            tokio::spawn(async move {
                for number in 0u64.. {
                    let request = request(&format!("op {client}"), client << 32 | number);
                    handle.ingest(request).await.expect("is acked");
                }
            })
        })
        .collect();
    let walks: Vec<_> = (0..8)
        .map(|_| {
            let totals = edge.handle.totals().clone();
            tokio::spawn(async move {
                let tenant = Tenant::default();
                while totals.page(&tenant, None).await.is_some() {}
            })
        })
        .collect();
    // Neither side starves while the other asks again as soon as it is answered.
    let both = async {
        for number in 0..200 {
            edge.handle.ingest(request("mine", 1 << 60 | number)).await.expect("is acked");
            let shown = edge.shown().await;
            let mine = shown.iter().find(|(name, _)| name == "mine").expect("is shown");
            assert_eq!(mine.1, number + 1, "what is acknowledged shows");
        }
    };
    timeout(LONG, both).await.expect("neither starves");
    flood.iter().chain(&walks).for_each(JoinHandle::abort);
    edge.end().await;
}

#[tokio::test]
async fn an_edge_that_ended_has_no_pages() {
    let edge = Running::start().await;
    let totals = edge.handle.totals().clone();
    edge.end().await;
    assert!(totals.page(&Tenant::default(), None).await.is_none());
}
