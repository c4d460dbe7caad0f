//! What the log promises on every disk.

use std::sync::Arc;

use bytes::Bytes;

use super::segment::{HEADER_BYTES, path};
use super::{Index, LogError, MAX_RECORD_BYTES, Options, Recovered, SegmentLog, record};
use crate::disk::Files;
use crate::disk::conformance::{Rig, on_every_disk};

on_every_disk!(
    records_come_back_in_order,
    an_empty_log_starts_at_zero,
    reading_starts_at_any_record,
    a_tail_torn_at_any_byte_is_cut,
    a_flipped_bit_in_the_last_batch_cuts_it,
    a_flipped_bit_below_a_later_batch_is_set_apart,
    what_vouches_for_a_hole_may_be_cut,
    what_vouches_for_a_header_may_be_cut,
    a_lost_segment_is_told,
    the_name_of_a_segment_vouches_for_those_before_it,
    a_batch_lost_with_part_of_its_predecessor_keeps_the_indexes,
    trimmed_segments_are_gone,
    a_wholly_trimmed_log_keeps_its_indexes,
    a_reader_survives_a_trim,
    an_unknown_format_is_refused,
    a_damaged_header_loses_no_records,
    a_giant_record_is_refused_both_ways,
    a_record_that_nobody_can_have_written_is_none,
    a_record_stands_where_those_before_it_had_room,
    other_files_are_left_alone,
);

const DIR: &str = "raft/log";
const SMALL: Options = Options { segment_bytes: 300 };
const BIG: Options = Options { segment_bytes: 1 << 20 };

async fn open(rig: &dyn Rig, options: Options) -> (SegmentLog, Recovered) {
    SegmentLog::open(rig.disk(), DIR, options).await.unwrap()
}

fn record(n: u64) -> Bytes {
    Bytes::from(format!("record {n} {}", "x".repeat(n as usize % 40)))
}

fn batch(from: u64, count: u64) -> Vec<Bytes> {
    (from..from + count).map(record).collect()
}

async fn read(log: &SegmentLog, from: u64) -> Vec<(u64, Bytes)> {
    let (mut reader, mut found) = (log.read_from(Index(from)), Vec::new());
    while let Some((index, payload)) = reader.next().await.unwrap() {
        found.push((index.0, payload));
    }
    found
}

fn records(indexes: impl IntoIterator<Item = u64>) -> Vec<(u64, Bytes)> {
    indexes.into_iter().map(|n| (n, record(n))).collect()
}

/// Changes a file behind the log's back, durably.
async fn edit(files: &dyn Files, path: &str, edit: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = files.read(path).await.unwrap().unwrap().to_vec();
    edit(&mut bytes);
    files.replace(path, bytes.into()).await.unwrap();
}

async fn records_come_back_in_order(rig: &mut dyn Rig) {
    let mut next = 0;
    for round in 0..6 {
        let (mut log, recovered) = open(rig, SMALL).await;
        assert_eq!(recovered, Recovered { next: Index(next), ..Recovered::default() });
        assert_eq!(read(&log, 0).await, records(0..next));
        for count in 1..4 {
            let range = log.append(batch(next, count)).await.unwrap();
            next += count;
            assert_eq!(range, Index(next - count)..Index(next));
            assert_eq!(read(&log, 0).await, records(0..next));
        }
        assert_eq!(log.append(Vec::new()).await.unwrap(), Index(next)..Index(next));
        drop(log);
        if round % 2 == 0 {
            rig.restart();
        }
    }
    assert!(rig.disk().list(DIR).await.unwrap().len() > 3, "it never rolled");
}

async fn an_empty_log_starts_at_zero(rig: &mut dyn Rig) {
    for _ in 0..3 {
        let (log, recovered) = open(rig, SMALL).await;
        assert_eq!(recovered, Recovered::default());
        assert_eq!((log.first_index(), log.next_index(), log.bytes()), (Index(0), Index(0), 0));
        assert!(read(&log, 0).await.is_empty());
        rig.restart();
    }
}

