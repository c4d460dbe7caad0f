//! What the log promises when its disk fails, its process dies or the power goes.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{Index, Options, Result, SegmentLog};
use crate::disk::memory::{Fault, MemoryDisk, Operation};
use crate::disk::{ErrorKind, Files};

const SMALL: Options = Options { segment_bytes: 250 };

async fn open(disk: &MemoryDisk) -> Result<SegmentLog> {
    Ok(SegmentLog::open(Arc::new(disk.clone()), "log", SMALL).await?.0)
}

async fn read(log: &SegmentLog) -> Result<Vec<(u64, Bytes)>> {
    let (mut reader, mut found) = (log.read_from(Index(0)), Vec::new());
    while let Some((index, payload)) = reader.next().await? {
        found.push((index.0, payload));
    }
    Ok(found)
}

fn record(n: u64) -> Bytes {
    Bytes::from(format!("record {n}"))
}

fn records(next: u64) -> Vec<(u64, Bytes)> {
    (0..next).map(|n| (n, record(n))).collect()
}

/// Polls at most so often: a task that is dropped in the middle of what it does.
pub(super) fn poll_at_most<T>(times: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    (0..times).find_map(|_| match future.as_mut().poll(&mut context) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    })
}

pub(super) fn run<T>(future: impl Future<Output = T>) -> T {
    poll_at_most(usize::MAX, future).expect("the memory disk always goes on")
}

#[test]
fn any_operation_may_fail_once_and_nothing_acked_is_lost() {
    use Operation::{Append, Name, Open, Sync, SyncDir, Truncate};
    for on in [Append, Sync, SyncDir, Open, Truncate, Name] {
        for n in 0..40 {
            for end in [MemoryDisk::crash, MemoryDisk::kill] {
                let disk = MemoryDisk::new();
                disk.fail(Fault::nth(on, n));
                run(async {
                    let mut log = match open(&disk).await {
                        Ok(log) => log,
                        Err(_) => open(&disk).await.unwrap(),
                    };
                    for n in 0..12 {
                        while let Err(error) = log.append(vec![record(n)]).await {
                            assert!(error.is_retryable());
                        }
                    }
                    assert_eq!(read(&log).await.unwrap(), records(12));
                });
                end(&disk, n);
                disk.clear_faults();
                let log = run(open(&disk.reopen())).unwrap();
                assert_eq!(run(read(&log)).unwrap(), records(12), "{on:?} {n}");
            }
        }
    }
}

#[test]
fn a_failed_batch_is_cut_before_the_next_is_written() {
    let disk = MemoryDisk::new();
    let mut log = run(open(&disk)).unwrap();
    run(log.append(vec![record(0)])).unwrap();
    let before = disk.used_bytes();
    disk.fail(Fault::nth(Operation::Sync, 0));
    disk.fail(Fault { times: 2, ..Fault::always(Operation::Truncate) });
    run(log.append(vec![Bytes::from_static(b"failed")])).unwrap_err();
    assert!(disk.used_bytes() > before, "the cut failed");
    run(log.append(vec![record(1)])).unwrap_err();
    run(log.append(vec![record(1)])).unwrap();
    assert_eq!(run(read(&log)).unwrap(), records(2));
    disk.crash(1);
    let log = run(open(&disk.reopen())).unwrap();
    assert_eq!(run(read(&log)).unwrap(), records(2));
}

#[test]
fn a_log_says_that_what_follows_an_uncut_batch_begins_a_segment() {
    run(async {
        let disk = MemoryDisk::new();
        let mut log = open(&disk).await.unwrap();
        log.append(vec![record(0)]).await.unwrap();
        assert!(!log.begins_segment());
        // The batch fails, and so does the cut: the disk is well again before the next append.
        disk.fail(Fault { times: 2, ..Fault::always(Operation::Sync) });
        log.append(vec![record(1)]).await.unwrap_err();
        assert!(log.begins_segment());
        log.append(vec![record(1)]).await.unwrap();
        let files = disk.list("log").await.unwrap();
        assert_eq!(files.len(), 2, "{files:?}");
        assert!(!log.begins_segment());
    });
}

