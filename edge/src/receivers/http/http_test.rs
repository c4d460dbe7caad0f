use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tonic::Code;

use crate::ceiling::LARGE_BYTES;
use crate::edge::Options as EdgeOptions;
use crate::receivers::status::{RetryInfo, RpcStatus};
use crate::receivers::testing::{
    FUTURE_S, Hook, LATE_S, Raw, Reply, Rig, ceiling, deflate, gzip, head, raw_deflate, reply,
    send, soon, spans, until, zstd, zstd_of_window,
};
use crate::receivers::{Cors, Limits, Options, Timeouts};

const PROTOBUF: (&str, &str) = ("Content-Type", "application/x-protobuf");
const JSON: (&str, &str) = ("Content-Type", "application/json");
const GZIP_LOWER: (&str, &str) = ("content-encoding", "gzip");
const GZIP: (&str, &str) = ("Content-Encoding", "gzip");

fn small() -> Options {
    let limits = Limits { request_bytes: 1 << 20, held_bytes: 4 << 20, ..Limits::default() };
    Options { limits, ..Options::default() }
}

/// The `Status` of a refusal, in the type that the reply says it has.
fn status(reply: &Reply) -> (i32, String) {
    match reply.header("content-type") {
        Some("application/x-protobuf") => {
            let RpcStatus { code, message, .. } = RpcStatus::decode(reply.body.as_slice()).unwrap();
            (code, message)
        }
        Some("application/json") => {
            let status: Value = serde_json::from_slice(&reply.body).unwrap();
            let code = status["code"].as_i64().unwrap();
            (code as i32, status["message"].as_str().unwrap().into())
        }
        other => panic!("a refusal of type {other:?}"),
    }
}

fn assert_refused(reply: &Reply, http: u16, code: Code, content_type: &str) {
    assert_eq!(reply.status, http, "{reply:?}");
    assert_eq!(reply.header("content-type"), Some(content_type), "{reply:?}");
    let (found, message) = status(reply);
    assert_eq!(found, code as i32);
    assert!(!message.is_empty());
}

#[tokio::test]
async fn protobuf_is_answered_in_protobuf_and_json_in_json() {
    let rig = Rig::start(Options::default()).await;
    let request = spans(&[0, 1]);
    let reply = send(rig.http, "POST /v1/traces", &[PROTOBUF], &request.encode_to_vec()).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some(PROTOBUF.1)));
    let response = ExportTraceServiceResponse::decode(reply.body.as_slice()).unwrap();
    assert_eq!(response.partial_success, None);

    let json = serde_json::to_vec(&request).unwrap();
    let with_charset = ("content-type", "Application/JSON; charset=utf-8");
    let reply = send(rig.http, "POST /v1/traces", &[with_charset], &json).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some(JSON.1)));
    assert_eq!(reply.body, b"{}");
    assert_eq!(rig.metrics().spans_accepted.get(), 4);
    rig.stop().await;
}

