//! Edges and a store in one process, on paused time: the clock moves when everybody waits.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tokio::time::{Instant, sleep};
use tributary_edge::{Clock, Edge, EdgeHandle, Fresh, Options, Shards, TraceRequest};
use tributary_proto::{BootId, Digest, EdgeId, SourceId};
use tributary_spanmetrics::{Config, Content, Encoding, Labels, Tenant};
use tributary_store::{StoreHandle, View};

use crate::expected::REGION;
use crate::place::{NodeDisk, Place};
use crate::sent::{BASE_NS, Sent, SentSpan};
use crate::split::{Split, Step};

/// What a store holds in the end.
#[derive(Debug)]
pub(crate) struct Held {
    /// All shards together.
    pub(crate) content: Content,
    /// One of each shard.
    pub(crate) digests: Vec<Digest>,
}

/// A bug that is put in: what becomes of a span that arrives at a time.
pub(crate) type Bend = fn(&SentSpan, u64) -> SentSpan;

pub(crate) struct World {
    clock: PausedClock,
    store: StoreHandle,
    edges: Vec<Running>,
    boots: u64,
}

/// Tokio's time, which stands still while anybody has work.
#[derive(Clone, Copy)]
struct PausedClock {
    began: Instant,
}

struct Running {
    disk: NodeDisk,
    options: Options,
    handle: EdgeHandle,
    source: SourceId,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Clock for PausedClock {
    fn now_ns(&self) -> u64 {
        BASE_NS + self.began.elapsed().as_nanos() as u64
    }
}

impl World {
    /// Sends as the split says, and waits until all of it is complete.
    pub(crate) fn run(place: &Place, sent: &Sent, split: &Split) -> Held {
        Self::run_bent(place, sent, split, |span, _| span.clone())
    }

    pub(crate) fn run_bent(place: &Place, sent: &Sent, split: &Split, bend: Bend) -> Held {
        paused(async {
            let folder = TempDir::new().expect("a folder");
            let disk = NodeDisk::new(place, &folder);
            let (store, handle) = disk.store().await;
            let (stop, stopped) = watch::channel(false);
            let running = spawn_local(store.run(stopped));
            let shards = Arc::new(handle.clone());
            let mut world = World::new(handle, shards, &disk, split.edges).await;
            world.take(sent, split, bend).await;
            world.settle(sent).await;
            let held = world.held().await;
            for edge in world.edges {
                edge.stop.send_replace(true);
                edge.task.await.expect("an edge ends in peace");
            }
            stop.send_replace(true);
            running.await.expect("the store ends in peace");
            held
        })
    }

    pub(crate) async fn new(
        store: StoreHandle,
        shards: Arc<dyn Shards>,
        disk: &NodeDisk,
        edges: usize,
    ) -> Self {
        let clock = PausedClock { began: Instant::now() };
        let mut world = World { clock, store, edges: Vec::new(), boots: 0 };
        for edge in 0..edges {
            let external = Labels::from_pairs([("region", REGION)]);
            let options = Options {
                dir: format!("edge-{edge}"),
                config: Config { external, ..Config::default() },
                segment_bytes: 4 << 10,
                ..Options::default()
            };
            let running = world.boot(disk.another(), options, &shards).await;
            world.edges.push(running);
        }
        world
    }

    async fn boot(
        &mut self,
        disk: NodeDisk,
        options: Options,
        shards: &Arc<dyn Shards>,
    ) -> Running {
        self.boots += 1;
        let name = options.dir.as_bytes().last().copied().unwrap_or_default();
        let fresh =
            Fresh { edge: EdgeId([name; 16]), boot: BootId(self.boots.to_be_bytes()), seed: 7 };
        let source = SourceId { edge: fresh.edge, boot: fresh.boot };
        let (clock, shards) = (Arc::new(self.clock), Arc::clone(shards));
        let opened = Edge::open(options.clone(), fresh, disk.files(), clock, shards).await;
        let (edge, handle) = opened.expect("an edge opens");
        let (stop, stopped) = watch::channel(false);
        let task = spawn_local(edge.run(stopped));
        Running { disk, options, handle, source, stop, task }
    }

