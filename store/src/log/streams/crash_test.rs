//! Every moment at which the power may go in a short history, and every byte at which its end may be torn.

use bytes::Bytes;

use super::model::{
    Expected, Model, ModelStream, append, cut, drop_stream, open, purge, put, restart,
};
use super::{Op, Streams};
use crate::disk::Files;
use crate::disk::memory::{Fault, MemoryDisk, Operation};
use crate::log::Index;
use crate::log::crash_test::{poll_at_most, run};
use crate::log::segment::path;

const LONG: &str = "a record that is long enough to fill a segment together with some of its kind, \
                    so that this history has several of them, and copies forward what lags";

/// Several segments, and something of each kind; stream 1 lags.
fn short_history() -> Vec<Vec<Op>> {
    let mut batches = vec![
        vec![append(1, 7, &["idle"]), put(1, 0, "a vote"), append(2, 0, &["x", "y", "z"])],
        vec![cut(2, 1), append(2, 1, &["other y"]), append(3, 5, &["dropped"])],
        vec![put(1, 0, "another vote"), drop_stream(3), append(3, 0, &["anew"])],
        vec![restart(3, 100), append(3, 100, &["behind a snapshot"])],
    ];
    for n in 0..9 {
        batches.push(vec![append(4, n * 4, &[LONG, LONG, LONG, LONG]), purge(4, n * 4)]);
    }
    batches
}

async fn write_all(expected: &mut Expected, streams: &mut Streams) {
    for ops in short_history() {
        while !expected.write(streams, &ops).await {}
    }
}

async fn check(expected: &mut Expected, disk: &MemoryDisk, when: &str) -> Streams {
    let (streams, recovered) = open(disk).await.unwrap();
    assert!(recovered.damaged.is_empty(), "{when}: {:?}", recovered.damaged);
    let found = Model::read(&streams.reader(), 200).await.unwrap();
    expected.settle(found).unwrap_or_else(|why| panic!("{when}: {why}"));
    streams
}

#[test]
fn the_power_may_go_at_any_moment() {
    let mut ended = 0;
    for polls in 0.. {
        for seed in 0..4 {
            let disk = MemoryDisk::new();
            let mut expected = Expected::default();
            let mut streams = run(open(&disk)).unwrap().0;
            let done = poll_at_most(polls, write_all(&mut expected, &mut streams)).is_some();
            if seed == 3 {
                disk.kill(polls as u64);
            } else {
                disk.crash(polls as u64 * 4 + seed);
            }
            let when = format!("after {polls} polls, seed {seed}");
            let disk = disk.reopen();
            let mut streams = run(check(&mut expected, &disk, &when));
            // And it goes on from there.
            let next = expected.acked.0.get(&4).map_or(0, ModelStream::next);
            assert!(run(expected.write(&mut streams, &[append(4, next, &["on"])])), "{when}");
            disk.crash(seed);
            run(check(&mut expected, &disk.reopen(), &when));
            ended += u64::from(done);
        }
        if ended > 0 {
            assert!(polls > 50, "{polls} moments are too few");
            return;
        }
    }
}

#[test]
fn any_operation_may_fail_once_and_nothing_acked_is_lost() {
    use Operation::{Append, Name, Open, Read, Sync, SyncDir, Truncate};
    for on in [Append, Sync, SyncDir, Open, Truncate, Name, Read] {
        for n in 0..40 {
            for end in [MemoryDisk::crash, MemoryDisk::kill] {
                let disk = MemoryDisk::new();
                let mut expected = Expected::default();
                disk.fail(Fault::nth(on, n));
                let mut streams = match run(open(&disk)) {
                    Ok((streams, _)) => streams,
                    Err(_) => run(open(&disk)).unwrap().0,
                };
                run(write_all(&mut expected, &mut streams));
                disk.clear_faults();
                let found = run(Model::read(&streams.reader(), 200)).unwrap();
                assert_eq!(found, expected.acked, "{on:?} {n}: in the same life");
                end(&disk, n);
                run(check(&mut expected, &disk.reopen(), &format!("{on:?} {n}")));
            }
        }
    }
}

