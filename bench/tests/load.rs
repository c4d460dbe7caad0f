//! The loader against real receivers: tonic's for gRPC, axum's for HTTP.
#![allow(clippy::unwrap_used, reason = "a test's helpers are test code too")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use clap::Parser;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tonic::codec::CompressionEncoding;
use tonic::{Code, Request, Response, Status};
use tributary_bench::load::{Options, Report, prepare};

/// What a receiver got, and how it answers.
#[derive(Clone, Default)]
struct Receiver {
    seen: Arc<Mutex<Seen>>,
    /// Every third call is turned away.
    busy: bool,
    rejects: i64,
    refuses: Option<Code>,
}

#[derive(Default)]
struct Seen {
    calls: u64,
    turned_away: Vec<Vec<u8>>,
    taken: Vec<Vec<u8>>,
}

impl Receiver {
    /// Whether it takes it.
    fn offer(&self, request: &ExportTraceServiceRequest) -> bool {
        let mut seen = self.seen.lock().unwrap();
        seen.calls += 1;
        let takes = !(self.busy && seen.calls.is_multiple_of(3));
        let body = request.encode_to_vec();
        if takes {
            seen.taken.push(body);
        } else {
            seen.turned_away.push(body);
        }
        takes
    }
}

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        if let Some(code) = self.refuses {
            return Err(Status::new(code, "not today"));
        }
        if !self.offer(request.get_ref()) {
            return Err(Status::unavailable("busy"));
        }
        let partial =
            ExportTracePartialSuccess { rejected_spans: self.rejects, ..Default::default() };
        let partial_success = (self.rejects > 0).then_some(partial);
        Ok(Response::new(ExportTraceServiceResponse { partial_success }))
    }
}

async fn grpc(receiver: Receiver) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let service = TraceServiceServer::new(receiver)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd)
        .send_compressed(CompressionEncoding::Gzip);
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    tokio::spawn(
        tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming),
    );
    at
}

async fn http(receiver: Receiver) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let router = Router::new().route("/v1/traces", post(take)).with_state(receiver);
    tokio::spawn(async move { axum::serve(listener, router).await });
    at
}

async fn take(
    State(receiver): State<Receiver>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, HeaderMap, Vec<u8>) {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let plain = match headers.get("content-encoding").map(|value| value.to_str().unwrap()) {
        None => body.to_vec(),
        Some("gzip") => {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut plain).unwrap();
            plain
        }
        Some("zstd") => zstd::decode_all(&body[..]).unwrap(),
        Some(other) => panic!("encoding {other}"),
    };
    let request = ExportTraceServiceRequest::decode(&plain[..]).unwrap();
    if receiver.offer(&request) {
        (StatusCode::OK, HeaderMap::new(), ExportTraceServiceResponse::default().encode_to_vec())
    } else {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", "0".parse().unwrap());
        (StatusCode::SERVICE_UNAVAILABLE, headers, Vec::new())
    }
}

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

async fn load(to: SocketAddr, flags: &str) -> Report {
    let line = format!("load --to {to} --spans 50 --groups 40 {flags}");
    let options = Line::try_parse_from(line.split_whitespace()).unwrap().options;
    prepare(options).await.unwrap().run().await.unwrap()
}

/// What was taken is what the loader says: by service, in all, and nothing twice.
fn check(receiver: &Receiver, report: &Report) {
    let seen = receiver.seen.lock().unwrap();
    let mut services = BTreeMap::<String, u64>::new();
    let mut sum_us = 0;
    let mut ids = BTreeSet::new();
    for body in &seen.taken {
        for of in ExportTraceServiceRequest::decode(&body[..]).unwrap().resource_spans {
            let service = of.resource.unwrap().attributes.remove(0).value.unwrap().value;
            let service = format!("{service:?}").split('"').nth(1).unwrap().to_owned();
            for span in of.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                *services.entry(service.clone()).or_default() += 1;
                let ns = span.end_time_unix_nano - span.start_time_unix_nano;
                sum_us += u128::from((ns + 500) / 1000);
                assert!(ids.insert(span.span_id), "a span came twice");
            }
        }
    }
    assert_eq!(report.acked_requests, seen.taken.len() as u64);
    assert_eq!(report.acked_spans, 50 * report.acked_requests);
    assert_eq!(report.tally.count, report.acked_spans);
    assert_eq!(report.tally.services, services);
    assert_eq!(report.tally.sum_us, sum_us);
    assert_eq!(report.unknown_requests + report.failed_requests, 0, "{:?}", report.errors);
}

