//! An edge: opens the journal, derives again what an earlier start left, runs.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use thiserror::Error;
use tokio::sync::{Semaphore, mpsc, watch};
use tributary_proto::{BootId, EdgeId, ShardId, SourceId};
use tributary_spanmetrics::codec::DecodeError;
use tributary_spanmetrics::{Config, Groups};
use tributary_store::disk::{DiskError, Files};
use tributary_store::log::{self, Index, LogError, SegmentLog};

use crate::apart::set_apart;
use crate::ceiling::Ceiling;
use crate::clock::Clock;
use crate::dedup::{self, Dedup, FingerprintLog, RunningTime};
use crate::identity;
use crate::ingest::EdgeHandle;
use crate::lane::Lane;
use crate::ledger::Ledger;
use crate::metrics::EdgeMetrics;
use crate::record::Record;
use crate::replay::replay;
use crate::sequencer::{Found, Inlets, Lanes, Sequencer};
use crate::shards::Shards;
use crate::totals::{ASKS, TotalsHandle};
use crate::upkeep::Upkeep;
use crate::walkers::Walkers;

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
    /// New groups beyond this many fold into their tenant's overflow group.
    pub groups: usize,
    /// A group that has had nothing for so long is forgotten.
    pub group_idle: Duration,
    /// A request that comes again within this time of the edge's running is not counted again.
    pub dedup_window: Duration,
    /// What is remembered of requests takes at most this much; beyond it the oldest are forgotten.
    pub dedup_bytes: usize,
    pub ceiling: Ceiling,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            dir: "edge".into(),
            config: Config::default(),
            grace: Duration::from_secs(6),
            journal_limit_bytes: 1 << 30,
            segment_bytes: 8 << 20,
            queue_bytes: 64 << 20,
            groups: 1_000_000,
            group_idle: Duration::from_secs(3600),
            dedup_window: Duration::from_secs(600),
            dedup_bytes: 64 << 20,
            ceiling: Ceiling::default(),
        }
    }
}

/// What is random in an edge, drawn by the node.
#[derive(Clone, Copy, Debug)]
pub struct Fresh {
    /// Kept if the folder has no id yet.
    pub edge: EdgeId,
    pub boot: BootId,
    /// Of its hash tables: nobody who sends requests may know it.
    pub seed: u64,
}

#[derive(Debug, Error)]
pub enum EdgeError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("journal: {0}")]
    Journal(#[from] LogError),
    #[error("fingerprints: {0}")]
    Fingerprints(String),
    #[error("journal record {at}: {error}: start the build that wrote it, or move the folder away")]
    Record { at: Index, error: DecodeError },
}

pub struct Edge {
    pub(crate) sequencer: Sequencer,
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
        let (queue_bytes, ceiling) = (options.queue_bytes, options.ceiling.clone());
        let (commands_in, commands) = mpsc::unbounded_channel();
        let (asks_in, asks) = mpsc::channel(ASKS);
        let inlets = Inlets { commands, asks };
        let current = Some((source, fresh.seed));
        let opened = Self::start(options, current, files, clock.clone(), shards, inlets).await?;
        let sequencer = &opened.sequencer;
        let groups = sequencer.groups().clone();
        let handle = EdgeHandle {
            source,
            walkers: Arc::new(Walkers::new(config.clone(), groups, fresh.seed)),
            config,
            clock,
            running: RunningTime::go_on_from(sequencer.dedup().latest()),
            metrics: sequencer.metrics().clone(),
            dedup: sequencer.dedup().clone(),
            commands: commands_in,
            totals: TotalsHandle { asks: asks_in },
            room: Arc::new(Semaphore::new(queue_bytes)),
            queue_bytes,
            ceiling,
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
        // Nobody speaks to it.
        let inlets = Inlets { commands: mpsc::unbounded_channel().1, asks: mpsc::channel(ASKS).1 };
        Self::start(options, None, files, clock, shards, inlets).await
    }

    /// What it counts: for one that nobody speaks to.
    pub fn metrics(&self) -> &Arc<EdgeMetrics> {
        self.sequencer.metrics()
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
        current: Option<(SourceId, u64)>,
        files: Arc<dyn Files>,
        clock: Arc<dyn Clock>,
        shards: Arc<dyn Shards>,
        inlets: Inlets,
    ) -> Result<Edge, EdgeError> {
        let metrics = Arc::new(EdgeMetrics::default());
        let dedup_options =
            dedup::Options { window: options.dedup_window, limit_bytes: options.dedup_bytes };
        let dedup = Dedup::new(dedup_options, current.map_or(0, |(_, seed)| seed));
        let dir = format!("{}/fingerprints", options.dir);
        let (fingerprints, loaded) = FingerprintLog::open(files.clone(), &dir, &dedup)
            .await
            .map_err(|error| EdgeError::Fingerprints(error.to_string()))?;
        set_apart(&files, &options.dir, "fingerprints", &loaded.damaged).await;
        metrics.fingerprint_records_damaged.set(loaded.damaged_records);
        let carried = dedup.end();
        let log_options = log::Options { segment_bytes: options.segment_bytes };
        let dir = format!("{}/journal", options.dir);
        let (mut log, recovered) = SegmentLog::open(files.clone(), dir, log_options).await?;
        set_apart(&files, &options.dir, "journal", &recovered.damaged).await;
        let groups = Arc::new(Groups::new(options.groups, options.config.external.clone()));
        let mut ledger = Ledger::new(shards.count(), groups.clone());
        let replayed = replay(&log, &recovered, &mut ledger, &dedup).await?;
        metrics.observe_damage(&recovered.damaged, replayed.unreadable);
        ledger.know(&options.config.layout);
        let mut stands_at = None;
        if let Some((source, _)) = current {
            let boot = Record::Boot { source };
            let record = boot.encode().into();
            ledger.take_in(log.next_index(), boot).expect("it names no group");
            let standing = ledger.standing(None).encode().into();
            stands_at = Some(Index(log.append(vec![record, standing]).await?.start.0 + 1));
        }
        let upkeep = Upkeep::new(fingerprints, carried, stands_at);
        let found = Found { log, ledger, groups, dedup, upkeep, left_over: replayed.unsettled };
        let current = current.map(|(source, _)| source);
        let (ends, lanes) = lay_lanes(&shards, &metrics);
        let sequencer = Sequencer::new(current, &options, found, clock, metrics, ends, inlets);
        Ok(Edge { sequencer, lanes })
    }
}

/// A lane to each shard.
fn lay_lanes(shards: &Arc<dyn Shards>, metrics: &Arc<EdgeMetrics>) -> (Lanes, Vec<Lane>) {
    let (report, reports) = mpsc::unbounded_channel();
    let lay = |shard| {
        let (entries, receiver) = mpsc::unbounded_channel();
        let lane = Lane {
            shard: ShardId(shard),
            shards: shards.clone(),
            metrics: metrics.clone(),
            entries: receiver,
            reports: report.clone(),
        };
        (entries, lane)
    };
    let (entries, lanes) = (0..shards.count()).map(lay).unzip();
    (Lanes { entries, reports }, lanes)
}
