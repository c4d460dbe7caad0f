//! One HTTP/1 connection: on hyper for the HTTP port, and told where to go on gRPC's.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;
use tributary_spanmetrics::Encoding;

use super::Port;
use super::head::lean;
use super::life::{Due, Life};
use super::places::Place;
use super::sniff::Sniffed;
use super::stage::{Late, Stage};
use super::tasks::Tasks;
use crate::receivers::body::Body;
use crate::receivers::fault::Fault;
use crate::receivers::grpc;
use crate::receivers::http::{answer_http1, encoding_of, refused};
use crate::receivers::service::Service;

/// A head has to fit in.
pub(crate) const BUFFER_BYTES: usize = 32 << 10;
/// A client that is refused while it sends has this long to end, so that it reads why.
const DISCARD: Duration = Duration::from_millis(500);

pub(crate) async fn serve(io: Sniffed, service: Arc<Service>, spread: u8, place: &Place) {
    // A request that was handed over goes on when hyper drops its call with the connection.
    let tasks = Tasks::default();
    let stage = Stage::new(Instant::now());
    let io = TokioIo::new(io.watched_by(stage.clone()));
    let answer = |request: Request<Incoming>| {
        let (service, tasks, stage) = (service.clone(), tasks.clone(), stage.clone());
        async move {
            stage.begun();
            let hold = Port::Http.exports(request.uri().path()).then(|| place.hold());
            let request = lean(request).map(|incoming| Body::http1(incoming, hold));
            let response = answer_http1(&service, request, &tasks).await;
            place.used();
            stage.answered();
            Ok::<Response<Full<_>>, Infallible>(response.map(Full::new))
        }
    };
    let mut builder = Builder::new();
    // Its own would be one timeout for the head and for the wait before it.
    builder.header_read_timeout(None).max_buf_size(BUFFER_BYTES);
    let mut serving = pin!(builder.serve_connection(io, service_fn(answer)));
    let mut life = Life::new(service.timeouts, Instant::now(), spread);
    let mut stop = pin!(service.shutdown.clone().told());
    let mut tick = pin!(sleep_until(life.end()));
    let ended = loop {
        let next = poll_fn(|cx| {
            if let Poll::Ready(ended) = serving.as_mut().poll(cx) {
                return Poll::Ready(Some(ended));
            }
            // What was just read or answered has moved it.
            let late = stage.end(&service.timeouts).map(|(end, _)| end);
            let end = late.map_or(life.end(), |late| late.min(life.end()));
            if tick.deadline() != end {
                tick.as_mut().reset(end);
            }
            tick.as_mut().poll(cx).map(|()| None)
        });
        tokio::select! {
            next = next => {
                if let Some(ended) = next {
                    break ended;
                }
                let now = Instant::now();
                let late = stage.end(&service.timeouts).filter(|(end, _)| *end <= now);
                if let Some((_, late)) = late {
                    if late == Late::Head {
                        service.metrics().connections_ended_header_timeout.add(1);
                    }
                    break Ok(());
                }
                match life.ended(now) {
                    Some(Due::Leave) => serving.as_mut().graceful_shutdown(),
                    Some(_) => break Ok(()),
                    None => {}
                }
            }
            () = place.told() => {
                if !place.is_safe() {
                    break Ok(());
                }
                life.leave(Instant::now());
                serving.as_mut().graceful_shutdown();
            }
            () = &mut stop, if !life.is_leaving() => {
                life.leave(Instant::now());
                serving.as_mut().graceful_shutdown();
            }
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a connection broke off");
        if error.is_parse() {
            service.metrics().connections_ended_malformed.add(1);
        }
    }
    tasks.ended().await;
}

/// The short answer to HTTP/1 on gRPC's port.
pub(crate) async fn turn_away(mut io: Sniffed, service: &Service) {
    let fault = Fault::ContentType(grpc::TYPE);
    fault.count(service.metrics());
    let mut read = Vec::with_capacity(1 << 10);
    let head = async {
        while !read.windows(4).any(|four| four == b"\r\n\r\n") && read.len() < BUFFER_BYTES {
            if io.read_buf(&mut read).await? == 0 {
                break;
            }
        }
        std::io::Result::Ok(())
    };
    match timeout(service.timeouts.header, head).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => return,
        Err(_) => return service.metrics().connections_ended_header_timeout.add(1),
    }
    let answer = written(refused(&fault, encoding_of_text(&read)));
    let ending = async {
        io.write_all(&answer).await?;
        io.shutdown().await?;
        // A connection that is closed with bytes unread is reset, and the answer lost with it.
        let mut rest = [0; 4 << 10];
        while io.read(&mut rest).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = timeout(DISCARD, ending).await;
}

/// What the head's text says that the body is; of no other body is the type known to be read.
fn encoding_of_text(head: &[u8]) -> Encoding {
    let types = head.split(|&byte| byte == b'\n').filter_map(|line| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let is_type = line[..colon].eq_ignore_ascii_case(b"content-type");
        let value = is_type.then(|| HeaderValue::from_bytes(line[colon + 1..].trim_ascii()))?;
        Some((CONTENT_TYPE, value.ok()?))
    });
    encoding_of(&types.collect()).unwrap_or(Encoding::Json)
}

fn written(response: Response<Bytes>) -> Vec<u8> {
    let (head, body) = response.into_parts();
    let mut text = format!("HTTP/1.1 {}\r\n", head.status).into_bytes();
    for (name, value) in &head.headers {
        text.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    let end = format!("connection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    [text.as_slice(), end.as_bytes(), &body].concat()
}

#[cfg(test)]
#[path = "http1_test.rs"]
mod tests;
