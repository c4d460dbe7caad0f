//! Through a real store on the memory disk: slices in, series out.

use bytes::Bytes;
use tributary_proto::{Answer, BootId, Digest, EdgeId, Entry, Seq, ShardId, Slice, SourceId};
use tributary_spanmetrics::{Content, Delta, GroupContent, Layout, Tenant, WindowEnd};
use tributary_store::disk::memory::MemoryDisk;
use tributary_store::{MatchOp, Matcher, Store};

use super::*;

struct World {
    store: StoreHandle,
    seqs: std::collections::BTreeMap<(u8, u16), u64>,
}

fn source(number: u8) -> SourceId {
    SourceId { edge: EdgeId([number; 16]), boot: BootId([0; 8]) }
}

impl World {
    async fn new() -> Self {
        let disk = MemoryDisk::new();
        let (store, handle) = Store::open(&disk, Default::default()).await.expect("opens");
        let (keep, shutdown) = tokio::sync::watch::channel(false);
        tokio::spawn(async move {
            store.run(shutdown).await;
            drop(keep);
        });
        World { store: handle, seqs: Default::default() }
    }

    /// Spans of a service, each (window end, duration in ms).
    fn spans(tenant: &str, service: &str, layout: &Layout, spans: &[(i64, u64)]) -> Content {
        let tenant = Tenant::new(tenant).expect("valid");
        let group = Group {
            service: service.into(),
            span_name: "op".into(),
            kind: Default::default(),
            status: Default::default(),
            dimensions: Labels::default(),
            external: Labels::default(),
        };
        let mut windows = std::collections::BTreeMap::new();
        for (end, ms) in spans {
            let delta = windows.entry(WindowEnd(*end)).or_insert_with(|| Delta::empty(layout));
            delta.observe(layout, ms * 1_000_000);
        }
        let mut content = Content::default();
        let of_layout = content.tenant(&tenant).layout(layout.id(), layout);
        of_layout.groups.insert(group.id(&tenant), GroupContent { group, windows });
        content
    }

    /// Every shard hears that the source is sealed up to `sealed_to_ms`.
    async fn ship(&mut self, from: u8, content: Content, sealed_to_ms: i64) {
        let mut parts = content.by_shard(self.store.shards());
        for shard in 0..self.store.shards() {
            let part = parts.remove(&shard).unwrap_or_default();
            let seq = self.seqs.entry((from, shard)).or_default();
            *seq += 1;
            let slice = Slice {
                source: source(from),
                shard: ShardId(shard),
                seq: Seq(*seq),
                digest: Digest(part.digest()),
                sealed_to_ms,
                payload: Bytes::from(part.encode()),
            };
            let answer = self.store.offer(ShardId(shard), Entry::Slice(slice)).await;
            assert_eq!(answer, Ok(Answer::Applied));
        }
    }

    async fn select(&self, tenant: &str, name: &str, start: i64, end: i64) -> SeriesSet {
        let source = SpanSeries::new(self.store.clone(), Options::default(), Arc::new(|| 1 << 40));
        let selection = Selection {
            tenant: Tenant::new(tenant).expect("valid"),
            matchers: vec![Matcher::new("__name__", MatchOp::Equal, name).expect("valid")],
            start,
            end,
            hint: None,
        };
        source.select(&selection).await.expect("answers")
    }
}

const CALLS: &str = "llm_traces_span_metrics_calls_total";
const BUCKET: &str = "llm_traces_span_metrics_latency_bucket";
/// Away from the epoch, and on the boundary of a stretch.
const T: i64 = 28_800_000 * 1000;

fn points(series: &Series) -> Vec<(i64, f64)> {
    let Points::Floats(values) = &series.points else { panic!("floats expected") };
    series.times.iter().zip(values).map(|(time, value)| (time - T, *value)).collect()
}

#[tokio::test]
async fn a_new_counter_begins_at_zero_and_goes_on_to_the_promise() {
    let mut world = World::new().await;
    let spans =
        World::spans("default", "a", &Layout::default(), &[(T + 10_000, 1), (T + 10_000, 1)]);
    world.ship(1, spans, T + 30_000).await;
    let answer = world.select("default", CALLS, T - 60_000, T + 90_000).await;
    assert_eq!(answer.series.len(), 1);
    assert_eq!(points(&answer.series[0]), [(0, 0.0), (10_000, 2.0), (20_000, 2.0), (30_000, 2.0)]);
    assert_eq!(answer.series[0].complete_to, Some(T + 30_000));
    assert_eq!(answer.warnings, Vec::<String>::new());
}

