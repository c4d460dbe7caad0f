//! The store that is judged, with the disk under it. Whatever of the store's interface changes, changes here.

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tributary_proto::{Answer, OfferError, ShardId};
use tributary_store::disk::memory::{Fault, MemoryDisk, Operation};
use tributary_store::log::streams;
use tributary_store::{Options, Store, StoreHandle, StoreMetrics, View};

use crate::history::edges::Offer;
use crate::history::{Crash, Ill, Trouble};
use crate::names::SHARDS;

pub(crate) enum Ground {
    Twin(MemoryDisk),
    #[cfg(feature = "rocksdb")]
    RocksDb(tempfile::TempDir),
}

pub(crate) struct Subject {
    ground: Ground,
    options: Options,
    life: Option<Life>,
    /// Of the lives before.
    pub(crate) counted: Counted,
}

struct Life {
    handle: StoreHandle,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    pub(crate) commits: u64,
    pub(crate) checkpoints: u64,
    pub(crate) compactions: u64,
    pub(crate) reopened: u64,
}

impl Subject {
    pub(crate) async fn open(
        ground: Ground,
        head_bytes: usize,
        applied_bytes: usize,
    ) -> Result<Self, String> {
        // Segments of a few entries, so that the log is trimmed and copied forward.
        let log = streams::Options {
            segment_bytes: 256 << 10,
            max_bytes: 8 << 20,
            ..streams::Options::default()
        };
        let options = Options { shards: SHARDS as u16, head_bytes, log, applied_bytes };
        let mut subject = Subject { ground, options, life: None, counted: Counted::default() };
        subject.begin().await?;
        Ok(subject)
    }

    /// Whether the disk can be told to fail, and can crash.
    pub(crate) fn is_twin(&self) -> bool {
        self.twin().is_some()
    }

    fn twin(&self) -> Option<&MemoryDisk> {
        match &self.ground {
            Ground::Twin(disk) => Some(disk),
            #[cfg(feature = "rocksdb")]
            Ground::RocksDb(_) => None,
        }
    }

    pub(crate) async fn offer(&self, offer: &Offer) -> Result<Answer, OfferError> {
        self.handle().offer(ShardId(offer.shard as u16), offer.entry.clone()).await
    }

    pub(crate) async fn checkpoint(&self) -> Result<(), OfferError> {
        self.handle().checkpoint().await
    }

    pub(crate) fn view(&self, shard: usize) -> View {
        self.handle().views().remove(shard)
    }

    /// Nobody may read any more.
    pub(crate) async fn restart(&mut self) -> Result<(), String> {
        self.end().await;
        self.begin().await
    }

    /// What was begun before goes wrong from here on, until it is [`Subject::restart`]ed.
    pub(crate) fn crash(&self, crash: Crash) {
        match self.twin() {
            Some(disk) if crash.power => disk.crash(crash.seed),
            Some(disk) => disk.kill(crash.seed),
            None => {}
        }
    }

    pub(crate) fn trouble(&self, trouble: Trouble) {
        let Some(disk) = self.twin() else { return };
        match trouble.what {
            Ill::NoRoom => disk.set_capacity(Some(0)),
            Ill::Fails { on, kind, after, times } => {
                let of_rows = matches!(on, Operation::Write | Operation::Flush | Operation::Read);
                let shards =
                    || trouble.shard.map_or("shards/".into(), |s| format!("shards/{s:05}"));
                let under = if of_rows { shards() } else { "log".to_owned() };
                disk.fail(Fault { on, under, after, times, kind });
            }
        }
    }

    pub(crate) fn heal(&self) {
        let Some(disk) = self.twin() else { return };
        disk.clear_faults();
        disk.set_capacity(None);
    }

    pub(crate) async fn end(&mut self) {
        let Some(Life { handle, stop, running }) = self.life.take() else { return };
        self.counted.add(handle.metrics());
        stop.send_replace(true);
        running.await.expect("the store ends in peace");
    }

    pub(crate) async fn begin(&mut self) -> Result<(), String> {
        let opened = match &mut self.ground {
            Ground::Twin(disk) => {
                *disk = disk.reopen();
                Store::open(disk, self.options).await
            }
            #[cfg(feature = "rocksdb")]
            Ground::RocksDb(folder) => Store::open(&rocksdb::disk(folder)?, self.options).await,
        };
        let (store, handle) = opened.map_err(|error| format!("it does not open: {error}"))?;
        let (stop, stopped) = watch::channel(false);
        self.life = Some(Life { handle, stop, running: tokio::spawn(store.run(stopped)) });
        Ok(())
    }

    fn handle(&self) -> &StoreHandle {
        &self.life.as_ref().expect("between a beginning and an end").handle
    }
}

impl Counted {
    fn add(&mut self, metrics: &StoreMetrics) {
        self.commits += metrics.commits.get();
        self.checkpoints += metrics.checkpoints.get();
        self.compactions += metrics.compactions.get();
        self.reopened += metrics.reopened.get();
    }
}

#[cfg(feature = "rocksdb")]
mod rocksdb {
    use tributary_store::disk::real::{Options, RealDisk};

    /// With so little memory for rows that RocksDB flushes on its own as well.
    pub(super) fn disk(folder: &tempfile::TempDir) -> Result<RealDisk, String> {
        let options = Options { memtable_bytes: 64 << 10, ..Options::default() };
        let disk = RealDisk::open(folder.path().to_owned(), options);
        disk.map_err(|error| format!("the folder does not open: {error}"))
    }
}
