use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, logs_service_client::LogsServiceClient,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, metrics_service_client::MetricsServiceClient,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric,
};
use prost::Message;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tonic::Code;
use tonic::codec::CompressionEncoding;

use crate::edge::Options as EdgeOptions;
use crate::receivers::status::{RetryInfo, RpcStatus};
use crate::receivers::testing::{
    Called, FUTURE_S, Hook, LATE_S, LOGS, METRICS, Raw, Rig, TRACES, call, ceiling, channel, frame,
    gzip, send, soon, spans, until, zstd, zstd_of_window,
};
use crate::receivers::{Limits, Options, Timeouts};

fn small() -> Options {
    let limits = Limits { request_bytes: 1 << 20, held_bytes: 4 << 20, ..Limits::default() };
    Options { limits, ..Options::default() }
}

#[tokio::test]
async fn spans_are_taken_and_full_success_leaves_partial_success_unset() {
    let rig = Rig::start(Options::default()).await;
    let mut client = TraceServiceClient::new(channel(rig.grpc).await);
    let response = client.export(spans(&[0, 1, 2])).await.unwrap().into_inner();
    assert_eq!(response.partial_success, None);
    assert_eq!(rig.metrics().spans_accepted.get(), 3);
    rig.stop().await;
}

#[tokio::test]
async fn gzip_is_taken_by_the_client_that_offers_it_both_ways() {
    let rig = Rig::start(Options::default()).await;
    let mut client = TraceServiceClient::new(channel(rig.grpc).await)
        .send_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Gzip);
    client.export(spans(&[0; 2000])).await.unwrap();
    assert_eq!(rig.metrics().spans_accepted.get(), 2000);
    rig.stop().await;
}

#[tokio::test]
async fn zstd_is_taken_as_it_comes() {
    let rig = Rig::start(Options::default()).await;
    let message = spans(&[0; 700]).encode_to_vec();
    let others = [(); 2].map(|()| spans(&[0; 700]).encode_to_vec());
    for packed in [zstd(&others[0]), zstd_of_window(&others[1], 20)] {
        let called = call(rig.grpc, TRACES, &[("grpc-encoding", "zstd")], frame(1, &packed)).await;
        assert_eq!((called.code, called.body.to_vec()), (Some(0), frame(0, &[])), "{called:?}");
    }
    let plain = call(rig.grpc, TRACES, &[("grpc-encoding", "zstd")], frame(0, &message)).await;
    assert_eq!(plain.code, Some(0), "a message says for itself whether it is compressed");
    assert_eq!(rig.metrics().spans_accepted.get(), 2100);
    let deflate = [("grpc-encoding", "deflate")];
    let called = call(rig.grpc, TRACES, &deflate, frame(1, &message)).await;
    assert_eq!(called.code, Some(Code::Unimplemented as i32));
    rig.stop().await;
}

#[tokio::test]
async fn any_credential_and_any_metadata_are_taken() {
    let rig = Rig::start(Options::default()).await;
    let headers = [
        ("x-api-key", "placeholder_api_key"),
        ("authorization", "Basic eDp5"),
        ("grpc-timeout", "10S"),
        ("content-type", "application/grpc+proto"),
    ];
    let called = call(rig.grpc, TRACES, &headers, frame(0, &spans(&[0]).encode_to_vec())).await;
    assert_eq!((called.code, called.body.to_vec()), (Some(0), frame(0, &[])));
    rig.stop().await;
}

#[tokio::test]
async fn spans_left_out_are_told_with_their_limits() {
    let rig = Rig::start(Options::default()).await;
    let mut client = TraceServiceClient::new(channel(rig.grpc).await);
    let request = spans(&[0, LATE_S, LATE_S, FUTURE_S]);
    let partial = client.export(request).await.unwrap().into_inner().partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 3);
    assert_eq!(
        partial.error_message,
        "spans left out by the time of their end: 2 ended more than 30 d ago, \
         1 end more than 10 min from now"
    );
    assert_eq!(rig.metrics().spans_accepted.get(), 1);
    rig.stop().await;
}

#[tokio::test]
async fn an_empty_request_succeeds() {
    let rig = Rig::start(Options::default()).await;
    for (path, message) in [(TRACES, vec![]), (METRICS, vec![]), (LOGS, vec![])] {
        let called = call(rig.grpc, path, &[], frame(0, &message)).await;
        assert_eq!((called.code, called.body.to_vec()), (Some(0), frame(0, &[])), "{path}");
    }
    rig.stop().await;
}

