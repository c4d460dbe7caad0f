//! A shard that cannot write its checkpoints takes entries all the same, since the log holds them, and writes them when
//! its disk is well again, without a restart. One whose log cannot be written takes nothing.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tributary_proto::{
    Answer, BootId, Digest, EdgeId, Entry, OfferError, Seq, ShardId, Slice, SourceId,
};
use tributary_spanmetrics::{Content, Labels, SeriesId, Tenant};
use tributary_store::disk::memory::{Fault, MemoryDisk, Operation};
use tributary_store::disk::{Disk, ErrorKind, Files};
use tributary_store::log::streams;
use tributary_store::{Options, Store, StoreHandle, View};

const SHARD: ShardId = ShardId(0);
const DIR: &str = "shards/00000";

fn series() -> Labels {
    Labels::from_pairs([("__name__", "m")])
}

fn source() -> SourceId {
    SourceId { edge: EdgeId([1; 16]), boot: BootId([1; 8]) }
}

/// One sample, at a time of its own.
fn slice(seq: u64) -> Entry {
    let tenant = Tenant::default();
    let mut content = Content::default();
    let (time_ms, value) = (seq as i64 * 1000, seq as f64);
    content.tenant(&tenant).sample(&tenant, series(), time_ms, value);
    Entry::Slice(Slice {
        source: source(),
        shard: SHARD,
        seq: Seq(seq),
        digest: Digest(content.digest()),
        sealed_to_ms: 0,
        payload: Bytes::from(content.encode()),
    })
}