    pub(crate) async fn take(&mut self, sent: &Sent, split: &Split, bend: Bend) {
        for step in &split.steps {
            match step {
                Step::Pause { ms } => sleep(Duration::from_millis(*ms)).await,
                Step::Restart { edge, seed } => self.restart(*edge, *seed).await,
                Step::Samples { edge, samples } => {
                    let samples: Vec<_> = samples.iter().map(|at| &sent.samples[*at]).collect();
                    let tenant = samples[0].tenant();
                    let samples = samples.iter().map(|sample| sample.sample()).collect();
                    let taken = self.edges[*edge].handle.ingest_samples(&tenant, samples).await;
                    taken.expect("samples are acked");
                }
                Step::Spans { edge, spans } => {
                    let tenant = Tenant::new(sent.spans[spans[0]].tenant).expect("valid");
                    let now_ns = self.clock.now_ns();
                    let bent = spans.iter().map(|at| (*at, bend(&sent.spans[*at], now_ns)));
                    let body = encode(bent).into();
                    let request = TraceRequest { tenant, encoding: Encoding::Protobuf, body };
                    let answer = self.edges[*edge].handle.ingest(request).await;
                    let answer = answer.expect("a request is acked");
                    assert_eq!(answer.accepted + answer.late + answer.future, spans.len() as u64);
                }
            }
        }
    }

    /// In peace, or as the power goes.
    async fn restart(&mut self, edge: usize, seed: u64) {
        let Running { mut disk, options, stop, task, .. } = self.edges.remove(edge);
        if seed.is_multiple_of(2) {
            stop.send_replace(true);
            task.await.expect("an edge ends in peace");
        } else {
            task.abort();
            assert!(task.await.is_err(), "it was aborted");
            disk.crash(seed);
        }
        let shards: Arc<dyn Shards> = Arc::new(self.store.clone());
        let running = self.boot(disk, options, &shards).await;
        self.edges.insert(edge, running);
    }

    /// Until every shard is complete behind the last span, and the sources of earlier lives are closed.
    pub(crate) async fn settle(&self, sent: &Sent) {
        let ends = sent.spans.iter().filter(|span| span.is_admitted).map(|span| span.end_ns);
        let last_ms = (ends.max().unwrap_or_default().max(self.clock.now_ns()) / 1_000_000) as i64;
        let live: BTreeSet<_> = self.edges.iter().map(|edge| edge.source).collect();
        for _ in 0..3_600 {
            let is_settled = self.store.views().iter().all(|view| {
                let completeness = view.completeness();
                let complete_to_ms = completeness.complete_to_ms.unwrap_or(i64::MIN);
                let of = completeness.live.iter().map(|(source, _)| *source);
                complete_to_ms > last_ms + 10_000 && of.collect::<BTreeSet<_>>() == live
            });
            if is_settled {
                return;
            }
            sleep(Duration::from_secs(1)).await;
        }
        let views = self.store.views();
        let completeness: Vec<_> = views.iter().map(View::completeness).collect();
        panic!("an hour later it has not settled: {completeness:?}");
    }

    pub(crate) async fn held(&self) -> Held {
        let mut held = Held { content: Content::default(), digests: Vec::new() };
        for view in self.store.views() {
            held.content.merge(view.content().await.expect("the shard can be read"));
            held.digests.push(view.content_digest().await.expect("the shard can be read"));
        }
        held
    }
}

/// Runs on a runtime of one thread whose time passes only while everybody waits.
pub(crate) fn paused<T>(work: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(LocalSet::new().run_until(work))
}

/// Spans with their numbers for ids: no two requests are the same.
fn encode(spans: impl Iterator<Item = (usize, SentSpan)>) -> Vec<u8> {
    let resource_spans = spans.map(|(number, span)| {
        let service = AnyValue { value: Some(Value::StringValue(span.service.into())) };
        let attribute =
            KeyValue { key: "service.name".into(), value: Some(service), ..Default::default() };
        let encoded = Span {
            span_id: (number as u64).to_be_bytes().to_vec(),
            name: span.name.into(),
            kind: span.kind,
            status: span.status.map(|code| Status { code, ..Default::default() }),
            start_time_unix_nano: span.start_ns,
            end_time_unix_nano: span.end_ns,
            ..Default::default()
        };
        ResourceSpans {
            resource: Some(Resource { attributes: vec![attribute], ..Default::default() }),
            scope_spans: vec![ScopeSpans { spans: vec![encoded], ..Default::default() }],
            ..Default::default()
        }
    });
    ExportTraceServiceRequest { resource_spans: resource_spans.collect() }.encode_to_vec()
}
