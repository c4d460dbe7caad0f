use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tonic::Code;

use crate::receivers::testing::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, ENHANCE_YOUR_CALM, Frames, GOAWAY, HEADERS, NO_ERROR,
    PING, RST_STREAM, SETTINGS, WINDOW_UPDATE, encoded, request_block,
};
use crate::receivers::testing::{Hook, LOGS, Raw, Rig, TRACES, frame, send, soon, spans, until};
use crate::receivers::{Limits, Options, Timeouts};

/// Nothing was done, says HTTP/2: the client may send it again.
const REFUSED_STREAM: u32 = 7;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_FRAME_SIZE: u16 = 5;
const MAX_HEADER_LIST_SIZE: u16 = 6;

const SOON: Duration = Duration::from_secs(5);
const MS: Duration = Duration::from_millis(1);

fn with(timeouts: Timeouts) -> Options {
    Options { timeouts, ..Options::default() }
}

fn one_span() -> Vec<u8> {
    frame(0, &spans(&[0]).encode_to_vec())
}

#[tokio::test]
async fn a_few_connections_get_wide_windows_and_more_get_less() {
    let rig = Rig::start(Options::default()).await;
    let mut first = Frames::connect(rig.grpc).await;
    let settings = first.read_until(SETTINGS).await;
    assert_eq!(settings.setting(INITIAL_WINDOW_SIZE), Some(4 << 20));
    assert_eq!(settings.setting(MAX_FRAME_SIZE), Some(1 << 20));
    assert_eq!(settings.setting(MAX_CONCURRENT_STREAMS), Some(128));
    assert_eq!(settings.setting(MAX_HEADER_LIST_SIZE), Some(16 << 10));
    first.write(SETTINGS, ACK, 0, &[]).await;
    let window = first.read_until(WINDOW_UPDATE).await;
    assert_eq!(window.stream, 0);
    assert_eq!(window.payload, ((16 << 20) - 65_535_u32).to_be_bytes());
    assert_eq!(rig.metrics().connections.get(), 1);
    assert_eq!(rig.metrics().window_bytes.get(), 16 << 20);

    let mut others = Vec::new();
    for _ in 0..15 {
        let mut other = Frames::connect(rig.grpc).await;
        other.read_until(SETTINGS).await;
        others.push(other);
    }
    // With its next call the first one hears of it.
    first.write(HEADERS, END_HEADERS, 1, &request_block(TRACES)).await;
    first.write(DATA, 1, 1, &one_span()).await;
    let settings = soon(first.read_until(SETTINGS)).await;
    let settings =
        if settings.flags == ACK { soon(first.read_until(SETTINGS)).await } else { settings };
    assert_eq!(settings.setting(INITIAL_WINDOW_SIZE), Some(512 << 10));
    drop((first, others));
    until(|| rig.metrics().connections.get() == 0).await;
    assert_eq!(rig.metrics().window_bytes.get(), 0);
    rig.stop().await;
}

#[tokio::test]
async fn what_refused_calls_sent_brings_a_grant_down_too() {
    let rig = Rig::start(Options::default()).await;
    let mut first = Raw::connect(rig.grpc).await;
    soon(first.export(TRACES, &one_span())).await;
    let mut others = Vec::new();
    for _ in 0..5 {
        let mut other = Frames::connect(rig.grpc).await;
        other.read_until(SETTINGS).await;
        others.push(other);
    }
    let granted = rig.metrics().window_bytes.get();
    // The first one holds 16 MiB, and a sixth of half the budget is its share by now.
    let share = (64 << 20) / 12;
    let bad = frame(9, &[0; 200 << 10]);
    for _ in 0..100 {
        let called = soon(first.export(TRACES, &bad)).await;
        assert_eq!(called.code, Some(Code::InvalidArgument as i32));
    }
    assert_eq!(rig.metrics().window_bytes.get(), granted - (16 << 20) + share);
    first.hang_up();
    drop(others);
    rig.stop().await;
}

