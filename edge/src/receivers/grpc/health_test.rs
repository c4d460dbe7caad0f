use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use tonic::Code;

use super::*;
use crate::receivers::testing::{Raw, Rig, call, frame, gzip, soon, until};
use crate::receivers::{Options, Timeouts};

const CHECK: &str = "/grpc.health.v1.Health/Check";
const WATCH: &str = "/grpc.health.v1.Health/Watch";

fn asks(service: &str) -> Vec<u8> {
    frame(0, &HealthCheckRequest { service: service.into() }.encode_to_vec())
}

fn status_in(framed: &[u8]) -> i32 {
    HealthCheckResponse::decode(&framed[5..]).unwrap().status
}

async fn next(stream: &mut h2::RecvStream) -> Option<Bytes> {
    soon(stream.data()).await.map(Result::unwrap)
}

#[tokio::test]
async fn the_edge_and_each_of_its_services_serve_and_others_are_not_found() {
    let rig = Rig::start(Options::default()).await;
    let mut client = Raw::connect(rig.grpc).await;
    for service in SERVICES {
        let called = client.export(CHECK, &asks(service)).await;
        assert_eq!(called.code, Some(0), "{service}");
        assert_eq!(status_in(&called.body), ServingStatus::Serving as i32);
    }
    let called = client.export(CHECK, &asks("shop.Cart")).await;
    assert_eq!(called.code, Some(Code::NotFound as i32));
    let called = client.export(CHECK, &frame(0, b"\xff")).await;
    assert_eq!(called.code, Some(Code::InvalidArgument as i32));
    client.hang_up();
    rig.stop().await;
}

/// A request with this many bytes in a field that nobody knows.
fn padded(bytes: usize) -> Vec<u8> {
    let mut message = vec![0x12];
    prost::encoding::encode_varint(bytes as u64, &mut message);
    message.resize(message.len() + bytes, 0);
    message
}

#[tokio::test]
async fn a_message_above_a_few_kib_is_refused_as_sent_or_unpacked() {
    let rig = Rig::start(Options::default()).await;
    for path in [CHECK, WATCH] {
        let large = padded(REQUEST_BYTES);
        for framed in [frame(0, &large), frame(1, &gzip(&large))] {
            let called = soon(call(rig.grpc, path, &[("grpc-encoding", "gzip")], framed)).await;
            assert_eq!(called.code, Some(Code::ResourceExhausted as i32), "{path}");
        }
    }
    assert_eq!(rig.metrics().refused_too_large.get(), 4);
    let called = call(rig.grpc, CHECK, &[], frame(0, &padded(1000))).await;
    assert_eq!(called.code, Some(0), "fields that nobody knows are passed over");
    rig.stop().await;
}

#[tokio::test]
async fn a_broken_watch_is_refused_and_counted() {
    let rig = Rig::start(Options::default()).await;
    let called = soon(call(rig.grpc, WATCH, &[], frame(0, b"\xff"))).await;
    assert_eq!(called.code, Some(Code::InvalidArgument as i32));
    assert_eq!(rig.metrics().refused_bad_data.get(), 1);
    rig.stop().await;
}

#[tokio::test]
async fn a_watch_hears_of_the_stop_and_ends() {
    let rig = Rig::start(Options {
        timeouts: Timeouts { grace: Duration::from_secs(5), ..Timeouts::default() },
        ..Options::default()
    })
    .await;
    let mut client = Raw::connect(rig.grpc).await;
    let mut streams = Vec::new();
    for (service, status) in
        [("", ServingStatus::Serving), ("shop.Cart", ServingStatus::ServiceUnknown)]
    {
        let mut call = client.call(WATCH, &[]).await;
        call.send(&asks(service), true);
        let mut stream = call.stream().await;
        assert_eq!(status_in(&next(&mut stream).await.unwrap()), status as i32);
        streams.push(stream);
    }
    let stopping = tokio::spawn(rig.stop());
    let mut unknown = streams.pop().unwrap();
    let mut known = streams.pop().unwrap();
    let last = next(&mut known).await.unwrap();
    assert_eq!(status_in(&last), ServingStatus::NotServing as i32);
    assert_eq!(next(&mut known).await, None);
    assert_eq!(next(&mut unknown).await, None);
    let trailers = known.trailers().await.unwrap().unwrap();
    assert_eq!(trailers["grpc-status"], "14");
    soon(stopping).await.unwrap();
}

#[tokio::test]
async fn a_watch_whose_client_is_gone_holds_no_connection() {
    let rig = Rig::start(Options::default()).await;
    let mut client = Raw::connect(rig.grpc).await;
    let mut call = client.call(WATCH, &[]).await;
    call.send(&asks(""), true);
    let mut stream = call.stream().await;
    next(&mut stream).await.unwrap();
    client.hang_up();
    drop(stream);
    until(|| rig.metrics().connections.get() == 0).await;
    rig.stop().await;
}