#[tokio::test]
async fn metrics_and_logs_are_answered_with_all_of_them_rejected() {
    let rig = Rig::start(Options::default()).await;
    let data_points = vec![NumberDataPoint::default(); 3];
    let data = Some(metric::Data::Gauge(Gauge { data_points }));
    let scope =
        ScopeMetrics { metrics: vec![Metric { data, ..Default::default() }], ..Default::default() };
    let resource = ResourceMetrics { scope_metrics: vec![scope], ..Default::default() };
    let request = ExportMetricsServiceRequest { resource_metrics: vec![resource] };
    let mut client = MetricsServiceClient::new(channel(rig.grpc).await);
    let partial = client.export(request).await.unwrap().into_inner().partial_success.unwrap();
    assert_eq!(partial.rejected_data_points, 3);
    assert!(partial.error_message.contains("takes traces only"), "{}", partial.error_message);

    let scope = ScopeLogs { log_records: vec![LogRecord::default(); 2], ..Default::default() };
    let resource = ResourceLogs { scope_logs: vec![scope], ..Default::default() };
    let request = ExportLogsServiceRequest { resource_logs: vec![resource] };
    let mut client = LogsServiceClient::new(channel(rig.grpc).await);
    let partial = client.export(request).await.unwrap().into_inner().partial_success.unwrap();
    assert_eq!(partial.rejected_log_records, 2);
    assert!(partial.error_message.contains("takes traces only"), "{}", partial.error_message);

    assert_eq!(rig.metrics().rejected_data_points.get(), 3);
    assert_eq!(rig.metrics().rejected_log_records.get(), 2);
    rig.stop().await;
}

#[tokio::test]
async fn broken_messages_and_broken_calls_are_invalid_arguments() {
    let rig = Rig::start(small()).await;
    let whole = spans(&[0]).encode_to_vec();
    let gzipped = gzip(&whole);
    let one_byte_wrong = {
        let mut bytes = gzipped.clone();
        let checksum = bytes.len() - 6;
        bytes[checksum] ^= 1;
        bytes
    };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        (TRACES, frame(0, b"\xff\xff\xff")),
        (METRICS, frame(0, b"\xff\xff\xff")),
        (LOGS, frame(0, b"\x0a\x05\x12")),
        (TRACES, frame(0, &whole[..whole.len() - 1])),
        (TRACES, vec![]),
        (TRACES, frame(0, &whole)[..10].to_vec()),
        (TRACES, [frame(0, &whole), frame(0, &whole)].concat()),
        (TRACES, frame(2, &whole)),
        (TRACES, frame(1, b"not gzip")),
        (TRACES, frame(1, &gzipped[..gzipped.len() - 1])),
        (TRACES, frame(1, &one_byte_wrong)),
        (TRACES, frame(1, &[])),
    ];
    let count = cases.len() as u64;
    for (path, body) in cases {
        let called = call(rig.grpc, path, &[("grpc-encoding", "gzip")], body.clone()).await;
        assert_eq!(called.code, Some(Code::InvalidArgument as i32), "{body:?}");
        assert!(!called.message.is_empty());
    }
    assert_eq!(rig.metrics().refused_bad_data.get(), count);
    assert_eq!(rig.metrics().spans_accepted.get(), 0);
    rig.stop().await;
}

#[tokio::test]
async fn a_message_above_the_limit_is_resource_exhausted_sent_or_inflated() {
    let rig = Rig::start(small()).await;
    let zeros = vec![0; (1 << 20) + 1];
    let plain = call(rig.grpc, TRACES, &[], frame(0, &zeros)).await;
    let bomb = frame(1, &gzip(&vec![0; 64 << 20]));
    let bomb = call(rig.grpc, TRACES, &[("grpc-encoding", "gzip")], bomb).await;
    let zstd_bomb = frame(1, &zstd_of_window(&vec![0; 64 << 20], 17));
    let zstd_bomb = call(rig.grpc, TRACES, &[("grpc-encoding", "zstd")], zstd_bomb).await;
    for called in [plain, bomb, zstd_bomb] {
        assert_eq!(called.code, Some(Code::ResourceExhausted as i32), "{called:?}");
        assert_eq!(called.details, None, "with RetryInfo a client would send it again");
    }
    assert_eq!(rig.metrics().refused_too_large.get(), 3);
    let mut client = TraceServiceClient::new(channel(rig.grpc).await);
    client.export(spans(&[0])).await.expect("the edge still takes spans");
    rig.stop().await;
}