async fn reading_starts_at_any_record(rig: &mut dyn Rig) {
    let (mut log, _) = open(rig, Options { segment_bytes: 300 << 10 }).await;
    let long = |n: u64| Bytes::from(vec![n as u8; 9000]);
    for n in 0..100 {
        log.append(vec![long(n)]).await.unwrap();
    }
    for from in [0, 1, 7, 8, 31, 32, 33, 64, 99, 100, 101] {
        let found = read(&log, from).await;
        let expected: Vec<_> = (from..100).map(|n| (n, long(n))).collect();
        assert_eq!(found, expected, "from {from}");
    }
    let disk = rig.disk();
    drop(log);
    let (log, _) = SegmentLog::open(disk, DIR, BIG).await.unwrap();
    assert_eq!(read(&log, 97).await, (97..100).map(|n| (n, long(n))).collect::<Vec<_>>());
}

async fn a_tail_torn_at_any_byte_is_cut(rig: &mut dyn Rig) {
    let (mut log, _) = open(rig, BIG).await;
    log.append(batch(0, 3)).await.unwrap();
    let synced = log.bytes() as usize;
    log.append(batch(3, 3)).await.unwrap();
    drop(log);
    let file = path(DIR, Index(0));
    let whole = rig.disk().read(&file).await.unwrap().unwrap();
    let ends: Vec<usize> = (3..6)
        .scan(synced, |end, n| {
            *end += 24 + record(n).len();
            Some(*end)
        })
        .collect();
    for len in synced..whole.len() {
        rig.disk().replace(&file, whole.slice(..len)).await.unwrap();
        let (mut log, recovered) = open(rig, BIG).await;
        let kept = ends.iter().filter(|end| **end <= len).count() as u64;
        assert_eq!(recovered.next, Index(3 + kept), "cut at {len}");
        let end = ends[..kept as usize].last().copied().unwrap_or(synced);
        assert_eq!(recovered.cut_bytes, (len - end) as u64);
        assert!(recovered.damaged.is_empty());
        log.append(batch(3 + kept, 1)).await.unwrap();
        assert_eq!(read(&log, 0).await, records(0..4 + kept));
        drop(log);
        rig.restart();
        let (log, recovered) = open(rig, BIG).await;
        assert_eq!((recovered.next, recovered.cut_bytes), (Index(4 + kept), 0));
        assert_eq!(read(&log, 0).await, records(0..4 + kept));
    }
}

async fn a_flipped_bit_in_the_last_batch_cuts_it(rig: &mut dyn Rig) {
    let (mut log, _) = open(rig, BIG).await;
    log.append(batch(0, 2)).await.unwrap();
    let synced = log.bytes() as usize;
    log.append(batch(2, 2)).await.unwrap();
    drop(log);
    let file = path(DIR, Index(0));
    let whole = rig.disk().read(&file).await.unwrap().unwrap();
    let second = synced + 24 + record(2).len();
    for at in synced..whole.len() {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 1 << (at % 8);
        rig.disk().replace(&file, bytes.into()).await.unwrap();
        let (mut log, recovered) = open(rig, BIG).await;
        let kept = if at < second { 2 } else { 3 };
        assert_eq!(recovered.next, Index(kept), "bit at {at}");
        assert!(recovered.damaged.is_empty() && recovered.cut_bytes > 0);
        log.append(batch(kept, 2)).await.unwrap();
        assert_eq!(read(&log, 0).await, records(0..kept + 2));
    }
}

async fn a_flipped_bit_below_a_later_batch_is_set_apart(rig: &mut dyn Rig) {
    let (mut log, _) = open(rig, BIG).await;
    for n in 0..4 {
        log.append(batch(n, 1)).await.unwrap();
    }
    drop(log);
    let file = path(DIR, Index(0));
    let whole = rig.disk().read(&file).await.unwrap().unwrap();
    let start = HEADER_BYTES + 24 + record(0).len();
    let end = start + 24 + record(1).len();
    for at in start..end {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 1 << (at % 8);
        rig.disk().replace(&file, bytes.into()).await.unwrap();
        for _ in 0..2 {
            let (log, recovered) = open(rig, BIG).await;
            assert_eq!((recovered.next, recovered.cut_bytes), (Index(4), 0), "bit at {at}");
            let [damage] = &recovered.damaged[..] else { panic!("{:?}", recovered.damaged) };
            assert_eq!((damage.from, damage.to), (Index(1), Index(2)));
            assert_eq!(damage.bytes, (end - start) as u64);
            let text = damage.to_string();
            assert!(text.contains("1 records from 1 on are lost"), "{text}");
            assert_eq!(read(&log, 0).await, records([0, 2, 3]));
            assert_eq!(read(&log, 1).await, records([2, 3]));
            assert_eq!(read(&log, 3).await, records([3]));
        }
    }
}

