//! Connections: accepted up to a number and a budget, told apart by protocol, ended with grace.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::options::Limits;
use super::service::Service;
use crate::metrics::EdgeMetrics;
use sniff::{Protocol, Sniffed};
pub(crate) use tasks::Tasks;
use windows::{Grant, Windows};

mod http1;
mod http2;
mod life;
mod sniff;
mod tasks;
mod windows;

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a port speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    Grpc,
    Http,
}

/// Who may come in, on all ports together.
pub(crate) struct Gate {
    slots: Arc<Semaphore>,
    windows: Arc<Windows>,
    limits: Limits,
    metrics: Arc<EdgeMetrics>,
    spread: RandomState,
}

impl Gate {
    pub(crate) fn new(limits: Limits, metrics: Arc<EdgeMetrics>) -> Self {
        let slots = Arc::new(Semaphore::new(limits.connections.clamp(1, Semaphore::MAX_PERMITS)));
        let windows = Windows::new(limits.window_bytes, metrics.clone());
        Gate { slots, windows, limits, metrics, spread: RandomState::new() }
    }

    async fn enter(&self) -> (Slot, Grant) {
        let slot = self.slots.clone().acquire_owned().await.expect("the gate is never closed");
        let grant = self.windows.admit().await;
        self.metrics.connections.add(1);
        (Slot { _slot: slot, metrics: self.metrics.clone() }, grant)
    }
}

/// A connection that is open.
struct Slot {
    _slot: OwnedSemaphorePermit,
    metrics: Arc<EdgeMetrics>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.metrics.connections.sub(1);
    }
}

/// Serves until it is told to stop, then gives what is in flight the grace.
pub(crate) async fn serve(
    listener: TcpListener,
    port: Port,
    service: Arc<Service>,
    gate: Arc<Gate>,
) {
    let mut connections = JoinSet::new();
    let accepting = async {
        // One that finds no room waits here, and those behind it in the kernel.
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    let (slot, grant) = gate.enter().await;
                    // Which end of its age a connection meets is to differ between them, no more.
                    let spread = gate.spread.hash_one(peer) as u8;
                    while let Some(ended) = connections.try_join_next() {
                        note_panic(ended);
                    }
                    let connection = Connection { port, spread, _slot: slot, grant };
                    let serving = connection.serve(stream, service.clone(), gate.limits);
                    connections.spawn(serving);
                }
                Err(error) => {
                    // Of file handles, most likely: some come back as connections end.
                    warn!(%error, "a connection could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    };
    tokio::select! {
        () = service.shutdown.clone().told() => {}
        () = accepting => {}
    }
    drop(listener);
    let all_ended = async {
        while let Some(ended) = connections.join_next().await {
            note_panic(ended);
        }
    };
    if timeout(service.timeouts.grace, all_ended).await.is_err() {
        warn!(connections = connections.len(), "the grace is over: connections are cut");
        connections.shutdown().await;
    }
}

struct Connection {
    port: Port,
    spread: u8,
    _slot: Slot,
    grant: Grant,
}

impl Connection {
    async fn serve(mut self, stream: TcpStream, service: Arc<Service>, limits: Limits) {
        // Answers are small and awaited; without it only latency is lost.
        let _ = stream.set_nodelay(true);
        let sniffing = timeout(service.timeouts.header, Sniffed::sniff(stream));
        let sniffed = tokio::select! {
            sniffed = sniffing => sniffed,
            () = service.shutdown.clone().told() => return,
        };
        let Ok(Ok(Some((protocol, io)))) = sniffed else { return };
        if protocol == Protocol::Http2 {
            return http2::serve(io, self.port, service, limits, self.spread, self.grant).await;
        }
        self.grant.keep(http1::BUFFER_BYTES);
        match (self.port, protocol) {
            (Port::Http, _) => http1::serve(io, service, self.spread).await,
            (Port::Grpc, Protocol::Http1) => http1::turn_away(io, &service).await,
            (Port::Grpc, _) => debug!("a connection speaks no HTTP: is it TLS?"),
        }
    }
}

fn note_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        warn!(%error, "a connection panicked");
    }
}
