//! Bytes as what a crash, or a bad disk, left of a segment log; the records in it as the journal's.
//!
//! The bytes are cut into files where a segment's magic stands, and recovered twice: as they are, and with
//! checksums made right, since no mutation meets one by chance.
//!
//! - Nothing is shown that does not stand in a file behind a checksum that fits.
//! - Indexes ascend, and what is missing between them was told as damage.
//! - What was shown once is shown again, whatever the power does, and the log goes on behind it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use tributary_edge::fuzzing;
use tributary_store::disk::Files;
use tributary_store::disk::memory::MemoryDisk;
use tributary_store::log::{Index, LogError, Options, Recovered, Result, SegmentLog};

use crate::settled::settled;

/// As `store`'s log documents them.
const MAGIC: &[u8] = b"TribLog\0";
const HEADER_BYTES: usize = 24;
const HEAD_BYTES: usize = 24;

const DIR: &str = "log";

/// A log's files by the first index in their name.
type Segments = BTreeMap<u64, Vec<u8>>;
type Shown = Vec<(Index, Bytes)>;

pub fn check(data: &[u8]) {
    record(&Bytes::copy_from_slice(data));
    let mut segments = cut(data);
    settled(recover(&segments));
    segments.values_mut().for_each(|file| mend(file));
    settled(recover(&segments));
}

/// A record that reads has one encoding.
fn record(bytes: &Bytes) {
    if let Ok(written) = fuzzing::record(bytes) {
        assert_eq!(written, *bytes, "a record that was written in another way");
    }
}

fn cut(data: &[u8]) -> Segments {
    let begins = data.windows(MAGIC.len()).enumerate().filter(|(_, bytes)| *bytes == MAGIC);
    let mut begins: Vec<usize> = begins.map(|(at, _)| at).collect();
    if begins.first() != Some(&0) {
        begins.insert(0, 0);
    }
    let ends = begins[1..].iter().copied().chain([data.len()]);
    let mut segments = Segments::new();
    for (begin, end) in begins.iter().copied().zip(ends) {
        let file = &data[begin..end];
        let first = file.get(12..).and_then(<[u8]>::first_chunk);
        let first =
            first.filter(|_| file.starts_with(MAGIC)).map_or(0, |it| u64::from_le_bytes(*it));
        segments.entry(first).or_insert_with(|| file.to_vec());
    }
    segments
}

/// Makes the header's checksum right, and each record's as far as their lengths lead.
fn mend(file: &mut [u8]) {
    if let Some(header) = file.get_mut(..HEADER_BYTES) {
        let crc = crc32fast::hash(&header[..20]);
        header[20..].copy_from_slice(&crc.to_le_bytes());
    }
    let mut rest = file.get_mut(HEADER_BYTES..).unwrap_or_default();
    while let Some(len) = rest.get(4..).and_then(<[u8]>::first_chunk) {
        let size = HEAD_BYTES + u32::from_le_bytes(*len) as usize;
        let Some((record, behind)) = rest.split_at_mut_checked(size) else { return };
        let crc = crc32fast::hash(&record[4..]);
        record[..4].copy_from_slice(&crc.to_le_bytes());
        rest = behind;
    }
}

async fn recover(segments: &Segments) {
    let disk = MemoryDisk::new();
    disk.create_dir(DIR).await.expect("the disk is well");
    for (first, file) in segments {
        let path = format!("{DIR}/{first:020}.log");
        disk.replace(&path, file.clone().into()).await.expect("the disk is well");
    }
    let (log, recovered) = match open(&disk).await {
        Ok(opened) => opened,
        Err(LogError::UnknownFormat { .. }) => return,
        Err(error) => panic!("the disk is well: {error}"),
    };
    let mut shown = read(&log).await;
    no_gap_is_untold(&shown, &recovered);
    every_checksum_fits(&shown, segments);
    shown.iter().for_each(|(_, payload)| record(payload));

    let (mut log, again) = power_cut(&disk, 1).await;
    assert_eq!(read(&log).await, shown, "what was shown, after a power cut");
    assert_eq!(log.next_index(), recovered.next, "the next index, after a power cut");
    assert_eq!(again.cut_bytes, 0, "cut twice");

    let next = Bytes::from_static(b"the next");
    let at = log.append(vec![next.clone()]).await.expect("the disk is well").start;
    assert_eq!(at, recovered.next);
    shown.push((at, next));
    let (log, _) = power_cut(&disk.reopen(), 2).await;
    assert_eq!(read(&log).await, shown, "a further record, after a power cut");
}

async fn open(disk: &MemoryDisk) -> Result<(SegmentLog, Recovered)> {
    SegmentLog::open(Arc::new(disk.clone()), DIR, Options::default()).await
}

async fn power_cut(disk: &MemoryDisk, seed: u64) -> (SegmentLog, Recovered) {
    disk.crash(seed);
    open(&disk.reopen()).await.expect("it opened before")
}

async fn read(log: &SegmentLog) -> Shown {
    let (mut reader, mut shown) = (log.read_from(log.first_index()), Shown::new());
    while let Some(record) = reader.next().await.expect("it was read at the opening") {
        shown.push(record);
    }
    shown
}

fn no_gap_is_untold(shown: &Shown, recovered: &Recovered) {
    let mut damaged: Vec<_> = recovered.damaged.iter().map(|it| (it.from, it.to)).collect();
    damaged.sort_unstable();
    let mut wanted = recovered.first;
    for index in shown.iter().map(|(index, _)| *index).chain([recovered.next]) {
        assert!(wanted <= index, "record {index} comes behind {wanted}");
        let told = damaged.iter().fold(
            wanted,
            |told, (from, to)| {
                if *from <= told { told.max(*to) } else { told }
            },
        );
        assert!(index <= told.max(wanted), "{told} to {index} are missing, and not told");
        wanted = Index(index.0.saturating_add(1));
    }
}

fn every_checksum_fits(shown: &Shown, segments: &Segments) {
    let mut left: HashMap<u64, &[u8]> =
        shown.iter().map(|(index, payload)| (index.0, &payload[..])).collect();
    for file in segments.values() {
        for record in (0..file.len()).map(|at| &file[at..]) {
            let Some((head, rest)) = record.split_first_chunk::<HEAD_BYTES>() else { break };
            let (crc, len) = (&head[..4], &head[4..8]);
            let index = u64::from_le_bytes(*head[8..].first_chunk().expect("eight are left"));
            let Some(payload) = left.get(&index) else { continue };
            if len != (payload.len() as u32).to_le_bytes() || !rest.starts_with(payload) {
                continue;
            }
            if crc32fast::hash(&record[4..HEAD_BYTES + payload.len()]).to_le_bytes() == crc {
                left.remove(&index);
            }
        }
    }
    assert!(left.is_empty(), "shown, though no checksum fits: {left:?}");
}
