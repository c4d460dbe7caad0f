//! The receivers: OTLP over gRPC and HTTP, from a socket to [`EdgeHandle::ingest`] and back.
//!
//! ```text
//! socket ─▶ server ─▶ grpc ┬─▶ body ─▶ export ┬ traces ─▶ EdgeHandle::ingest
//!                     http ┘  inflated,       └ metrics, logs ─▶ counted, rejected
//!                             capped, held
//! ```
//!
//! A request's message stays bytes until the ingest folds it. Nothing of a body is held that was not
//! reserved before (law 9): all bodies of both ports share [`Options::held_bytes`], and a body that finds
//! no room is refused with a retryable error. Inflating stops at the limit and gives way to other tasks
//! on its road, so a bomb costs the limit and no more.
//!
//! What is refused is counted once, by reason, and told in the protocol's own words: `fault` has the one
//! table from reason to gRPC code, HTTP status and counter. What the ingest refuses it has counted itself.
//!
//! gRPC is framed here, over hyper, and not by a tonic server: that one answers a message above the limit
//! with OUT_OF_RANGE, which OTLP clients send again and again, and inflates it in one go.
//!
//! Not here yet: zstd and deflate, credentials (`tenant` is their place), `grpc.health.v1`,
//! connection ages, CORS, TLS.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use futures::{FutureExt, future::BoxFuture};
use hyper::service::service_fn;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::ingest::EdgeHandle;
use export::Exporter;

mod answer;
mod body;
mod count;
mod export;
mod fault;
mod frame;
mod grpc;
mod http;
mod server;
mod streams;
mod tenant;
#[cfg(test)]
mod testing;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// A request holds at most this much: as it is sent, and again once decompressed.
    pub request_bytes: usize,
    /// Bodies of all connections together hold at most this much; more are refused for now.
    pub held_bytes: usize,
    /// A body that has not come whole after this long is refused.
    pub read_timeout: Duration,
    /// A head of HTTP/1 that has not come whole after this long, and a connection that waits this long
    /// for its next one, is closed.
    pub header_timeout: Duration,
    /// Connections of one listener; more wait in the kernel.
    pub connections: usize,
    /// Requests in flight at shutdown have this long to end.
    pub grace: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            request_bytes: 64 << 20,
            held_bytes: 128 << 20,
            read_timeout: Duration::from_secs(30),
            header_timeout: Duration::from_secs(60),
            connections: 1024,
            grace: Duration::from_millis(500),
        }
    }
}

/// Sockets that the node has bound.
#[derive(Debug, Default)]
pub struct Listeners {
    pub grpc: Vec<TcpListener>,
    pub http: Vec<TcpListener>,
}

/// The receivers of one edge.
pub struct Receivers {
    options: Options,
    listeners: Listeners,
    exporter: Exporter,
}

impl Receivers {
    pub fn new(options: Options, listeners: Listeners, handle: EdgeHandle) -> Self {
        Receivers { options, listeners, exporter: Exporter::new(handle, options) }
    }

    /// Runs until `shutdown` says stop; returns when requests in flight are answered or the grace is
    /// over. The edge must outlive this.
    pub async fn run(self, shutdown: watch::Receiver<bool>) {
        let Receivers { options, listeners, exporter } = self;
        let exporter = Arc::new(exporter);
        let grpc = listeners.grpc.into_iter().map(|listener| {
            let exporter = exporter.clone();
            let service = service_fn(move |request| grpc::answer(exporter.clone(), request));
            server::serve(listener, service, options, shutdown.clone()).boxed()
        });
        let http = listeners.http.into_iter().map(|listener| {
            let exporter = exporter.clone();
            let service = service_fn(move |request| http::answer(exporter.clone(), request));
            server::serve(listener, service, options, shutdown.clone()).boxed()
        });
        let serving: Vec<BoxFuture<'static, ()>> = grpc.chain(http).collect();
        join_all(serving).await;
    }
}