#[test]
fn a_full_disk_refuses_until_there_is_room() {
    let disk = MemoryDisk::new();
    let mut log = run(open(&disk)).unwrap();
    run(log.append((0..20).map(record).collect())).unwrap();
    for n in 20..30 {
        run(log.append(vec![record(n)])).unwrap();
    }
    let used = disk.used_bytes();
    for room in 0..40 {
        disk.set_capacity(Some(used + room));
        let error = run(log.append(vec![Bytes::from(vec![7; 50])])).unwrap_err();
        assert!(error.is_retryable());
        assert!(matches!(error, super::LogError::Disk(error) if error.kind == ErrorKind::Full));
        assert_eq!(disk.used_bytes(), used, "what was written of it is cut away");
    }
    run(log.trim(Index(25))).unwrap();
    run(log.append(vec![record(30)])).unwrap();
    assert_eq!(run(read(&log)).unwrap().last().unwrap().0, 30);
}

/// The failed sync left its bytes in the page cache, marked clean. What the next process reads there
/// it must not take for durable.
#[test]
fn a_batch_found_after_a_failed_sync_is_made_durable() {
    for seed in 0..50 {
        // The segment's header may stand in the failed write too.
        for acked in 0..2 {
            let disk = MemoryDisk::new();
            let mut log = run(open(&disk)).unwrap();
            run(log.append((0..acked).map(record).collect())).unwrap();
            disk.fail(Fault::nth(Operation::Sync, 0));
            disk.fail(Fault::always(Operation::Truncate));
            run(log.append(vec![record(acked)])).unwrap_err();
            disk.clear_faults();
            disk.kill(seed);
            let disk = disk.reopen();
            let log = run(open(&disk)).unwrap();
            let found = run(read(&log)).unwrap();
            assert_eq!(found, records(acked + 1), "the process died, the machine did not");
            disk.crash(seed);
            let (log, recovered) =
                run(SegmentLog::open(Arc::new(disk.reopen()), "log", SMALL)).unwrap();
            assert_eq!(run(read(&log)).unwrap(), found, "shown once, gone later");
            assert!(recovered.damaged.is_empty(), "{:?}", recovered.damaged);
        }
    }
}

#[test]
fn a_zombie_cannot_write() {
    let disk = MemoryDisk::new();
    let mut zombie = run(open(&disk)).unwrap();
    run(zombie.append(vec![record(0)])).unwrap();
    disk.crash(1);
    let mut log = run(open(&disk.reopen())).unwrap();
    run(log.append(vec![record(1)])).unwrap();
    let error = run(zombie.append(vec![record(9)])).unwrap_err();
    assert!(error.to_string().contains("earlier incarnation is gone"), "{error}");
    assert!(run(zombie.trim(Index(9))).is_ok() || run(read(&zombie)).is_err());
    assert_eq!(run(read(&log)).unwrap(), records(2));
}

/// Found by a random history: the new segment's name stood there, the batch after it went to the old one.
#[test]
fn a_roll_that_was_dropped_half_way_leaves_the_old_segment_closed() {
    for polls in 0..12 {
        let disk = MemoryDisk::new();
        let mut log = run(open(&disk)).unwrap();
        run(log.append(vec![record(0)])).unwrap();
        drop(poll_at_most(polls, log.append(vec![Bytes::from(vec![b'x'; 300])])));
        disk.fail(Fault::nth(Operation::Sync, 0));
        disk.fail(Fault::always(Operation::Truncate));
        let _ = run(log.append(vec![Bytes::from_static(b"failed")]));
        disk.clear_faults();
        disk.kill(polls as u64);
        let disk = disk.reopen();
        let mut log = run(open(&disk)).unwrap();
        let next = log.next_index();
        run(log.append(vec![record(7)])).unwrap();
        disk.crash(polls as u64);
        let found = run(read(&run(open(&disk.reopen())).unwrap())).unwrap();
        assert_eq!(found.last(), Some(&(next.0, record(7))), "dropped after {polls} polls");
    }
}

/// What a random history's log must hold.
#[derive(Default)]
struct Model {
    acked: Vec<Bytes>,
    trimmed: u64,
    /// Batches that failed since the last start, or whose task was dropped: what may stand at an index.
    unknown: BTreeMap<u64, Vec<Bytes>>,
    tried: u64,
}