#[tokio::test]
async fn what_is_acked_is_what_arrived() {
    for flags in ["", "--gzip", "--zstd", "--shuffled --distinct-values --instances 2"] {
        let receiver = Receiver::default();
        let report =
            load(grpc(receiver.clone()).await, &format!("--seconds 60 --requests 60 {flags}"))
                .await;
        check(&receiver, &report);
        assert_eq!((report.acked_requests, report.retries), (60, 0), "{flags}");

        let receiver = Receiver::default();
        let flags = format!("--seconds 60 --requests 60 --protocol http {flags}");
        let report = load(http(receiver.clone()).await, &flags).await;
        check(&receiver, &report);
        assert_eq!((report.acked_requests, report.retries), (60, 0), "{flags}");
    }
}

#[tokio::test]
async fn a_request_that_was_turned_away_comes_again_with_the_same_bytes() {
    for (protocol, flags) in [("grpc", ""), ("http", ""), ("grpc", "--gzip")] {
        let receiver = Receiver { busy: true, ..Receiver::default() };
        let at = match protocol {
            "grpc" => grpc(receiver.clone()).await,
            _ => http(receiver.clone()).await,
        };
        let report =
            load(at, &format!("--seconds 60 --requests 60 --protocol {protocol} {flags}")).await;
        check(&receiver, &report);
        let seen = receiver.seen.lock().unwrap();
        let taken: BTreeSet<_> = seen.taken.iter().collect();
        assert!(seen.turned_away.iter().all(|body| taken.contains(body)));
        assert_eq!(report.retries, seen.turned_away.len() as u64);
        assert!(report.retries >= 29, "{}", report.retries);
    }
}

#[tokio::test]
async fn a_rate_is_kept() {
    let receiver = Receiver::default();
    let to = grpc(receiver.clone()).await;
    let report = load(to, "--rate 5000 --seconds 1").await;
    check(&receiver, &report);
    assert_eq!(report.acked_requests, 100);
    assert!(report.seconds < 5.0);
}

#[tokio::test]
async fn what_is_refused_or_rejected_is_told() {
    let refusing = Receiver { refuses: Some(Code::InvalidArgument), ..Receiver::default() };
    let report = load(grpc(refusing).await, "--seconds 60 --requests 10").await;
    assert_eq!((report.acked_requests, report.failed_requests), (0, 10));
    assert_eq!(report.errors["grpc-status 3: not%20today"], 10);

    let rejecting = Receiver { rejects: 2, ..Receiver::default() };
    let report = load(grpc(rejecting).await, "--seconds 60 --requests 10").await;
    assert_eq!((report.acked_requests, report.rejected_spans), (10, 20));
}

/// Passes bytes on; the first connection ends after so many.
async fn cutting(to: SocketAddr, bytes: u64) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut bytes = Some(bytes);
        while let Ok((client, _)) = listener.accept().await {
            let limit = bytes.take().unwrap_or(u64::MAX);
            tokio::spawn(async move {
                let server = TcpStream::connect(to).await.unwrap();
                let (from_client, mut to_client) = client.into_split();
                let mut from_client = from_client.take(limit);
                let (mut from_server, mut to_server) = server.into_split();
                tokio::select! {
                    _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
                    _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
                }
            });
        }
    });
    at
}

#[tokio::test]
async fn a_request_on_a_broken_connection_is_unknown_and_the_next_connects_again() {
    for protocol in ["grpc", "http"] {
        let receiver = Receiver::default();
        let to = match protocol {
            "grpc" => grpc(receiver.clone()).await,
            _ => http(receiver.clone()).await,
        };
        let to = cutting(to, 500_000).await;
        let flags = "--seconds 60 --requests 100 --connections 1 --in-flight 2";
        let report = load(to, &format!("{flags} --protocol {protocol}")).await;
        assert!((1..=2).contains(&report.unknown_requests), "{report:?}");
        assert_eq!(report.acked_requests + report.unknown_requests, 100);
        assert_eq!(report.tally.count, 50 * report.acked_requests);
        let taken = receiver.seen.lock().unwrap().taken.len() as u64;
        assert!((report.acked_requests..=100).contains(&taken), "{taken} taken, {report:?}");
    }
}