/// A damaged record in the last batch that was synced, and a torn one at the beginning of the next: only what
/// is left of that one vouches for the first.
async fn what_vouches_for_a_hole_may_be_cut(rig: &mut dyn Rig) {
    let (mut log, _) = open(rig, BIG).await;
    let mut ends = Vec::new();
    for (from, count) in [(0, 1), (1, 2), (3, 2)] {
        log.append(batch(from, count)).await.unwrap();
        ends.push(log.bytes() as usize);
    }
    drop(log);
    edit(&*rig.disk(), &path(DIR, Index(0)), |bytes| {
        bytes[ends[0] + 24] ^= 1;
        bytes[ends[1] + 24] ^= 1;
    })
    .await;
    for cut_bytes in [ends[2] - ends[1], 0] {
        let (log, recovered) = open(rig, BIG).await;
        assert_eq!((recovered.next, recovered.cut_bytes), (Index(3), cut_bytes as u64));
        let [damage] = &recovered.damaged[..] else { panic!("{:?}", recovered.damaged) };
        assert_eq!((damage.from, damage.to), (Index(1), Index(2)));
        assert_eq!(read(&log, 0).await, records([0, 2]));
    }
}

/// Without its header and without the torn batch a segment looks as if its making had never ended.
async fn what_vouches_for_a_header_may_be_cut(rig: &mut dyn Rig) {
    let (mut log, _) = open(rig, BIG).await;
    log.append(batch(0, 2)).await.unwrap();
    let synced = log.bytes() as usize;
    log.append(batch(2, 2)).await.unwrap();
    drop(log);
    edit(&*rig.disk(), &path(DIR, Index(0)), |bytes| {
        bytes[3] ^= 4;
        bytes[synced + 24] ^= 1;
    })
    .await;
    for _ in 0..3 {
        let (log, recovered) = open(rig, BIG).await;
        assert_eq!((read(&log, 0).await, recovered.next), (records(0..2), Index(2)));
        assert_eq!(recovered.damaged.len(), 1, "the header: {:?}", recovered.damaged);
    }
}

/// The power went while a segment was made; what stands before it had been synced by then.
async fn the_name_of_a_segment_vouches_for_those_before_it(rig: &mut dyn Rig) {
    let (mut log, _) = open(rig, BIG).await;
    log.append(batch(0, 3)).await.unwrap();
    let last = log.bytes() as usize - 1;
    drop(log);
    edit(&*rig.disk(), &path(DIR, Index(0)), |bytes| bytes[last] ^= 1).await;
    rig.disk().replace(&path(DIR, Index(3)), Bytes::from_static(b"Tri")).await.unwrap();
    for cut_bytes in [3, 0] {
        let (log, recovered) = open(rig, BIG).await;
        assert_eq!((recovered.next, recovered.cut_bytes), (Index(3), cut_bytes));
        let [damage] = &recovered.damaged[..] else { panic!("{:?}", recovered.damaged) };
        assert_eq!((damage.from, damage.to), (Index(2), Index(3)));
        assert_eq!(read(&log, 0).await, records(0..2));
    }
    let (mut log, _) = open(rig, BIG).await;
    log.append(batch(3, 1)).await.unwrap();
    drop(log);
    assert_eq!(read(&open(rig, BIG).await.0, 0).await, records([0, 1, 3]));
}

async fn a_lost_segment_is_told(rig: &mut dyn Rig) {
    let (mut log, _) = open(rig, Options { segment_bytes: 1 }).await;
    for n in 0..4 {
        log.append(batch(n * 2, 2)).await.unwrap();
    }
    drop(log);
    rig.disk().remove(&path(DIR, Index(2))).await.unwrap();
    edit(&*rig.disk(), &path(DIR, Index(4)), |bytes| bytes.truncate(30)).await;
    let (log, recovered) = open(rig, SMALL).await;
    let lost: Vec<_> = recovered.damaged.iter().map(|d| (d.from.0, d.to.0)).collect();
    assert_eq!(lost, [(2, 4), (4, 6)]);
    assert_eq!(read(&log, 0).await, records([0, 1, 6, 7]));
    assert_eq!(read(&log, 3).await, records([6, 7]));
}

