//! Random histories against a plain map: whatever fails and whenever the power goes.

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::model::{Expected, Model, append, cut, drop_stream, open, purge, put, restart};
use super::{Index, Op, StreamId};
use crate::disk::memory::{Fault, MemoryDisk, Operation};
use crate::log::crash_test::{next_life, poll_at_most, run};

const STREAMS: u32 = 5;

#[test]
fn random_histories_keep_what_was_acked() {
    let seeds = std::env::var("SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(200);
    let mut copied = 0;
    for seed in 0..seeds {
        copied += history(seed);
    }
    assert!(copied > seeds, "{copied} records were copied in {seeds} histories");
}

/// Answers how many records were copied.
fn history(seed: u64) -> u64 {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut disk = MemoryDisk::new();
    let mut expected = Expected::default();
    let mut tried = 0;
    let mut copied = 0;
    for _life in 0..6 {
        let Ok((mut streams, recovered)) = run(open(&disk)) else {
            // A fault hit the opening. It must not have done harm.
            disk.clear_faults();
            continue;
        };
        assert!(recovered.damaged.is_empty(), "seed {seed}: {:?}", recovered.damaged);
        assert!(recovered.log.damaged.is_empty(), "seed {seed}: {:?}", recovered.log.damaged);
        let found = run(Model::read(&streams.reader(), rng.gen_range(1..400))).unwrap();
        expected.settle(found).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        for _ in 0..rng.gen_range(0..60) {
            trouble(&mut rng, &disk);
            let polls = if rng.gen_bool(0.05) { rng.gen_range(1..14) } else { usize::MAX };
            if rng.gen_bool(0.05) {
                let _ = poll_at_most(polls, streams.copy());
                continue;
            }
            let ops = batch(&mut rng, &expected.acked, &mut tried);
            if poll_at_most(polls, expected.write(&mut streams, &ops)).is_none() {
                let found = run(Model::read(&streams.reader(), 300)).unwrap();
                expected.dropped(found).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
            }
            if rng.gen_bool(0.1) {
                let found = run(Model::read(&streams.reader(), 300)).unwrap();
                assert_eq!(found, expected.acked, "seed {seed}: in the same life");
            }
        }
        copied += streams.reader().usage().copied_records;
        disk = next_life(&disk, &mut rng);
    }
    copied
}

fn trouble(rng: &mut StdRng, disk: &MemoryDisk) {
    use Operation::{Append, Name, Open, Sync, SyncDir, Truncate};
    if rng.gen_bool(0.05) {
        let all = [Append, Sync, Truncate, SyncDir, Open, Name];
        let on = all[rng.gen_range(0..all.len())];
        let times = rng.gen_range(1..4);
        disk.fail(Fault { times, ..Fault::nth(on, rng.gen_range(0..3)) });
    }
    let room = disk.used_bytes() + rng.gen_range(0..500);
    disk.set_capacity(rng.gen_bool(0.05).then_some(room));
}

/// Now and then something that is refused is among them.
fn batch(rng: &mut StdRng, stands: &Model, tried: &mut u64) -> Vec<Op> {
    let mut after = stands.clone();
    let mut ops = Vec::new();
    for _ in 0..rng.gen_range(1..5) {
        let stream = rng.gen_range(0..STREAMS);
        let (first, next) = after.0.get(&stream).map_or((0, 0), |of| (of.first, of.next()));
        let near = rng.gen_range(first..=next + 2);
        let op = match rng.gen_range(0..100) {
            0..60 => {
                let at = if rng.gen_bool(0.05) { near } else { next };
                let records = (0..rng.gen_range(0..4)).map(|_| record(rng, tried)).collect();
                Op::Append { stream: StreamId(stream), first: Index(at), records }
            }
            60..72 => cut(stream, near.saturating_sub(u64::from(rng.gen_bool(0.1)))),
            72..86 => purge(stream, near),
            86..89 => restart(stream, near),
            89..97 => {
                *tried += 1;
                put(stream, rng.gen_range(0..2), &format!("cell {tried}"))
            }
            97..99 => drop_stream(stream),
            _ => append(stream, next, &[]),
        };
        let _ = after.apply(&op, &mut Vec::new());
        ops.push(op);
    }
    ops
}

fn record(rng: &mut StdRng, tried: &mut u64) -> Bytes {
    *tried += 1;
    Bytes::from(format!("{tried} {}", "y".repeat(rng.gen_range(0..60))))
}
