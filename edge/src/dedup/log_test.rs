use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tributary_store::disk::memory::{Fault, MemoryDisk, Operation};
use tributary_store::disk::real::{self, RealDisk};

use super::*;
use crate::dedup::{Dedup, Options, Registration};

const DIR: &str = "edge/fingerprints";
const SMALL: u64 = 4 << 10;

fn entry(n: u64) -> Remembered {
    let answer = TraceAnswer { accepted: n, late: n % 2, future: 0 };
    Remembered { fingerprint: Fingerprint(u128::from(n) << 50), uptime: Uptime(n * 10), answer }
}

fn entries(numbers: std::ops::Range<u64>) -> Vec<Remembered> {
    numbers.map(entry).collect()
}

async fn open(
    disk: &MemoryDisk,
) -> Result<(FingerprintLog, Vec<Remembered>, Loaded), FingerprintLogError> {
    let mut found = Vec::new();
    let files = Arc::new(disk.clone());
    let (mut log, damaged) = FingerprintLog::recover(files, DIR, SMALL).await?;
    let loaded = log.load(DIR, damaged, |entries| found.extend(entries)).await?;
    assert_eq!(loaded.entries, found.len() as u64);
    Ok((log, found, loaded))
}

async fn segments(disk: &MemoryDisk) -> Vec<String> {
    let names = disk.list(DIR).await.unwrap();
    names.into_iter().map(|name| format!("{DIR}/{name}")).collect()
}

#[tokio::test]
async fn what_was_appended_is_there_after_a_crash_in_order() {
    let mut disk = MemoryDisk::new();
    let mut next = 0;
    // More than a record, and more than a batch.
    for count in [0, 1, 7, 1024, 1025, 40_000, 3] {
        let (mut log, found, loaded) = open(&disk).await.unwrap();
        assert_eq!(found, entries(0..next));
        assert_eq!(loaded.damaged_records, 0);
        log.append(&entries(next..next + count)).await.unwrap();
        next += count;
        disk.crash(count);
        disk = disk.reopen();
    }
    assert_eq!(open(&disk).await.unwrap().1, entries(0..next));
}

#[tokio::test]
async fn a_trim_drops_segments_that_hold_nothing_new_enough() {
    let mut disk = MemoryDisk::new();
    let (mut log, _, _) = open(&disk).await.unwrap();
    for n in 0..200 {
        log.append(&entries(n * 10..n * 10 + 10)).await.unwrap();
    }
    for oldest in [5, 700, 700, 1_200, 1_990] {
        let before = log.bytes();
        log.trim(entry(oldest).uptime).await.unwrap();
        let (_, found, _) = open(&disk).await.unwrap();
        let first = found[0].answer.accepted;
        assert!(first <= oldest, "{first} is gone, {oldest} was to be kept");
        assert_eq!(found, entries(first..2_000), "all that follow are kept");
        let stale = found.iter().filter(|entry| entry.answer.accepted < oldest).count();
        assert!(stale as u64 <= 2 * SMALL / 20, "{stale} are kept for nothing");
        assert!(log.bytes() <= before);
        // In the next life too.
        disk.crash(oldest);
        disk = disk.reopen();
        log = open(&disk).await.unwrap().0;
    }
    log.trim(Uptime(u64::MAX)).await.unwrap();
    assert!(log.bytes() <= SMALL / 2, "{} bytes are kept", log.bytes());
}

#[tokio::test]
async fn a_failing_disk_is_told_and_the_same_entries_can_be_appended_again() {
    for on in [Operation::Append, Operation::Sync, Operation::SyncDir, Operation::Open] {
        let disk = MemoryDisk::new();
        let (mut log, _, _) = open(&disk).await.unwrap();
        log.append(&entries(0..300)).await.unwrap();
        disk.fail(Fault::always(on));
        for _ in 0..3 {
            let error = log.append(&entries(300..600)).await.unwrap_err();
            assert!(error.is_retryable(), "{error}");
        }
        disk.clear_faults();
        log.append(&entries(300..600)).await.unwrap();
        disk.crash(1);
        assert_eq!(open(&disk.reopen()).await.unwrap().1, entries(0..600), "{on:?}");
    }
}

#[tokio::test]
async fn a_trim_that_failed_is_made_up_for() {
    let disk = MemoryDisk::new();
    let (mut log, _, _) = open(&disk).await.unwrap();
    for n in 0..100 {
        log.append(&entries(n * 10..n * 10 + 10)).await.unwrap();
    }
    let before = segments(&disk).await.len();
    disk.fail(Fault::always(Operation::Name));
    log.trim(entry(900).uptime).await.unwrap_err();
    disk.clear_faults();
    log.trim(entry(900).uptime).await.unwrap();
    assert!(segments(&disk).await.len() < before / 2);
}

