//! Real edges, a real port: what stands on the page.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tributary_edge::{Clock, Edge, EdgeHandle, Fresh, Options as EdgeOptions, TraceRequest};
use tributary_proto::{BootId, EdgeId};
use tributary_spanmetrics::{Config, Encoding, Labels, Tenant};
use tributary_store::Store;
use tributary_store::disk::memory::MemoryDisk;

use super::{Edges, Options, Scrape, router};
use crate::{SystemClock, http};

const CALLS: &str = "llm_traces_span_metrics_calls_total";
const LATENCY: &str = "llm_traces_span_metrics_latency";

struct World {
    edges: Vec<EdgeHandle>,
    at: SocketAddr,
    stop: watch::Sender<bool>,
    running: Vec<JoinHandle<()>>,
}

impl World {
    /// An edge for each region, all on one page.
    async fn start(regions: &[&str]) -> Self {
        World::with_clock(regions, Arc::new(SystemClock)).await
    }

    async fn with_clock(regions: &[&str], clock: Arc<dyn Clock>) -> Self {
        World::serving(Default::default(), Default::default(), regions, clock).await
    }

    async fn serving(
        options: Options,
        http_options: http::Options,
        regions: &[&str],
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (store, shards) = Store::open(&MemoryDisk::new(), Default::default()).await.unwrap();
        let (stop, stopped) = watch::channel(false);
        let mut running = vec![tokio::spawn(store.run(stopped.clone()))];
        let (mut edges, mut scraped) = (Vec::new(), Edges::default());
        for (at, region) in (1..).zip(regions) {
            let external = Labels::from_pairs([("region", *region)]);
            let config = Config { external, ..Config::default() };
            let options = EdgeOptions { config, ..EdgeOptions::default() };
            let fresh = Fresh { edge: EdgeId([at; 16]), boot: BootId([at; 8]), seed: 7 };
            let (files, shards) = (Arc::new(MemoryDisk::new()), Arc::new(shards.clone()));
            let opened = Edge::open(options, fresh, files, clock.clone(), shards);
            let (edge, handle) = opened.await.unwrap();
            running.push(tokio::spawn(edge.run(stopped.clone())));
            scraped.add(&handle);
            edges.push(handle);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let router = router(Scrape::new(options, scraped));
        // Outlives the edges, as a scraper's connection may.
        tokio::spawn(http::serve(vec![listener], router, http_options, never()));
        World { edges, at, stop, running }
    }

    /// A span of 3 ms for each name.
    async fn send(&self, edge: usize, names: &[String]) {
        let now_ns = SystemClock.now_ns();
        let span = |name: &String| Span {
            span_id: rand::random::<u64>().to_be_bytes().to_vec(),
            name: name.clone(),
            start_time_unix_nano: now_ns - 3_000_000,
            end_time_unix_nano: now_ns,
            ..Default::default()
        };
        let spans = names.iter().map(span).collect();
        let scope_spans = vec![ScopeSpans { spans, ..Default::default() }];
        let resource_spans = vec![ResourceSpans { scope_spans, ..Default::default() }];
        let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec().into();
        let (tenant, encoding) = (Tenant::default(), Encoding::Protobuf);
        self.edges[edge].ingest(TraceRequest { tenant, encoding, body }).await.unwrap();
    }

    /// The answer's head and its body, put together from its chunks.
    async fn get(&self, headers: &str) -> (String, Vec<u8>) {
        let (mut stream, mut answer) = (self.ask(headers).await, Vec::new());
        stream.read_to_end(&mut answer).await.unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("has a head");
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let rest = &answer[end + 4..];
        let is_chunked = head.contains("transfer-encoding: chunked");
        let body = if is_chunked { unchunked(rest).expect("is whole") } else { rest.to_vec() };
        (head, body)
    }

    async fn ask(&self, headers: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.at).await.unwrap();
        let request =
            format!("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn text(&self) -> String {
        String::from_utf8(self.get("").await.1).unwrap()
    }
}

/// No window is ever over.
struct StandingClock(u64);

impl Clock for StandingClock {
    fn now_ns(&self) -> u64 {
        self.0
    }
}

/// A shutdown that never comes.
fn never() -> watch::Receiver<bool> {
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move { stop.closed().await });
    stopped
}

/// `None` unless the last chunk is there.
fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?, 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}

/// The values by series, each once, those of a family under its type and nowhere else.
fn series(text: &str) -> BTreeMap<String, f64> {
    let (mut found, mut families, mut family) = (BTreeMap::new(), BTreeSet::new(), "");
    for line in text.lines() {
        if let Some(of) = line.strip_prefix("# TYPE ") {
            family = of.split(' ').next().unwrap();
            assert!(families.insert(family), "{family} begins twice");
        } else if !line.starts_with('#') {
            assert!(line.starts_with(family), "{line} stands under {family}");
            let (series, value) = line.rsplit_once(' ').unwrap();
            let known = found.insert(series.to_owned(), value.parse().unwrap());
            assert_eq!(known, None, "{series} stands there twice");
        }
    }
    found
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("op {n}")).collect()
}

#[tokio::test]
async fn all_groups_of_all_edges_stand_there_once_in_each_family() {
    let world = World::start(&["north", "south"]).await;
    world.send(0, &names(1300)).await;
    world.send(1, &names(700)).await;
    world.send(1, &names(1)).await;
    let series = series(&world.text().await);
    let of = |name: &str| series.keys().filter(|key| key.starts_with(&format!("{name}{{"))).count();
    let buckets = Config::default().layout.buckets();
    let found = ["_bucket", "_sum", "_count"].map(|part| of(&format!("{LATENCY}{part}")));
    assert_eq!((of(CALLS), found), (2000, [2000 * buckets, 2000, 2000]));
    let calls = |region: &str| {
        let labels =
            r#"span_kind="SPAN_KIND_UNSPECIFIED",span_name="op 0",status_code="STATUS_CODE_UNSET""#;
        series[&format!("{CALLS}{{region=\"{region}\",{labels}}}")]
    };
    assert_eq!((calls("north"), calls("south")), (1.0, 2.0));
}

