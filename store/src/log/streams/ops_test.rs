//! What each operation does, on every disk.

use bytes::Bytes;

use super::model::{Model, SMALL, append, cut, drop_stream, purge, put, restart};
use super::{
    CellId, Index, MAX_CELL_BYTES, Op, Options, StreamError, StreamId, StreamReader, Streams,
};
use crate::disk::conformance::{Rig, on_every_disk};
use crate::log::{self, SegmentLog};

on_every_disk!(
    streams_have_indexes_of_their_own,
    an_append_says_where_it_begins,
    a_cut_takes_the_end,
    a_purge_takes_the_beginning_and_nothing_to_come,
    a_restart_goes_on_behind_a_snapshot,
    the_latest_cell_counts,
    a_dropped_stream_was_never_there,
    a_read_takes_as_much_as_it_may,
    a_reader_goes_on_while_others_write,
    what_is_too_large_is_refused_alone,
    a_batch_is_one_sync,
    another_log_is_not_opened,
);

async fn open(rig: &dyn Rig) -> Streams {
    let (streams, recovered) = Streams::open(rig.disk(), "log", SMALL).await.unwrap();
    assert!(recovered.damaged.is_empty());
    streams
}

async fn write(streams: &mut Streams, ops: &[Op]) {
    for answer in streams.write(ops).await.unwrap() {
        answer.unwrap();
    }
}

async fn refused(streams: &mut Streams, op: Op) -> StreamError {
    streams.write(&[op]).await.unwrap().remove(0).unwrap_err()
}

fn bounds(reader: &StreamReader, stream: u32) -> Option<(u64, u64)> {
    reader.bounds(StreamId(stream)).map(|bounds| (bounds.start.0, bounds.end.0))
}

async fn texts(reader: &StreamReader, stream: u32) -> Vec<String> {
    let model = Model::read(reader, 1 << 20).await.unwrap();
    let of = model.0.get(&stream).map(|of| of.records.clone()).unwrap_or_default();
    of.iter().map(|record| String::from_utf8(record.to_vec()).unwrap()).collect()
}

/// What stands is the same after a start.
async fn again(rig: &mut dyn Rig, streams: Streams) -> Streams {
    let before = Model::read(&streams.reader(), 100).await.unwrap();
    drop(streams);
    rig.restart();
    let streams = open(rig).await;
    assert_eq!(Model::read(&streams.reader(), 100).await.unwrap(), before);
    streams
}

async fn streams_have_indexes_of_their_own(rig: &mut dyn Rig) {
    let mut streams = open(rig).await;
    write(&mut streams, &[append(1, 0, &["a", "b"]), append(9, 40, &["x"]), append(1, 2, &["c"])])
        .await;
    write(&mut streams, &[append(9, 41, &["y"])]).await;
    let streams = again(rig, streams).await;
    let reader = streams.reader();
    assert_eq!(reader.streams(), [StreamId(1), StreamId(9)]);
    assert_eq!((bounds(&reader, 1), bounds(&reader, 9)), (Some((0, 3)), Some((40, 42))));
    assert_eq!(
        (texts(&reader, 1).await, texts(&reader, 9).await),
        (vec!["a".into(), "b".into(), "c".into()], vec!["x".into(), "y".into()])
    );
    assert_eq!(bounds(&reader, 2), None);
    assert!(reader.read(StreamId(2), Index(0)..Index(9), 100).await.unwrap().is_empty());
}

async fn an_append_says_where_it_begins(rig: &mut dyn Rig) {
    let mut streams = open(rig).await;
    write(&mut streams, &[append(1, 5, &["a"])]).await;
    for given in [4, 5, 7] {
        let error = refused(&mut streams, append(1, given, &["b"])).await;
        assert!(matches!(error, StreamError::NotNext { next: Index(6), .. }), "{error}");
        assert!(!error.is_retryable());
    }
    // What is refused does not keep the others back.
    let ops = [append(1, 7, &["no"]), append(1, 6, &["b"]), append(1, 7, &["c"])];
    let answers = streams.write(&ops).await.unwrap();
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(texts(&streams.reader(), 1).await, ["a", "b", "c"]);
}