async fn a_batch_lost_with_part_of_its_predecessor_keeps_the_indexes(rig: &mut dyn Rig) {
    let (mut log, _) = open(rig, BIG).await;
    log.append(batch(0, 3)).await.unwrap();
    let synced = log.bytes() as usize;
    log.append(batch(3, 2)).await.unwrap();
    drop(log);
    // Record 2 was promised and record 3 was not; record 4 tells which is which.
    let hurt = synced - 5..synced + 5;
    edit(&*rig.disk(), &path(DIR, Index(0)), |bytes| bytes[hurt].fill(0xee)).await;
    for round in 0..3 {
        let (mut log, recovered) = open(rig, BIG).await;
        let lost: Vec<_> = recovered.damaged.iter().map(|d| (d.from.0, d.to.0)).collect();
        assert_eq!((recovered.next, &lost[..]), (Index(3 + round), &[(2, 3)][..]));
        log.append(batch(3 + round, 1)).await.unwrap();
        let expected = records((0..2).chain(3..4 + round));
        assert_eq!(read(&log, 0).await, expected);
        drop(log);
        rig.restart();
    }
}

async fn trimmed_segments_are_gone(rig: &mut dyn Rig) {
    let (mut log, _) = open(rig, SMALL).await;
    for n in 0..40 {
        log.append(batch(n, 1)).await.unwrap();
    }
    let before = log.bytes();
    log.trim(Index(20)).await.unwrap();
    let first = log.first_index().0;
    assert!((10..=20).contains(&first), "{first}");
    assert!(log.bytes() < before);
    assert_eq!(read(&log, 0).await, records(first..40));
    log.trim(Index(3)).await.unwrap();
    assert_eq!(log.first_index(), Index(first));
    drop(log);
    rig.restart();
    let (log, recovered) = open(rig, SMALL).await;
    assert_eq!((recovered.first, recovered.next), (Index(first), Index(40)));
    assert_eq!(read(&log, 0).await, records(first..40));
}

async fn a_wholly_trimmed_log_keeps_its_indexes(rig: &mut dyn Rig) {
    let mut next = 0;
    for _ in 0..4 {
        let (mut log, recovered) = open(rig, SMALL).await;
        assert_eq!(recovered.next, Index(next));
        for _ in 0..10 {
            log.append(batch(next, 1)).await.unwrap();
            next += 1;
        }
        log.trim(Index(next + 100)).await.unwrap();
        log.trim(Index(next)).await.unwrap();
        assert!(log.bytes() <= SMALL.segment_bytes / 2, "{} bytes are kept", log.bytes());
        drop(log);
        rig.restart();
    }
}

async fn a_reader_survives_a_trim(rig: &mut dyn Rig) {
    let (mut log, _) = open(rig, SMALL).await;
    for n in 0..40 {
        log.append(batch(n, 1)).await.unwrap();
    }
    let mut reader = log.read_from(Index(0));
    log.trim(Index(40)).await.unwrap();
    log.append(batch(40, 1)).await.unwrap();
    for n in 0..40 {
        assert_eq!(reader.next().await.unwrap(), Some((Index(n), record(n))));
    }
    assert_eq!(reader.next().await.unwrap(), None);
}

async fn an_unknown_format_is_refused(rig: &mut dyn Rig) {
    let (mut log, _) = open(rig, SMALL).await;
    log.append(batch(0, 1)).await.unwrap();
    drop(log);
    edit(&*rig.disk(), &path(DIR, Index(0)), |bytes| {
        bytes[8] = 2;
        let crc = crc32fast::hash(&bytes[..20]);
        bytes[20..24].copy_from_slice(&crc.to_le_bytes());
    })
    .await;
    let error = SegmentLog::open(rig.disk(), DIR, SMALL).await.map(drop).unwrap_err();
    assert!(matches!(error, LogError::UnknownFormat { found: 2, .. }), "{error}");
}

