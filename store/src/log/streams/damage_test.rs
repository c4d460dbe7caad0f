//! Never a wrong record: what is damaged is told, by stream where that can be known.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::item::Item;
use super::model::{Model, append, cut, drop_stream, open, purge, put, restart};
use super::{CellId, Damage, Index, Op, Recovered, StreamError, StreamId, StreamReader};
use crate::disk::Files;
use crate::disk::memory::MemoryDisk;
use crate::log::crash_test::run;
use crate::log::record;
use crate::log::segment::HEADER_BYTES;

const LONG: &str = "some bytes that fill segments, so that the streams stand in several of them";
/// In batches of its own at the very end, which cannot be told from a torn tail.
const LAST: u32 = 99;

/// One segment and two more; each kind of record in the first and in the last.
fn history() -> Vec<Vec<Op>> {
    let mut batches = Vec::new();
    for round in 0..3 {
        let at = round * 40;
        batches
            .push(vec![append(1, at, &["a", "b", "c", "d"]), put(1, 0, &format!("vote {round}"))]);
        batches.push(vec![
            cut(1, at + 2),
            append(1, at + 2, &["other c", "other d"]),
            put(2, 1, "x"),
        ]);
        batches.push(vec![append(2, round * 3, &["e", "f", "g"]), purge(1, at + 1)]);
        batches.push(vec![append(3, 5, &["dropped"]), drop_stream(3), append(3, 5, &["anew"])]);
        for n in 0..6 {
            batches.push(vec![append(4, round * 12 + n * 2, &[LONG, LONG])]);
        }
        batches.push(vec![purge(4, round * 12 + 8)]);
        if round < 2 {
            batches.push(vec![drop_stream(3), restart(1, at + 40)]);
        }
    }
    batches
}

struct Log {
    disk: MemoryDisk,
    files: BTreeMap<String, Bytes>,
    stands: Model,
    /// Whatever was appended, by stream and index.
    written: BTreeSet<(u32, u64, Bytes)>,
}

impl Log {
    async fn new() -> Log {
        let disk = MemoryDisk::new();
        let mut streams = open(&disk).await.unwrap().0;
        let mut written = BTreeSet::new();
        let mut write = async |ops: &[Op]| {
            for op in ops {
                if let Op::Append { stream, first, records } = op {
                    let records = (first.0..).zip(records.iter().cloned());
                    written.extend(records.map(|(index, record)| (stream.0, index, record)));
                }
            }
            streams.write(ops).await.unwrap().into_iter().for_each(|answer| answer.unwrap());
        };
        for ops in history() {
            write(&ops).await;
        }
        let usage = streams.reader().usage();
        assert!(usage.copied_records > 0, "{usage:?}");
        let stands = Model::read(&streams.reader(), 100).await.unwrap();
        let last = [append(LAST, 0, &["last"])];
        streams.write(&last).await.unwrap();
        let mut files = BTreeMap::new();
        for name in disk.list("log").await.unwrap() {
            let path = format!("log/{name}");
            files.insert(path.clone(), disk.read(&path).await.unwrap().unwrap());
        }
        assert!(files.len() > 1, "{:?}", files.keys());
        Log { disk, files, stands, written }
    }

    /// Opens it with some bytes changed; what was changed is there again for the next one.
    async fn open_with(
        &self,
        path: &str,
        change: impl FnOnce(&mut Vec<u8>),
    ) -> (StreamReader, Recovered) {
        let mut change = Some(change);
        for name in self.disk.list("log").await.unwrap() {
            self.disk.remove(&format!("log/{name}")).await.unwrap();
        }
        for (known, bytes) in &self.files {
            let mut bytes = bytes.to_vec();
            if known == path
                && let Some(change) = change.take()
            {
                change(&mut bytes);
            }
            self.disk.replace(known, bytes.into()).await.unwrap();
        }
        let (streams, recovered) = open(&self.disk).await.unwrap();
        (streams.reader(), recovered)
    }

    /// Where the records stand in a file, and what they are.
    fn records(&self, path: &str) -> Vec<(usize, usize, Item)> {
        let bytes = &self.files[path];
        let (mut at, mut found) = (HEADER_BYTES, Vec::new());
        while let Some(record) = record::parse(&bytes.slice(at..)) {
            let end = at + record.size() as usize;
            found.push((at, end, Item::parse(&record.payload).unwrap()));
            at = end;
        }
        assert_eq!(at, bytes.len());
        found
    }
}

