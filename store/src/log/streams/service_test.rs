//! Many writers and one sync, over the task and its handles.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::join_all;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::model::SMALL;
use super::{
    Ack, CellId, Index, Op, Options, StreamError, StreamId, StreamsHandle, StreamsService,
};
use crate::disk::memory::{Fault, MemoryDisk, Operation};

const STREAM: StreamId = StreamId(1);

struct Running {
    handle: StreamsHandle,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(disk: &MemoryDisk, options: Options) -> Running {
        let (service, handle, recovered) =
            StreamsService::open(Arc::new(disk.clone()), "log", options).await.unwrap();
        assert!(recovered.damaged.is_empty());
        let (stop, stopped) = watch::channel(false);
        Running { handle, stop, task: tokio::spawn(service.run(stopped)) }
    }

    async fn stop(self) {
        self.stop.send(true).unwrap();
        self.task.await.unwrap();
    }
}

fn record(n: u64) -> Vec<Bytes> {
    vec![Bytes::from(format!("record {n}"))]
}

#[tokio::test]
async fn all_that_wait_share_a_sync() {
    let disk = MemoryDisk::new();
    let running =
        Running::start(&disk, Options { segment_bytes: 1 << 20, max_bytes: 1 << 30, ..SMALL })
            .await;
    for n in 0..10 {
        let writers =
            (0..64).map(|stream| running.handle.append(StreamId(stream), Index(n), record(n)));
        join_all(writers).await.into_iter().for_each(|answer| answer.unwrap());
    }
    let usage = running.handle.reader().usage();
    assert_eq!((usage.ops, usage.records), (640, 640));
    assert!(usage.syncs <= 20, "{usage:?}");
    running.stop().await;
    disk.crash(1);
    let running = Running::start(&disk.reopen(), SMALL).await;
    for stream in (0..64).map(StreamId) {
        assert_eq!(running.handle.reader().bounds(stream), Some(Index(0)..Index(10)));
    }
}

/// Several are on their way; the one that fails takes those of its stream with it, whatever batch they are in.
#[tokio::test]
async fn after_a_failed_sync_everybody_is_told_and_may_try_again() {
    let disk = MemoryDisk::new();
    let running = Running::start(&disk, SMALL).await;
    running.handle.append(STREAM, Index(0), record(0)).await.unwrap();
    disk.fail(Fault::nth(Operation::Sync, 0));
    let mut acks = Vec::new();
    for n in 1..5 {
        let op = Op::Append { stream: STREAM, first: Index(n), records: record(n) };
        acks.push(running.handle.enqueue(op).await.unwrap());
    }
    let other = Op::PutCell { stream: StreamId(2), cell: CellId(0), value: Bytes::new() };
    acks.push(running.handle.enqueue(other).await.unwrap());
    for answer in join_all(acks.into_iter().map(Ack::synced)).await {
        let error = answer.unwrap_err();
        assert!(error.is_retryable(), "{error}");
    }
    assert_eq!(running.handle.reader().bounds(STREAM), Some(Index(0)..Index(1)));
    for n in 1..5 {
        running.handle.append(STREAM, Index(n), record(n)).await.unwrap();
    }
    let error = running.handle.append(STREAM, Index(4), record(4)).await.unwrap_err();
    assert!(matches!(error, StreamError::NotNext { next: Index(5), .. }), "nothing counts twice");
    disk.crash(1);
    let running = Running::start(&disk.reopen(), SMALL).await;
    assert_eq!(running.handle.reader().bounds(STREAM), Some(Index(0)..Index(5)));
}

#[tokio::test]
async fn a_lazy_purge_rides_with_the_next_sync() {
    let disk = MemoryDisk::new();
    let running = Running::start(&disk, SMALL).await;
    let handle = &running.handle;
    for n in 0..3 {
        handle.append(STREAM, Index(n), record(n)).await.unwrap();
    }
    handle.purge_lazily(STREAM, Index(2)).await.unwrap();
    let syncs = handle.reader().usage().syncs;
    // An operation that writes nothing: it was taken behind the purge, in a batch with it.
    handle.put_cell(StreamId(2), CellId(0), Bytes::new()).await.unwrap();
    assert_eq!(handle.reader().bounds(STREAM), Some(Index(2)..Index(3)));
    assert_eq!(handle.reader().usage().syncs, syncs + 1);

    // It is not forgotten with a batch that fails, nor at the stop.
    disk.fail(Fault::nth(Operation::Sync, 0));
    handle.purge_lazily(STREAM, Index(3)).await.unwrap();
    handle.cut(StreamId(2), Index(0)).await.unwrap_err();
    assert_eq!(handle.reader().bounds(STREAM), Some(Index(2)..Index(3)));
    running.stop().await;
    disk.crash(1);
    let running = Running::start(&disk.reopen(), SMALL).await;
    assert_eq!(running.handle.reader().bounds(STREAM), Some(Index(3)..Index(3)));
}

#[tokio::test]
async fn a_full_queue_makes_writers_wait_and_one_larger_than_it_goes_alone() {
    let disk = MemoryDisk::new();
    let options = Options { queue_bytes: 1000, segment_bytes: 1 << 20, max_bytes: 1 << 30 };
    let (service, handle, _) =
        StreamsService::open(Arc::new(disk.clone()), "log", options).await.unwrap();
    let large = Op::Append { stream: STREAM, first: Index(0), records: vec![vec![0; 5000].into()] };
    let ack = handle.enqueue(large).now_or_never().expect("nobody waits").unwrap();
    let next = handle.append(STREAM, Index(1), record(1));
    tokio::pin!(next);
    assert!(next.as_mut().now_or_never().is_none());
    let (stop, stopped) = watch::channel(false);
    let task = tokio::spawn(service.run(stopped));
    ack.synced().await.unwrap();
    next.await.unwrap();
    stop.send(true).unwrap();
    task.await.unwrap();
    let error = handle.append(STREAM, Index(2), record(2)).await.unwrap_err();
    assert!(matches!(error, StreamError::Stopped), "{error}");
}

#[tokio::test]
async fn what_was_taken_is_written_before_the_stop() {
    let disk = MemoryDisk::new();
    let running = Running::start(&disk, SMALL).await;
    let mut acks = Vec::new();
    for n in 0..20 {
        let op = Op::Append { stream: STREAM, first: Index(n), records: record(n) };
        acks.push(running.handle.enqueue(op).await.unwrap());
    }
    running.stop().await;
    for ack in acks {
        ack.synced().await.unwrap();
    }
}

/// Nobody writes any more, and what lags is copied all the same.
#[tokio::test]
async fn room_is_made_while_nobody_writes() {
    let disk = MemoryDisk::new();
    let running = Running::start(&disk, SMALL).await;
    let handle = &running.handle;
    handle.append(StreamId(2), Index(0), record(0)).await.unwrap();
    let long = |n| vec![Bytes::from(vec![n; 500])];
    for n in 0..20 {
        handle.append(STREAM, Index(n), long(n as u8)).await.unwrap();
    }
    let before = handle.reader().usage().bytes;
    disk.fail(Fault::nth(Operation::Read, 0));
    handle.purge(STREAM, Index(20)).await.unwrap();
    let is_done = async || {
        // Nothing tells of what nobody waits for.
        while handle.reader().usage().bytes >= before / 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), is_done()).await.expect("room is made");
    assert!(handle.reader().usage().copied_records > 0);
    let found = handle.reader().read(StreamId(2), Index(0)..Index(1), 100).await.unwrap();
    assert_eq!(found[0].1, record(0)[0]);
    running.stop().await;
}
