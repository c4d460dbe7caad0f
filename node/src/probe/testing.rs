//! A node in memory for tests: a store, an edge that seals ten times a second, and real ports.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tributary_edge::{Clock, Edge, EdgeHandle, Fresh, Options as EdgeOptions};
use tributary_proto::{BootId, EdgeId};
use tributary_query::span_series::SpanSeries;
use tributary_query::{Engine, Params, Value};
use tributary_spanmetrics::{Config, Layout, Tenant};
use tributary_store::Store;
use tributary_store::disk::memory::MemoryDisk;

use super::{Handle, Options, Prober, Target};
use crate::self_metrics::Registry;
use crate::{SystemClock, http};

pub(crate) struct Rig {
    pub(crate) edge: EdgeHandle,
    pub(crate) source: Arc<SpanSeries>,
    /// Dropped with the rig, which ends its tasks.
    stop: watch::Sender<bool>,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        let disk = MemoryDisk::new();
        let (store, shards) = Store::open(&disk, Default::default()).await.unwrap();
        let layout = Layout::explicit(100, vec![1_000_000]).unwrap();
        let config = Config { layout, ..Config::default() };
        let grace = Duration::from_millis(50);
        let options = EdgeOptions { config, grace, ..EdgeOptions::default() };
        let fresh = Fresh { edge: EdgeId([1; 16]), boot: BootId([2; 8]), seed: 7 };
        let (files, clock) = (Arc::new(disk), Arc::new(SystemClock));
        let (edge, handle) =
            Edge::open(options, fresh, files, clock, Arc::new(shards.clone())).await.unwrap();
        let (stop, shutdown) = watch::channel(false);
        tokio::spawn(store.run(shutdown.clone()));
        tokio::spawn(edge.run(shutdown));
        let now = Arc::new(|| SystemClock.now_ms());
        let source = Arc::new(SpanSeries::new(shards, Default::default(), now));
        Rig { edge: handle, source, stop }
    }

    /// Serves on a free port.
    pub(crate) async fn serve(&self, router: Router) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let options = http::Options::default();
        tokio::spawn(http::serve(vec![listener], router, options, self.stop.subscribe()));
        address
    }

    /// A prober that is at work.
    pub(crate) fn probe(&self, own: Target, others: Vec<Target>, registry: Registry) -> Handle {
        let options = Options { interval: Duration::from_millis(200), ..Options::default() };
        let clock = Arc::new(SystemClock);
        let (prober, handle) =
            Prober::new(options, own, others, registry, self.edge.clone(), clock);
        tokio::spawn(prober.run(self.stop.subscribe()));
        handle
    }

    /// The values that an instant query answers, once there are so many.
    pub(crate) async fn values(&self, query: &str, count: usize) -> Vec<(String, f64)> {
        let (engine, tenant, params) = (Engine::default(), Tenant::default(), Params::default());
        for _ in 0..200 {
            let now = SystemClock.now_ms();
            let answer = engine.instant(&*self.source, &tenant, query, now, &params);
            if let Value::Vector(samples) = answer.await.unwrap().value
                && samples.len() >= count
            {
                return samples.iter().map(|s| (s.labels.to_string(), s.value)).collect();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{query} never answered {count} series");
    }
}

/// A port on which nothing listens.
pub(crate) async fn closed_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Sends a request as it stands; answers status and body.
pub(crate) async fn exchange(address: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    (head[9..12].parse().unwrap(), body.to_owned())
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    exchange(address, &request).await
}