/// What can be read, what cannot, and which cells are lost.
#[derive(Debug, Default)]
struct Seen {
    records: BTreeSet<(u32, u64, Bytes)>,
    lost: BTreeSet<(u32, u64)>,
    lost_cells: BTreeSet<(u32, u8)>,
    /// Bounds and cells.
    frame: BTreeMap<u32, (u64, u64, BTreeMap<u8, Bytes>)>,
}

async fn see(reader: &StreamReader) -> Seen {
    let mut seen = Seen::default();
    for stream in reader.streams().into_iter().filter(|stream| stream.0 != LAST) {
        let bounds = reader.bounds(stream).unwrap();
        for index in (bounds.start.0..bounds.end.0).map(Index) {
            match reader.read(stream, index..index.next(), 0).await {
                Ok(found) => {
                    let [(at, record)] = &found[..] else { panic!("{found:?}") };
                    assert_eq!(*at, index);
                    seen.records.insert((stream.0, index.0, record.clone()));
                }
                Err(StreamError::Lost { index, .. }) => drop(seen.lost.insert((stream.0, index.0))),
                Err(error) => panic!("{error}"),
            }
        }
        let mut cells = BTreeMap::new();
        for cell in 0..4 {
            match reader.cell(stream, CellId(cell)) {
                Ok(Some(value)) => drop(cells.insert(cell, value)),
                Ok(None) => {}
                Err(_) => drop(seen.lost_cells.insert((stream.0, cell))),
            }
        }
        seen.frame.insert(stream.0, (bounds.start.0, bounds.end.0, cells));
    }
    seen
}

/// What is told must be what is seen; answers whether any stream may have lost something.
fn check_told(seen: &Seen, recovered: &Recovered, when: &str) -> bool {
    let (mut lost, mut lost_cells, mut any) = (BTreeSet::new(), BTreeSet::new(), false);
    for damage in &recovered.damaged {
        match damage {
            Damage::Records { stream, from, to } => {
                lost.extend((from.0..to.0).map(|index| (stream.0, index)));
            }
            Damage::Cell { stream, cell } => drop(lost_cells.insert((stream.0, cell.0))),
            Damage::AnyStream { records } => any = *records > 0,
        }
        assert!(!damage.to_string().is_empty());
    }
    assert_eq!((&lost, &lost_cells), (&seen.lost, &seen.lost_cells), "{when}");
    any
}

/// All that is not told of is as it was, and nothing is there that nobody wrote.
fn check_seen(log: &Log, seen: &Seen, when: &str) {
    let stands = log.stands.0.iter().flat_map(|(stream, of)| {
        let records = (of.first..).zip(of.records.iter().cloned());
        records.map(|(index, record)| (*stream, index, record))
    });
    let readable: BTreeSet<_> =
        stands.filter(|(stream, index, _)| !seen.lost.contains(&(*stream, *index))).collect();
    assert_eq!(seen.records, readable, "{when}");
    for (stream, of) in &log.stands.0 {
        let cells = of.cells.clone().into_iter();
        let cells = cells.filter(|(cell, _)| !seen.lost_cells.contains(&(*stream, *cell)));
        let frame = (of.first, of.next(), cells.collect());
        assert_eq!(seen.frame[stream], frame, "{when}: stream {stream}");
    }
    assert_eq!(seen.frame.len(), log.stands.0.len(), "{when}");
}

#[test]
fn any_flipped_bit_is_told_by_the_right_stream_or_harms_nobody() {
    run(async {
        let log = Log::new().await;
        let mut told = 0;
        for (path, bytes) in &log.files {
            let records = log.records(path);
            for at in 0..bytes.len() {
                let hit = records.iter().find(|(from, to, _)| (*from..*to).contains(&at));
                if hit.is_some_and(|(.., item)| is_last(item)) {
                    break;
                }
                let when = format!("{path}: bit {} of byte {at} in {hit:?}", at % 8);
                let (reader, recovered) =
                    log.open_with(path, |bytes| bytes[at] ^= 1 << (at % 8)).await;
                let seen = see(&reader).await;
                assert!(!check_told(&seen, &recovered, &when), "{when}");
                check_seen(&log, &seen, &when);
                let named: Vec<_> = recovered.damaged.iter().map(Damage::stream).collect();
                match hit {
                    Some((
                        ..,
                        Item::Data { stream, .. }
                        | Item::Copied { stream, .. }
                        | Item::Cell { stream, .. },
                    )) => {
                        assert!(named.is_empty() || named == [Some(*stream)], "{when}: {named:?}");
                        told += named.len();
                    }
                    _ => assert!(named.is_empty(), "{when}: {named:?}"),
                }
            }
        }
        assert!(told > 500, "{told} flips harmed somebody");
    });
}