async fn a_damaged_header_loses_no_records(rig: &mut dyn Rig) {
    let (mut log, _) = open(rig, BIG).await;
    log.append(batch(0, 1)).await.unwrap();
    log.append(batch(1, 1)).await.unwrap();
    drop(log);
    edit(&*rig.disk(), &path(DIR, Index(0)), |bytes| bytes[3] ^= 4).await;
    let (log, recovered) = open(rig, BIG).await;
    let [damage] = &recovered.damaged[..] else { panic!("{:?}", recovered.damaged) };
    assert!(damage.to_string().contains("no record is lost"), "{damage}");
    assert_eq!(read(&log, 0).await, records(0..2));
}

async fn a_giant_record_is_refused_both_ways(rig: &mut dyn Rig) {
    let (mut log, _) = open(rig, BIG).await;
    log.append(batch(0, 1)).await.unwrap();
    let giant = Bytes::from(vec![0; MAX_RECORD_BYTES + 1]);
    let error = log.append(vec![record(1), giant]).await.unwrap_err();
    assert!(matches!(error, LogError::TooLarge { .. }) && !error.is_retryable());
    log.append(batch(1, 1)).await.unwrap();
    let at = log.bytes() as usize - 24 - record(1).len();
    drop(log);
    edit(&*rig.disk(), &path(DIR, Index(0)), |bytes| bytes[at + 4..at + 8].fill(0xff)).await;
    assert_eq!(open(rig, BIG).await.1.next, Index(1));
}

/// Their checksums are right.
async fn a_record_that_nobody_can_have_written_is_none(rig: &mut dyn Rig) {
    for (index, vouched) in [(u64::MAX, 0), (u64::MAX, u64::MAX), (2, 3)] {
        let (mut log, _) = open(rig, BIG).await;
        let next = log.append(batch(0, 2)).await.unwrap().end;
        drop(log);
        edit(&*rig.disk(), &path(DIR, Index(0)), |bytes| {
            record::encode(bytes, Index(index), Index(vouched), [b"a lie", b""]);
        })
        .await;
        let (mut log, recovered) = open(rig, BIG).await;
        assert_eq!((recovered.next, recovered.cut_bytes), (next, 24 + 5));
        assert_eq!(log.append(batch(2, 1)).await.unwrap().start, next);
        drop(log);
        rig.disk().remove_dir(DIR).await.unwrap();
    }
    let beyond = path(DIR, Index(u64::MAX));
    let (log, _) = open(rig, BIG).await;
    drop(log);
    rig.disk().replace(&beyond, Bytes::from_static(b"no segment")).await.unwrap();
    assert_eq!(open(rig, BIG).await.0.next_index(), Index(0));
}

/// Bytes are gone from between two records, and what is left behind them would have room for the lost ones:
/// until it is cut.
async fn a_record_stands_where_those_before_it_had_room(rig: &mut dyn Rig) {
    let (mut log, _) = open(rig, BIG).await;
    let mut ends = Vec::new();
    for n in 0..5 {
        log.append(batch(n, 1)).await.unwrap();
        ends.push(log.bytes() as usize);
    }
    drop(log);
    edit(&*rig.disk(), &path(DIR, Index(0)), |bytes| {
        bytes.drain(ends[0] + 5..ends[3]);
        bytes.extend([0xff; 100]);
    })
    .await;
    for _ in 0..2 {
        let (log, recovered) = open(rig, BIG).await;
        assert_eq!((read(&log, 0).await, recovered.next), (records(0..1), Index(1)));
    }
}

async fn other_files_are_left_alone(rig: &mut dyn Rig) {
    let (mut log, _) = open(rig, SMALL).await;
    log.append(batch(0, 1)).await.unwrap();
    drop(log);
    let disk: Arc<dyn Files> = rig.disk();
    disk.replace("raft/log/notes.txt", Bytes::from_static(b"mine")).await.unwrap();
    let (log, _) = open(rig, SMALL).await;
    assert_eq!(read(&log, 0).await, records(0..1));
    assert_eq!(disk.list(DIR).await.unwrap().len(), 2);
}
