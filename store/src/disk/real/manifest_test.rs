use std::path::PathBuf;

use super::*;
use crate::disk::real::{Options, RealDisk};
use crate::disk::{Batch, Disk};

const NAMES: [&str; 3] = ["a", "b", "c"];

/// A log with records of these lengths, and where each begins.
fn log(lengths: &[usize]) -> (Vec<u8>, Vec<usize>) {
    let (mut log, mut starts) = (Vec::new(), Vec::new());
    for (number, length) in (1..).zip(lengths) {
        let mut rest = vec![number; *length];
        let mut is_first = true;
        loop {
            log.resize(skip_block_end(log.len()), 0);
            if is_first {
                starts.push(log.len());
            }
            let room = BLOCK_BYTES - log.len() % BLOCK_BYTES - HEAD_BYTES;
            let later = rest.split_off(room.min(rest.len()));
            let kind = match (is_first, later.is_empty()) {
                (true, true) => 1,
                (true, false) => 2,
                (false, false) => 3,
                (false, true) => 4,
            };
            let checked = [&[kind], rest.as_slice()].concat();
            log.extend(masked(crc32c(&checked)).to_le_bytes());
            log.extend((rest.len() as u16).to_le_bytes());
            log.extend(checked);
            (rest, is_first) = (later, false);
            if rest.is_empty() {
                break;
            }
        }
    }
    (log, starts)
}

#[test]
fn the_checksum_is_crc32c() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}

#[test]
fn a_sound_log_is_sound_wherever_it_ends() {
    let (log, starts) = log(&[100, 200, 70_000, 300]);
    for end in (starts[1]..=log.len()).step_by(997) {
        let ending = examine(&log[..end]);
        assert!(!matches!(ending, Ending::Damaged(_)), "{ending:?} with {end} bytes");
    }
    assert_eq!(examine(&log), Ending::Sound);
}

#[test]
fn zeros_for_the_end_of_the_last_record_are_torn() {
    for last in [100, 1000, 70_000] {
        let (whole, starts) = log(&[100, 200, last]);
        for from in (starts[2] + HEAD_BYTES..whole.len() - ZEROS).step_by(last / 40 + 1) {
            let mut torn = whole.clone();
            torn[from..].fill(0);
            assert_eq!(examine(&torn), Ending::Torn(starts[2]), "zeros from {from}");
        }
    }
}

#[test]
fn a_sector_that_is_missing_in_the_last_record_is_torn() {
    let (mut log, starts) = log(&[100, 5000]);
    log[2 * SECTOR_BYTES..3 * SECTOR_BYTES].fill(0);
    assert_eq!(examine(&log), Ending::Torn(starts[1]));
}

#[test]
fn a_bit_that_flipped_is_damage_wherever_it_is() {
    let (whole, starts) = log(&[100, 200, 300]);
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        let ending = examine(&flipped);
        let is_kind = starts.iter().any(|start| start + 6 == at);
        // RocksDB is asked about kinds and lengths that cannot be.
        let is_length = starts[2] + 4 == at || starts[2] + 5 == at;
        if !is_kind && !is_length {
            assert!(matches!(ending, Ending::Damaged(_)), "{ending:?}, flipped {at}");
        }
    }
}

#[test]
fn nothing_is_cut_off_that_a_good_record_stands_behind() {
    let (mut log, starts) = log(&[100, 600, 300]);
    log[starts[1] + 20..starts[2]].fill(0);
    assert_eq!(examine(&log), Ending::Damaged(starts[1]));
}

#[test]
fn what_has_no_sound_record_is_not_emptied() {
    let (mut log, _) = log(&[1000]);
    log[20..].fill(0);
    assert_eq!(examine(&log), Ending::Damaged(0));
}

/// A database with one row on disk before the last flush and one behind it, closed, and how long its
/// MANIFEST was in between.
async fn database(root: &Path) -> (PathBuf, usize) {
    let disk = RealDisk::open(root.to_owned(), Options::default()).unwrap();
    let families = disk.families("db", &NAMES).await.unwrap();
    let mut before = 0;
    for key in ["before", "behind"] {
        before = fs::metadata(manifest(&root.join("db"))).unwrap().len() as usize;
        let mut batch = Batch::default();
        (0..NAMES.len()).for_each(|family| batch.put(family, key, "x"));
        families.write(batch).await.unwrap();
        families.flush().await.unwrap();
    }
    (root.join("db"), before)
}

fn manifest(db: &Path) -> PathBuf {
    let current = fs::read_to_string(db.join("CURRENT")).unwrap();
    db.join(current.trim())
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[tokio::test]
async fn rocksdb_opens_what_a_cut_has_torn() {
    let root = tempfile::tempdir().unwrap();
    let (db, synced) = database(root.path()).await;
    let log = fs::read(manifest(&db)).unwrap();
    assert_eq!(examine(&log), Ending::Sound);
    let disk = RealDisk::open(root.path().to_owned(), Options::default()).unwrap();
    for from in (synced + 1..log.len()).step_by(23) {
        let dir = format!("torn-{from}");
        copy(&db, &root.path().join(&dir));
        let mut torn = log.clone();
        torn[from..].fill(0);
        fs::write(manifest(&root.path().join(&dir)), torn).unwrap();
        let families = disk.families(&dir, &NAMES).await.unwrap_or_else(|error| {
            panic!("zeros from {from} on, of {} behind {synced}: {error}", log.len())
        });
        let snapshot = families.snapshot();
        let mut behind = Vec::new();
        for family in 0..NAMES.len() {
            assert!(snapshot.get(family, b"before").await.unwrap().is_some(), "zeros from {from}");
            behind.push(snapshot.get(family, b"behind").await.unwrap());
        }
        assert!(behind.iter().all(|row| *row == behind[0]), "a flush is half there");
        let mut batch = Batch::default();
        batch.put(0, "again", "x");
        families.write(batch).await.unwrap();
        families.flush().await.unwrap();
    }
}

#[tokio::test]
async fn damage_is_refused_with_what_to_do() {
    let root = tempfile::tempdir().unwrap();
    let (db, synced) = database(root.path()).await;
    let disk = RealDisk::open(root.path().to_owned(), Options::default()).unwrap();
    let path = manifest(&db);
    let sound = fs::read(&path).unwrap();
    let mut flipped = sound.clone();
    flipped[synced - 20] ^= 1;
    fs::write(&path, &flipped).unwrap();
    let error = disk.families("db", &NAMES).await.map(drop).unwrap_err();
    assert!(error.kind == ErrorKind::Corrupt && error.reason.contains(ADVICE), "{error}");
    assert_eq!(fs::read(&path).unwrap(), flipped, "nothing was cut off");

    fs::write(&path, &sound).unwrap();
    let current = fs::read(db.join("CURRENT")).unwrap();
    for bad in [&b""[..], b"MANIFEST-000005", b"MANIFEST-999999\n", b"what\n", b"\xff\n", b"../x\n"]
    {
        fs::write(db.join("CURRENT"), bad).unwrap();
        let error = disk.families("db", &NAMES).await.map(drop).unwrap_err();
        assert!(error.reason.contains(ADVICE), "{bad:?}: {error}");
    }
    fs::write(db.join("CURRENT"), current).unwrap();
    disk.families("db", &NAMES).await.unwrap();
}