#[tokio::test]
async fn a_damaged_record_is_counted_and_the_others_are_there() {
    let disk = MemoryDisk::new();
    let (mut log, _, _) = open(&disk).await.unwrap();
    for n in 0..60 {
        log.append(&entries(n * 10..n * 10 + 10)).await.unwrap();
    }
    let first = &segments(&disk).await[0];
    let mut bytes = disk.read(first).await.unwrap().unwrap().to_vec();
    // In the third record's payload.
    let record = 24 + 1 + encode(&entries(0..10)).len() - 1;
    bytes[24 + 2 * record + 40] ^= 1;
    disk.replace(first, bytes.into()).await.unwrap();
    let (_, found, loaded) = open(&disk).await.unwrap();
    assert_eq!((loaded.damaged_records, loaded.entries), (1, 590));
    assert!(loaded.damaged_bytes > 0);
    assert_eq!(found, [entries(0..20), entries(30..600)].concat());
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_counted_and_one_of_a_later_version_is_refused() {
    let disk = MemoryDisk::new();
    let files: Arc<dyn Files> = Arc::new(disk.clone());
    let (mut log, _, _) = open(&disk).await.unwrap();
    log.append(&entries(0..5)).await.unwrap();
    drop(log);
    let options = log::Options { segment_bytes: SMALL };
    let (mut raw, _) = SegmentLog::open(files.clone(), DIR, options).await.unwrap();
    let cut = encode(&entries(5..7));
    raw.append(vec![cut.slice(..cut.len() - 1), encode(&entries(7..9))]).await.unwrap();
    let (_, found, loaded) = open(&disk).await.unwrap();
    assert_eq!(
        loaded,
        Loaded {
            entries: 7,
            damaged_records: 1,
            damaged_bytes: cut.len() as u64 - 1,
            ..Loaded::default()
        }
    );
    assert_eq!(found, [entries(0..5), entries(7..9)].concat(), "nothing of half a record");
    raw.append(vec![Bytes::from_static(&[2, 0])]).await.unwrap();
    let error = open(&disk).await.map(drop).unwrap_err().to_string();
    assert!(error.contains("record 3: format 2") && error.contains("start the version"), "{error}");
}

#[test]
fn the_bytes_are_pinned() {
    let second = TraceAnswer { accepted: 300, late: 2, future: u64::MAX };
    let entries = [
        Remembered { fingerprint: Fingerprint(0x0102), ..entry(1) },
        Remembered { fingerprint: Fingerprint(u128::MAX), uptime: Uptime(9), answer: second },
    ];
    let hex: String = encode(&entries).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, PINNED);
    assert_eq!(decode(&encode(&entries)), Ok(entries.to_vec()));
}

/// The version; an entry of uptime 10; one of uptime 9.
const PINNED: &str = concat!(
    "01",
    "02010000000000000000000000000000",
    "14",
    "010100",
    "ffffffffffffffffffffffffffffffff",
    "01",
    "ac02",
    "02",
    "ffffffffffffffffff01",
);

#[test]
fn the_largest_entries_fit_a_record() {
    let large = TraceAnswer { accepted: u64::MAX, late: u64::MAX, future: u64::MAX };
    let uptimes = [u64::MAX / 2 + 1, 0].map(Uptime);
    let entries: Vec<_> = (0..RECORD_ENTRIES)
        .map(|n| Remembered { uptime: uptimes[n % 2], answer: large, ..entry(n as u64) })
        .collect();
    let bytes = encode(&entries);
    assert!(
        (RECORD_BYTES - RECORD_BYTES / 8..=RECORD_BYTES).contains(&bytes.len()),
        "{}",
        bytes.len()
    );
    assert_eq!(decode(&bytes), Ok(entries));
}