#[tokio::test]
async fn a_counter_goes_on_over_stretches_and_late_data_lands_in_its_own_window() {
    let mut world = World::new().await;
    let layout = Layout::default();
    let first = World::spans("default", "a", &layout, &[(T - 10_000, 1), (T + 10_000, 1)]);
    world.ship(1, first, T + 20_000).await;
    let late = World::spans("default", "a", &layout, &[(T - 10_000, 1), (T - 20_000, 1)]);
    world.ship(1, late, T + 20_000).await;
    let answer = world.select("default", CALLS, T - 40_000, T + 20_000).await;
    let expected =
        [(-30_000, 0.0), (-20_000, 1.0), (-10_000, 3.0), (0, 3.0), (10_000, 4.0), (20_000, 4.0)];
    assert_eq!(points(&answer.series[0]), expected);
    let later = world.select("default", CALLS, T + 10_000, T + 20_000).await;
    assert_eq!(points(&later.series[0]), [(20_000, 4.0)]);
}

#[tokio::test]
async fn two_layouts_unite_and_no_bucket_falls() {
    let mut world = World::new().await;
    let other = Layout::explicit(10_000, vec![3_000_000, 10_000_000]).expect("ascends");
    // 1, 5 and 9 ms under the shipped bounds, then 1, 5 and 50 ms under two others.
    let spans = World::spans(
        "default",
        "a",
        &Layout::default(),
        &[(T + 10_000, 1), (T + 10_000, 5), (T + 10_000, 9)],
    );
    world.ship(1, spans, T + 10_000).await;
    let spans =
        World::spans("default", "a", &other, &[(T + 20_000, 1), (T + 20_000, 5), (T + 20_000, 50)]);
    world.ship(1, spans, T + 20_000).await;
    let answer = world.select("default", BUCKET, T - 60_000, T + 20_000).await;
    let at = |le: &str| {
        let series = answer.series.iter().find(|s| s.labels.get("le") == Some(le));
        points(series.expect("a series of that bound"))
            .into_iter()
            .map(|(_, v)| v)
            .collect::<Vec<_>>()
    };
    assert_eq!(at("2"), [0.0, 1.0, 1.0]);
    assert_eq!(at("3"), [0.0, 1.0, 2.0]);
    assert_eq!(at("6"), [0.0, 2.0, 3.0]);
    assert_eq!(at("10"), [0.0, 3.0, 5.0]);
    assert_eq!(at("15000"), [0.0, 3.0, 5.0]);
    assert_eq!(at("+Inf"), [0.0, 3.0, 6.0]);
}

#[tokio::test]
async fn tenants_are_read_apart() {
    let mut world = World::new().await;
    for (tenant, count) in [("blue", 1), ("red", 3)] {
        let spans = vec![(T + 10_000, 1); count];
        world.ship(1, World::spans(tenant, "a", &Layout::default(), &spans), T + 10_000).await;
    }
    for (tenant, value) in [("blue", 1.0), ("red", 3.0)] {
        let answer = world.select(tenant, CALLS, T, T + 10_000).await;
        assert_eq!(answer.series.iter().map(points).collect::<Vec<_>>(), [[(10_000, value)]]);
    }
    assert!(world.select("green", CALLS, T, T + 10_000).await.series.is_empty());
}

#[tokio::test]
async fn the_slowest_source_holds_the_answer_and_is_named() {
    let mut world = World::new().await;
    world.ship(2, Content::default(), T - 300_000).await;
    let spans = World::spans("default", "a", &Layout::default(), &[(T + 10_000, 1)]);
    world.ship(1, spans, T + 10_000).await;
    let answer = world.select("default", CALLS, T, T + 20_000).await;
    assert_eq!(answer.series[0].complete_to, Some(T - 300_000));
    assert_eq!(answer.warnings.len(), 1);
    assert!(answer.warnings[0].starts_with(&format!("edge {} is 320 s behind", EdgeId([2; 16]))));
}

#[tokio::test]
async fn labels_over_all_time_are_those_of_a_range_that_holds_everything() {
    let mut world = World::new().await;
    for service in ["a", "b"] {
        let spans = World::spans("default", service, &Layout::default(), &[(T + 10_000, 1)]);
        world.ship(1, spans, T + 10_000).await;
    }
    let labels = async |start| {
        let source =
            SpanSeries::new(world.store.clone(), Options::default(), Arc::new(|| T + 20_000));
        let (tenant, end) = (Tenant::default(), T + 20_000);
        let selection = Selection { tenant, matchers: Vec::new(), start, end, hint: None };
        let mut labels = source.labels(&selection).await.expect("answers");
        labels.sort();
        labels
    };
    let over_all_time = labels(0).await;
    assert_eq!(over_all_time.len(), 2 * (17 + 3));
    assert_eq!(over_all_time, labels(T).await);
}
