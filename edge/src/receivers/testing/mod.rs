//! What the receivers' tests share: a real edge behind real sockets, and the plainest of clients.

use std::future::poll_fn;
use std::io::Write;
use std::iter;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use futures::FutureExt;
use http::Request;
use http_body_util::{BodyExt, Full};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::transport::Channel;
use tributary_proto::{BootId, EdgeId};
use tributary_store::disk::memory::MemoryDisk;
use tributary_store::{Options as StoreOptions, Store};

use super::body::Room;
use super::export::Exporter;
use super::{Listeners, Options, Receivers};
use crate::ceiling::Ceiling;
use crate::clock::Clock;
use crate::edge::{Edge, Fresh, Options as EdgeOptions};
use crate::ingest::EdgeHandle;
use crate::metrics::EdgeMetrics;
pub(crate) use http2::{Called, Raw};

pub(crate) mod frames;
mod http2;

pub(crate) const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
pub(crate) const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
pub(crate) const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

const NOW_S: u64 = 1_700_000_000;

struct Still;

impl Clock for Still {
    fn now_ns(&self) -> u64 {
        NOW_S * 1_000_000_000
    }
}

/// Stands where a request was handed over and the ingest has not begun.
#[derive(Clone, Debug, Default)]
pub(crate) enum Hook {
    #[default]
    Passes,
    Panics,
    /// A permit lets one request through.
    Waits(Arc<Semaphore>),
}

impl Hook {
    pub(crate) async fn reached(&self) {
        match self {
            Hook::Passes => {}
            Hook::Panics => panic!("as the test wants it"),
            Hook::Waits(gate) => gate.acquire().await.unwrap().forget(),
        }
    }
}

/// What tests reach of the receivers.
#[derive(Default)]
pub(crate) struct Seams {
    hook: Hook,
    room: Arc<OnceLock<Room>>,
}

impl Seams {
    pub(crate) fn sew(self, exporter: &mut Exporter) {
        exporter.hook = self.hook;
        assert!(self.room.set(exporter.room.clone()).is_ok(), "receivers run once");
    }
}

/// A ceiling of 64 MiB and 96 MiB over what a test says is in use.
pub(crate) fn ceiling() -> (Ceiling, Arc<AtomicUsize>) {
    let used = Arc::new(AtomicUsize::new(0));
    let read = used.clone();
    let used_bytes = Arc::new(move || read.load(Ordering::Relaxed));
    (Ceiling { soft_bytes: 64 << 20, hard_bytes: 96 << 20, used_bytes }, used)
}

/// An edge, its receivers on free ports, and what ends them.
pub(crate) struct Rig {
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    handle: EdgeHandle,
    /// Not running: what is sent waits for it.
    edge: Option<Edge>,
    stop: watch::Sender<bool>,
    receivers: JoinHandle<()>,
    room: Arc<OnceLock<Room>>,
    stop_others: watch::Sender<bool>,
    others: Vec<JoinHandle<()>>,
}

impl Rig {
    pub(crate) async fn start(options: Options) -> Self {
        Self::start_with_hook(options, Hook::default()).await
    }

    pub(crate) async fn start_with_hook(options: Options, hook: Hook) -> Self {
        Self::start_with_edge(options, EdgeOptions::default(), hook).await
    }

    pub(crate) async fn start_with_edge(
        options: Options,
        edge_options: EdgeOptions,
        hook: Hook,
    ) -> Self {
        let mut rig = Self::open(options, edge_options, hook).await;
        let edge = rig.edge.take().expect("just opened");
        rig.others.push(tokio::spawn(edge.run(rig.stop_others.subscribe())));
        rig
    }

    /// Requests reach the edge's queue and stay there.
    pub(crate) async fn start_without_edge(options: Options, edge_options: EdgeOptions) -> Self {
        Self::open(options, edge_options, Hook::default()).await
    }