/// What must be there after any crash: what was appended and not trimmed. What may be: what was tried.
#[tokio::test]
async fn random_histories_keep_what_was_appended() {
    let seeds = std::env::var("SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(150);
    for seed in 0..seeds {
        history(seed).await;
    }
}

async fn history(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut disk = MemoryDisk::new();
    // Below `durable` all is on disk, below `tried` it may be; from `kept` on it must.
    let (mut durable, mut tried, mut kept) = (0, 0, 0);
    for _life in 0..6 {
        let Ok((mut log, found, loaded)) = open(&disk).await else {
            disk.clear_faults();
            continue;
        };
        assert_eq!(loaded.damaged_records, 0, "seed {seed}");
        let numbers: BTreeSet<_> = found.iter().map(|found| found.answer.accepted).collect();
        assert!((kept..durable).all(|n| numbers.contains(&n)), "seed {seed}: some are lost");
        assert!(found.iter().all(|found| *found == entry(found.answer.accepted)), "seed {seed}");
        assert!(numbers.last().is_none_or(|last| *last < tried), "seed {seed}: nobody tried it");
        let mut first_seen = BTreeSet::new();
        let firsts =
            found.iter().map(|found| found.answer.accepted).filter(|n| first_seen.insert(*n));
        assert!(firsts.is_sorted(), "seed {seed}: out of order");
        for _ in 0..rng.gen_range(0..20) {
            if rng.gen_bool(0.2) {
                use Operation::{Append, Name, Open, Sync, SyncDir, Truncate};
                let all = [Append, Sync, Truncate, SyncDir, Open, Name];
                let on = all[rng.gen_range(0..all.len())];
                disk.fail(Fault {
                    times: rng.gen_range(1..4),
                    ..Fault::nth(on, rng.gen_range(0..3))
                });
            }
            if rng.gen_bool(0.2) {
                let oldest = rng.gen_range(kept..=durable);
                kept = oldest;
                let _ = log.trim(entry(oldest).uptime).await;
            } else {
                // A failed append is tried again, mostly with more.
                let until = tried.max(durable + rng.gen_range(0..60));
                tried = until;
                if log.append(&entries(durable..until)).await.is_ok() {
                    durable = until;
                }
            }
        }
        if rng.gen_bool(0.7) {
            disk.crash(rng.r#gen());
        } else {
            disk.kill(rng.r#gen());
        }
        if rng.gen_bool(0.7) {
            disk.clear_faults();
        }
        disk = disk.reopen();
    }
}

/// As the edge will: answers complete, some of them are taken over by the log, a crash, a start.
#[tokio::test]
async fn a_repeat_after_the_journal_was_trimmed_and_a_crash_is_known() {
    let disk = MemoryDisk::new();
    let (mut log, _, _) = open(&disk).await.unwrap();
    let dedup = Dedup::new(Options::default(), 1);
    let count = |n| match dedup.register(entry(n).fingerprint, entry(n).uptime) {
        Registration::New(registered) => registered.complete(entry(n).uptime, entry(n).answer),
        other => panic!("{n} is not new: {other:?}"),
    };
    (0..500).for_each(count);
    let trimmed_to = dedup.end();
    (500..700).for_each(count);
    log.append(&dedup.copied(crate::dedup::Place(0)..trimmed_to)).await.unwrap();
    log.trim(dedup.oldest()).await.unwrap();
    disk.crash(3);

    let dedup = Dedup::new(Options::default(), 2);
    let files = Arc::new(disk.reopen());
    let (_, loaded) = FingerprintLog::open(files, DIR, &dedup).await.unwrap();
    assert_eq!(loaded.entries, 500);
    // What the journal still has, some of it a second time.
    dedup.remember(&entries(450..700));
    assert_eq!((dedup.len(), dedup.latest()), (700, entry(699).uptime));
    for n in 0..700 {
        let Registration::Known(answer) = dedup.register(entry(n).fingerprint, dedup.latest())
        else {
            panic!("{n} would count twice");
        };
        assert_eq!(answer, entry(n).answer);
    }
}

/// Figures, not a check: `cargo test --release -p tributary-edge --lib full_window -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "measures; takes long without optimisation"]
async fn a_full_window_is_loaded() {
    const FULL: u64 = 1_500_000;
    let folder = tempfile::tempdir().unwrap();
    let disk = RealDisk::open(folder.path().into(), real::Options::default()).unwrap();
    let mut rng = StdRng::seed_from_u64(1);
    // 2500 requests a second.
    let window: Vec<_> = (0..FULL)
        .map(|n| {
            let answer = TraceAnswer { accepted: rng.gen_range(1..2_000), late: 0, future: 0 };
            let (fingerprint, uptime) = (Fingerprint(rng.r#gen()), Uptime(n * 2 / 5));
            Remembered { fingerprint, uptime, answer }
        })
        .collect();
    let files: Arc<dyn Files> = Arc::new(disk);
    let (mut log, _) =
        FingerprintLog::open(files.clone(), DIR, &Dedup::new(Options::default(), 7)).await.unwrap();
    let began = Instant::now();
    log.append(&window).await.unwrap();
    println!("append {FULL}: {:?}, {} bytes", began.elapsed(), log.bytes());
    drop(log);

    let before = resident_bytes();
    let began = Instant::now();
    let dedup = Dedup::new(Options::default(), 7);
    FingerprintLog::open(files, DIR, &dedup).await.unwrap();
    println!("load: {:?}", began.elapsed());
    let (bytes, len) = (dedup.bytes(), dedup.len());
    assert_eq!((len, dedup.evicted()), (FULL, 0));
    println!(
        "table: {bytes} bytes, {:.2} an entry; resident {:.2} an entry",
        bytes as f64 / len as f64,
        (resident_bytes() - before) as f64 / len as f64
    );

    let mut slowest = Duration::ZERO;
    let began = Instant::now();
    let times = 2_000_000;
    for n in 0..times {
        let one = Instant::now();
        let now = Uptime((FULL + n) * 2 / 5);
        match dedup.register(Fingerprint(rng.r#gen()), now) {
            Registration::New(new) => new.complete(now, entry(n).answer),
            other => panic!("{other:?}"),
        }
        slowest = slowest.max(one.elapsed());
    }
    let each = began.elapsed() / times as u32;
    println!("register and complete, full: {each:?} each, the slowest {slowest:?}");
    let began = Instant::now();
    for known in &window[window.len() - 100_000..] {
        dedup.register(known.fingerprint, known.uptime);
    }
    println!("look-ups of what is expired or known: {:?} each", began.elapsed() / 100_000);
    println!("then {} entries, {} bytes, {} evicted", dedup.len(), dedup.bytes(), dedup.evicted());
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}
