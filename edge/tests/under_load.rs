//! An edge whose disk is slower than its clients: windows are sealed on time all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tributary_edge::{Clock, Edge, EdgeHandle, Fresh, Options, TraceRequest};
use tributary_proto::{BootId, EdgeId};
use tributary_spanmetrics::{Encoding, Tenant};
use tributary_store::disk::memory::MemoryDisk;
use tributary_store::disk::{self, File, Files, Lock};
use tributary_store::{Store, StoreHandle};

const BASE_MS: i64 = 1_700_000_000_000;
const SYNC: Duration = Duration::from_millis(50);
const WINDOW_MS: i64 = 10_000;
/// A turn that is under way, the seal, and what is noted of the seals before.
const BOUND_MS: i64 = 1_000;

struct PausedClock {
    began: Instant,
}

impl Clock for PausedClock {
    fn now_ns(&self) -> u64 {
        BASE_MS as u64 * 1_000_000 + self.began.elapsed().as_nanos() as u64
    }
}

/// A disk in memory on which every sync takes its time.
struct SlowDisk(MemoryDisk);

struct SlowFile(Arc<dyn File>);

#[async_trait]
impl Files for SlowDisk {
    async fn open(&self, path: &str) -> disk::Result<Arc<dyn File>> {
        Ok(Arc::new(SlowFile(self.0.open(path).await?)))
    }

    async fn read(&self, path: &str) -> disk::Result<Option<Bytes>> {
        self.0.read(path).await
    }

    async fn replace(&self, path: &str, bytes: Bytes) -> disk::Result<()> {
        self.0.replace(path, bytes).await
    }

    async fn list(&self, dir: &str) -> disk::Result<Vec<String>> {
        self.0.list(dir).await
    }

    async fn create_dir(&self, dir: &str) -> disk::Result<()> {
        self.0.create_dir(dir).await
    }

    async fn sync_dir(&self, dir: &str) -> disk::Result<()> {
        self.0.sync_dir(dir).await
    }

    async fn rename(&self, from: &str, to: &str) -> disk::Result<()> {
        self.0.rename(from, to).await
    }

    async fn remove(&self, path: &str) -> disk::Result<()> {
        self.0.remove(path).await
    }

    async fn remove_dir(&self, dir: &str) -> disk::Result<()> {
        self.0.remove_dir(dir).await
    }

    async fn link(&self, from: &str, to: &str) -> disk::Result<()> {
        self.0.link(from, to).await
    }

    async fn lock(&self, path: &str) -> disk::Result<Box<dyn Lock>> {
        self.0.lock(path).await
    }
}

#[async_trait]
impl File for SlowFile {
    fn len(&self) -> u64 {
        self.0.len()
    }

    async fn append(&self, bytes: Bytes) -> disk::Result<()> {
        self.0.append(bytes).await
    }

    async fn sync(&self) -> disk::Result<()> {
        sleep(SYNC).await;
        self.0.sync().await
    }

    async fn truncate(&self, len: u64) -> disk::Result<()> {
        self.0.truncate(len).await
    }

    async fn append_sync(&self, bytes: Bytes) -> disk::Result<()> {
        sleep(SYNC).await;
        self.0.append_sync(bytes).await
    }

    async fn rewrite(&self, offset: u64) -> disk::Result<()> {
        self.0.rewrite(offset).await
    }

    async fn read_at(&self, offset: u64, len: usize) -> disk::Result<Bytes> {
        self.0.read_at(offset, len).await
    }
}

/// One span that ends now, by its number another than all before.
fn request(now_ns: u64, number: u64) -> TraceRequest {
    let span = Span {
        span_id: number.to_be_bytes().to_vec(),
        start_time_unix_nano: now_ns - 3_000_000,
        end_time_unix_nano: now_ns,
        ..Default::default()
    };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..Default::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..Default::default() }];
    let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec().into();
    TraceRequest { tenant: Tenant::default(), encoding: Encoding::Protobuf, body }
}

/// Sends the next request as soon as the last is answered.
async fn keep_sending(
    edge: EdgeHandle,
    clock: Arc<PausedClock>,
    sent: Arc<AtomicU64>,
    acked: Arc<AtomicU64>,
) {
    loop {
        let number = sent.fetch_add(1, Ordering::Relaxed);
        let answer =
            edge.ingest(request(clock.now_ns(), number)).await.expect("the request is acked");
        acked.fetch_add(answer.accepted, Ordering::Relaxed);
    }
}

/// Of the shard that is furthest behind.
fn complete_to_ms(store: &StoreHandle) -> i64 {
    let to_ms = |view: &tributary_store::View| view.completeness().complete_to_ms;
    store
        .views()
        .iter()
        .map(|view| to_ms(view).unwrap_or(i64::MIN))
        .min()
        .expect("there are shards")
}

#[tokio::test(start_paused = true)]
async fn windows_are_sealed_on_time_while_a_request_always_waits() {
    let store_disk = MemoryDisk::new();
    let (store, shards) = Store::open(&store_disk, Default::default()).await.expect("opens");
    let (stop, stopped) = watch::channel(false);
    let store = tokio::spawn(store.run(stopped.clone()));
    let clock = Arc::new(PausedClock { began: Instant::now() });
    let fresh = Fresh { edge: EdgeId([1; 16]), boot: BootId([1; 8]), seed: 7 };
    let options = Options { segment_bytes: 64 << 10, ..Options::default() };
    let grace_ms = options.grace.as_millis() as i64;
    let files = Arc::new(SlowDisk(MemoryDisk::new()));
    let opened = Edge::open(options, fresh, files, clock.clone(), Arc::new(shards.clone())).await;
    let (edge, handle) = opened.expect("an edge opens");
    let edge = tokio::spawn(edge.run(stopped));
    let acked = Arc::new(AtomicU64::new(0));
    let sent = Arc::new(AtomicU64::new(0));
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (sent, acked) = (sent.clone(), acked.clone());
            tokio::spawn(keep_sending(handle.clone(), clock.clone(), sent, acked))
        })
        .collect();

    sleep(Duration::from_secs(1)).await;
    while clock.began.elapsed() < Duration::from_secs(60) {
        // Not a multiple of anything else, so that all phases are looked at.
        sleep(Duration::from_millis(237)).await;
        let due_ms = clock.now_ms() - WINDOW_MS - grace_ms - BOUND_MS;
        let complete_to_ms = complete_to_ms(&shards);
        assert!(
            complete_to_ms >= due_ms,
            "{} ms behind at {:?}",
            due_ms - complete_to_ms,
            clock.began.elapsed()
        );
    }
    assert!(!clients.iter().any(tokio::task::JoinHandle::is_finished), "every client still sends");
    let syncs = handle.metrics().journal_syncs.get();
    let busy = SYNC * syncs as u32;
    assert!(busy > Duration::from_secs(57), "the journal was never idle: {busy:?} in syncs");
    assert!(acked.load(Ordering::Relaxed) > 8 * 1_000, "{acked:?} spans were acked");

    for client in clients {
        client.abort();
    }
    stop.send_replace(true);
    edge.await.expect("the edge ends in peace");
    store.await.expect("the store ends in peace");
}
