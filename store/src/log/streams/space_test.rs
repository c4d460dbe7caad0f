//! The log stays within its bound, whoever lags.

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::model::{append, open, purge, put};
use super::{Index, Op, Options, Recovered, StreamError, StreamId, Streams};
use crate::disk::memory::MemoryDisk;
use crate::log::crash_test::run;
use std::sync::Arc;

const SEGMENT: u64 = 16 << 10;
const OPTIONS: Options =
    Options { segment_bytes: SEGMENT, max_bytes: 24 * SEGMENT, queue_bytes: 1 << 20 };

async fn start(disk: &MemoryDisk) -> (Streams, Recovered) {
    Streams::open(Arc::new(disk.clone()), "log", OPTIONS).await.unwrap()
}

/// A record of each stream a round, but for the idle one; each keeps its last few.
#[test]
fn of_64_streams_one_may_be_idle_throughout() {
    run(async {
        let mut disk = MemoryDisk::new();
        let mut streams = start(&disk).await.0;
        let idle = StreamId(64);
        streams.write(&[append(64, 3, &["all that it ever has"])]).await.unwrap();
        let (mut most, mut copied) = (0, 0);
        for n in 0..3000 {
            let record = Bytes::from(vec![n as u8; 40]);
            let ops = (0..64).flat_map(|stream| {
                let stream = StreamId(stream);
                let append = Op::Append { stream, first: Index(n), records: vec![record.clone()] };
                [append, Op::Purge { stream, before: Index(n.saturating_sub(4)) }]
            });
            for answer in streams.write(&ops.collect::<Vec<_>>()).await.unwrap() {
                answer.unwrap();
            }
            most = most.max(disk.used_bytes());
            if n % 1000 == 999 {
                copied += streams.reader().usage().copied_records;
                disk.crash(n);
                disk = disk.reopen();
                drop(streams);
                let recovered;
                (streams, recovered) = start(&disk).await;
                assert!(recovered.damaged.is_empty());
            }
        }
        // What is live in 64 streams is 28 KiB; two segments with tables are always kept.
        assert!(most < 9 * SEGMENT, "{most} bytes");
        let found = streams.reader().read(idle, Index(3)..Index(4), 100).await.unwrap();
        assert_eq!(found, [(Index(3), Bytes::from_static(b"all that it ever has"))]);
        assert!(copied > 100, "{copied}");
    });
}

#[test]
fn what_is_dead_does_not_wait_for_a_segment_to_be_full() {
    run(async {
        let disk = MemoryDisk::new();
        let options = Options { segment_bytes: 64 << 20, max_bytes: 4 << 30, ..OPTIONS };
        let files = Arc::new(disk.clone());
        let (mut streams, _) = Streams::open(files, "log", options).await.unwrap();
        let record = Bytes::from(vec![7; 1 << 20]);
        let mut most = 0;
        for n in 0..20 {
            let (stream, first) = (StreamId(1), Index(n));
            let append = Op::Append { stream, first, records: vec![record.clone()] };
            streams.write(&[append]).await.unwrap().remove(0).unwrap();
            streams.write(&[purge(1, n + 1)]).await.unwrap().remove(0).unwrap();
            most = most.max(disk.used_bytes());
        }
        assert!(most < 5 << 20, "{most} bytes");
        let more =
            Op::Append { stream: StreamId(2), first: Index(0), records: vec![record.clone()] };
        streams.write(&[more]).await.unwrap().remove(0).unwrap();
        streams.tidy().await.unwrap();
        assert!(disk.used_bytes() > 1 << 20, "what is live stays");
        streams.write(&[purge(2, 1)]).await.unwrap().remove(0).unwrap();
        streams.tidy().await.unwrap();
        assert!(disk.used_bytes() < 1 << 10, "{} bytes", disk.used_bytes());
        disk.crash(1);
        let files = Arc::new(disk.reopen());
        let (streams, recovered) = Streams::open(files, "log", options).await.unwrap();
        assert_eq!(recovered.damaged, []);
        assert_eq!(streams.reader().bounds(StreamId(1)), Some(Index(20)..Index(20)));
        assert_eq!(streams.reader().bounds(StreamId(2)), Some(Index(1)..Index(1)));
    });
}

