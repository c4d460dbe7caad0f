//! Compaction is nobody's business: what a shard answers is the plain merge of what it was given,
//! before a compaction, after it, and to a reader that began before it.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::sync::watch;
use tributary_proto::{Answer, BootId, Digest, EdgeId, Entry, Seq, ShardId, Slice, SourceId};
use tributary_spanmetrics::{
    Content, Delta, Group, GroupContent, GroupId, Labels, Layout, SampleBits, SeriesId, Tenant,
    WindowEnd,
};
use tributary_store::disk::memory::MemoryDisk;
use tributary_store::{Options, Store, StoreHandle, View};

const SHARD: ShardId = ShardId(0);
/// Enough for compactions of compactions.
const COMMITS: usize = 65;
/// Commits between two readers that are kept.
const READ_EVERY: usize = 7;
const STRETCH_MS: i64 = 8 * 3600 * 1000;

/// Layout, group, stretch, minute in it, duration.
type SpanPart = (u8, u8, i64, i64, u64);
/// Series, stretch, second in it, value: two of one time may well disagree.
type SamplePart = (u8, i64, i64, i8);

fn layouts() -> [Layout; 2] {
    let coarse = Layout::explicit(60_000, vec![1_000, 1_000_000]).expect("ascends");
    [Layout::default(), coarse]
}

fn group(number: u8) -> Group {
    Group {
        service: format!("s{number}"),
        span_name: String::new(),
        kind: Default::default(),
        status: Default::default(),
        dimensions: Labels::default(),
        external: Labels::default(),
    }
}

fn series(number: u8) -> Labels {
    Labels::from_pairs([("__name__", format!("m{number}"))])
}

fn content(spans: &[SpanPart], samples: &[SamplePart]) -> Content {
    let tenant = Tenant::default();
    let mut content = Content::default();
    let of_tenant = content.tenant(&tenant);
    // One group that every commit touches, so that there is always something to compact.
    for &(layout, number, stretch, minute, duration_ns) in spans.iter().chain(&[(0, 9, 0, 1, 5)]) {
        let layout = &layouts()[usize::from(layout)];
        let group = group(number);
        let id = group.id(&tenant);
        let empty = GroupContent { group, windows: BTreeMap::new() };
        let of_layout = of_tenant.layout(layout.id(), layout);
        let of_group = of_layout.groups.entry(id).or_insert(empty);
        let end = WindowEnd(stretch * STRETCH_MS + minute * 60_000);
        let delta = of_group.windows.entry(end).or_insert_with(|| Delta::empty(layout));
        delta.observe(layout, duration_ns);
    }
    for &(number, stretch, second, value) in samples {
        let time_ms = stretch * STRETCH_MS + second * 1000;
        of_tenant.sample(&tenant, series(number), time_ms, value.into());
    }
    content
}

fn commits() -> impl Strategy<Value = Vec<Content>> {
    let spans = vec((0..2u8, 0..3u8, -1..3i64, 0..4i64, any::<u64>()), 0..6);
    let samples = vec((0..2u8, -1..3i64, 0..3i64, any::<i8>()), 0..6);
    let one = (spans, samples).prop_map(|(spans, samples)| content(&spans, &samples));
    vec(one, COMMITS..COMMITS + 8)
}

fn slice(seq: u64, content: &Content) -> Entry {
    Entry::Slice(Slice {
        source: SourceId { edge: EdgeId([1; 16]), boot: BootId([1; 8]) },
        shard: SHARD,
        seq: Seq(seq),
        digest: Digest(content.digest()),
        sealed_to_ms: seq as i64,
        payload: Bytes::from(content.encode()),
    })
}

async fn digest(view: &View) -> Digest {
    view.content_digest().await.expect("the shard can be read")
}

fn view(handle: &StoreHandle) -> View {
    handle.views().remove(0)
}

/// By group, the spans up to a time and the windows behind it, with the layouts told apart.
type Answers = Vec<(Vec<(u128, u128)>, Vec<(i64, Delta)>)>;