#[tokio::test]
async fn gzip_is_taken_whole_or_in_members_and_any_credential_too() {
    let rig = Rig::start(Options::default()).await;
    let bodies = [(); 3].map(|()| spans(&[0; 500]).encode_to_vec());
    let (first, second) = bodies[1].split_at(bodies[1].len() / 3);
    let key = ("X-API-Key", "placeholder_api_key");
    for gzipped in [gzip(&bodies[0]), [gzip(first), gzip(second)].concat()] {
        let reply = send(rig.http, "POST /v1/traces", &[PROTOBUF, GZIP, key], &gzipped).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    let plain = [PROTOBUF, ("Content-Encoding", "identity"), ("Authorization", "Basic eDp5")];
    let reply = send(rig.http, "POST /v1/traces", &plain, &bodies[2]).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    // The same once decompressed: answered, and not counted again.
    let again = send(rig.http, "POST /v1/traces", &[PROTOBUF, GZIP], &gzip(&bodies[2])).await;
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(rig.metrics().spans_accepted.get(), 1500);
    assert_eq!(rig.metrics().requests_duplicate.get(), 1);
    rig.stop().await;
}

#[tokio::test]
async fn spans_left_out_are_told_in_the_requests_type() {
    let rig = Rig::start(Options::default()).await;
    let request = spans(&[0, LATE_S, FUTURE_S]);
    let reply = send(rig.http, "POST /v1/traces", &[PROTOBUF], &request.encode_to_vec()).await;
    let response = ExportTraceServiceResponse::decode(reply.body.as_slice()).unwrap();
    assert_eq!(response.partial_success.unwrap().rejected_spans, 2);

    let json = serde_json::to_vec(&request).unwrap();
    let reply = send(rig.http, "POST /v1/traces", &[JSON], &json).await;
    let partial = &serde_json::from_slice::<Value>(&reply.body).unwrap()["partialSuccess"];
    assert_eq!(partial["rejectedSpans"], "2");
    let message = "spans left out by the time of their end: 1 ended more than 30 d ago, \
                   1 end more than 10 min from now";
    assert_eq!(partial["errorMessage"], message);
    rig.stop().await;
}

#[tokio::test]
async fn metrics_and_logs_are_answered_with_all_of_them_rejected() {
    let rig = Rig::start(Options::default()).await;
    let metrics = br#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
        {"name":"a","sum":{"dataPoints":[{"asInt":"1"},{"asInt":"2"}]}},
        {"name":"b","summary":{"dataPoints":[{}]}}]}]}]}"#;
    let reply = send(rig.http, "POST /v1/metrics", &[JSON], metrics).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let partial = &serde_json::from_slice::<Value>(&reply.body).unwrap()["partialSuccess"];
    let message = "this build takes traces only: send metrics elsewhere";
    assert_eq!(*partial, json!({ "rejectedDataPoints": "3", "errorMessage": message }));

    let logs = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{},{"body":{}}]}]}]}"#;
    let reply = send(rig.http, "POST /v1/logs", &[JSON], logs).await;
    let partial = &serde_json::from_slice::<Value>(&reply.body).unwrap()["partialSuccess"];
    assert_eq!(partial["rejectedLogRecords"], "2");
    assert_eq!(rig.metrics().rejected_data_points.get(), 3);
    assert_eq!(rig.metrics().rejected_log_records.get(), 2);
    rig.stop().await;
}

#[tokio::test]
async fn a_broken_body_is_a_400_in_the_requests_type() {
    let rig = Rig::start(small()).await;
    for path in ["POST /v1/traces", "POST /v1/metrics", "POST /v1/logs"] {
        let reply = send(rig.http, path, &[PROTOBUF], b"\x0a\xff").await;
        assert_refused(&reply, 400, Code::InvalidArgument, PROTOBUF.1);
        let reply = send(rig.http, path, &[JSON], b"{\"resource").await;
        assert_refused(&reply, 400, Code::InvalidArgument, JSON.1);
    }
    let reply = send(rig.http, "POST /v1/traces", &[PROTOBUF, GZIP], b"not gzip").await;
    assert_refused(&reply, 400, Code::InvalidArgument, PROTOBUF.1);
    assert_eq!(rig.metrics().refused_bad_data.get(), 7);
    rig.stop().await;
}

