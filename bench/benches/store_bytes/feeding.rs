//! Slices as one edge makes them, offered as its lanes do: a shard gets its next one when the last was answered.

use std::time::Instant;

use bytes::Bytes;
use futures::future::try_join_all;
use serde::Serialize;
use tributary_bench::cpu;
use tributary_bench::series::{Feed, Shape, Summary, Survey, Window};
use tributary_proto::{Answer, BootId, Digest, EdgeId, Entry, Seq, ShardId, Slice, SourceId};
use tributary_spanmetrics::{Content, GroupContent, WindowEnd};
use tributary_store::StoreHandle;

use super::groups::{Groups, weighed};

#[derive(Serialize)]
pub(crate) struct Used {
    pub(crate) seconds: f64,
    /// Of all threads but the one that makes the values and their slices.
    pub(crate) store_cpu_seconds: f64,
    pub(crate) slices: u64,
    pub(crate) slice_bytes: u64,
}

struct Lanes<'a> {
    store: &'a StoreHandle,
    seqs: Vec<Seq>,
    bytes: u64,
}

pub(crate) async fn feed(
    store: &StoreHandle,
    groups: &Groups,
    shape: &Shape,
    flush_windows: u32,
) -> anyhow::Result<(Summary, Used)> {
    let (began, before) = (Instant::now(), cpu::of_other_threads()?);
    let mut lanes = Lanes { store, seqs: vec![Seq(0); store.shards().into()], bytes: 0 };
    let (mut survey, mut content) = (Survey::of(shape), Content::default());
    for (nth, window) in (1..=shape.windows()).zip(Feed::of(shape)) {
        survey.add(&window);
        let end_ms = window.end_ms;
        add(&mut content, groups, window);
        if nth % flush_windows == 0 || nth == shape.windows() {
            lanes.offer(std::mem::take(&mut content), end_ms).await?;
        }
    }
    let used = Used {
        seconds: began.elapsed().as_secs_f64(),
        store_cpu_seconds: cpu::of_other_threads()? - before,
        slices: lanes.seqs.iter().map(|seq| seq.0).sum(),
        slice_bytes: lanes.bytes,
    };
    Ok((survey.summary(), used))
}

fn add(content: &mut Content, groups: &Groups, window: Window) {
    let end = WindowEnd(window.end_ms);
    for ((id, group), delta) in groups.all.iter().zip(window.deltas) {
        if delta.count > 0 {
            let layout = content.tenant(&groups.tenant).layout(groups.layout.id(), &groups.layout);
            let of_group = layout.groups.entry(*id).or_insert_with(|| GroupContent {
                group: group.clone(),
                windows: Default::default(),
            });
            of_group.windows.insert(end, weighed(delta));
        }
    }
}

impl Lanes<'_> {
    /// To all shards that have something in it, and waits for their answers.
    async fn offer(&mut self, content: Content, sealed_to_ms: i64) -> anyhow::Result<()> {
        let mut offers = Vec::new();
        for (shard, part) in content.by_shard(self.store.shards()) {
            let payload = Bytes::from(part.encode());
            self.bytes += payload.len() as u64;
            let seq = &mut self.seqs[usize::from(shard)];
            *seq = seq.next();
            let entry = Entry::Slice(Slice {
                source: SourceId { edge: EdgeId([1; 16]), boot: BootId([1; 8]) },
                shard: ShardId(shard),
                seq: *seq,
                digest: Digest(part.digest()),
                sealed_to_ms,
                payload,
            });
            offers.push(self.store.offer(ShardId(shard), entry));
        }
        let answers = try_join_all(offers).await?;
        anyhow::ensure!(answers.iter().all(|a| *a == Answer::Applied), "answered: {answers:?}");
        Ok(())
    }
}
