//! One HTTP/2 connection, of either port, on the h2 crate.
//!
//! ```text
//! socket ─▶ h2 ─ call ─▶ calls ─▶ grpc or http ─▶ answer
//!            ▲             │ all of a connection in its one task
//!            └── released ─┘
//! ```
//!
//! The connection and its calls are polled in turns until none of them has anything to do, so that the
//! answers of many calls leave in one write, and a request costs no task and no wakeup of its own. A call
//! is never dropped while it runs: when the client resets it or hangs up, it goes on to its end, which is
//! soon for one that still waits for its body. So a request that was handed over counts as it would have.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::FuturesUnordered;
use futures::{Stream, StreamExt};
use h2::server::{Builder, Connection, SendResponse};
use h2::{Ping, PingPong, Reason, RecvStream};
use http::Request;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;

use super::Port;
use super::head::lean;
use super::life::{Due, Life};
use super::places::Place;
use super::sniff::Sniffed;
use super::windows::{Grant, Window};
use crate::metrics::EdgeMetrics;
use crate::receivers::body::{Body, Released};
use crate::receivers::grpc;
use crate::receivers::http::answer_http2;
use crate::receivers::options::Limits;
use crate::receivers::service::{Ended, Service};

/// Calls that the client reset before h2 gave them out; h2 ends a connection with more.
const RESETS_WAITING: usize = 20;
/// Streams that h2 had to reset for errors of the client, as long as the connection lives.
const ERRORS: usize = 128;
/// Calls that the client gave up, less those that it let end: more of them are a flood.
const CANCELLED: u32 = 256;
const SEND_BYTES: usize = 64 << 10;
/// A client that does not read is not told for longer than this that it has to make room.
const FAREWELL: Duration = Duration::from_millis(50);

pub(crate) async fn serve(
    io: Sniffed,
    port: Port,
    service: Arc<Service>,
    limits: Limits,
    spread: u8,
    mut grant: Grant,
    place: Place,
) {
    let opening = grant.open();
    let handshake = Builder::new()
        .initial_window_size(opening.window.stream)
        .initial_connection_window_size(opening.window.connection)
        .max_frame_size(opening.frame)
        .max_header_list_size(limits.head_bytes)
        .max_concurrent_streams(limits.streams)
        .max_pending_accept_reset_streams(RESETS_WAITING)
        .max_local_error_reset_streams(Some(ERRORS))
        .max_send_buffer_size(SEND_BYTES)
        .handshake(io);
    let shaken = tokio::select! {
        shaken = timeout(service.timeouts.header, handshake) => shaken,
        () = place.told() => return,
    };
    let mut h2 = match shaken {
        Ok(Ok(h2)) => h2,
        Ok(Err(error)) => return note_end(service.metrics(), &error),
        Err(_) => return service.metrics().connections_ended_header_timeout.add(1),
    };
    let ping_pong = h2.ping_pong().expect("asked for once");
    let life = Life::new(service.timeouts, Instant::now(), spread);
    let calls_most = 2 * limits.streams as usize;
    let released = Released::default();
    let begin = |request: Request<RecvStream>, respond: SendResponse<Bytes>, place: &Place| {
        let hold = port.exports(request.uri().path()).then(|| place.hold());
        let request = lean(request).map(|stream| Body::http2(stream, released.clone(), hold));
        call(port, service.clone(), request, respond)
    };
    let calls = FuturesUnordered::new();
    let mut driver = Driver {
        metrics: service.metrics(),
        h2: &mut h2,
        begin,
        calls,
        calls_most,
        released: released.clone(),
        cancelled: 0,
        grant,
        place,
        window_to_tell: None,
        life,
    };
    driver.run(ping_pong, &service).await;
    let Driver { mut calls, grant, place, .. } = driver;
    // Calls that wait for their bodies learn that none will come.
    drop(h2);
    drop((grant, place));
    while calls.next().await.is_some() {}
}

async fn call(
    port: Port,
    service: Arc<Service>,
    request: Request<Body>,
    respond: SendResponse<Bytes>,
) -> Ended {
    match port {
        Port::Grpc => grpc::answer(&service, request, respond).await,
        Port::Http => answer_http2(&service, request, respond).await,
    }
}

struct Driver<'a, Begin, Call> {
    metrics: &'a EdgeMetrics,
    h2: &'a mut Connection<Sniffed, Bytes>,
    begin: Begin,
    calls: FuturesUnordered<Call>,
    calls_most: usize,
    released: Released,
    cancelled: u32,
    grant: Grant,
    place: Place,
    /// h2 tells one setting at a time.
    window_to_tell: Option<Window>,
    life: Life,
}