    async fn open(options: Options, edge_options: EdgeOptions, hook: Hook) -> Self {
        let disk = MemoryDisk::new();
        let (store, shards) =
            Store::open(&disk, StoreOptions { shards: 2, ..StoreOptions::default() })
                .await
                .unwrap();
        let fresh = Fresh { edge: EdgeId([1; 16]), boot: BootId([2; 8]), seed: 7 };
        let files = Arc::new(disk.clone());
        let (edge, handle) =
            Edge::open(edge_options, fresh, files, Arc::new(Still), Arc::new(shards))
                .await
                .unwrap();
        let grpc = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (grpc_at, http_at) = (grpc.local_addr().unwrap(), http.local_addr().unwrap());
        let (stop, stopped) = watch::channel(false);
        let (stop_others, others_stopped) = watch::channel(false);
        let listeners = Listeners { grpc: vec![grpc], http: vec![http] };
        let room = Arc::default();
        let seams = Seams { hook, room: Arc::clone(&room) };
        let receivers = Receivers::new(options, listeners, handle.clone()).with_seams(seams);
        Rig {
            grpc: grpc_at,
            http: http_at,
            handle,
            edge: Some(edge),
            receivers: tokio::spawn(receivers.run(stopped)),
            room,
            others: vec![tokio::spawn(store.run(others_stopped))],
            stop,
            stop_others,
        }
    }

    pub(crate) fn metrics(&self) -> &EdgeMetrics {
        self.handle.metrics()
    }

    /// While they are held, what takes long waits.
    pub(crate) async fn all_turns(&self) -> Vec<OwnedSemaphorePermit> {
        until(|| self.room.get().is_some()).await;
        let room = self.room.get().expect("just seen");
        iter::from_fn(|| room.turn().now_or_never()).collect()
    }

    /// What waits for the edge, and what comes later, finds it gone.
    pub(crate) fn lose_edge(&mut self) {
        self.edge = None;
    }

    /// Along the way of the data.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        self.receivers.await.unwrap();
        self.stop_others.send_replace(true);
        for other in self.others {
            other.await.unwrap();
        }
    }
}

/// A request with one span for each of the given ages, another one each time.
pub(crate) fn spans(ages_s: &[i64]) -> ExportTraceServiceRequest {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let trace_id = u128::from(NEXT.fetch_add(1, Ordering::Relaxed)).to_be_bytes().to_vec();
    let span = |age_s: &i64| {
        let end = NOW_S.checked_add_signed(-age_s).unwrap() * 1_000_000_000;
        Span {
            trace_id: trace_id.clone(),
            name: "buy".into(),
            kind: 2,
            start_time_unix_nano: end - 5_000_000,
            end_time_unix_nano: end,
            ..Default::default()
        }
    };
    let scope = ScopeSpans { spans: ages_s.iter().map(span).collect(), ..Default::default() };
    let resource = ResourceSpans { scope_spans: vec![scope], ..Default::default() };
    ExportTraceServiceRequest { resource_spans: vec![resource] }
}

pub(crate) const LATE_S: i64 = 31 * 86_400;
pub(crate) const FUTURE_S: i64 = -601;

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn raw_deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// One frame that says its length.
pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 3).unwrap()
}

/// One frame that says its window only, as streams are sent.
pub(crate) fn zstd_of_window(bytes: &[u8], window_log: u32) -> Vec<u8> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    encoder.window_log(window_log).unwrap();
    encoder.include_contentsize(false).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An answer of HTTP/1.1.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

pub(crate) async fn send(
    at: SocketAddr,
    line: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(&head(line, headers, body.len())).await.unwrap();
    stream.write_all(body).await.unwrap();
    reply(stream).await
}

pub(crate) fn head(line: &str, headers: &[(&str, &str)], length: usize) -> Vec<u8> {
    let headers: String = headers.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
    format!(
        "{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
    )
    .into()
}

pub(crate) async fn reply(mut stream: TcpStream) -> Reply {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer");
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head[9..12].parse().unwrap();
    Reply { status, head, body: bytes[end + 4..].to_vec() }
}

pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(10), what).await.expect("it does not take long")
}

pub(crate) async fn until(holds: impl Fn() -> bool) {
    soon(async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

pub(crate) async fn channel(at: SocketAddr) -> Channel {
    Channel::from_shared(format!("http://{at}")).unwrap().connect().await.unwrap()
}

pub(crate) async fn call(
    at: SocketAddr,
    path: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> Called {
    let mut channel = channel(at).await;
    poll_fn(|cx| GrpcService::<Body>::poll_ready(&mut channel, cx)).await.unwrap();
    let mut request = Request::post(format!("http://{at}{path}")).header("te", "trailers");
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        request = request.header("content-type", "application/grpc");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::new(Full::from(body))).unwrap();
    let (head, body) = channel.call(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().cloned();
    Called::new(head, body.to_bytes(), trailers.as_ref())
}

/// A message with its prefix.
pub(crate) fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u32).to_be_bytes();
    [&[flag], length.as_slice(), message].concat()
}