#[tokio::test]
async fn what_two_edges_know_as_one_group_is_one_series() {
    let world = World::start(&["north", "south", "north"]).await;
    world.send(0, &names(600)).await;
    world.send(1, &names(1)).await;
    world.send(2, &names(601)).await;
    world.send(2, &names(1)).await;
    let series = series(&world.text().await);
    let calls: BTreeMap<_, _> = series.iter().filter(|(key, _)| key.starts_with(CALLS)).collect();
    assert_eq!(calls.len(), 602);
    let of = |region: &str, name: &str| {
        let (region, name) = (format!("region=\"{region}\""), format!("span_name=\"{name}\""));
        let found = calls.iter().find(|(key, _)| key.contains(&region) && key.contains(&name));
        **found.expect("is there").1
    };
    assert_eq!((of("north", "op 0"), of("north", "op 1")), (3.0, 2.0));
    assert_eq!((of("north", "op 600"), of("south", "op 0")), (1.0, 1.0));
}

#[tokio::test]
async fn the_page_comes_in_the_format_and_the_encoding_asked_for() {
    let world = World::start(&["north"]).await;
    world.send(0, &names(600)).await;
    let (head, plain) = world.get("").await;
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    assert!(!head.contains("content-encoding"), "{head}");
    let plain = String::from_utf8(plain).unwrap();
    assert!(!plain.contains("# EOF"));

    let (head, squeezed) = world.get("Accept-Encoding: gzip\r\n").await;
    assert!(head.contains("content-encoding: gzip"), "{head}");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&squeezed[..]).read_to_string(&mut text).expect("is gzip");
    assert_eq!(text, plain);

    let accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n";
    let (head, open) = world.get(accept).await;
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    let open = String::from_utf8(open).unwrap();
    let whole = open.strip_suffix("# EOF\n").expect("ends");
    assert_eq!(series(whole), series(&plain));
}

#[tokio::test]
async fn a_node_without_spans_has_a_page() {
    let world = World::start(&["north"]).await;
    let text = world.text().await;
    assert!(series(&text).is_empty() && text.matches("# TYPE").count() == 2, "{text}");
}

#[tokio::test]
async fn a_page_whose_edge_ends_is_broken_off() {
    let world = World::start(&["north", "south"]).await;
    world.send(0, &names(1)).await;
    world.stop.send_replace(true);
    for task in world.running {
        task.await.unwrap();
    }
    let mut stream = TcpStream::connect(world.at).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let body = answer.windows(4).position(|four| four == b"\r\n\r\n").map(|end| &answer[end + 4..]);
    assert_eq!(body.and_then(unchunked), None, "half a page is not a whole one");
}

#[tokio::test]
async fn who_does_not_read_on_makes_room_for_others() {
    let options = Options { at_once: 2, ..Options::default() };
    let write_timeout = Duration::from_millis(300);
    let http_options = http::Options { write_timeout, ..Default::default() };
    let world = World::serving(options, http_options, &["north"], Arc::new(SystemClock)).await;
    // A page that the kernel's buffers do not take as a whole.
    world.send(0, &names(4000)).await;
    let _never_read = [world.ask("").await, world.ask("").await];
    let is_busy = async || world.get("").await.0.starts_with("HTTP/1.1 503");
    let asking = async {
        while !is_busy().await {}
        while is_busy().await {}
    };
    timeout(Duration::from_secs(60), asking).await.expect("both places are free again");
}

/// Prints what it took: `cargo test -p tributary-node --release million -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, which takes minutes"]
async fn a_million_groups_stream_in_bounded_memory() {
    const GROUPS: usize = 1_000_000;
    const MOST_MIB: f64 = 32.0;
    // A seal takes memory of its own, and what it gives back would hide what a page takes.
    let clock = Arc::new(StandingClock(SystemClock.now_ns()));
    let world = World::with_clock(&["north"], clock).await;
    for (at, names) in names(GROUPS).chunks(10_000).enumerate() {
        world.send(0, names).await;
        if at % 20 == 19 {
            eprintln!("{} groups, {:.0} MiB", (at + 1) * 10_000, resident_mib());
        }
    }
    for headers in ["", "Accept-Encoding: gzip\r\n"] {
        let (before, began) = (resident_mib(), std::time::Instant::now());
        let mut stream = world.ask(headers).await;
        let (mut bytes, mut lines, mut most) = (0, 0, before);
        let (mut chunk, mut looked_at) = (vec![0; 256 << 10], 0);
        loop {
            let read = stream.read(&mut chunk).await.unwrap();
            if read == 0 {
                break;
            }
            bytes += read;
            lines += chunk[..read].iter().filter(|byte| **byte == b'\n').count();
            if bytes - looked_at > 4 << 20 {
                looked_at = bytes;
                most = resident_mib().max(most);
            }
        }
        let seconds = began.elapsed().as_secs_f64();
        eprintln!(
            "{headers:?}: {} MB, {lines} lines in {seconds:.1} s; {before:.0} MiB before, at most \
             {:.1} MiB more",
            bytes / 1_000_000,
            most - before
        );
        assert!(most - before < MOST_MIB, "the page is not gathered");
        assert!(headers.is_empty() == (lines > 20 * GROUPS), "every series was there");
    }
}

fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1024.0
}