/// The last batch is torn, what is left of it counts, and a later batch's end tells of that too.
#[test]
fn a_tail_torn_at_any_byte_keeps_whole_records() {
    run(async {
        let disk = MemoryDisk::new();
        let mut expected = Expected::default();
        let mut streams = open(&disk).await.unwrap().0;
        let before = [append(1, 0, &["a", "b", "c"]), put(1, 1, "first")];
        assert!(expected.write(&mut streams, &before).await);
        let synced = streams.reader().usage().bytes as usize;
        let acked = expected.acked.clone();
        let torn = [
            cut(1, 2),
            append(1, 2, &["other c", "d"]),
            append(2, 9, &["e"]),
            put(1, 1, "second"),
            purge(1, 1),
            drop_stream(2),
        ];
        let mut steps = vec![acked.clone()];
        let mut after = acked.clone();
        torn.iter().for_each(|op| after.apply(op, &mut steps).unwrap());
        assert!(expected.write(&mut streams, &torn).await);
        drop(streams);
        let file = path("log", Index(0));
        let whole: Bytes = disk.read(&file).await.unwrap().unwrap();
        let mut seen = 0;
        for len in synced..=whole.len() {
            disk.replace(&file, whole.slice(..len)).await.unwrap();
            let mut expected = Expected { acked: acked.clone(), perhaps: steps.clone() };
            let when = format!("torn at {len}");
            let mut streams = check(&mut expected, &disk, &when).await;
            let kept = steps.iter().position(|step| *step == expected.acked).unwrap();
            assert!(kept >= seen, "{when}: {kept} steps after {seen}");
            seen = kept;
            assert!(expected.write(&mut streams, &[append(7, 0, &["on"])]).await);
            drop(streams);
            check(&mut expected, &disk, &when).await;
        }
        assert_eq!(seen, steps.len() - 1);
    });
}

/// Found by a random history: there was nothing to cut, and after the power cut there was.
#[test]
fn what_is_so_already_is_so_after_a_failed_batch() {
    for seed in 0..20 {
        let disk = MemoryDisk::new();
        let mut expected = Expected::default();
        let mut streams = run(open(&disk)).unwrap().0;
        assert!(run(expected.write(&mut streams, &[append(1, 0, &["a"])])));
        disk.fail(Fault::nth(Operation::Sync, 0));
        disk.fail(Fault { times: 2, ..Fault::always(Operation::Truncate) });
        assert!(!run(expected.write(&mut streams, &[append(1, 1, &["b"])])));
        assert!(!run(expected.write(&mut streams, &[cut(1, 1)])), "it is not cut away yet");
        assert!(run(expected.write(&mut streams, &[cut(1, 1)])));
        disk.kill(seed);
        run(check(&mut expected, &disk.reopen(), "after the kill"));
    }
}

/// A start shows what it found, and the next one shows it again.
#[test]
fn a_batch_found_after_a_failed_sync_is_made_durable() {
    for seed in 0..50 {
        let disk = MemoryDisk::new();
        let mut expected = Expected::default();
        let mut streams = run(open(&disk)).unwrap().0;
        assert!(run(expected.write(&mut streams, &[append(1, 0, &["a"])])));
        disk.fail(Fault::nth(Operation::Sync, 0));
        disk.fail(Fault::always(Operation::Truncate));
        assert!(!run(expected.write(&mut streams, &[append(1, 1, &["b"]), put(2, 0, "c")])));
        disk.clear_faults();
        disk.kill(seed);
        let disk = disk.reopen();
        drop(run(check(&mut expected, &disk, "after the kill")));
        assert_eq!(expected.acked.0.len(), 2, "the process died, the machine did not");
        disk.crash(seed);
        run(check(&mut expected, &disk.reopen(), "after the power cut"));
    }
}