async fn a_cut_takes_the_end(rig: &mut dyn Rig) {
    let mut streams = open(rig).await;
    write(&mut streams, &[append(1, 5, &["a", "b", "c"]), cut(2, 0), cut(1, 8)]).await;
    write(&mut streams, &[cut(1, 6), append(1, 6, &["other b"])]).await;
    let mut streams = again(rig, streams).await;
    assert_eq!(texts(&streams.reader(), 1).await, ["a", "other b"]);
    let error = refused(&mut streams, cut(1, 4)).await;
    assert!(matches!(error, StreamError::Purged { first: Index(5), .. }), "{error}");
    write(&mut streams, &[cut(1, 5)]).await;
    let mut streams = again(rig, streams).await;
    assert_eq!(bounds(&streams.reader(), 1), Some((5, 5)));
    write(&mut streams, &[append(1, 5, &["other a"])]).await;
    assert_eq!(texts(&again(rig, streams).await.reader(), 1).await, ["other a"]);
}

async fn a_purge_takes_the_beginning_and_nothing_to_come(rig: &mut dyn Rig) {
    let mut streams = open(rig).await;
    write(&mut streams, &[append(1, 5, &["a", "b", "c"]), purge(1, 7), purge(1, 3), purge(8, 3)])
        .await;
    let mut streams = again(rig, streams).await;
    let reader = streams.reader();
    assert_eq!((bounds(&reader, 1), bounds(&reader, 8)), (Some((7, 8)), None));
    let error = reader.read(StreamId(1), Index(6)..Index(8), 100).await.unwrap_err();
    assert!(matches!(error, StreamError::Purged { first: Index(7), .. }), "{error}");
    write(&mut streams, &[purge(1, 1000)]).await;
    let mut streams = again(rig, streams).await;
    assert_eq!(bounds(&streams.reader(), 1), Some((8, 8)), "an empty stream keeps its next index");
    write(&mut streams, &[append(1, 8, &["d"])]).await;
    assert_eq!(texts(&again(rig, streams).await.reader(), 1).await, ["d"]);
}

async fn a_restart_goes_on_behind_a_snapshot(rig: &mut dyn Rig) {
    let mut streams = open(rig).await;
    write(&mut streams, &[append(1, 5, &["a", "b"]), put(1, 0, "vote"), restart(1, 90)]).await;
    write(&mut streams, &[restart(2, 30), append(1, 90, &["c"])]).await;
    let mut streams = again(rig, streams).await;
    assert_eq!(bounds(&streams.reader(), 1), Some((90, 91)));
    assert_eq!(bounds(&streams.reader(), 2), Some((30, 30)));
    assert!(streams.reader().cell(StreamId(1), CellId(0)).unwrap().is_some());
    let error = refused(&mut streams, restart(1, 89)).await;
    assert!(matches!(error, StreamError::Purged { .. }), "{error}");
    write(&mut streams, &[restart(1, 90)]).await;
    assert_eq!(bounds(&again(rig, streams).await.reader(), 1), Some((90, 90)));
}

async fn the_latest_cell_counts(rig: &mut dyn Rig) {
    let mut streams = open(rig).await;
    write(&mut streams, &[put(1, 0, "one"), put(1, 255, "other"), put(1, 0, "two")]).await;
    let mut streams = again(rig, streams).await;
    let cell = |streams: &Streams, cell| streams.reader().cell(StreamId(1), CellId(cell)).unwrap();
    assert_eq!(cell(&streams, 0), Some(Bytes::from_static(b"two")));
    assert_eq!(cell(&streams, 255), Some(Bytes::from_static(b"other")));
    assert_eq!(cell(&streams, 1), None);
    // A stream that has had cells alone begins where it likes.
    write(&mut streams, &[append(1, 12, &["a"])]).await;
    let streams = again(rig, streams).await;
    assert_eq!(bounds(&streams.reader(), 1), Some((12, 13)));
    assert_eq!(cell(&streams, 0), Some(Bytes::from_static(b"two")));
}

async fn a_dropped_stream_was_never_there(rig: &mut dyn Rig) {
    let mut streams = open(rig).await;
    write(&mut streams, &[append(1, 5, &["a"]), put(1, 0, "vote"), append(2, 0, &["b"])]).await;
    write(&mut streams, &[drop_stream(1), drop_stream(3)]).await;
    let mut streams = again(rig, streams).await;
    assert_eq!(streams.reader().streams(), [StreamId(2)]);
    write(&mut streams, &[append(1, 2, &["c"]), drop_stream(1), append(1, 0, &["d"])]).await;
    let streams = again(rig, streams).await;
    assert_eq!(texts(&streams.reader(), 1).await, ["d"]);
    assert_eq!(streams.reader().cell(StreamId(1), CellId(0)).unwrap(), None);
}