impl<Begin, Call> Driver<'_, Begin, Call>
where
    Begin: Fn(Request<RecvStream>, SendResponse<Bytes>, &Place) -> Call,
    Call: Future<Output = Ended>,
{
    /// Until the connection is over; calls may still run.
    async fn run(&mut self, mut ping_pong: PingPong, service: &Service) {
        let mut stop = pin!(service.shutdown.clone().told());
        let mut told = pin!(self.place.told());
        let mut is_told = false;
        let mut is_stopping = false;
        let mut short = self.grant.short();
        let mut tick = pin!(sleep_until(self.life.next(Instant::now())));
        loop {
            tokio::select! {
                // The first is what nearly every wakeup is for.
                biased;
                () = poll_fn(|cx| self.poll(cx)) => return,
                () = &mut told, if !is_told => {
                    is_told = true;
                    self.make_room();
                }
                () = &mut stop, if !is_stopping => {
                    is_stopping = true;
                    self.leave();
                }
                Ok(()) = short.changed() => self.leave_if_excessive(),
                Ok(_) = poll_fn(|cx| ping_pong.poll_pong(cx)) => self.life.ponged(),
                () = &mut tick => {
                    let is_idle = self.calls.is_empty();
                    while let Some(due) = self.life.due(Instant::now(), is_idle) {
                        match due {
                            Due::Ping => {
                                // It fails for a connection that is over, which the poll above finds.
                                let _ = ping_pong.send_ping(Ping::opaque());
                            }
                            Due::Leave => self.leave(),
                            Due::Cut => return,
                        }
                    }
                    self.leave_if_excessive();
                }
            }
            tick.as_mut().reset(self.life.next(Instant::now()));
        }
    }

    fn leave(&mut self) {
        self.life.leave(Instant::now());
        self.h2.graceful_shutdown();
    }

    /// What was handed over is answered first. Without such the client learns at once, by the number in the
    /// GOAWAY, that all behind it can be sent again.
    fn make_room(&mut self) {
        if self.place.is_safe() {
            return self.leave();
        }
        self.h2.abrupt_shutdown(Reason::NO_ERROR);
        self.life.cut_after(FAREWELL, Instant::now());
    }

    fn leave_if_excessive(&mut self) {
        if self.calls.is_empty() && !self.life.is_leaving() && self.grant.is_excessive() {
            debug!("an idle connection is asked to go, since others need its window");
            self.leave();
        }
    }

    /// Ready when the connection is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut has_changed = false;
        loop {
            let has_ended = self.poll_calls(cx);
            has_changed |= has_ended;
            match self.poll_h2(cx) {
                Poll::Ready(Some(call)) => {
                    self.calls.push(call);
                    has_changed = true;
                }
                Poll::Ready(None) => return Poll::Ready(()),
                // What ended may have room now for what h2 could not give out before.
                Poll::Pending if has_ended => {}
                Poll::Pending => break,
            }
        }
        if has_changed {
            self.life.called(Instant::now());
            self.adjust_window();
        }
        Poll::Pending
    }

    /// Runs all calls as far as they come; whether one ended.
    fn poll_calls(&mut self, cx: &mut Context<'_>) -> bool {
        let mut has_ended = false;
        while let Poll::Ready(Some(ended)) = Pin::new(&mut self.calls).poll_next(cx) {
            has_ended = true;
            match ended {
                Ended::Answered => {
                    self.cancelled = self.cancelled.saturating_sub(1);
                    self.place.used();
                }
                Ended::Cancelled => self.cancelled += 1,
            }
            if self.cancelled == CANCELLED {
                debug!("a connection that gives up its calls is ended");
                self.metrics.connections_ended_flood.add(1);
                self.h2.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            }
        }
        has_ended
    }

    /// Reads and writes; the next call, `None` at the connection's end. With too many calls, which are
    /// those that the client reset and that go on, the others stay with h2, which bounds them.
    fn poll_h2(&mut self, cx: &mut Context<'_>) -> Poll<Option<Call>> {
        let next = if self.calls.len() < self.calls_most {
            self.h2.poll_accept(cx)
        } else {
            self.h2.poll_closed(cx).map(|closed| closed.err().map(Err))
        };
        next.map(|next| match next? {
            Ok((request, respond)) => Some((self.begin)(request, respond, &self.place)),
            Err(error) => {
                note_end(self.metrics, &error);
                None
            }
        })
    }

    fn adjust_window(&mut self) {
        if let Some(window) = self.grant.adjust(self.released.take()) {
            self.h2.set_target_window_size(window.connection);
            self.window_to_tell = Some(window);
        }
        if let Some(window) = self.window_to_tell
            && self.h2.set_initial_window_size(window.stream).is_ok()
        {
            self.window_to_tell = None;
        }
    }
}

/// Of a connection that neither side closed as it should be.
fn note_end(metrics: &EdgeMetrics, error: &h2::Error) {
    debug!(%error, "a connection broke off");
    if error.is_io() || error.is_remote() {
        return;
    }
    let ended = match error.reason() {
        Some(Reason::ENHANCE_YOUR_CALM) => &metrics.connections_ended_flood,
        _ => &metrics.connections_ended_malformed,
    };
    ended.add(1);
}

#[cfg(test)]
#[path = "http2_test.rs"]
mod tests;
