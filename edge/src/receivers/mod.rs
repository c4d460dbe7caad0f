//! The receivers: OTLP over gRPC and HTTP, from a socket to [`EdgeHandle::ingest`] and back.
//!
//! ```text
//! socket ─▶ server ─▶ grpc ┬─▶ body ─▶ export ┬ traces ─▶ EdgeHandle::ingest
//!   gate,   http2,    http ┘  decompressed,   └ metrics, logs ─▶ counted, rejected
//!   windows http1             capped, held
//! ```
//!
//! A request's message stays bytes until the ingest folds it; a large one that comes in one frame is never copied.
//! Nothing of a body is held that was not reserved before (law 9): what clients may send unasked counts
//! against [`Limits::window_bytes`], bodies of both ports share [`Limits::held_bytes`], and a body that
//! finds no room is refused with a retryable error. Decompressing stops at the limit and gives way to
//! other tasks on its road, so a bomb costs the limit and no more.
//!
//! A request that was handed to the ingest runs to its end, though its client resets or hangs up. A panic
//! on the way is an answer like any other refusal for now.
//!
//! What is refused is counted once, by reason, and told in the protocol's own words: `fault` has the one
//! table from reason to gRPC code, HTTP status and counter. What the ingest refuses it has counted itself.
//!
//! Not here yet: credentials (`tenant` is their place), TLS.

use std::sync::Arc;

use futures::future::join_all;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::ingest::EdgeHandle;
pub use options::{Cors, LEAST_WINDOW_BYTES, Limits, Options, Timeouts};
use server::{Gate, Port};
use service::Service;
use shutdown::Shutdown;

mod answer;
mod body;
mod count;
mod export;
mod fault;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod grpc;
mod http;
mod options;
mod patience;
mod server;
mod service;
mod shutdown;
mod status;
mod tenant;
#[cfg(test)]
mod testing;

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
    handle: EdgeHandle,
    #[cfg(test)]
    seams: testing::Seams,
}

impl Receivers {
    pub fn new(options: Options, listeners: Listeners, handle: EdgeHandle) -> Self {
        Receivers {
            options,
            listeners,
            handle,
            #[cfg(test)]
            seams: testing::Seams::default(),
        }
    }

    #[cfg(test)]
    fn with_seams(mut self, seams: testing::Seams) -> Self {
        self.seams = seams;
        self
    }

    /// Runs until `shutdown` says stop; returns when requests in flight are answered or the grace is
    /// over. The edge must outlive this.
    pub async fn run(self, shutdown: watch::Receiver<bool>) {
        let gate = Arc::new(Gate::new(self.options.limits, self.handle.metrics().clone()));
        #[cfg_attr(not(test), expect(unused_mut, reason = "only tests reach in"))]
        let mut service = Service::new(&self.options, self.handle, Shutdown::new(shutdown));
        #[cfg(test)]
        self.seams.sew(&mut service.exporter);
        let service = Arc::new(service);
        let Listeners { grpc, http } = self.listeners;
        let grpc = grpc.into_iter().map(|listener| (listener, Port::Grpc));
        let http = http.into_iter().map(|listener| (listener, Port::Http));
        let serving = grpc
            .chain(http)
            .map(|(listener, port)| server::serve(listener, port, service.clone(), gate.clone()));
        join_all(serving).await;
    }
}
