//! An edge and a store on paused time, with a clock that steps and a core that falls silent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tributary_edge::{Clock, Edge, EdgeHandle, Fresh, Options, Refusal, Shards, TraceAnswer};
use tributary_edge::{EdgeMetrics, TraceRequest};
use tributary_proto::{Answer, BootId, EdgeId, Entry, OfferError, ShardId};
use tributary_spanmetrics::{Encoding, SPAN_WEIGHT, Tenant};
use tributary_store::disk::memory::MemoryDisk;
use tributary_store::{Store, StoreHandle};

const BASE_MS: i64 = 1_700_000_000_000;
/// A window's width, the grace, and what a turn takes.
pub(crate) const SEALED: Duration = Duration::from_secs(18);

/// As far from the right time as it is set.
pub(crate) struct SteppingClock {
    began: Instant,
    off_ms: AtomicI64,
}

impl SteppingClock {
    pub(crate) fn step_to(&self, off: Duration) {
        self.off_ms.store(off.as_millis() as i64, Relaxed);
    }
}

impl Clock for SteppingClock {
    fn now_ns(&self) -> u64 {
        (BASE_MS + self.off_ms.load(Relaxed)) as u64 * 1_000_000
            + self.began.elapsed().as_nanos() as u64
    }
}

/// The store, behind a switch.
pub(crate) struct Core {
    store: StoreHandle,
    is_silent: AtomicBool,
}

impl Core {
    pub(crate) fn fall_silent(&self, is_silent: bool) {
        self.is_silent.store(is_silent, Relaxed);
    }
}

#[async_trait]
impl Shards for Core {
    fn count(&self) -> u16 {
        self.store.shards()
    }

    async fn offer(&self, shard: ShardId, entry: Entry) -> Result<Answer, OfferError> {
        match self.is_silent.load(Relaxed) {
            true => Err(OfferError::Unavailable { shard, reason: "told to".into() }),
            false => self.store.offer(shard, entry).await,
        }
    }
}

pub(crate) struct World {
    pub(crate) clock: Arc<SteppingClock>,
    pub(crate) core: Arc<Core>,
    pub(crate) edge: EdgeHandle,
    stop: watch::Sender<bool>,
    tasks: [JoinHandle<()>; 2],
}

impl World {
    /// `ahead`: by so much the clock is, at the start.
    pub(crate) async fn start(options: Options, ahead: Duration) -> Self {
        let clock = SteppingClock { began: Instant::now(), off_ms: AtomicI64::new(0) };
        let clock = Arc::new(clock);
        clock.step_to(ahead);
        let (store, handle) =
            Store::open(&MemoryDisk::new(), Default::default()).await.expect("opens");
        let core = Arc::new(Core { store: handle, is_silent: AtomicBool::new(false) });
        let fresh = Fresh { edge: EdgeId([1; 16]), boot: BootId([1; 8]), seed: 7 };
        let files = Arc::new(MemoryDisk::new());
        let opened = Edge::open(options, fresh, files, clock.clone(), core.clone()).await;
        let (edge, handle) = opened.expect("an edge opens");
        let (stop, stopped) = watch::channel(false);
        let tasks = [tokio::spawn(edge.run(stopped.clone())), tokio::spawn(store.run(stopped))];
        World { clock, core, edge: handle, stop, tasks }
    }

    pub(crate) fn metrics(&self) -> &EdgeMetrics {
        self.edge.metrics()
    }

    /// One span of a name, which ends now.
    pub(crate) async fn send(&self, name: &str) -> Result<TraceAnswer, Refusal> {
        self.edge.ingest(request(self.clock.now_ns(), [name.to_owned()], &[])).await
    }

    /// Spans in the store.
    pub(crate) async fn counted(&self) -> u64 {
        let mut spans = 0;
        for view in self.core.store.views() {
            let content = view.content().await.expect("a sound disk");
            let layouts = content.tenants.values().flat_map(|tenant| tenant.layouts.values());
            let groups = layouts.flat_map(|layout| layout.groups.values());
            let deltas = groups.flat_map(|group| group.windows.values());
            spans += deltas.map(|delta| delta.count / SPAN_WEIGHT).sum::<u64>();
        }
        spans
    }

    /// Of the shard that is furthest behind.
    pub(crate) fn complete_to_ms(&self) -> i64 {
        let views = self.core.store.views();
        let to_ms = views.iter().map(|view| view.completeness().complete_to_ms.unwrap_or(i64::MIN));
        to_ms.min().expect("there are shards")
    }

    /// Waits for what has to come about; `None` where it does not in time.
    pub(crate) async fn within(
        &self,
        time: Duration,
        is_so: impl Fn(&World) -> bool,
    ) -> Option<()> {
        let began = Instant::now();
        while !is_so(self) {
            if began.elapsed() > time {
                return None;
            }
            sleep(Duration::from_millis(100)).await;
        }
        Some(())
    }

    pub(crate) async fn end(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            task.await.expect("it ends in peace");
        }
    }
}

/// One span of each name, all of a resource with these attributes.
pub(crate) fn request(
    now_ns: u64,
    names: impl IntoIterator<Item = String>,
    attributes: &[(String, String)],
) -> TraceRequest {
    let spans = names.into_iter().map(|name| Span {
        name,
        start_time_unix_nano: now_ns - 3_000_000,
        end_time_unix_nano: now_ns,
        ..Span::default()
    });
    let attributes = attributes.iter().map(|(key, value)| KeyValue {
        key: key.clone(),
        value: Some(AnyValue { value: Some(Value::StringValue(value.clone())) }),
        ..KeyValue::default()
    });
    let resource = Resource { attributes: attributes.collect(), ..Resource::default() };
    let scope_spans = vec![ScopeSpans { spans: spans.collect(), ..ScopeSpans::default() }];
    let resource_spans =
        vec![ResourceSpans { resource: Some(resource), scope_spans, ..Default::default() }];
    let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec().into();
    TraceRequest { tenant: Tenant::default(), encoding: Encoding::Protobuf, body }
}
