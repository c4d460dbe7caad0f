//! An edge: opens the journal, derives again what an earlier start left, runs.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use thiserror::Error;
use tokio::sync::{Semaphore, mpsc, watch};
use tributary_proto::{BootId, EdgeId, ShardId, SourceId};
use tributary_spanmetrics::Config;
use tributary_spanmetrics::codec::DecodeError;
use tributary_store::disk::{DiskError, Files};
use tributary_store::log::{self, Index, LogError, SegmentLog};

use crate::clock::Clock;
use crate::identity;
use crate::ingest::EdgeHandle;
use crate::lane::Lane;
use crate::ledger::{Ledger, Sealed};
use crate::metrics::EdgeMetrics;
use crate::record::Record;
use crate::sequencer::{BATCH_REQUESTS, Sequencer};
use crate::shards::Shards;

#[derive(Clone, Debug)]
pub struct Options {
    /// The edge's folder on its disk.
    pub dir: String,
    pub config: Config,
    /// A window is sealed this long after its end.
    pub grace: Duration,
    /// A fuller journal refuses requests until the core has taken some.
    pub journal_limit_bytes: u64,
    pub segment_bytes: u64,
    /// Records that wait for the journal hold at most this much; more are refused.
    pub queue_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            dir: "edge".into(),
            config: Config::default(),
            grace: Duration::from_secs(6),
            journal_limit_bytes: 1 << 30,
            segment_bytes: 64 << 20,
            queue_bytes: 64 << 20,
        }
    }
}

/// The random parts of an edge's names, drawn by the node.
#[derive(Clone, Copy, Debug)]
pub struct Fresh {
    /// Kept if the folder has no id yet.
    pub edge: EdgeId,
    pub boot: BootId,
}

#[derive(Debug, Error)]
pub enum EdgeError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("journal: {0}")]
    Journal(#[from] LogError),
    /// A seal may be among what is lost, and without it other slices would be derived than were
    /// offered.
    #[error(
        "the journal is damaged ({damage}): move its folder away to go on without what it held that \
         the core does not have yet, or bring back a copy that is whole"
    )]
    Damaged { damage: String },
    #[error("journal record {at}: {error}: start the build that wrote it, or move the folder away")]
    Record { at: Index, error: DecodeError },
}

pub struct Edge {
    sequencer: Sequencer,
    lanes: Vec<Lane>,
}

impl Edge {
    /// Opens an edge that takes requests.
    pub async fn open(
        options: Options,
        fresh: Fresh,
        files: Arc<dyn Files>,
        clock: Arc<dyn Clock>,
        shards: Arc<dyn Shards>,
    ) -> Result<(Edge, EdgeHandle), EdgeError> {
        let edge = identity::load_or_keep(&*files, &options.dir, fresh.edge).await?;
        let source = SourceId { edge, boot: fresh.boot };
        let config = Arc::new(options.config.clone());
        let queue_bytes = options.queue_bytes;
        let (commands_in, commands) = mpsc::channel(BATCH_REQUESTS);
        let opened =
            Self::start(options, Some(source), files, clock.clone(), shards, commands).await?;
        let handle = EdgeHandle {
            source,
            config,
            clock,
            metrics: opened.sequencer.metrics.clone(),
            commands: commands_in,
            room: Arc::new(Semaphore::new(queue_bytes)),
            queue_bytes,
        };
        Ok((opened, handle))
    }

    /// Opens an edge that only brings to the core what earlier starts left, and then ends.
    pub async fn open_to_drain(
        options: Options,
        files: Arc<dyn Files>,
        clock: Arc<dyn Clock>,
        shards: Arc<dyn Shards>,
    ) -> Result<Edge, EdgeError> {
        let (_, commands) = mpsc::channel(1);
        Self::start(options, None, files, clock, shards, commands).await
    }

    /// Runs until `shutdown` says stop. What was answered is in the journal by then; what is under way
    /// to the core is offered again after the next start.
    pub async fn run(self, shutdown: watch::Receiver<bool>) {
        let tasks = self.lanes.into_iter().map(|lane| tokio::spawn(lane.run(shutdown.clone())));
        let mut lanes: FuturesUnordered<_> = tasks.collect();
        let mut sequencer = pin!(self.sequencer.run(shutdown));
        loop {
            tokio::select! {
                () = &mut sequencer => break,
                // Without one of its lanes an edge would go on and never be whole.
                Some(ended) = lanes.next() => ended.expect("a lane does not panic"),
            }
        }
        while let Some(ended) = lanes.next().await {
            ended.expect("a lane does not panic");
        }
    }

    async fn start(
        options: Options,
        current: Option<SourceId>,
        files: Arc<dyn Files>,
        clock: Arc<dyn Clock>,
        shards: Arc<dyn Shards>,
        commands: mpsc::Receiver<crate::ingest::Command>,
    ) -> Result<Edge, EdgeError> {
        let metrics = Arc::new(EdgeMetrics::default());
        let log_options = log::Options { segment_bytes: options.segment_bytes };
        let dir = format!("{}/journal", options.dir);
        let (mut log, recovered) = SegmentLog::open(files, dir, log_options).await?;
        if let Some(damage) = recovered.damaged.first() {
            return Err(EdgeError::Damaged { damage: damage.to_string() });
        }
        let (mut ledger, unsettled) = replay(&log, shards.count()).await?;
        if let Some(source) = current {
            let record = Record::Boot { source };
            let written = log.append(vec![record.encode().into()]).await?;
            ledger.take_in(written.start, record);
        }
        let (report, reports) = mpsc::unbounded_channel();
        let (entries, lanes): (Vec<_>, Vec<_>) = (0..shards.count())
            .map(|shard| {
                let (entries, receiver) = mpsc::unbounded_channel();
                let lane = Lane {
                    shard: ShardId(shard),
                    shards: shards.clone(),
                    metrics: metrics.clone(),
                    entries: receiver,
                    reports: report.clone(),
                };
                (entries, lane)
            })
            .unzip();
        let sequencer = Sequencer {
            current,
            window_ms: options.config.layout.window_ms().into(),
            grace: options.grace,
            journal_limit_bytes: options.journal_limit_bytes,
            clock,
            metrics,
            log,
            ledger,
            under_way: vec![0; entries.len()],
            promised_ms: vec![i64::MIN; entries.len()],
            lanes: entries,
            reports,
            commands,
            sealed_to_ms: i64::MIN,
            closing: BTreeMap::new(),
            to_settle: BTreeSet::new(),
            settled_at: None,
            left_over: unsettled,
        };
        Ok(Edge { sequencer, lanes })
    }
}

/// Reads the journal in order; answers the seals that are not settled, with the slices that they had.
async fn replay(
    log: &SegmentLog,
    shards: u16,
) -> Result<(Ledger, BTreeMap<Index, Sealed>), EdgeError> {
    let mut ledger = Ledger::new(shards);
    let mut unsettled = BTreeMap::new();
    let mut reader = log.read_from(log.first_index());
    while let Some((at, bytes)) = reader.next().await? {
        let record = Record::decode(&bytes).map_err(|error| EdgeError::Record { at, error })?;
        if let Some(sealed) = ledger.take_in(at, record) {
            unsettled.insert(at, sealed);
        }
        unsettled.retain(|seal, _| ledger.is_unsettled(*seal));
    }
    Ok((ledger, unsettled))
}