#[tokio::test]
async fn an_idle_connection_with_much_makes_room_for_those_that_come() {
    let rig = Rig::start(Options::default()).await;
    let first = Raw::connect(rig.grpc).await;
    let mut others = Vec::new();
    while rig.metrics().window_bytes.get() < 57 << 20 {
        others.push(Raw::connect(rig.grpc).await);
        tokio::task::yield_now().await;
    }
    soon(first.ended()).await.unwrap();
    for other in &mut others {
        let called = other.try_call(LOGS, &[]).await;
        drop(called);
    }
    rig.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_cap_wait_until_one_ends() {
    let limits = Limits { connections: 2, ..Limits::default() };
    let rig = Rig::start(Options { limits, ..Options::default() }).await;
    let mut first = Raw::connect(rig.grpc).await;
    let mut on_the_other_port = Raw::connect(rig.http).await;
    // An answer makes their places safe.
    for client in [&mut first, &mut on_the_other_port] {
        soon(client.export(TRACES, &one_span())).await;
    }
    let mut third = Frames::connect(rig.grpc).await;
    assert!(timeout(100 * MS, third.read()).await.is_err(), "it is served beyond the cap");
    first.hang_up();
    soon(third.read_until(SETTINGS)).await;
    on_the_other_port.hang_up();
    drop(third);
    rig.stop().await;
}

#[tokio::test]
async fn a_newcomer_takes_the_place_of_who_is_of_no_use_and_not_of_who_is() {
    let limits = Limits { connections: 3, ..Limits::default() };
    let rig = Rig::start(Options { limits, ..Options::default() }).await;
    let mut busy = Raw::connect(rig.grpc).await;
    let silent = Raw::connect(rig.grpc).await;
    let mut slow = Raw::connect(rig.grpc).await;
    let _dripping = slow.call(TRACES, &[]).await;
    until(|| rig.metrics().connections.get() == 3).await;
    let mut newcomers = [Frames::connect(rig.grpc).await, Frames::connect(rig.http).await];
    for newcomer in &mut newcomers {
        let mut coming = pin!(soon(newcomer.read_until(SETTINGS)));
        // Once the others have been there for a while; who is busy meanwhile stays.
        while timeout(50 * MS, coming.as_mut()).await.is_err() {
            assert_eq!(soon(busy.export(TRACES, &one_span())).await.code, Some(0));
        }
    }
    // How it is ended is no matter.
    let _ = soon(silent.ended()).await;
    let _ = soon(slow.ended()).await;
    assert_eq!(rig.metrics().connections_displaced.get(), 2);
    assert_eq!(soon(busy.export(TRACES, &one_span())).await.code, Some(0));
    drop(newcomers);
    busy.hang_up();
    rig.stop().await;
}

#[tokio::test]
async fn who_has_to_make_room_is_told_so() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let rig = Rig::start(Options { limits, ..Options::default() }).await;
    let mut first = Frames::connect(rig.grpc).await;
    first.read_until(SETTINGS).await;
    first.write(SETTINGS, ACK, 0, &[]).await;
    // A call of which nothing comes keeps no place.
    first.write(HEADERS, END_HEADERS, 1, &request_block(TRACES)).await;
    let mut newcomer = Frames::connect(rig.grpc).await;
    assert_eq!(soon(first.read_until(GOAWAY)).await.reason(), NO_ERROR);
    soon(newcomer.read_until(SETTINGS)).await;
    drop((first, newcomer));
    rig.stop().await;
}

#[tokio::test]
async fn a_request_that_was_handed_over_keeps_its_place_until_it_is_answered() {
    let gate = Arc::new(Semaphore::new(0));
    let limits = Limits { connections: 2, ..Limits::default() };
    let options = Options { limits, ..Options::default() };
    let rig = Rig::start_with_hook(options, Hook::Waits(gate.clone())).await;
    let mut client = Raw::connect(rig.grpc).await;
    let mut call = client.call(TRACES, &[]).await;
    call.send(&one_span(), true);
    let message = spans(&[0]).encode_to_vec();
    let both_bytes = 2 * message.len() as u64;
    let protobuf = [("content-type", "application/x-protobuf")];
    let http = rig.http;
    let on_http = tokio::spawn(async move {
        let reply = send(http, "POST /v1/traces", &protobuf, &message).await;
        reply.status
    });
    until(|| rig.metrics().held_bytes.get() >= both_bytes).await;
    let mut newcomer = Frames::connect(rig.grpc).await;
    assert!(timeout(300 * MS, newcomer.read()).await.is_err(), "a place was taken");
    gate.add_permits(2);
    assert_eq!(soon(call.answer()).await.code, Some(0));
    assert_eq!(soon(on_http).await.unwrap(), 200);
    soon(newcomer.read_until(SETTINGS)).await;
    drop((client, newcomer));
    rig.stop().await;
}