fn is_last(item: &Item) -> bool {
    matches!(item, Item::Data { stream: StreamId(LAST), .. })
}

/// Whole stretches of records at once, ends of batches and tables among them.
#[test]
fn any_stretch_of_damage_is_told_and_gives_no_wrong_record() {
    run(async {
        let log = Log::new().await;
        let (mut by_stream, mut any_stream) = (0, 0);
        for path in log.files.keys() {
            let records = log.records(path);
            let last = records.iter().position(|(.., item)| is_last(item));
            let count = last.unwrap_or(records.len());
            for first in 0..count {
                for behind in first + 1..=count {
                    let (from, to) = (records[first].0, records[behind - 1].1);
                    let what: Vec<_> = records[first..behind].iter().map(|r| r.2.kind()).collect();
                    let when = format!("{path}: {from}..{to}, {what:?}");
                    let (reader, recovered) =
                        log.open_with(path, |bytes| bytes[from..to].fill(0xee)).await;
                    let seen = see(&reader).await;
                    if check_told(&seen, &recovered, &when) {
                        any_stream += 1;
                        let strange: Vec<_> = seen.records.difference(&log.written).collect();
                        assert!(strange.is_empty(), "{when}: {strange:?}");
                    } else {
                        check_seen(&log, &seen, &when);
                        by_stream += usize::from(!recovered.damaged.is_empty());
                    }
                }
            }
        }
        println!("{by_stream} times by stream, {any_stream} times any stream");
        assert!(by_stream > 100 && any_stream > 10, "{by_stream} and {any_stream}");
    });
}

/// The end of a torn batch is not there; the end of the next tells of what is left of it.
#[test]
fn a_record_of_a_torn_batch_is_known_by_name_too() {
    run(async {
        let disk = MemoryDisk::new();
        let mut streams = open(&disk).await.unwrap().0;
        streams.write(&[append(1, 0, &["a"])]).await.unwrap();
        let torn = streams.reader().usage().bytes as usize;
        streams.write(&[append(2, 7, &["b", "c"])]).await.unwrap();
        drop(streams);
        let path = "log/00000000000000000000.log";
        let whole = disk.read(path).await.unwrap().unwrap();
        disk.replace(path, whole.slice(..whole.len() - 1)).await.unwrap();
        let mut streams = open(&disk).await.unwrap().0;
        assert_eq!(streams.reader().bounds(StreamId(2)), Some(Index(7)..Index(9)));
        streams.write(&[append(1, 1, &["d"])]).await.unwrap();
        streams.write(&[append(1, 2, &["e"])]).await.unwrap();
        drop(streams);
        let mut bytes = disk.read(path).await.unwrap().unwrap().to_vec();
        bytes[torn + 30] ^= 1;
        disk.replace(path, bytes.into()).await.unwrap();
        let told = Damage::Records { stream: StreamId(2), from: Index(7), to: Index(8) };
        assert_eq!(open(&disk).await.unwrap().1.damaged, [told]);
    });
}

