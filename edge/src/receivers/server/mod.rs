//! Connections: accepted up to a number and a budget, told apart by protocol, ended with grace.
//!
//! One that finds no room displaces another that is of no use ([`places`]), or waits.

use std::hash::{BuildHasher, RandomState};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::export::Signal;
use super::options::Limits;
use super::service::Service;
use crate::metrics::EdgeMetrics;
pub(crate) use places::Hold;
use places::{Place, Places};
use sniff::{Protocol, Sniffed};
pub(crate) use tasks::Tasks;
use windows::{Grant, Windows};

mod head;
mod http1;
mod http2;
mod life;
mod places;
mod sniff;
mod stage;
mod tasks;
mod windows;

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A newcomer that still waits displaces one more.
const DISPLACE_EVERY: Duration = Duration::from_millis(10);

/// What a port speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    Grpc,
    Http,
}

impl Port {
    /// What is asked for is handed to the ingest once it is whole.
    fn exports(self, path: &str) -> bool {
        let signal = match self {
            Port::Grpc => Signal::of_grpc_path(path),
            Port::Http => Signal::of_http_path(path),
        };
        signal.is_some()
    }
}

/// Who may come in, on all ports together.
pub(crate) struct Gate {
    slots: Arc<Semaphore>,
    windows: Arc<Windows>,
    places: Arc<Places>,
    limits: Limits,
    metrics: Arc<EdgeMetrics>,
    spread: RandomState,
}

impl Gate {
    pub(crate) fn new(limits: Limits, metrics: Arc<EdgeMetrics>) -> Self {
        let slots = Arc::new(Semaphore::new(limits.connections.clamp(1, Semaphore::MAX_PERMITS)));
        let windows = Windows::new(limits.window_bytes, metrics.clone());
        let places = Places::new();
        Gate { slots, windows, places, limits, metrics, spread: RandomState::new() }
    }

    async fn enter(&self) -> (Slot, Grant, Place) {
        let mut entering = pin!(async {
            let slot = self.slots.clone().acquire_owned().await;
            (slot.expect("the gate is never closed"), self.windows.admit().await)
        });
        let mut patience = Duration::ZERO;
        let (slot, grant) = loop {
            tokio::select! {
                // Who finds room at once displaces nobody.
                biased;
                entered = &mut entering => break entered,
                () = sleep(patience) => {
                    if self.places.make_room() {
                        self.metrics.connections_displaced.add(1);
                    }
                    patience = DISPLACE_EVERY;
                }
            }
        };
        self.metrics.connections.add(1);
        (Slot { _slot: slot, metrics: self.metrics.clone() }, grant, self.places.take())
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
                    let (slot, grant, place) = gate.enter().await;
                    // Which end of its age a connection meets is to differ between them, no more.
                    let spread = gate.spread.hash_one(peer) as u8;
                    while let Some(ended) = connections.try_join_next() {
                        note_panic(ended);
                    }
                    let connection = Connection { port, spread, _slot: slot, grant, place };
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
    place: Place,
}

impl Connection {
    async fn serve(mut self, stream: TcpStream, service: Arc<Service>, limits: Limits) {
        // Answers are small and awaited; without it only latency is lost.
        let _ = stream.set_nodelay(true);
        let sniffing = timeout(service.timeouts.header, Sniffed::sniff(stream));
        let sniffed = tokio::select! {
            sniffed = sniffing => sniffed,
            () = self.place.told() => return,
            () = service.shutdown.clone().told() => return,
        };
        let (protocol, io) = match sniffed {
            Ok(Ok(Some(sniffed))) => sniffed,
            Ok(_) => return,
            Err(_) => return service.metrics().connections_ended_header_timeout.add(1),
        };
        if protocol == Protocol::Http2 {
            let Connection { port, spread, grant, place, .. } = self;
            return http2::serve(io, port, service, limits, spread, grant, place).await;
        }
        self.grant.keep(http1::BUFFER_BYTES);
        match (self.port, protocol) {
            (Port::Http, _) => http1::serve(io, service, self.spread, &self.place).await,
            (Port::Grpc, Protocol::Http1) => tokio::select! {
                () = http1::turn_away(io, &service) => {}
                () = self.place.told() => {}
            },
            (Port::Grpc, _) => {
                debug!("a connection speaks no HTTP: is it TLS?");
                service.metrics().connections_ended_not_http.add(1);
            }
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