impl Model {
    fn batch(&mut self, rng: &mut StdRng) -> Vec<Bytes> {
        let mut batch = Vec::new();
        for index in self.acked.len() as u64.. {
            self.tried += 1;
            let len = rng.gen_range(0..60);
            let payload = Bytes::from(format!("{} {}", self.tried, "y".repeat(len)));
            self.unknown.entry(index).or_default().push(payload.clone());
            batch.push(payload);
            if rng.gen_bool(0.4) {
                break;
            }
        }
        batch
    }

    fn check(&mut self, seed: u64, log: &SegmentLog, found: Vec<(u64, Bytes)>) {
        let first = log.first_index().0;
        assert!(first <= self.trimmed, "{first} is behind the trim at {}", self.trimmed);
        assert_eq!(log.next_index().0, first + found.len() as u64);
        assert!(
            log.next_index().0 >= self.acked.len() as u64,
            "seed {seed}: acked records are lost"
        );
        for (at, (index, payload)) in found.into_iter().enumerate() {
            assert_eq!(index, first + at as u64);
            match self.acked.get(index as usize) {
                Some(acked) => assert_eq!(payload, acked, "seed {seed}: record {index}"),
                None => {
                    assert!(
                        self.unknown[&index].contains(&payload),
                        "seed {seed}: nobody wrote {payload:?}"
                    );
                    self.acked.push(payload);
                }
            }
        }
        self.unknown.clear();
    }
}

#[test]
fn random_histories_keep_what_was_acked() {
    let seeds = std::env::var("SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(400);
    for seed in 0..seeds {
        history(seed);
    }
}

fn history(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut disk = MemoryDisk::new();
    let mut model = Model::default();
    for _life in 0..8 {
        let Ok((mut log, recovered)) = run(SegmentLog::open(Arc::new(disk.clone()), "log", SMALL))
        else {
            // A fault hit the opening. It must not have done harm.
            disk.clear_faults();
            continue;
        };
        assert!(recovered.damaged.is_empty(), "seed {seed}: {:?}", recovered.damaged);
        let found = run(read(&log)).unwrap();
        model.check(seed, &log, found);
        for _ in 0..rng.gen_range(0..25) {
            if rng.gen_bool(0.1) {
                let all = [
                    Operation::Append,
                    Operation::Sync,
                    Operation::Truncate,
                    Operation::SyncDir,
                    Operation::Open,
                    Operation::Name,
                ];
                let on = all[rng.gen_range(0..all.len())];
                let times = rng.gen_range(1..4);
                disk.fail(Fault { times, ..Fault::nth(on, rng.gen_range(0..3)) });
            }
            let room = disk.used_bytes() + rng.gen_range(0..300);
            disk.set_capacity(rng.gen_bool(0.1).then_some(room));
            let polls = if rng.gen_bool(0.1) { rng.gen_range(1..12) } else { usize::MAX };
            if rng.gen_bool(0.15) {
                let before = rng.gen_range(0..=log.next_index().0);
                model.trimmed = model.trimmed.max(before);
                let _ = poll_at_most(polls, log.trim(Index(before)));
            } else {
                let batch = model.batch(&mut rng);
                if let Some(Ok(range)) = poll_at_most(polls, log.append(batch.clone())) {
                    assert_eq!(range.start.0, model.acked.len() as u64);
                    model.acked.extend(batch);
                    assert_eq!(range.end.0, model.acked.len() as u64);
                    model.unknown.clear();
                }
            }
        }
        if rng.gen_bool(0.2) {
            disk.clear_faults();
            let first = log.first_index().0 as usize;
            let found: Vec<Bytes> = run(read(&log)).unwrap().into_iter().map(|r| r.1).collect();
            assert_eq!(found, model.acked[first..], "seed {seed}: in the same life");
        }
        disk = next_life(&disk, &mut rng);
    }
}

/// The process dies, and mostly the power goes with it; the disk may stay bad.
pub(crate) fn next_life(disk: &MemoryDisk, rng: &mut StdRng) -> MemoryDisk {
    if rng.gen_bool(0.7) {
        disk.crash(rng.r#gen());
    } else {
        disk.kill(rng.r#gen());
    }
    if rng.gen_bool(0.7) {
        disk.clear_faults();
    }
    disk.set_capacity(None);
    disk.reopen()
}