async fn a_read_takes_as_much_as_it_may(rig: &mut dyn Rig) {
    let mut streams = open(rig).await;
    for n in 0..20 {
        let (one, other) = ("1".repeat(n as usize * 10), "2".repeat(n as usize * 30));
        write(&mut streams, &[append(1, n, &[&one]), append(2, n, &[&other])]).await;
    }
    let reader = again(rig, streams).await.reader();
    let read = async |from, to, most| {
        let found = reader.read(StreamId(1), Index(from)..Index(to), most).await.unwrap();
        found.into_iter().map(|(index, record)| (index.0, record.len())).collect::<Vec<_>>()
    };
    assert_eq!(read(3, 6, 1 << 20).await, [(3, 30), (4, 40), (5, 50)]);
    assert_eq!(read(19, 100, 1 << 20).await, [(19, 190)]);
    assert_eq!(read(7, 20, 0).await, [(7, 70)], "one at least");
    // A record costs its head, too.
    assert_eq!(read(10, 20, 300).await, [(10, 100), (11, 110)]);
    assert_eq!(read(20, 30, 100).await, []);
    assert_eq!(read(5, 5, 100).await, []);
}

async fn a_reader_goes_on_while_others_write(rig: &mut dyn Rig) {
    let mut streams = open(rig).await;
    let reader = streams.reader();
    let long = "long ".repeat(30);
    for n in 0..60 {
        write(&mut streams, &[append(1, n, &[&long]), append(2, n, &["short"])]).await;
        assert_eq!(bounds(&reader, 2), Some((0, n + 1)));
        assert_eq!(texts(&reader, 2).await.len() as u64, n + 1);
        write(&mut streams, &[purge(1, n)]).await;
    }
    assert!(reader.usage().copied_records > 0);
}

async fn what_is_too_large_is_refused_alone(rig: &mut dyn Rig) {
    let mut streams = open(rig).await;
    let too_long = "x".repeat(SMALL.segment_bytes as usize);
    let value = "x".repeat(MAX_CELL_BYTES + 1);
    let ops = [append(1, 0, &[&too_long]), put(1, 0, &value), append(1, 0, &["fits"])];
    let answers = streams.write(&ops).await.unwrap();
    for answer in &answers[..2] {
        assert!(matches!(answer, Err(StreamError::TooLarge { .. })), "{answer:?}");
    }
    assert!(answers[2].is_ok());
    // Each table holds all streams, and is a part of a segment.
    let mut known = 1;
    let error = loop {
        match streams.write(&[restart(known + 1, 5)]).await.unwrap().remove(0) {
            Ok(()) => known += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StreamError::TooMany { .. }) && known > 10, "{known}: {error}");
    write(&mut streams, &[drop_stream(2)]).await;
    write(&mut streams, &[put(1, 0, "small")]).await;
    again(rig, streams).await;
}

async fn a_batch_is_one_sync(rig: &mut dyn Rig) {
    let mut streams = open(rig).await;
    let ops: Vec<Op> = (0..8).map(|stream| append(stream, 0, &["a"])).collect();
    write(&mut streams, &ops).await;
    assert_eq!((streams.reader().usage().syncs, streams.reader().usage().ops), (1, 8));
    // What is so already costs none.
    write(&mut streams, &[purge(1, 0), cut(1, 1), drop_stream(77), append(1, 1, &[])]).await;
    assert_eq!(streams.reader().usage().syncs, 1);
}

async fn another_log_is_not_opened(rig: &mut dyn Rig) {
    let options = log::Options { segment_bytes: 1000 };
    let (mut log, _) = SegmentLog::open(rig.disk(), "log", options).await.unwrap();
    log.append(vec![Bytes::from_static(b"\x01of a journal, perhaps")]).await.unwrap();
    drop(log);
    let error = Streams::open(rig.disk(), "log", SMALL).await.map(drop).unwrap_err();
    assert!(error.to_string().contains("record 0 is none of a log of streams"), "{error}");
    for options in [Options { segment_bytes: 0, ..SMALL }, Options { max_bytes: 40_000, ..SMALL }] {
        let error = Streams::open(rig.disk(), "log", options).await.map(drop).unwrap_err();
        assert!(matches!(error, StreamError::Unfit { .. }), "{error}");
    }
}
