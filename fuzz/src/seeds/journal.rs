//! The journal of a real edge, on the memory disk and in paused time: two lives, so that it has every kind of
//! record.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;
use tributary_edge::{Clock, Edge, EdgeHandle, Fresh, Options, Sample, Shards, TraceRequest};
use tributary_proto::{Answer, BootId, EdgeId, Entry, OfferError, ShardId};
use tributary_spanmetrics::{Encoding, Labels, Tenant};
use tributary_store::disk::Files;
use tributary_store::disk::memory::MemoryDisk;
use tributary_store::log::{self, Index, SegmentLog};

use super::NOW_NS;

const DIR: &str = "edge/journal";

/// The journal's files one behind the other, the same records in small segments, and each record alone.
pub(super) fn records(requests: &[Vec<u8>]) -> anyhow::Result<Vec<Vec<u8>>> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    runtime.block_on(async {
        let mut disk = MemoryDisk::new();
        for (boot, requests) in (1..).zip(requests.chunks(requests.len().div_ceil(2))) {
            live(&disk, boot, requests).await?;
            disk.kill(boot.into());
            disk = disk.reopen();
        }
        let payloads = read(&disk).await?;
        let small = MemoryDisk::new();
        let options = log::Options { segment_bytes: 600 };
        let (mut log, _) = SegmentLog::open(Arc::new(small.clone()), DIR, options).await?;
        for batch in payloads.chunks(3) {
            log.append(batch.to_vec()).await?;
        }
        let mut seeds = vec![files(&disk).await?, files(&small).await?];
        seeds.extend(payloads.iter().map(|payload| payload.to_vec()));
        Ok(seeds)
    })
}

async fn live(disk: &MemoryDisk, boot: u8, requests: &[Vec<u8>]) -> anyhow::Result<()> {
    let fresh = Fresh { edge: EdgeId([1; 16]), boot: BootId([boot; 8]), seed: 7 };
    let clock = Arc::new(PausedClock { began: Instant::now() });
    let files = Arc::new(disk.clone());
    let (edge, handle) =
        Edge::open(Options::default(), fresh, files, clock, Arc::new(Takes)).await?;
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(edge.run(stopped));
    // The last is still open when the life ends: the next one seals it.
    let (last, first) = requests.split_last().context("some requests")?;
    take(&handle, first).await?;
    tokio::time::sleep(Duration::from_secs(60)).await;
    take(&handle, std::slice::from_ref(last)).await?;
    stop.send_replace(true);
    running.await.context("the edge ends in peace")
}

async fn take(handle: &EdgeHandle, requests: &[Vec<u8>]) -> anyhow::Result<()> {
    for request in requests {
        let body = Bytes::copy_from_slice(request);
        let tenant = Tenant::default();
        handle.ingest(TraceRequest { tenant, encoding: Encoding::Protobuf, body }).await?;
    }
    let labels = Labels::from_pairs([("__name__", "up"), ("job", "tributary")]);
    let sample = Sample { labels, time_ms: (NOW_NS / 1_000_000) as i64, value: 1.0 };
    Ok(handle.ingest_samples(&Tenant::default(), vec![sample]).await?)
}

async fn read(disk: &MemoryDisk) -> anyhow::Result<Vec<Bytes>> {
    let (log, _) = SegmentLog::open(Arc::new(disk.clone()), DIR, log::Options::default()).await?;
    let (mut reader, mut payloads) = (log.read_from(Index(0)), Vec::new());
    while let Some((_, payload)) = reader.next().await? {
        payloads.push(payload);
    }
    Ok(payloads)
}

async fn files(disk: &MemoryDisk) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for name in disk.list(DIR).await? {
        let path = format!("{DIR}/{name}");
        bytes.extend_from_slice(&disk.read(&path).await?.with_context(|| path)?);
    }
    Ok(bytes)
}

/// Goes with the runtime's time.
struct PausedClock {
    began: Instant,
}

impl Clock for PausedClock {
    fn now_ns(&self) -> u64 {
        NOW_NS + self.began.elapsed().as_nanos() as u64
    }
}

/// Shards that take everything.
struct Takes;

#[async_trait]
impl Shards for Takes {
    fn count(&self) -> u16 {
        2
    }

    async fn offer(&self, _: ShardId, _: Entry) -> Result<Answer, OfferError> {
        Ok(Answer::Applied)
    }
}
