//! `tributary dev`: edge and core in one process.
//!
//! ```text
//!  4317, 4318 ─▶ receivers ─▶ edge ─┐
//!  demo ─▶ receivers ─▶ two edges ──┼─▶ store ◀─ engine ◀─ API, page on 9090 and 8428
//!  prober ─ up, self-metrics ─▶ edge┘
//!  a Prometheus ◀─ totals of all edges on 8889
//! ```
//!
//! Every edge counts by the same configuration; the demo's have their region besides.
//!
//! Edges of earlier runs that this run does not have (the demo's, after a run without `--demo`) bring
//! what they left to the store and are closed, since an open source holds completeness back.

mod banner;
mod ports;
mod stages;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use rand::Rng;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};
use tributary_edge::receivers::{Listeners, Receivers};
use tributary_edge::{Clock, Edge, EdgeHandle, Fresh};
use tributary_proto::{BootId, EdgeId};
use tributary_query::Engine;
use tributary_query::span_series::{self, SpanSeries};
use tributary_spanmetrics::{Labels, Tenant};
use tributary_store::disk::Files;
use tributary_store::disk::real::RealDisk;
use tributary_store::{Home, Store, StoreHandle};

use self::ports::{Ports, listen, listen_anywhere};
use self::stages::Stage;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::health::{self, Health, State};
use crate::probe::{Prober, Target};
use crate::scrape::{self, Scrape};
use crate::self_metrics::{self, Registry};
use crate::{api, demo, http, memory, probe, web};

#[derive(Clone, Debug)]
pub struct Options {
    pub data: PathBuf,
    /// The seed of the demo's traffic, if there is to be any.
    pub demo: Option<u64>,
    pub port_offset: u16,
    pub config: Config,
}

/// The further edges' folders.
const EDGES_DIR: &str = "edges";

/// Runs until SIGINT or SIGTERM.
pub async fn run(options: Options) -> Result<()> {
    let ports = Ports::with_offset(options.port_offset)?;
    let grpc = listen(ports.otlp_grpc, "OTLP/gRPC").await?;
    let otlp_http = listen(ports.otlp_http, "OTLP/HTTP").await?;
    let mut api_listeners = listen(ports.api, "Prometheus API").await?;
    api_listeners.extend(listen(ports.api_second, "Prometheus API, second name").await?);
    let metrics_listeners = listen(ports.self_metrics, "self-metrics").await?;
    let scrape_listeners = listen(ports.span_metrics, "span metrics").await?;
    let health_listeners = listen(ports.health, "health").await?;
    // Before anything is open: a signal from now on ends the run in order.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;

    let mut node = Node::open(&options).await?;
    let own_edge = node.edge("local", "edge", Labels::default()).await?;
    let own_listeners = Listeners { grpc, http: otlp_http };
    node.receive(own_listeners, own_edge.clone());
    let own_receiver = Target::receiver("tributary-edge", loopback(ports.otlp_http));
    node.targets.push(own_receiver);
    let regions = match options.demo {
        Some(seed) => Some(node.play_demo(seed).await?),
        None => None,
    };
    node.drain_other_edges().await?;
    let listeners = PageListeners {
        api: api_listeners,
        self_metrics: metrics_listeners,
        span_metrics: scrape_listeners,
        health: health_listeners,
    };
    node.serve(&ports, listeners, own_edge);

    println!("{}", banner::banner(&ports, &options.data, regions.as_deref()));
    let ended = tokio::select! {
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
        failure = node.failed() => Err(failure),
    };
    info!("stopping");
    node.stop().await?;
    ended
}

/// Where pages and answers are served.
#[derive(Default)]
struct PageListeners {
    api: Vec<TcpListener>,
    self_metrics: Vec<TcpListener>,
    span_metrics: Vec<TcpListener>,
    health: Vec<TcpListener>,
}

/// What runs, by the stage in which it stops.
struct Node {
    config: Config,
    disk: Arc<RealDisk>,
    _home: Home,
    clock: Arc<dyn Clock>,
    store: StoreHandle,
    registry: Registry,
    health: Health,
    targets: Vec<Target>,
    scraped: scrape::Edges,
    /// The folders of the further edges of this run.
    edges: Vec<String>,
    intake: Stage,
    edge_stage: Stage,
    /// Edges that end by themselves once nothing is left.
    draining: Stage,
    store_stage: Stage,
    /// Tells of the stop while the others stop.
    health_stage: Stage,
}