/// Behind a hole, a stream's records say that it was cut in there: what was cut is not shown again.
#[test]
fn a_lost_cut_brings_nothing_back() {
    run(async {
        let disk = MemoryDisk::new();
        let mut streams = open(&disk).await.unwrap().0;
        streams.write(&[append(1, 0, &["a", "b", "c", "d"]), append(2, 0, &["x"])]).await.unwrap();
        let from = streams.reader().usage().bytes as usize;
        streams.write(&[cut(1, 2), append(1, 2, &["other c", "other d"])]).await.unwrap();
        let to = streams.reader().usage().bytes as usize;
        streams.write(&[append(1, 4, &["e"])]).await.unwrap();
        streams.write(&[append(2, 1, &["y"])]).await.unwrap();
        drop(streams);
        let path = "log/00000000000000000000.log";
        let mut bytes = disk.read(path).await.unwrap().unwrap().to_vec();
        bytes[from..to].fill(0);
        disk.replace(path, bytes.into()).await.unwrap();
        for _ in 0..3 {
            let (mut streams, recovered) = open(&disk).await.unwrap();
            let seen = see(&streams.reader()).await;
            assert!(check_told(&seen, &recovered, "a lost cut"));
            assert!(!seen.records.contains(&(1, 2, Bytes::from_static(b"c"))), "{seen:?}");
            assert!(!seen.records.contains(&(1, 3, Bytes::from_static(b"d"))), "{seen:?}");
            assert!(seen.records.contains(&(1, 4, Bytes::from_static(b"e"))), "{seen:?}");
            assert_eq!(seen.frame[&2].1, 2, "the other stream goes on");
            // It is told again until somebody says that it is known.
            streams.write(&[append(3, 0, &[])]).await.unwrap();
        }
        let (mut streams, _) = open(&disk).await.unwrap();
        streams.write(&[Op::AcceptDamage, cut(1, 1)]).await.unwrap();
        drop(streams);
        let (_, recovered) = open(&disk).await.unwrap();
        assert_eq!(recovered.damaged, []);
    });
}

#[test]
fn a_lost_cell_stays_lost_until_it_is_put_anew() {
    run(async {
        let disk = MemoryDisk::new();
        let mut streams = open(&disk).await.unwrap().0;
        streams.write(&[put(1, 0, "old vote")]).await.unwrap();
        let from = streams.reader().usage().bytes as usize;
        streams.write(&[put(1, 0, "new vote")]).await.unwrap();
        streams.write(&[append(2, 0, &["x"])]).await.unwrap();
        drop(streams);
        let path = "log/00000000000000000000.log";
        let mut bytes = disk.read(path).await.unwrap().unwrap().to_vec();
        bytes[from + 30] ^= 1;
        disk.replace(path, bytes.into()).await.unwrap();
        let told = [Damage::Cell { stream: StreamId(1), cell: CellId(0) }];
        for n in 1..100 {
            // Until the segment is long gone.
            let (mut streams, recovered) = open(&disk).await.unwrap();
            assert_eq!(recovered.damaged, told);
            let error = streams.reader().cell(StreamId(1), CellId(0)).unwrap_err();
            assert!(error.to_string().contains("cell 0 is lost to damage"), "{error}");
            streams.write(&[append(2, n, &[LONG]), purge(2, n)]).await.unwrap();
        }
        assert!(disk.read(path).await.unwrap().is_none(), "the damaged segment is still there");
        let (mut streams, _) = open(&disk).await.unwrap();
        streams.write(&[put(1, 0, "newest")]).await.unwrap();
        drop(streams);
        assert_eq!(open(&disk).await.unwrap().1.damaged, []);
    });
}

/// A record goes bad while the process lives, and is to be copied.
#[test]
fn what_is_damaged_when_it_is_to_be_copied_is_told() {
    run(async {
        let disk = MemoryDisk::new();
        let mut streams = open(&disk).await.unwrap().0;
        streams.write(&[append(1, 0, &["a", "lagging", "b"])]).await.unwrap();
        let path = "log/00000000000000000000.log";
        // The memory disk's handle reads what stands there now.
        let bytes = disk.read(path).await.unwrap().unwrap();
        let at = bytes.windows(7).position(|bytes| bytes == b"lagging").unwrap();
        drop(streams);
        let mut hurt = bytes.to_vec();
        hurt[at] ^= 1;
        let (mut streams, _) = open(&disk).await.unwrap();
        let file = disk.open(path).await.unwrap();
        file.truncate(0).await.unwrap();
        file.append(hurt.into()).await.unwrap();
        file.sync().await.unwrap();
        for n in 0..60 {
            streams.write(&[append(2, n, &[LONG]), purge(2, n)]).await.unwrap();
        }
        assert_eq!(streams.reader().usage().lost_records, 1);
        let seen = see(&streams.reader()).await;
        assert_eq!(seen.lost, [(1, 1)].into());
        assert!(disk.read(path).await.unwrap().is_none(), "what is left was copied");
        drop(streams);
        let (streams, recovered) = open(&disk).await.unwrap();
        let told = Damage::Records { stream: StreamId(1), from: Index(1), to: Index(2) };
        assert_eq!(recovered.damaged, [told]);
        assert_eq!(see(&streams.reader()).await.lost, [(1, 1)].into());
    });
}