#[tokio::test]
async fn the_budget_of_windows_holds_connections_off_too() {
    // Made first: without an answer for a second a place is not safe.
    let large = frame(0, &spans(&[0; 20_000]).encode_to_vec());
    assert!(large.len() > 256 << 10);
    let limits = Limits { window_bytes: 128 << 10, ..Limits::default() };
    let rig = Rig::start(Options { limits, ..Options::default() }).await;
    let mut first = Raw::connect(rig.grpc).await;
    let mut second = Raw::connect(rig.grpc).await;
    for client in [&mut first, &mut second] {
        assert_eq!(soon(client.export(TRACES, &one_span())).await.code, Some(0));
    }
    assert_eq!(rig.metrics().window_bytes.get(), 128 << 10);
    let mut third = Frames::connect(rig.grpc).await;
    assert!(timeout(100 * MS, third.read()).await.is_err(), "it is served beyond the budget");
    // The floor is enough for a request of any size.
    assert_eq!(soon(first.export(TRACES, &large)).await.code, Some(0));
    second.hang_up();
    soon(third.read_until(SETTINGS)).await;
    drop(third);
    first.hang_up();
    rig.stop().await;
}

#[tokio::test]
async fn many_calls_of_one_connection_are_answered_each_with_its_own() {
    let rig = Rig::start(Options::default()).await;
    let mut client = Raw::connect(rig.grpc).await;
    let mut calls = Vec::new();
    for _ in 0..100 {
        calls.push(client.call(TRACES, &[]).await);
    }
    for (n, call) in calls.iter_mut().enumerate() {
        let message = spans(&vec![0; n + 1]).encode_to_vec();
        let (first, second) = message.split_at(message.len() / 2);
        call.send(&[&frame(0, &message)[..5], first].concat(), false);
        call.send(second, true);
    }
    for call in calls {
        assert_eq!(soon(call.answer()).await.code, Some(0));
    }
    assert_eq!(rig.metrics().spans_accepted.get(), 5050);
    until(|| rig.metrics().held_bytes.get() == 0).await;
    client.hang_up();
    rig.stop().await;
}

#[tokio::test]
async fn a_call_beyond_those_that_are_allowed_is_refused_and_a_place_that_is_free_again_is_taken() {
    let rig = Rig::start(Options::default()).await;
    let mut client = Frames::connect(rig.grpc).await;
    client.write(SETTINGS, ACK, 0, &[]).await;
    let head = request_block(TRACES);
    for call in 0..129 {
        client.write(HEADERS, END_HEADERS, 2 * call + 1, &head).await;
    }
    let reset = soon(client.read_until(RST_STREAM)).await;
    assert_eq!((reset.stream, reset.payload), (2 * 128 + 1, REFUSED_STREAM.to_be_bytes().to_vec()));
    client.write(DATA, 1, 1, &one_span()).await;
    assert_eq!(soon(client.read_until(DATA)).await.stream, 1);
    client.write(HEADERS, END_HEADERS, 2 * 129 + 1, &head).await;
    client.write(DATA, 1, 2 * 129 + 1, &one_span()).await;
    assert_eq!(soon(client.read_until(DATA)).await.stream, 2 * 129 + 1);
    drop(client);
    rig.stop().await;
}