impl Node {
    async fn open(options: &Options) -> Result<Node> {
        memory::keep_below(options.config.edge.memory.hard.in_memory());
        let folder = || format!("data folder {}", options.data.display());
        let disk = RealDisk::open(options.data.clone(), options.config.edge.disk());
        let disk = Arc::new(disk.with_context(folder)?);
        let home = Home::take(&*disk).await.with_context(folder)?;
        let opened = Store::open(&*disk, options.config.store.options()).await;
        let (store, handle) = opened.with_context(folder)?;
        let mut store_stage = Stage::new();
        store_stage.spawn("the store", store.run(store_stage.shutdown()));
        let registry = Registry::default();
        registry.add(&[], self_metrics::process);
        registry.add(&[], memory::metrics);
        registry.add(&[], self_metrics::build_info);
        let store = handle.clone();
        registry.add(&[], move || store.collect());
        let clock = Arc::new(SystemClock);
        Ok(Node {
            config: options.config.clone(),
            disk,
            _home: home,
            health: Health::new(clock.clone()),
            clock,
            store: handle,
            registry,
            targets: Vec::new(),
            scraped: scrape::Edges::default(),
            edges: Vec::new(),
            intake: Stage::new(),
            edge_stage: Stage::new(),
            draining: Stage::new(),
            store_stage,
            health_stage: Stage::new(),
        })
    }