#[tokio::test]
async fn an_unknown_method_and_an_unknown_compression_are_unimplemented() {
    let rig = Rig::start(small()).await;
    let called = call(rig.grpc, "/grpc.health.v1.Health/List", &[], frame(0, &[])).await;
    assert_eq!(called.code, Some(Code::Unimplemented as i32));
    assert_eq!(rig.metrics().refused_unknown_path.get(), 1);
    let snappy = [("grpc-encoding", "snappy")];
    let called = call(rig.grpc, TRACES, &snappy, frame(1, &[])).await;
    assert_eq!(called.code, Some(Code::Unimplemented as i32));
    assert_eq!(called.headers["grpc-accept-encoding"], "identity,gzip,zstd");
    assert_eq!(rig.metrics().refused_encoding.get(), 1);
    rig.stop().await;
}

#[tokio::test]
async fn what_is_no_grpc_is_told_where_to_go() {
    let rig = Rig::start(small()).await;
    let json = [("content-type", "application/json")];
    let reply = send(rig.grpc, "POST /v1/traces", &json, b"{}").await;
    assert_eq!(reply.status, 415);
    assert!(String::from_utf8_lossy(&reply.body).contains("OTLP/HTTP"), "{reply:?}");
    let called = call(rig.grpc, TRACES, &json, frame(0, &[])).await;
    assert_eq!(called.http, 415);
    assert_eq!(rig.metrics().refused_content_type.get(), 2);
    rig.stop().await;
}

#[tokio::test]
async fn what_is_no_grpc_gets_a_status_in_its_own_type() {
    let rig = Rig::start(small()).await;
    for (content_type, answered) in [
        ("application/json", "application/json"),
        ("text/plain", "application/json"),
        ("Application/x-protobuf", "application/x-protobuf"),
    ] {
        let headers = [("Content-Type", content_type)];
        let reply = send(rig.grpc, "POST /v1/traces", &headers, b"{}").await;
        assert_eq!((reply.status, reply.header("content-type")), (415, Some(answered)));
        let called = call(rig.grpc, TRACES, &[("content-type", content_type)], Vec::new()).await;
        assert_eq!(
            (called.http, called.headers["content-type"].as_bytes()),
            (415.try_into().unwrap(), answered.as_bytes())
        );
        assert_eq!(called.body, reply.body);
        let code = if answered == "application/json" {
            serde_json::from_slice::<serde_json::Value>(&reply.body).unwrap()["code"].as_i64()
        } else {
            RpcStatus::decode(reply.body.as_slice()).ok().map(|status| status.code.into())
        };
        assert_eq!(code, Some(Code::InvalidArgument as i64));
    }
    rig.stop().await;
}

#[tokio::test]
async fn another_method_is_a_405() {
    let rig = Rig::start(small()).await;
    let stream = tokio::net::TcpStream::connect(rig.grpc).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = http::Request::get(format!("http://x{TRACES}"))
        .header("content-type", "application/grpc")
        .body(())
        .unwrap();
    let (response, _) = client.ready().await.unwrap().send_request(request, true).unwrap();
    let (head, mut body) = soon(response).await.unwrap().into_parts();
    assert_eq!((head.status.as_u16(), &head.headers["allow"]), (405, &"POST".parse().unwrap()));
    let body = soon(body.data()).await.unwrap().unwrap();
    let status: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(status["code"], Code::Unimplemented as i32);
    assert_eq!(rig.metrics().refused_method.get(), 1);
    connection.abort();
    rig.stop().await;
}

#[tokio::test]
async fn a_busy_or_stopping_edge_is_unavailable() {
    let edge = EdgeOptions { queue_bytes: 1, ..EdgeOptions::default() };
    let mut rig = Rig::start_without_edge(small(), edge).await;
    let mut client = TraceServiceClient::new(channel(rig.grpc).await);
    let mut other = client.clone();
    let waits = tokio::spawn(async move { other.export(spans(&[0])).await });
    let refused = loop {
        // Whichever of the two comes first waits; with the queue full every other is refused.
        let sent = timeout(Duration::from_millis(50), client.export(spans(&[0])));
        if let Ok(answered) = sent.await {
            break answered.unwrap_err();
        }
    };
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().contains("try again"), "{refused}");
    let status = RpcStatus::decode(refused.details()).unwrap();
    assert_eq!((status.code, status.message.as_str()), (14, refused.message()));
    let detail = &status.details[0];
    assert_eq!(detail.type_url, "type.googleapis.com/google.rpc.RetryInfo");
    let delay = RetryInfo::decode(detail.value.as_slice()).unwrap().retry_delay.unwrap();
    assert_eq!((delay.seconds, delay.nanos), (2, 0));
    assert!(rig.metrics().refused_overload.get() >= 1);
    rig.lose_edge();
    let refused = client.export(spans(&[0])).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    waits.await.unwrap().unwrap_err();
    rig.stop().await;
}

