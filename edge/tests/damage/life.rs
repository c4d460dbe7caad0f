//! Lives of an edge on paused time, each on what the one before left.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tributary_edge::{Clock, Edge, EdgeHandle, Fresh, Options, Sample, TraceRequest};
use tributary_proto::{BootId, EdgeId, SourceId};
use tributary_spanmetrics::{Encoding, Labels, Tenant};
use tributary_store::disk::Files;
use tributary_store::disk::memory::MemoryDisk;

use crate::core::{Core, Counted, Held, Link, Mood, SHARDS};
use crate::journal::{DIR, Folder};

const SERVICES: [&str; 7] = ["cart", "pay", "mail", "search", "stock", "login", "ads"];
const WINDOW_MS: i64 = 10_000;
const EDGE: EdgeId = EdgeId([1; 16]);

/// What was acknowledged together.
#[derive(Clone, Debug)]
pub(crate) struct Acked {
    pub(crate) at_ns: u64,
    pub(crate) counts: Counted,
}

/// What an edge and its core are when the edge has died.
#[derive(Clone, Debug)]
pub(crate) struct Left {
    pub(crate) folder: Folder,
    pub(crate) held: Held,
    pub(crate) acked: Vec<Acked>,
    now_ns: u64,
    boots: u64,
    segment_bytes: u64,
}

struct PausedClock {
    began: Instant,
    from_ns: u64,
}

impl Clock for PausedClock {
    fn now_ns(&self) -> u64 {
        self.from_ns + self.began.elapsed().as_nanos() as u64
    }
}

pub(crate) struct World {
    clock: Arc<PausedClock>,
    pub(crate) core: Arc<Core>,
    disk: MemoryDisk,
    segment_bytes: u64,
    boots: u64,
    pub(crate) acked: Vec<Acked>,
}

pub(crate) struct Life {
    pub(crate) edge: EdgeHandle,
    pub(crate) source: SourceId,
    link: Arc<Link>,
    task: JoinHandle<()>,
    _stop: watch::Sender<bool>,
}

/// Some lives of an edge with a core that comes and goes; the last one is killed.
pub(crate) fn lived(seed: u64, segment_bytes: u64, lives: usize, steps: usize) -> Left {
    paused(async move {
        let nothing = Left {
            folder: Folder::new(),
            held: Held::default(),
            acked: Vec::new(),
            now_ns: 1_700_000_000_000_000_000,
            boots: 0,
            segment_bytes,
        };
        let mut rng = StdRng::seed_from_u64(seed);
        let mut world = World::of(&nothing).await;
        for _ in 0..lives {
            let life = world.open().await;
            world.live(&life, steps, &mut rng).await;
            world.kill(life);
        }
        world.left().await
    })
}

impl World {
    pub(crate) async fn of(left: &Left) -> Self {
        let disk = MemoryDisk::new();
        disk.create_dir(DIR).await.expect("a sound disk");
        disk.create_dir("edge/fingerprints").await.expect("a sound disk");
        for (path, bytes) in &left.folder {
            disk.replace(path, bytes.clone()).await.expect("a sound disk");
        }
        let clock = Arc::new(PausedClock { began: Instant::now(), from_ns: left.now_ns });
        World {
            clock,
            core: Core::of(left.held.clone()),
            disk,
            segment_bytes: left.segment_bytes,
            boots: left.boots,
            acked: left.acked.clone(),
        }
    }

    pub(crate) async fn open(&mut self) -> Life {
        self.boots += 1;
        let boot = BootId(self.boots.to_be_bytes());
        let fresh = Fresh { edge: EDGE, boot, seed: 7 };
        let options = Options { segment_bytes: self.segment_bytes, ..Options::default() };
        let link = self.core.link();
        let files = Arc::new(self.disk.clone());
        let opened = Edge::open(options, fresh, files, self.clock.clone(), link.clone()).await;
        let (edge, handle) = opened.expect("an edge opens, whatever is damaged");
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(edge.run(stopped));
        Life { edge: handle, source: SourceId { edge: EDGE, boot }, link, task, _stop: stop }
    }