#[tokio::test]
async fn a_request_that_was_handed_over_counts_though_the_client_resets_or_hangs_up() {
    let gate = Arc::new(Semaphore::new(0));
    let rig = Rig::start_with_hook(Options::default(), Hook::Waits(gate.clone())).await;
    for (port, hangs_up) in [(rig.grpc, false), (rig.grpc, true), (rig.http, true)] {
        let before = rig.metrics().spans_accepted.get();
        let mut client = Raw::connect(port).await;
        let (path, headers, body) = if port == rig.grpc {
            (TRACES, ("content-type", "application/grpc"), one_span())
        } else {
            let json = serde_json::to_vec(&spans(&[0])).unwrap();
            ("/v1/traces", ("content-type", "application/json"), json)
        };
        let mut call = client.call(path, &[headers]).await;
        call.send(&body, true);
        until(|| rig.metrics().held_bytes.get() > 0).await;
        call.reset();
        if hangs_up {
            client.hang_up();
        } else {
            // The reset is behind it on the wire.
            let json = [("content-type", "application/json")];
            assert_eq!(soon(client.call(TRACES, &json).await.answer()).await.http, 415);
            client.hang_up();
        }
        // The connection is over for the server, and only its call goes on.
        until(|| rig.metrics().window_bytes.get() == 0).await;
        assert_eq!(rig.metrics().spans_accepted.get(), before);
        gate.add_permits(1);
        until(|| rig.metrics().spans_accepted.get() == before + 1).await;
    }
    until(|| rig.metrics().connections.get() == 0).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_panic_is_unavailable_and_the_connection_goes_on() {
    let rig = Rig::start_with_hook(Options::default(), Hook::Panics).await;
    let mut client = Raw::connect(rig.grpc).await;
    for _ in 0..2 {
        let called = soon(client.export(TRACES, &one_span())).await;
        assert_eq!(called.code, Some(Code::Unavailable as i32));
        assert!(called.details.is_some(), "{called:?}");
    }
    assert_eq!(rig.metrics().refused_panic.get(), 2);
    assert_eq!(rig.metrics().held_bytes.get(), 0);
    client.hang_up();
    rig.stop().await;
}

#[tokio::test]
async fn a_flood_of_resets_is_told_to_be_calm() {
    let rig = Rig::start(Options::default()).await;
    let mut flood = Frames::connect(rig.grpc).await;
    flood.write(SETTINGS, ACK, 0, &[]).await;
    let head = request_block(TRACES);
    for call in 0..50_000 {
        let stream = 2 * call + 1;
        let sent = flood.try_write(HEADERS, END_HEADERS, stream, &head).await;
        if sent.is_err() || flood.try_write(RST_STREAM, 0, stream, &[0, 0, 0, 8]).await.is_err() {
            break;
        }
    }
    // What was written before the end may make the end a reset, with which the GOAWAY is lost.
    let told = soon(async {
        while let Some(frame) = flood.read().await {
            if frame.kind == GOAWAY {
                return Some(frame.reason());
            }
        }
        None
    })
    .await;
    assert!(matches!(told, None | Some(ENHANCE_YOUR_CALM)), "{told:?}");
    until(|| rig.metrics().connections.get() == 0).await;
    rig.stop().await;
}

#[tokio::test]
async fn calls_that_are_given_up_one_by_one_are_a_flood_too() {
    let rig = Rig::start(Options::default()).await;
    let mut flood = Frames::connect(rig.grpc).await;
    flood.write(SETTINGS, ACK, 0, &[]).await;
    let head = request_block(TRACES);
    for call in 0..300 {
        let stream = 2 * call + 1;
        // The answer to the ping behind each says that the server has taken it.
        for (kind, flags, payload) in
            [(HEADERS, END_HEADERS, head.as_slice()), (RST_STREAM, 0, &[0, 0, 0, 8])]
        {
            let ping = encoded(PING, 0, 0, &[0; 8]);
            flood.write_at_once(&[encoded(kind, flags, stream, payload), ping]).await;
            loop {
                let frame = soon(flood.read()).await.expect("a GOAWAY comes first");
                if frame.kind == GOAWAY {
                    assert_eq!(frame.reason(), ENHANCE_YOUR_CALM);
                    assert!(call > 200, "{call}");
                    assert!(rig.metrics().refused_cancelled.get() > 200);
                    until(|| rig.metrics().connections_ended_flood.get() == 1).await;
                    return rig.stop().await;
                }
                if frame.kind == PING {
                    break;
                }
            }
        }
    }
    panic!("300 calls were given up, and nobody minded");
}

#[tokio::test]
async fn heads_without_end_are_cut_off() {
    let rig = Rig::start(Options::default()).await;
    let mut bomb = Frames::connect(rig.grpc).await;
    bomb.write(SETTINGS, ACK, 0, &[]).await;
    bomb.write(HEADERS, 0, 1, &request_block(TRACES)).await;
    let field = [&[0, 1, b'x', 100][..], &[b'y'; 100]].concat();
    let fields = field.repeat(100);
    for _ in 0..100 {
        if bomb.try_write(CONTINUATION, 0, 1, &fields).await.is_err() {
            break;
        }
    }
    soon(async { while bomb.read().await.is_some() {} }).await;
    until(|| rig.metrics().connections.get() == 0).await;
    rig.stop().await;
}

#[tokio::test]
async fn a_head_above_the_limit_is_a_431_and_the_next_call_is_taken() {
    let rig = Rig::start(Options::default()).await;
    let mut client = Raw::connect(rig.grpc).await;
    let long = "x".repeat(3 << 10);
    let names: Vec<String> = (0..6).map(|n| format!("x-{n}")).collect();
    let headers: Vec<(&str, &str)> =
        names.iter().map(|name| (name.as_str(), long.as_str())).collect();
    // The client knows the limit only once it has read the settings; then it refuses itself.
    if let Ok(call) = client.try_call(TRACES, &headers).await {
        assert_eq!(soon(call.answer()).await.http, 431);
    }
    assert_eq!(soon(client.export(TRACES, &one_span())).await.code, Some(0));
    client.hang_up();
    rig.stop().await;
}

#[tokio::test]
async fn of_a_head_only_what_is_short_enough_to_be_known_reaches_a_call() {
    let rig = Rig::start(Options::default()).await;
    let mut client = Raw::connect(rig.grpc).await;
    let long = format!("application/grpc;{}", "x".repeat(1000));
    let called = soon(client.call(TRACES, &[("content-type", &long)]).await.answer()).await;
    assert_eq!(called.http, 415);
    let long = format!("application/json;{}", "x".repeat(1000));
    let reply = send(rig.http, "POST /v1/traces", &[("content-type", &long)], b"{}").await;
    assert_eq!(reply.status, 415);
    client.hang_up();
    rig.stop().await;
}

#[tokio::test]
async fn an_idle_connection_is_asked_to_go() {
    let rig = Rig::start(with(Timeouts { idle: 50 * MS, ..Timeouts::default() })).await;
    let mut client = Raw::connect(rig.grpc).await;
    assert_eq!(client.export(TRACES, &one_span()).await.code, Some(0));
    soon(client.ended()).await.unwrap();
    let mut frames = Frames::connect(rig.grpc).await;
    frames.write(SETTINGS, ACK, 0, &[]).await;
    assert_eq!(soon(frames.read_until(GOAWAY)).await.reason(), NO_ERROR);
    drop(frames);
    rig.stop().await;
}

#[tokio::test]
async fn an_old_connection_is_asked_to_go_and_its_calls_end_first() {
    let gate = Arc::new(Semaphore::new(0));
    let options = with(Timeouts { age: 50 * MS, ..Timeouts::default() });
    let rig = Rig::start_with_hook(options, Hook::Waits(gate.clone())).await;
    let mut client = Raw::connect(rig.grpc).await;
    let mut call = client.call(TRACES, &[]).await;
    call.send(&one_span(), true);
    soon(async {
        while client.try_call(LOGS, &[]).await.is_ok() {
            tokio::time::sleep(5 * MS).await;
        }
    })
    .await;
    gate.add_permits(1);
    assert_eq!(soon(call.answer()).await.code, Some(0));
    soon(client.ended()).await.unwrap();
    rig.stop().await;
}

#[tokio::test]
async fn who_does_not_go_when_asked_is_cut() {
    let timeouts = Timeouts { age: 20 * MS, leave: 50 * MS, ..Timeouts::default() };
    let rig = Rig::start(with(timeouts)).await;
    let mut client = Raw::connect(rig.grpc).await;
    let stalls = client.call(TRACES, &[]).await;
    let _ = soon(client.ended()).await;
    until(|| rig.metrics().connections.get() == 0).await;
    drop(stalls);
    rig.stop().await;
}

#[tokio::test]
async fn who_does_not_answer_a_ping_is_cut_and_who_does_stays() {
    let timeouts = Timeouts { ping: 20 * MS, pong: 200 * MS, ..Timeouts::default() };
    let rig = Rig::start(with(timeouts)).await;
    let mut answers = Raw::connect(rig.grpc).await;
    let mut silent = Frames::connect(rig.grpc).await;
    soon(silent.read_until(PING)).await;
    soon(async { while silent.read().await.is_some() {} }).await;
    assert_eq!(soon(answers.export(TRACES, &one_span())).await.code, Some(0));
    answers.hang_up();
    rig.stop().await;
}

#[tokio::test]
async fn who_says_nothing_or_no_http_is_closed() {
    let rig = Rig::start(with(Timeouts { header: 50 * MS, ..Timeouts::default() })).await;
    for (port, bytes) in [
        (rig.grpc, &b""[..]),
        (rig.grpc, b"PR"),
        (rig.grpc, b"PRI * HT"),
        (rig.grpc, b"\x16\x03\x01\x02\x00"),
        (rig.grpc, b"GET / HT"),
        (rig.http, b""),
        (rig.http, b"POST /v1/tr"),
    ] {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = TcpStream::connect(port).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut rest = Vec::new();
        let _ = soon(stream.read_to_end(&mut rest)).await;
    }
    until(|| rig.metrics().connections.get() == 0).await;
    let metrics = rig.metrics();
    assert_eq!(metrics.window_bytes.get(), 0);
    assert_eq!(metrics.connections_ended_not_http.get(), 1);
    assert_eq!(metrics.connections_ended_header_timeout.get(), 6);
    rig.stop().await;
}

#[tokio::test]
async fn who_breaks_http_is_closed_and_counted() {
    let rig = Rig::start(Options::default()).await;
    let reply = send(rig.http, "POST /v1/traces?\u{7f}", &[], b"").await;
    assert_eq!((reply.status, reply.body), (400, Vec::new()));
    assert_eq!(rig.metrics().connections_ended_malformed.get(), 1);
    let mut client = Frames::connect(rig.grpc).await;
    client.write(SETTINGS, ACK, 0, &[]).await;
    client.write(DATA, 0, 0, &[1]).await;
    soon(client.read_until(GOAWAY)).await;
    drop(client);
    until(|| rig.metrics().connections_ended_malformed.get() == 2).await;
    assert_eq!(rig.metrics().connections_ended_flood.get(), 0);
    rig.stop().await;
}

#[tokio::test]
async fn shutdown_answers_what_was_handed_over_and_ends_the_others() {
    let gate = Arc::new(Semaphore::new(0));
    let options = with(Timeouts { grace: SOON, ..Timeouts::default() });
    let rig = Rig::start_with_hook(options, Hook::Waits(gate.clone())).await;
    let mut client = Raw::connect(rig.grpc).await;
    let idle = Raw::connect(rig.grpc).await;
    let mut call = client.call(TRACES, &[]).await;
    call.send(&one_span(), true);
    until(|| rig.metrics().held_bytes.get() > 0).await;
    let at = rig.grpc;
    let stopping = tokio::spawn(rig.stop());
    soon(idle.ended()).await.unwrap();
    assert!(TcpStream::connect(at).await.is_err());
    gate.add_permits(1);
    assert_eq!(soon(call.answer()).await.code, Some(0));
    soon(client.ended()).await.unwrap();
    soon(stopping).await.unwrap();
}