    /// Opens an edge below `dir` and lets it run.
    async fn edge(&mut self, name: &str, dir: &str, labels: Labels) -> Result<EdgeHandle> {
        let fresh = {
            let mut random = rand::thread_rng();
            Fresh {
                edge: EdgeId(random.r#gen()),
                boot: BootId(random.r#gen()),
                seed: random.r#gen(),
            }
        };
        let options = self.config.edge.options(dir, &labels);
        let journal_limit = options.journal_limit_bytes;
        let files: Arc<dyn Files> = self.disk.clone();
        let shards = Arc::new(self.store.clone());
        let (edge, handle) = Edge::open(options, fresh, files, self.clock.clone(), shards)
            .await
            .with_context(|| format!("edge folder {dir}"))?;
        self.edge_stage.spawn("an edge", edge.run(self.edge_stage.shutdown()));
        let counted = handle.clone();
        self.registry.add(&[("edge", name)], move || counted.collect());
        self.scraped.add(&handle);
        let metrics = handle.metrics().clone();
        let look = move || health::edge(&metrics, journal_limit);
        self.health.watch(&format!("edge:{name}"), look);
        Ok(handle)
    }

    fn receive(&mut self, listeners: Listeners, edge: EdgeHandle) {
        let receivers = Receivers::new(self.config.receivers.options(), listeners, edge);
        self.intake.spawn("the receivers", receivers.run(self.intake.shutdown()));
    }

    /// Two further edges with the shop's traffic; answers their regions.
    async fn play_demo(&mut self, seed: u64) -> Result<Vec<String>> {
        let regions = demo::REGIONS.map(str::to_owned).to_vec();
        for region in &regions {
            let dir = format!("{EDGES_DIR}/demo-{region}");
            let labels = Labels::from_pairs([("region", region.as_str())]);
            let edge = self.edge(&format!("demo-{region}"), &dir, labels).await?;
            self.edges.push(dir);
            let (grpc, grpc_address) = listen_anywhere().await?;
            let (http, http_address) = listen_anywhere().await?;
            self.receive(Listeners { grpc: vec![grpc], http: vec![http] }, edge);
            let target = Target::receiver("tributary-edge", http_address);
            self.targets.push(target.with_label("region", region));
            let shop = demo::Traffic::new(seed, region, grpc_address, self.clock.clone())?;
            self.intake.spawn("the demo", shop.run(self.intake.shutdown()));
        }
        Ok(regions)
    }

    async fn drain_other_edges(&mut self) -> Result<()> {
        for name in self.disk.list(EDGES_DIR).await? {
            let dir = format!("{EDGES_DIR}/{name}");
            if self.edges.contains(&dir) {
                continue;
            }
            let files: Arc<dyn Files> = self.disk.clone();
            let shards = Arc::new(self.store.clone());
            let options = self.config.edge.options(&dir, &Labels::default());
            let journal_limit = options.journal_limit_bytes;
            match Edge::open_to_drain(options, files, self.clock.clone(), shards).await {
                Ok(edge) => {
                    let (metrics, clock) = (edge.metrics().clone(), self.clock.clone());
                    self.registry.add(&[("edge", &name)], move || {
                        metrics.observe_time(clock.now_ms());
                        metrics.collect()
                    });
                    let metrics = edge.metrics().clone();
                    let look = move || health::edge(&metrics, journal_limit);
                    self.health.watch(&format!("drain:{name}"), look);
                    self.draining.spawn("a drain", edge.run(self.draining.shutdown()));
                }
                Err(error) => {
                    warn!(dir, %error, "an earlier run's edge cannot be drained");
                    let component = self.health.component(&format!("drain:{name}"));
                    component.set(State::degraded(error.to_string()));
                }
            }
        }
        Ok(())
    }

    fn serve(&mut self, ports: &Ports, listeners: PageListeners, edge: EdgeHandle) {
        let own = Target::page("tributary", loopback(ports.self_metrics), "/metrics");
        let mut others = std::mem::take(&mut self.targets);
        others.push(Target::page("tributary-api", loopback(ports.api), "/health"));
        let (prober, probes) = Prober::new(
            probe::Options::default(),
            own,
            others,
            self.registry.clone(),
            edge,
            self.clock.clone(),
        );
        let clock = self.clock.clone();
        let now: span_series::NowMs = Arc::new(move || clock.now_ms());
        let source = SpanSeries::new(self.store.clone(), span_series::Options::default(), now);
        let api = api::Api::new(
            api::Options::default(),
            Engine::default(),
            Arc::new(source),
            Tenant::default(),
            probes.clone(),
            self.clock.clone(),
        );
        for (at, probed) in probes.targets().iter().enumerate() {
            let probes = probes.clone();
            let look = move || health::target(&probes.targets()[at]);
            self.health.watch(&format!("probe:{}", probed.target.url()), look);
        }
        let api_metrics = api.metrics().clone();
        self.registry.add(&[], move || api_metrics.collect());
        let probe_metrics = probes.metrics().clone();
        self.registry.add(&[], move || probe_metrics.collect());
        let scrape = Scrape::new(scrape::Options::default(), std::mem::take(&mut self.scraped));
        let scrape_metrics = scrape.metrics().clone();
        self.registry.add(&[], move || scrape_metrics.collect());
        let page = web::Page { otlp_http_port: ports.otlp_http };
        let api_and_page = api::router(api).merge(web::router(page));
        let metrics = self_metrics::router(self.registry.clone());
        let health = health::router(self.health.clone());
        let serve = |stage: &mut Stage, name, listeners, router| {
            let options = http::Options::default();
            stage.spawn(name, http::serve(listeners, router, options, stage.shutdown()));
        };
        serve(&mut self.intake, "the API", listeners.api, api_and_page);
        serve(&mut self.intake, "self-metrics", listeners.self_metrics, metrics);
        serve(&mut self.intake, "span metrics", listeners.span_metrics, scrape::router(scrape));
        serve(&mut self.health_stage, "health", listeners.health, health);
        self.intake.spawn("the prober", prober.run(self.intake.shutdown()));
    }

    async fn failed(&mut self) -> anyhow::Error {
        tokio::select! {
            failure = self.intake.failed() => failure,
            failure = self.edge_stage.failed() => failure,
            failure = self.store_stage.failed() => failure,
            failure = self.health_stage.failed() => failure,
        }
    }

    async fn stop(self) -> Result<()> {
        // First of all, so that whoever balances sends nothing more.
        self.health.stop();
        // A stage that failed does not keep the later ones from stopping in order.
        let mut stopped = Ok(());
        for stage in
            [self.intake, self.edge_stage, self.draining, self.store_stage, self.health_stage]
        {
            stopped = stopped.and(stage.stop().await);
        }
        stopped
    }
}

fn loopback(port: u16) -> std::net::SocketAddr {
    (std::net::Ipv4Addr::LOCALHOST, port).into()
}

#[cfg(test)]
mod drain_test;
#[cfg(test)]
mod metrics_test;