    /// Takes requests and samples while shards go away, fall silent and come back.
    pub(crate) async fn live(&mut self, life: &Life, steps: usize, rng: &mut StdRng) {
        for _ in 0..steps {
            // Behind a long pause nothing is open, and all that is settled can go.
            let pause = if rng.gen_ratio(1, 10) { 20_000..30_000 } else { 100..2_500 };
            sleep(Duration::from_millis(rng.gen_range(pause))).await;
            if rng.gen_ratio(1, 3) {
                let mood = [Mood::Well, Mood::Well, Mood::Away, Mood::Mute][rng.gen_range(0..4)];
                self.core.set_mood(rng.gen_range(0..usize::from(SHARDS)), mood);
            }
            match rng.gen_ratio(1, 6) {
                true => self.send_samples(life).await,
                false => self.send(life, rng).await,
            }
        }
    }

    pub(crate) fn comfort(&self) {
        (0..usize::from(SHARDS)).for_each(|shard| self.core.set_mood(shard, Mood::Well));
    }

    async fn send(&mut self, life: &Life, rng: &mut impl Rng) {
        let at_ns = self.clock.now_ns();
        let mut counts = Counted::new();
        let resource_spans = (0..rng.gen_range(1..5)).map(|number: u64| {
            let service = SERVICES[rng.gen_range(0..SERVICES.len())];
            let before_ms: u64 = match rng.gen_range(0..10) {
                0 => rng.gen_range(10_000..40_000),
                _ => rng.gen_range(0..3_000),
            };
            let ahead_ms = if rng.gen_ratio(1, 25) { 90_000 } else { 0 };
            let end_ns = at_ns + ahead_ms * 1_000_000 - before_ms * 1_000_000;
            let end_ms = (end_ns / 1_000_000) as i64;
            let window = end_ms.div_euclid(WINDOW_MS) * WINDOW_MS + WINDOW_MS;
            *counts.entry((service.to_owned(), window)).or_default() += 1;
            span(service, number, end_ns)
        });
        let resource_spans = resource_spans.collect();
        let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec().into();
        let request =
            TraceRequest { tenant: Tenant::default(), encoding: Encoding::Protobuf, body };
        let answer = life.edge.ingest(request).await.expect("a request is acked");
        assert_eq!(answer.accepted, counts.values().sum::<u64>());
        self.acked.push(Acked { at_ns, counts });
    }

    async fn send_samples(&mut self, life: &Life) {
        let at_ns = self.clock.now_ns();
        let time_ms = (at_ns / 1_000_000) as i64;
        let labels = Labels::from_pairs([("__name__", "up"), ("at", &at_ns.to_string())]);
        let sample = Sample { labels, time_ms, value: 1.0 };
        life.edge.ingest_samples(&Tenant::default(), vec![sample]).await.expect("acked");
        self.acked.push(Acked { at_ns, counts: [(("sample".into(), time_ms), 1)].into() });
    }

    pub(crate) fn kill(&mut self, life: Life) {
        life.link.is_up.store(false, Ordering::Relaxed);
        life.task.abort();
        self.disk.kill(0);
        self.disk = self.disk.reopen();
    }

    pub(crate) async fn left(&self) -> Left {
        let mut folder = Folder::new();
        for dir in ["edge", DIR, "edge/fingerprints"] {
            for name in self.disk.list(dir).await.expect("a sound disk") {
                let path = format!("{dir}/{name}");
                if let Ok(Some(bytes)) = self.disk.read(&path).await {
                    folder.insert(path, bytes);
                }
            }
        }
        let (held, acked) = (self.core.held(), self.acked.clone());
        let (now_ns, boots, segment_bytes) = (self.clock.now_ns(), self.boots, self.segment_bytes);
        Left { folder, held, acked, now_ns, boots, segment_bytes }
    }

    pub(crate) async fn set_apart(&self) -> Vec<String> {
        self.disk.list("edge/damaged").await.expect("a sound disk")
    }
}

fn span(service: &str, number: u64, end_ns: u64) -> ResourceSpans {
    let service = AnyValue { value: Some(Value::StringValue(service.into())) };
    let attribute =
        KeyValue { key: "service.name".into(), value: Some(service), ..Default::default() };
    let span = Span {
        span_id: number.to_be_bytes().to_vec(),
        start_time_unix_nano: end_ns - 3_000_000,
        end_time_unix_nano: end_ns,
        ..Default::default()
    };
    ResourceSpans {
        resource: Some(Resource { attributes: vec![attribute], ..Default::default() }),
        scope_spans: vec![ScopeSpans { spans: vec![span], ..Default::default() }],
        ..Default::default()
    }
}

/// Runs on a runtime of one thread whose time passes only while everybody waits.
pub(crate) fn paused<T>(work: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(work)
}