async fn answers(view: &View, groups: &[GroupId], from_ms: i64) -> Answers {
    let tenant = Tenant::default();
    let histories = view.group_histories(&tenant, groups, from_ms, i64::MAX).await;
    let histories = histories.expect("the shard can be read").into_iter();
    histories
        .map(|history| {
            assert_eq!(history.damaged, Vec::<String>::new());
            let layouts = history.layouts.into_values();
            let (mut openings, mut windows) = (Vec::new(), Vec::new());
            for of_layout in layouts {
                openings.push((of_layout.opening.count, of_layout.opening.sum_us));
                windows.extend(of_layout.windows.deltas().map(|(end, delta)| (end.0, delta)));
            }
            (openings, windows)
        })
        .collect()
}

/// By series, what stands behind the time.
async fn points(view: &View, series: &[SeriesId], from_ms: i64) -> Vec<BTreeMap<i64, SampleBits>> {
    let histories = view.samples(&Tenant::default(), series, from_ms, i64::MAX).await;
    let histories = histories.expect("the shard can be read").into_iter();
    histories
        .map(|history| {
            assert_eq!(history.damaged, Vec::<String>::new());
            history.points
        })
        .collect()
}

/// The same from a merge.
fn expected(content: &Content, groups: &[GroupId], from_ms: i64) -> Answers {
    let of_tenant = &content.tenants[&Tenant::default()];
    let of = |id: &GroupId| {
        let (mut openings, mut windows) = (Vec::new(), Vec::new());
        let held = of_tenant.layouts.values().filter_map(|of_layout| of_layout.groups.get(id));
        for of_group in held {
            let mut opening = (0u128, 0u128);
            for (end, delta) in &of_group.windows {
                if end.0 <= from_ms {
                    opening.0 = opening.0.wrapping_add(delta.count.into());
                    opening.1 = opening.1.wrapping_add(delta.sum_us);
                } else {
                    windows.push((end.0, delta.clone()));
                }
            }
            openings.push(opening);
        }
        (openings, windows)
    };
    groups.iter().map(of).collect()
}

async fn check(commits: &[Content], from_ms: i64) -> Result<(), TestCaseError> {
    let disk = MemoryDisk::new();
    let (store, handle) =
        Store::open(&disk, Options { shards: 1, head_bytes: 0, ..Options::default() })
            .await
            .expect("opens");
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(store.run(stopped));
    let groups: Vec<_> = [0, 1, 2, 9].map(|number| group(number).id(&Tenant::default())).to_vec();
    let ids = [0, 1].map(|number| SeriesId::of(&Tenant::default(), &series(number)));
    let mut merged = Content::default();
    // Readers with what they were answered then.
    let mut readers = Vec::new();
    for (number, content) in (1..).zip(commits) {
        prop_assert_eq!(handle.offer(SHARD, slice(number, content)).await, Ok(Answer::Applied));
        merged.merge(content.clone());
        let number = number as usize;
        prop_assert_eq!(handle.metrics().commits.get(), number as u64, "a commit each");
        if !number.is_multiple_of(READ_EVERY) && number != commits.len() {
            continue;
        }
        let view = view(&handle);
        prop_assert_eq!(digest(&view).await, Digest(merged.digest()), "after commit {}", number);
        let told = answers(&view, &groups, from_ms).await;
        prop_assert_eq!(&told, &expected(&merged, &groups, from_ms), "after commit {}", number);
        let samples = points(&view, &ids, from_ms).await;
        readers.push((view, Digest(merged.digest()), told, samples));
    }
    prop_assert!(handle.metrics().compactions.get() > 2);
    for (view, then, told, samples) in &readers {
        prop_assert_eq!(digest(view).await, *then, "a reader that began before");
        prop_assert_eq!(&answers(view, &groups, from_ms).await, told);
        prop_assert_eq!(&points(view, &ids, from_ms).await, samples);
    }
    stop.send_replace(true);
    running.await.expect("the store ends in peace");
    disk.crash(from_ms as u64);
    let disk = disk.reopen();
    let (_store, handle) =
        Store::open(&disk, Options { shards: 1, head_bytes: 0, ..Options::default() })
            .await
            .expect("opens");
    prop_assert_eq!(digest(&view(&handle)).await, Digest(merged.digest()), "after a crash");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_answered_does_not_change_with_a_compaction(
        commits in commits(),
        from_ms in -2 * STRETCH_MS..3 * STRETCH_MS,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(check(&commits, from_ms))?;
    }
}