#[test]
fn a_full_log_refuses_appends_and_goes_on_once_something_is_purged() {
    run(async {
        let disk = MemoryDisk::new();
        let mut streams = start(&disk).await.0;
        let record = "x".repeat(1000);
        let mut next = 0;
        let full = loop {
            let answer = streams.write(&[append(1, next, &[&record])]).await.unwrap().remove(0);
            match answer {
                Ok(()) => next += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(full, StreamError::Full { .. }) && full.is_retryable(), "{full}");
        // What all of it could hold, less what is kept back, less heads.
        assert!(next * 1000 > OPTIONS.append_limit() * 9 / 10, "{next} records");
        assert!(!streams.is_copying_due(), "there is nothing to gain");

        // Votes go through all the same.
        for n in 0..200 {
            let answers = streams.write(&[put(1, 0, &format!("vote {n}"))]).await.unwrap();
            answers.into_iter().for_each(|answer| answer.unwrap());
            let again = streams.write(&[append(1, next, &[&record])]).await.unwrap().remove(0);
            assert!(matches!(again, Err(StreamError::Full { .. })));
        }
        // From the middle of each segment, so that none goes by itself.
        let purged = streams.write(&[purge(1, next / 2)]).await.unwrap().remove(0);
        purged.unwrap();
        for _ in 0..next / 3 {
            let answers = streams.write(&[append(1, next, &[&record])]).await.unwrap();
            answers.into_iter().for_each(|answer| answer.unwrap());
            next += 1;
            assert!(disk.used_bytes() <= OPTIONS.max_bytes);
        }
        drop(streams);
        let (streams, _) = start(&disk).await;
        let bounds = streams.reader().bounds(StreamId(1)).unwrap();
        assert_eq!(bounds.end, Index(next));
    });
}

/// Votes alone fill what is kept back: even so they go on for ever, for what is dead of them is freed.
#[test]
fn cells_go_on_for_ever_in_a_full_log() {
    run(async {
        let disk = MemoryDisk::new();
        let mut streams = start(&disk).await.0;
        let record = "x".repeat(1000);
        let mut next = 0;
        while streams.write(&[append(1, next, &[&record])]).await.unwrap()[0].is_ok() {
            next += 1;
        }
        for n in 0..6000 {
            let answers = streams.write(&[put(1, 0, &format!("vote {n}"))]).await.unwrap();
            answers.into_iter().for_each(|answer| answer.unwrap());
            while streams.is_copying_due() {
                streams.copy().await.unwrap();
            }
            assert!(disk.used_bytes() <= OPTIONS.max_bytes);
        }
    });
}

/// Live records that lag are three quarters of what may be live; the others churn beside them.
#[test]
fn streams_go_on_beside_those_that_lag() {
    for seed in 0..3 {
        run(async {
            let mut rng = StdRng::seed_from_u64(seed);
            let disk = MemoryDisk::new();
            let mut streams = start(&disk).await.0;
            let record = "x".repeat(500);
            let mut lagging = 0;
            while streams.reader().usage().live_bytes < OPTIONS.append_limit() / 4 * 3 {
                streams.write(&[append(1, lagging, &[&record])]).await.unwrap()[0].clone().unwrap();
                lagging += 1;
            }
            let (mut next, mut refused) = (0, 0);
            while next < 4000 {
                let long = "y".repeat(rng.gen_range(0..1500));
                let ops = [append(2, next, &[&long]), purge(2, next)];
                match streams.write(&ops).await.unwrap().remove(0) {
                    Ok(()) => next += 1,
                    Err(error) => {
                        assert!(matches!(error, StreamError::Full { .. }), "{error}");
                        refused += 1;
                        assert!(refused < 4000, "stuck at {next}");
                    }
                }
                assert!(disk.used_bytes() <= OPTIONS.max_bytes, "at {next}");
            }
            let reader = streams.reader();
            let found = reader.read(StreamId(1), Index(0)..Index(lagging), usize::MAX).await;
            assert_eq!(found.unwrap().len() as u64, lagging);
        });
    }
}

#[test]
fn copying_ends_when_nobody_writes() {
    run(async {
        let disk = MemoryDisk::new();
        let mut streams = open(&disk).await.unwrap().0;
        let long = "z".repeat(300);
        for stream in 0..8 {
            streams.write(&[append(stream, 0, &["lags"])]).await.unwrap();
        }
        for n in 0..30 {
            streams.write(&[append(9, n, &[&long])]).await.unwrap();
        }
        streams.write(&[purge(9, 30)]).await.unwrap();
        let mut steps = 0;
        while streams.is_copying_due() {
            streams.copy().await.unwrap();
            steps += 1;
            assert!(steps < 100);
        }
        assert!(streams.reader().usage().copied_records > 0);
        assert_eq!(disk.used_bytes(), streams.reader().usage().bytes);
        assert!(disk.used_bytes() < 5 * 2000, "{}", disk.used_bytes());
    });
}