struct Shard {
    handle: StoreHandle,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl Shard {
    async fn open(disk: &(impl Disk + Clone)) -> Self {
        Self::open_with(disk, Options { shards: 1, head_bytes: 4 << 10, ..Options::default() })
            .await
    }

    async fn open_with(disk: &(impl Disk + Clone), options: Options) -> Self {
        let (store, handle) = Store::open(disk, options).await.expect("opens");
        let (stop, stopped) = watch::channel(false);
        Shard { handle, stop, running: tokio::spawn(store.run(stopped)) }
    }

    async fn offer(&self, seq: u64) -> Result<Answer, OfferError> {
        self.handle.offer(SHARD, slice(seq)).await
    }

    async fn refused(&self, seq: u64) -> String {
        self.offer(seq).await.expect_err("it cannot be made durable").to_string()
    }

    async fn checkpoint(&self) -> Result<(), String> {
        self.handle.checkpoint().await.map_err(|error| error.to_string())
    }

    fn view(&self) -> View {
        self.handle.views().remove(0)
    }

    /// The times of the samples that a reader gets, in seconds.
    async fn seconds(&self) -> Vec<i64> {
        seconds(&self.view()).await.expect("the shard can be read")
    }

    fn reopened(&self) -> u64 {
        self.handle.metrics().reopened.get()
    }

    async fn end(self) {
        self.stop.send_replace(true);
        self.running.await.expect("the store ends in peace");
    }
}

async fn seconds(view: &View) -> Result<Vec<i64>, String> {
    let tenant = Tenant::default();
    let id = SeriesId::of(&tenant, &series());
    let read = view.samples(&tenant, &[id], i64::MIN, i64::MAX - 1).await;
    let times = read.map_err(|error| error.to_string())?.remove(0).points.into_keys();
    Ok(times.map(|time_ms| time_ms / 1000).collect())
}

fn flushes_fail(disk: &MemoryDisk) {
    disk.fail(Fault::always(Operation::Flush).under(DIR));
}

#[tokio::test]
async fn a_checkpoint_that_failed_costs_nothing() {
    for seed in 0..20 {
        let disk = MemoryDisk::new();
        let shard = Shard::open(&disk).await;
        assert_eq!(shard.offer(1).await, Ok(Answer::Applied));
        shard.checkpoint().await.expect("the disk is well");
        flushes_fail(&disk);
        assert_eq!(shard.offer(2).await, Ok(Answer::Applied));
        shard.checkpoint().await.expect_err("the flush fails");
        assert_eq!(shard.offer(3).await, Ok(Answer::Applied));
        assert_eq!(shard.seconds().await, [1, 2, 3]);
        if seed % 2 == 0 {
            disk.clear_faults();
            shard.checkpoint().await.expect("the disk is well again");
            assert_eq!((shard.seconds().await, shard.reopened()), (vec![1, 2, 3], 1));
            assert_eq!(shard.offer(2).await, Ok(Answer::Duplicate));
        }
        disk.crash(seed);
        let shard = Shard::open(&disk.reopen()).await;
        assert_eq!(shard.seconds().await, [1, 2, 3], "seed {seed}");
        assert_eq!(shard.offer(3).await, Ok(Answer::Duplicate));
    }
}

#[tokio::test]
async fn an_old_reader_keeps_what_it_has_and_the_checkpoint_waits_for_it() {
    let disk = MemoryDisk::new();
    let shard = Shard::open(&disk).await;
    assert_eq!(shard.offer(1).await, Ok(Answer::Applied));
    let old = shard.view();
    flushes_fail(&disk);
    shard.checkpoint().await.expect_err("the flush fails");
    disk.clear_faults();
    shard.checkpoint().await.expect_err("a reader holds what it would close");
    assert_eq!(seconds(&old).await.expect("it reads on"), [1]);
    let closed = seconds(&shard.view()).await.expect_err("it is closed to new readers");
    assert!(closed.contains("ask again"), "{closed}");
    assert_eq!(shard.offer(2).await, Ok(Answer::Applied));
    drop(old);
    shard.checkpoint().await.expect("nobody holds it any more");
    assert_eq!((shard.seconds().await, shard.reopened()), (vec![1, 2], 1));
}

#[tokio::test]
async fn readers_go_on_while_the_disk_stays_bad() {
    let disk = MemoryDisk::new();
    let shard = Shard::open(&disk).await;
    assert_eq!(shard.offer(1).await, Ok(Answer::Applied));
    flushes_fail(&disk);
    disk.fail(Fault::always(Operation::Replace).under("shards/"));
    for _ in 0..3 {
        shard.checkpoint().await.expect_err("the disk is bad");
        assert_eq!(shard.seconds().await, [1]);
    }
    disk.clear_faults();
    shard.checkpoint().await.expect("the disk is well again");
    assert_eq!((shard.seconds().await, shard.reopened()), (vec![1], 1));
    assert!(disk.list("shards").await.expect("lists").iter().all(|name| !name.contains("probe")));
}

#[tokio::test]
async fn a_head_that_no_checkpoint_empties_takes_no_more_until_one_does() {
    let disk = MemoryDisk::new();
    let shard = Shard::open(&disk).await;
    flushes_fail(&disk);
    let (mut seq, mut refused) = (0, None);
    while refused.is_none() {
        seq += 1;
        assert!(seq < 1000, "it goes on for ever");
        refused = shard.offer(seq).await.err();
    }
    let reason = refused.expect("the loop's end").to_string();
    assert!(reason.contains("wait for a checkpoint"), "{reason}");
    disk.clear_faults();
    // The shard tries again by itself, once a second.
    while shard.reopened() == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(shard.offer(seq).await, Ok(Answer::Applied));
    assert_eq!(shard.seconds().await, (1..=seq as i64).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_the_log_did_not_take_is_not_applied_and_is_taken_once() {
    for seed in 0..20 {
        let disk = MemoryDisk::new();
        let shard = Shard::open(&disk).await;
        assert_eq!(shard.offer(1).await, Ok(Answer::Applied));
        disk.fail(Fault::always(Operation::Sync).under("log"));
        shard.refused(2).await;
        assert_eq!(shard.seconds().await, [1]);
        disk.clear_faults();
        assert_eq!(shard.offer(3).await, Ok(Answer::Resend(Seq(2))));
        for seq in 2..=4 {
            assert_eq!(shard.offer(seq).await, Ok(Answer::Applied));
        }
        disk.crash(seed);
        let shard = Shard::open(&disk.reopen()).await;
        assert_eq!(shard.seconds().await, [1, 2, 3, 4], "seed {seed}");
    }
}

#[tokio::test]
async fn a_lack_of_room_closes_nothing() {
    let disk = MemoryDisk::new();
    let shard = Shard::open(&disk).await;
    assert_eq!(shard.offer(1).await, Ok(Answer::Applied));
    disk.set_capacity(Some(0));
    shard.refused(2).await;
    shard.checkpoint().await.expect_err("there is no room");
    assert_eq!(shard.seconds().await, [1]);
    disk.set_capacity(None);
    assert_eq!(shard.offer(2).await, Ok(Answer::Applied));
    shard.checkpoint().await.expect("there is room again");
    assert_eq!((shard.seconds().await, shard.reopened()), (vec![1, 2], 0));
    shard.end().await;
}

#[tokio::test]
async fn a_lack_of_room_that_does_not_end_though_there_is_room_is_not_believed() {
    let disk = MemoryDisk::new();
    let shard = Shard::open(&disk).await;
    assert_eq!(shard.offer(1).await, Ok(Answer::Applied));
    let full = Fault { kind: ErrorKind::Full, ..Fault::always(Operation::Flush) };
    disk.fail(full.under(DIR));
    for _ in 0..3 {
        shard.checkpoint().await.expect_err("no flush goes well");
        assert_eq!((shard.seconds().await, shard.reopened()), (vec![1], 0));
    }
    disk.clear_faults();
    shard.checkpoint().await.expect("it was opened anew");
    assert_eq!((shard.seconds().await, shard.reopened()), (vec![1], 1));
}

#[tokio::test]
async fn a_full_log_is_let_go_of_by_checkpoints_though_words_wait_to_be_logged() {
    let disk = MemoryDisk::new();
    let log =
        streams::Options { segment_bytes: 4 << 10, max_bytes: 96 << 10, ..Default::default() };
    let options = Options { shards: 1, log, ..Options::default() };
    let shard = Shard::open_with(&disk, options).await;
    flushes_fail(&disk);
    let mut seq = 0;
    while shard.offer(seq + 1).await.is_ok() {
        seq += 1;
        assert!(seq < 10_000, "it is never full");
    }
    let word = Entry::Sealed { source: source(), after: Seq(seq), sealed_to_ms: 7 };
    assert_eq!(shard.handle.offer(SHARD, word).await, Ok(Answer::Applied));
    shard.checkpoint().await.expect_err("no flush goes well");
    disk.clear_faults();
    shard.checkpoint().await.expect("the disk is well again");
    // The log lets go of segments as it is written.
    let mut tries = 0;
    while shard.offer(seq + 1).await != Ok(Answer::Applied) {
        tries += 1;
        assert!(tries < 10, "its log stays full");
    }
    assert_eq!(shard.seconds().await.len() as u64, seq + 1);
    disk.crash(1);
    let shard = Shard::open_with(&disk.reopen(), options).await;
    assert_eq!(shard.seconds().await.len() as u64, seq + 1);
}

#[tokio::test]
async fn rows_without_the_log_behind_them_are_refused() {
    let disk = MemoryDisk::new();
    let shard = Shard::open(&disk).await;
    assert_eq!(shard.offer(1).await, Ok(Answer::Applied));
    shard.end().await;
    let disk = disk.reopen();
    disk.remove_dir("log").await.expect("removes");
    let options = Options { shards: 1, ..Options::default() };
    let refused = Store::open(&disk, options).await.map(drop).expect_err("the log is gone");
    assert!(refused.to_string().contains("bring the folder back"), "{refused}");
}

/// A table that RocksDB is about to write finds no folder, which it takes as it takes EIO.
#[cfg(feature = "rocksdb")]
mod real {
    use std::path::PathBuf;

    use tributary_store::disk::real::RealDisk;

    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> (Folder, RealDisk) {
            let folder = Folder(tempfile::tempdir().expect("a folder"));
            let disk = RealDisk::open(folder.0.path().to_owned(), Default::default());
            (folder, disk.expect("opens"))
        }

        fn here(&self) -> PathBuf {
            self.0.path().join(DIR)
        }

        fn away(&self) -> PathBuf {
            self.0.path().join("away")
        }

        fn take(&self) {
            std::fs::rename(self.here(), self.away()).expect("renames");
        }

        fn bring_back(&self) {
            std::fs::rename(self.away(), self.here()).expect("renames");
        }
    }

    #[tokio::test]
    async fn a_shard_of_rocksdb_heals_with_its_disk() {
        let (folder, disk) = Folder::new();
        let shard = Shard::open(&disk).await;
        let mut taken = vec![];
        for seq in (1..6).step_by(2) {
            assert_eq!(shard.offer(seq).await, Ok(Answer::Applied));
            folder.take();
            shard.checkpoint().await.expect_err("its folder is away");
            assert_eq!(shard.offer(seq + 1).await, Ok(Answer::Applied));
            folder.bring_back();
            shard.checkpoint().await.expect("its folder is back");
            taken.extend([seq as i64, seq as i64 + 1]);
            assert_eq!(shard.seconds().await, taken);
        }
        assert_eq!(shard.reopened(), 3);
        shard.end().await;
        let shard = Shard::open(&disk).await;
        assert_eq!(shard.seconds().await, taken);
    }

    #[tokio::test]
    async fn a_shard_that_comes_back_empty_is_not_taken_for_what_it_was() {
        let (folder, disk) = Folder::new();
        let shard = Shard::open(&disk).await;
        assert_eq!(shard.offer(1).await, Ok(Answer::Applied));
        shard.checkpoint().await.expect("the disk is well");
        assert_eq!(shard.offer(2).await, Ok(Answer::Applied));
        folder.take();
        shard.checkpoint().await.expect_err("its folder is away");
        for _ in 0..3 {
            let reason = shard.checkpoint().await.expect_err("another folder");
            assert!(reason.contains("bring the folder back"), "{reason}");
        }
    }
}