#[tokio::test]
async fn above_the_memory_ceiling_calls_are_unavailable_before_amid_and_behind_their_messages() {
    let (ceiling, used) = ceiling();
    let edge = EdgeOptions { ceiling, ..EdgeOptions::default() };
    let gate = Arc::new(Semaphore::new(0));
    let rig = Rig::start_with_edge(small(), edge, Hook::Waits(gate.clone())).await;
    let held = || rig.metrics().held_bytes.get();
    let refused = |called: &Called| {
        assert_eq!(called.code, Some(Code::Unavailable as i32), "{called:?}");
        assert!(called.details.is_some(), "with RetryInfo clients send again");
    };
    let message = spans(&[0; 100]).encode_to_vec();
    let framed = frame(0, &message);

    let mut client = Raw::connect(rig.grpc).await;
    let mut whole = client.call(TRACES, &[]).await;
    whole.send(&framed, true);
    let mut begun = client.call(TRACES, &[]).await;
    begun.send(&framed[..100], false);
    until(|| held() >= message.len() as u64 + 95).await;

    used.store((64 << 20) + 1, Relaxed);
    refused(&soon(client.export(TRACES, &framed)).await);
    refused(&soon(client.export(TRACES, &frame(0, b""))).await);
    assert_eq!(rig.metrics().refused_memory.get(), 2);
    let health = client.export("/grpc.health.v1.Health/Check", &frame(0, b"")).await;
    assert_eq!(health.code, Some(0), "it serves, though not everybody at this moment");
    gate.add_permits(1);
    refused(&soon(whole.answer()).await);
    assert_eq!(rig.metrics().refused_memory.get(), 3);
    // What has begun may go on for longer, and not for ever.
    used.store(80 << 20, Relaxed);
    begun.send(&framed[100..], true);
    refused(&soon(begun.answer()).await);
    assert_eq!(rig.metrics().refused_overload.get(), 1);
    until(|| held() == 0).await;

    used.store(0, Relaxed);
    gate.add_permits(1);
    assert_eq!(client.export(TRACES, &framed).await.code, Some(0));
    client.hang_up();
    rig.stop().await;
}

#[tokio::test]
async fn a_body_that_finds_no_room_is_unavailable() {
    let limits = Limits { held_bytes: 8 << 10, ..small().limits };
    let options = Options { limits, ..small() };
    let rig = Rig::start(options).await;
    let big = frame(0, &spans(&[0; 1000]).encode_to_vec());
    let called = call(rig.grpc, TRACES, &[], big).await;
    assert_eq!(called.code, Some(Code::Unavailable as i32));
    assert_eq!(rig.metrics().refused_overload.get(), 1);
    let little = frame(0, &spans(&[0]).encode_to_vec());
    assert_eq!(call(rig.grpc, TRACES, &[], little).await.code, Some(0));
    rig.stop().await;
}

#[tokio::test]
async fn a_wait_for_its_turn_does_not_make_a_call_slow() {
    let timeouts = Timeouts { read: Duration::from_millis(100), ..Timeouts::default() };
    let rig = Rig::start(Options { timeouts, ..small() }).await;
    let turns = rig.all_turns().await;
    let packed = frame(1, &gzip(&spans(&[0; 20_000]).encode_to_vec()));
    let mut calling = pin!(call(rig.grpc, TRACES, &[("grpc-encoding", "gzip")], packed));
    let early = timeout(3 * timeouts.read, calling.as_mut()).await;
    assert!(early.is_err(), "it still waits: {early:?}");
    drop(turns);
    assert_eq!(calling.await.code, Some(0));
    rig.stop().await;
}

#[tokio::test]
async fn a_call_that_never_ends_is_given_up() {
    let timeouts = Timeouts { read: Duration::from_millis(50), ..Timeouts::default() };
    let options = Options { timeouts, ..small() };
    let rig = Rig::start(options).await;
    let mut client = Raw::connect(rig.grpc).await;
    let mut call = client.call(TRACES, &[]).await;
    call.send(&frame(0, &[0; 100])[..10], false);
    assert_eq!(call.answer().await.code, Some(Code::DeadlineExceeded as i32));
    assert_eq!(rig.metrics().refused_slow.get(), 1);
    rig.stop().await;
}