#[tokio::test]
async fn a_refusal_stays_short_however_long_the_text_that_is_wrong() {
    let rig = Rig::start(small()).await;
    let long = "x".repeat(900 << 10);
    for (path, list) in [
        ("POST /v1/traces", "resourceSpans"),
        ("POST /v1/metrics", "resourceMetrics"),
        ("POST /v1/logs", "resourceLogs"),
    ] {
        for body in [format!(r#"{{"{list}":"{long}"}}"#), format!(r#"{{"{list}":["{long}"]}}"#)] {
            let reply = send(rig.http, path, &[JSON], body.as_bytes()).await;
            assert_refused(&reply, 400, Code::InvalidArgument, JSON.1);
            assert!(reply.body.len() < 2 << 10, "{path}: {} bytes", reply.body.len());
        }
    }
    rig.stop().await;
}

#[tokio::test]
async fn another_type_or_compression_is_a_415() {
    let rig = Rig::start(small()).await;
    for headers in [&[("Content-Type", "text/plain")][..], &[]] {
        let reply = send(rig.http, "POST /v1/traces", headers, b"{}").await;
        assert_refused(&reply, 415, Code::InvalidArgument, JSON.1);
    }
    assert_eq!(rig.metrics().refused_content_type.get(), 2);
    let brotli = [PROTOBUF, ("Content-Encoding", "br")];
    let reply = send(rig.http, "POST /v1/traces", &brotli, b"{}").await;
    assert_refused(&reply, 415, Code::Unimplemented, PROTOBUF.1);
    assert_eq!(reply.header("accept-encoding"), Some("gzip, zstd, deflate"));
    assert_eq!(rig.metrics().refused_encoding.get(), 1);
    rig.stop().await;
}

#[tokio::test]
async fn another_method_is_a_405_and_another_path_a_404() {
    let rig = Rig::start(small()).await;
    let reply = send(rig.http, "GET /v1/traces", &[], b"").await;
    assert_refused(&reply, 405, Code::Unimplemented, JSON.1);
    assert_eq!(reply.header("allow"), Some("POST"));
    assert_eq!(rig.metrics().refused_method.get(), 1);
    let reply = send(rig.http, "POST /v1/trace", &[PROTOBUF], b"").await;
    assert_refused(&reply, 404, Code::Unimplemented, PROTOBUF.1);
    assert_eq!(rig.metrics().refused_unknown_path.get(), 1);
    rig.stop().await;
}

#[tokio::test]
async fn a_body_above_the_limit_is_a_413_sent_or_inflated_and_spans_are_still_taken() {
    let rig = Rig::start(small()).await;
    let began = Instant::now();
    let zeros = vec![0; (1 << 20) + 1];
    let declared = send(rig.http, "POST /v1/traces", &[PROTOBUF], &zeros).await;
    let bomb = gzip(&vec![0; 64 << 20]);
    let bomb = send(rig.http, "POST /v1/traces", &[JSON, GZIP], &bomb).await;
    assert_refused(&declared, 413, Code::ResourceExhausted, PROTOBUF.1);
    assert_refused(&bomb, 413, Code::ResourceExhausted, JSON.1);
    assert_eq!(rig.metrics().refused_too_large.get(), 2);
    assert!(began.elapsed() < Duration::from_secs(10));
    let whole = spans(&[0]).encode_to_vec();
    assert_eq!(send(rig.http, "POST /v1/traces", &[PROTOBUF], &whole).await.status, 200);
    rig.stop().await;
}

#[tokio::test]
async fn an_empty_request_succeeds_in_either_type() {
    let rig = Rig::start(small()).await;
    for path in ["POST /v1/traces", "POST /v1/metrics", "POST /v1/logs"] {
        for (content_type, body, answer) in [(PROTOBUF, &b""[..], &b""[..]), (JSON, b"{}", b"{}")] {
            let reply = send(rig.http, path, &[content_type], body).await;
            assert_eq!((reply.status, reply.body.as_slice()), (200, answer), "{path} {reply:?}");
            assert_eq!(reply.header("content-type"), Some(content_type.1));
        }
    }
    assert_eq!(rig.metrics().requests_accepted.get(), 2);
    rig.stop().await;
}

/// Members of gzip with nothing in them: only what is sent grows.
#[tokio::test]
async fn a_body_that_never_said_its_length_is_a_413_above_the_limit_as_sent() {
    let rig = Rig::start(small()).await;
    let members = |bytes: usize| gzip(b"").repeat(bytes / gzip(b"").len());
    let mut client = Raw::connect(rig.http).await;
    for (body, status) in [(members(1 << 20), 200), (members((1 << 20) + 1000), 413)] {
        let mut call = client.call("/v1/traces", &[("content-type", PROTOBUF.1), GZIP_LOWER]).await;
        call.send(&body, true);
        assert_eq!(soon(call.answer()).await.http.as_u16(), status);

        let mut stream = TcpStream::connect(rig.http).await.unwrap();
        let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
                    content-type: application/x-protobuf\r\ncontent-encoding: gzip\r\n\
                    transfer-encoding: chunked\r\n\r\n";
        let size = format!("{:x}\r\n", body.len());
        let chunked = [head.as_bytes(), size.as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
        stream.write_all(&chunked).await.unwrap();
        assert_eq!(soon(reply(stream)).await.status, status);
    }
    assert_eq!(rig.metrics().refused_too_large.get(), 2);
    client.hang_up();
    rig.stop().await;
}

#[tokio::test]
async fn a_client_that_asks_first_is_refused_before_it_sends() {
    let rig = Rig::start(small()).await;
    let mut stream = TcpStream::connect(rig.http).await.unwrap();
    let asks = [PROTOBUF, ("Expect", "100-continue")];
    stream.write_all(&head("POST /v1/traces", &asks, 2 << 20)).await.unwrap();
    assert_refused(&reply(stream).await, 413, Code::ResourceExhausted, PROTOBUF.1);
    rig.stop().await;
}

#[tokio::test]
async fn an_upload_that_stalls_is_given_up() {
    let timeouts = Timeouts { read: Duration::from_millis(50), ..Timeouts::default() };
    let options = Options { timeouts, ..small() };
    let rig = Rig::start(options).await;
    let mut stream = TcpStream::connect(rig.http).await.unwrap();
    stream.write_all(&head("POST /v1/traces", &[JSON], 10)).await.unwrap();
    stream.write_all(b"{").await.unwrap();
    let reply = reply(stream).await;
    assert_refused(&reply, 503, Code::DeadlineExceeded, JSON.1);
    assert_eq!(reply.header("retry-after"), Some("2"));
    assert_eq!(rig.metrics().refused_slow.get(), 1);
    rig.stop().await;
}

#[tokio::test]
async fn a_wait_for_its_turn_does_not_make_a_request_slow() {
    let timeouts = Timeouts { read: Duration::from_millis(100), ..Timeouts::default() };
    let rig = Rig::start(Options { timeouts, ..small() }).await;
    let turns = rig.all_turns().await;
    let packed = gzip(&spans(&[0; 20_000]).encode_to_vec());
    let mut sending = pin!(send(rig.http, "POST /v1/traces", &[PROTOBUF, GZIP], &packed));
    let early = timeout(3 * timeouts.read, sending.as_mut()).await;
    assert!(early.is_err(), "it still waits: {early:?}");
    drop(turns);
    assert_eq!(sending.await.status, 200);
    rig.stop().await;
}

#[tokio::test]
async fn overload_is_a_503_with_the_time_to_try_again() {
    let edge = EdgeOptions { queue_bytes: 1, ..EdgeOptions::default() };
    let mut rig = Rig::start_without_edge(small(), edge).await;
    let at = rig.http;
    let waits = tokio::spawn(async move {
        // Sent until it is the one that waits.
        loop {
            let body = spans(&[0]).encode_to_vec();
            let reply = send(at, "POST /v1/traces", &[PROTOBUF], &body).await;
            if status(&reply).1.contains("stopping") {
                return reply;
            }
        }
    });
    let refused = loop {
        let body = spans(&[0]).encode_to_vec();
        let sent = send(at, "POST /v1/traces", &[PROTOBUF], &body);
        if let Ok(reply) = timeout(Duration::from_millis(50), sent).await {
            break reply;
        }
    };
    assert_refused(&refused, 503, Code::Unavailable, PROTOBUF.1);
    assert_eq!(refused.header("retry-after"), Some("2"));
    rig.lose_edge();
    assert_refused(&waits.await.unwrap(), 503, Code::Unavailable, PROTOBUF.1);
    rig.stop().await;
}

#[tokio::test]
async fn above_the_memory_ceiling_requests_are_a_503_before_amid_and_behind_their_bodies() {
    let (ceiling, used) = ceiling();
    let edge = EdgeOptions { ceiling, ..EdgeOptions::default() };
    let gate = Arc::new(Semaphore::new(0));
    let rig = Rig::start_with_edge(small(), edge, Hook::Waits(gate.clone())).await;
    let held = || rig.metrics().held_bytes.get();
    let refused = |reply: &Reply| {
        assert_refused(reply, 503, Code::Unavailable, PROTOBUF.1);
        assert_eq!(reply.header("retry-after"), Some("2"));
    };
    let body = spans(&[0; 100]).encode_to_vec();

    let (at, all) = (rig.http, body.clone());
    let sent = async move { send(at, "POST /v1/traces", &[PROTOBUF], &all).await };
    let whole = tokio::spawn(sent);
    let mut begun = TcpStream::connect(rig.http).await.unwrap();
    begun.write_all(&head("POST /v1/traces", &[PROTOBUF], body.len())).await.unwrap();
    begun.write_all(&body[..100]).await.unwrap();
    until(|| held() >= body.len() as u64 + 100).await;

    used.store((64 << 20) + 1, Relaxed);
    refused(&soon(send(rig.http, "POST /v1/traces", &[PROTOBUF], &body)).await);
    refused(&soon(send(rig.http, "POST /v1/traces", &[PROTOBUF], b"")).await);
    assert_eq!(rig.metrics().refused_memory.get(), 2);
    gate.add_permits(1);
    refused(&soon(whole).await.unwrap());
    assert_eq!(rig.metrics().refused_memory.get(), 3);
    // What has begun may go on for longer, and not for ever.
    used.store(80 << 20, Relaxed);
    begun.write_all(&body[100..]).await.unwrap();
    refused(&soon(reply(begun)).await);
    assert_eq!(rig.metrics().refused_overload.get(), 1);
    until(|| held() == 0).await;

    used.store(0, Relaxed);
    gate.add_permits(1);
    assert_eq!(send(rig.http, "POST /v1/traces", &[PROTOBUF], &body).await.status, 200);
    rig.stop().await;
}

#[tokio::test]
async fn large_bodies_that_wait_for_the_journal_keep_no_other_waiting() {
    let mut rig = Rig::start_without_edge(Options::default(), EdgeOptions::default()).await;
    let at = rig.http;
    let threads = available_parallelism().unwrap().get();
    let mut bodies: Vec<_> = (0..threads).map(|_| spans(&[0; 50_000]).encode_to_vec()).collect();
    assert!(bodies[0].len() > LARGE_BYTES);
    bodies.push(bodies[0].clone());
    let sending = bodies.into_iter().map(|body| {
        let packed = gzip(&body);
        tokio::spawn(async move { send(at, "POST /v1/traces", &[PROTOBUF, GZIP], &packed).await })
    });
    let sending: Vec<_> = sending.collect();
    until(|| rig.metrics().requests_received.get() == sending.len() as u64).await;
    assert_eq!(rig.metrics().held_bytes.get(), 0, "what waits is what was made of the bodies");
    rig.lose_edge();
    for sent in sending {
        assert_refused(&sent.await.unwrap(), 503, Code::Unavailable, PROTOBUF.1);
    }
    rig.stop().await;
}

#[tokio::test]
async fn bodies_of_all_connections_share_one_bound() {
    let limits = Limits { held_bytes: 8 << 10, ..small().limits };
    let options = Options { limits, ..small() };
    let rig = Rig::start(options).await;
    let two_kib = [vec![b' '; 2 << 10], b"{}".to_vec()].concat();
    let mut slow = TcpStream::connect(rig.http).await.unwrap();
    slow.write_all(&head("POST /v1/traces", &[JSON], 7 << 10)).await.unwrap();
    slow.write_all(&vec![b' '; 6 << 10]).await.unwrap();
    let refused = loop {
        let little = send(rig.http, "POST /v1/traces", &[JSON], &two_kib).await;
        if little.status != 200 {
            break little;
        }
    };
    assert_refused(&refused, 503, Code::Unavailable, JSON.1);
    assert_eq!(refused.header("retry-after"), Some("2"));
    drop(slow);
    while send(rig.http, "POST /v1/traces", &[JSON], &two_kib).await.status != 200 {}
    rig.stop().await;
}

#[tokio::test]
async fn shutdown_finishes_what_is_in_flight_and_cuts_what_does_not_end() {
    let timeouts = Timeouts { grace: Duration::from_millis(300), ..Timeouts::default() };
    let rig = Rig::start(Options { timeouts, ..small() }).await;
    let body = spans(&[0]).encode_to_vec();
    let mut idle = TcpStream::connect(rig.http).await.unwrap();
    idle.write_all(b"POST /v1/none HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        .await
        .unwrap();
    idle.read_u8().await.unwrap();
    let mut ends = TcpStream::connect(rig.http).await.unwrap();
    ends.write_all(&head("POST /v1/traces", &[PROTOBUF, ("Expect", "100-continue")], body.len()))
        .await
        .unwrap();
    // That it is asked for the body shows that the request has begun.
    let mut go_on = [0; 25];
    ends.read_exact(&mut go_on).await.unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100 Continue"));
    let mut stalls = TcpStream::connect(rig.http).await.unwrap();
    stalls.write_all(&head("POST /v1/traces", &[PROTOBUF], 10)).await.unwrap();

    let at = rig.http;
    let began = Instant::now();
    let stopping = tokio::spawn(rig.stop());
    while TcpStream::connect(at).await.is_ok() {
        tokio::task::yield_now().await;
    }
    ends.write_all(&body).await.unwrap();
    assert_eq!(reply(ends).await.status, 200);
    stopping.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(2));
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    let _ = stalls.read_to_end(&mut rest).await;
}

#[tokio::test]
async fn every_coding_is_taken_and_refused_above_the_limit() {
    let rig = Rig::start(small()).await;
    let body = || spans(&[0; 300]).encode_to_vec();
    let zeros = vec![0; (1 << 20) + 1];
    let codings = [
        ("gzip", gzip(&body()), gzip(&zeros)),
        ("deflate", deflate(&body()), deflate(&zeros)),
        ("Deflate", raw_deflate(&body()), raw_deflate(&zeros)),
        ("zstd", zstd(&body()), zstd(&zeros)),
        ("zstd", zstd_of_window(&body(), 17), zstd_of_window(&zeros, 17)),
    ];
    for (name, body, zeros) in codings {
        let headers = [PROTOBUF, ("Content-Encoding", name)];
        let reply = send(rig.http, "POST /v1/traces", &headers, &body).await;
        assert_eq!(reply.status, 200, "{name}: {reply:?}");
        let reply = send(rig.http, "POST /v1/traces", &headers, &zeros).await;
        assert_refused(&reply, 413, Code::ResourceExhausted, PROTOBUF.1);
        assert_eq!(reply.header("retry-after"), None);
        let reply = send(rig.http, "POST /v1/traces", &headers, b"\x0dnone of them").await;
        assert_refused(&reply, 400, Code::InvalidArgument, PROTOBUF.1);
    }
    assert_eq!(rig.metrics().spans_accepted.get(), 1500);
    until(|| rig.metrics().held_bytes.get() == 0).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_panic_is_a_503_that_says_when_to_come_again() {
    let rig = Rig::start_with_hook(small(), Hook::Panics).await;
    let request = spans(&[0]);
    let reply = send(rig.http, "POST /v1/traces", &[PROTOBUF], &request.encode_to_vec()).await;
    assert_refused(&reply, 503, Code::Unavailable, PROTOBUF.1);
    assert_eq!(reply.header("retry-after"), Some("2"));
    let mut details = RpcStatus::decode(reply.body.as_slice()).unwrap().details;
    let detail = details.pop().unwrap();
    assert_eq!(detail.type_url, "type.googleapis.com/google.rpc.RetryInfo");
    let delay = RetryInfo::decode(detail.value.as_slice()).unwrap().retry_delay.unwrap();
    assert_eq!((delay.seconds, delay.nanos), (2, 0));

    let json = serde_json::to_vec(&request).unwrap();
    let reply = send(rig.http, "POST /v1/traces", &[JSON], &json).await;
    assert_refused(&reply, 503, Code::Unavailable, JSON.1);
    let status: Value = serde_json::from_slice(&reply.body).unwrap();
    let detail = json!({ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2s" });
    assert_eq!(status["details"], json!([detail]));
    assert_eq!(rig.metrics().refused_panic.get(), 2);
    rig.stop().await;
}

#[tokio::test]
async fn a_request_that_was_handed_over_counts_though_the_client_hangs_up() {
    let gate = Arc::new(Semaphore::new(0));
    let rig = Rig::start_with_hook(small(), Hook::Waits(gate.clone())).await;
    let body = spans(&[0]).encode_to_vec();
    let mut stream = TcpStream::connect(rig.http).await.unwrap();
    stream.write_all(&head("POST /v1/traces", &[PROTOBUF], body.len())).await.unwrap();
    stream.write_all(&body).await.unwrap();
    until(|| rig.metrics().held_bytes.get() > 0).await;
    drop(stream);
    // Time for hyper to see it: without the task of its own the request would be gone by then.
    tokio::time::sleep(Duration::from_millis(50)).await;
    gate.add_permits(1);
    until(|| rig.metrics().spans_accepted.get() == 1).await;
    until(|| rig.metrics().connections.get() == 0).await;
    rig.stop().await;
}

#[tokio::test]
async fn http_2_is_taken_here_as_well() {
    let rig = Rig::start(small()).await;
    let mut client = Raw::connect(rig.http).await;
    let body = gzip(&spans(&[0; 500]).encode_to_vec());
    let mut call = client.call("/v1/traces", &[("content-type", PROTOBUF.1), GZIP_LOWER]).await;
    for part in body.chunks(100) {
        call.send(part, false);
    }
    call.send(b"", true);
    let called = call.answer().await;
    assert_eq!((called.http.as_u16(), called.body.len()), (200, 0));
    assert_eq!(rig.metrics().spans_accepted.get(), 500);
    let mut call = client.call("/v1/traces", &[("content-type", JSON.1)]).await;
    call.send(b"{", true);
    let called = call.answer().await;
    assert_eq!(called.http.as_u16(), 400);
    assert_eq!(serde_json::from_slice::<Value>(&called.body).unwrap()["code"], 3);
    client.hang_up();
    rig.stop().await;
}

#[tokio::test]
async fn an_old_connection_says_close() {
    let timeouts = Timeouts { age: Duration::from_millis(20), ..Timeouts::default() };
    let gate = Arc::new(Semaphore::new(0));
    let options = Options { timeouts, ..small() };
    let rig = Rig::start_with_hook(options, Hook::Waits(gate.clone())).await;
    let body = spans(&[0]).encode_to_vec();
    let mut stream = TcpStream::connect(rig.http).await.unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: {}\r\ncontent-length: {}\r\n\r\n",
        PROTOBUF.1,
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    until(|| rig.metrics().held_bytes.get() > 0).await;
    tokio::time::sleep(Duration::from_millis(60)).await;
    gate.add_permits(1);
    let reply = reply(stream).await;
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    rig.stop().await;
}

#[tokio::test]
async fn pages_of_allowed_origins_may_send_and_others_not() {
    let cors = Cors {
        allowed_origins: vec!["https://*.shop.example".into()],
        allowed_headers: vec!["X-Scope".into()],
        max_age: Some(Duration::from_secs(7200)),
    };
    let rig = Rig::start(Options { cors: Some(cors), ..small() }).await;
    let asks = |origin, headers| {
        [
            ("Origin", origin),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", headers),
        ]
    };
    let ours = "https://www.shop.example";
    let own = "content-type,x-scope, Content-Encoding";
    let reply = send(rig.http, "OPTIONS /v1/traces", &asks(ours, own), b"").await;
    assert_eq!((reply.status, reply.body.len()), (204, 0));
    assert_eq!(reply.header("access-control-allow-origin"), Some(ours));
    assert_eq!(reply.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(reply.header("access-control-allow-methods"), Some("POST"));
    assert_eq!(reply.header("access-control-allow-headers"), Some(own));
    assert_eq!(reply.header("access-control-max-age"), Some("7200"));
    assert_eq!(reply.header("vary"), Some("origin"));
    for (origin, headers) in [("https://evil.example", own), (ours, "x-other")] {
        let reply = send(rig.http, "OPTIONS /v1/traces", &asks(origin, headers), b"").await;
        assert_eq!((reply.status, reply.header("access-control-allow-origin")), (204, None));
        assert_eq!(reply.header("vary"), Some("origin"));
    }
    for (path, body, status) in [("/v1/traces", &b"{}"[..], 200), ("/v1/traces", b"{", 400)] {
        let headers = [JSON, ("Origin", ours)];
        let reply = send(rig.http, &format!("POST {path}"), &headers, body).await;
        assert_eq!(reply.status, status);
        assert_eq!(reply.header("access-control-allow-origin"), Some(ours));
        let headers = [JSON, ("Origin", "https://evil.example")];
        let reply = send(rig.http, &format!("POST {path}"), &headers, body).await;
        assert_eq!((reply.status, reply.header("access-control-allow-origin")), (status, None));
        assert_eq!(reply.header("vary"), Some("origin"));
    }
    // Without a page behind it OPTIONS is a method like any other that is not taken.
    let reply = send(rig.http, "OPTIONS /v1/traces", &[], b"").await;
    assert_refused(&reply, 405, Code::Unimplemented, JSON.1);
    rig.stop().await;
}

#[tokio::test]
async fn no_page_may_send_unless_it_is_set() {
    let rig = Rig::start(small()).await;
    let asks = [("Origin", "https://x.example"), ("Access-Control-Request-Method", "POST")];
    let reply = send(rig.http, "OPTIONS /v1/traces", &asks, b"").await;
    assert_refused(&reply, 405, Code::Unimplemented, JSON.1);
    let reply = send(rig.http, "POST /v1/traces", &[JSON, asks[0]], b"{}").await;
    assert_eq!((reply.status, reply.header("vary")), (200, None));
    assert_eq!(reply.header("access-control-allow-origin"), None);
    rig.stop().await;
}

#[tokio::test]
async fn any_origin_is_answered_with_a_star() {
    let cors = Cors { allowed_origins: vec!["*".into()], ..Cors::default() };
    let rig = Rig::start(Options { cors: Some(cors), ..small() }).await;
    let headers = [JSON, ("Origin", "https://x.example")];
    let reply = send(rig.http, "POST /v1/traces", &headers, b"{}").await;
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    assert_eq!(reply.header("access-control-allow-credentials"), None);
    rig.stop().await;
}
