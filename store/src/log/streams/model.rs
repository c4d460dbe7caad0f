//! What a log of streams must hold: a plain map, and what may stand there besides.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{CellId, Index, Op, Recovered, Result, StreamError, StreamId, StreamReader, Streams};
use crate::disk::memory::MemoryDisk;
use crate::log::streams::Options;
use std::sync::Arc;

/// Small, so that a short history has many segments; the table of five streams fits.
pub(super) const SMALL: Options =
    Options { segment_bytes: 2000, max_bytes: 1 << 20, queue_bytes: 1 << 20 };

pub(super) async fn open(disk: &MemoryDisk) -> Result<(Streams, Recovered)> {
    Streams::open(Arc::new(disk.clone()), "log", SMALL).await
}

pub(super) fn append(stream: u32, first: u64, records: &[&str]) -> Op {
    let records = records.iter().map(|text| Bytes::copy_from_slice(text.as_bytes())).collect();
    Op::Append { stream: StreamId(stream), first: Index(first), records }
}

pub(super) fn cut(stream: u32, from: u64) -> Op {
    Op::Cut { stream: StreamId(stream), from: Index(from) }
}

pub(super) fn purge(stream: u32, before: u64) -> Op {
    Op::Purge { stream: StreamId(stream), before: Index(before) }
}

pub(super) fn restart(stream: u32, next: u64) -> Op {
    Op::Restart { stream: StreamId(stream), next: Index(next) }
}

pub(super) fn put(stream: u32, cell: u8, value: &str) -> Op {
    let value = Bytes::copy_from_slice(value.as_bytes());
    Op::PutCell { stream: StreamId(stream), cell: CellId(cell), value }
}

pub(super) fn drop_stream(stream: u32) -> Op {
    Op::Drop { stream: StreamId(stream) }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Model(pub(super) BTreeMap<u32, ModelStream>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ModelStream {
    pub(super) first: u64,
    pub(super) records: Vec<Bytes>,
    pub(super) cells: BTreeMap<u8, Bytes>,
}

impl ModelStream {
    pub(super) fn next(&self) -> u64 {
        self.first + self.records.len() as u64
    }
}

impl Model {
    /// Applies one operation; `steps` gets what stands after each record that it is made of.
    pub(super) fn apply(&mut self, op: &Op, steps: &mut Vec<Model>) -> Result<()> {
        match op {
            Op::Append { stream, first, records } => {
                let new = ModelStream { first: first.0, ..ModelStream::default() };
                let known = self.0.contains_key(&stream.0);
                if known {
                    let next = Index(self.0[&stream.0].next());
                    if next != Index(0) && next != *first {
                        return Err(StreamError::NotNext { stream: *stream, given: *first, next });
                    }
                }
                if records.is_empty() {
                    return Ok(());
                }
                let of = self.0.entry(stream.0).or_insert(new);
                if of.next() != first.0 {
                    of.first = first.0;
                    steps.push(self.clone());
                }
                for record in records {
                    self.0.get_mut(&stream.0).unwrap().records.push(record.clone());
                    steps.push(self.clone());
                }
            }
            Op::Cut { stream, from } => {
                let Some(of) = self.0.get_mut(&stream.0) else { return Ok(()) };
                let Some(keep) = from.0.checked_sub(of.first) else {
                    let (given, first) = (*from, Index(of.first));
                    return Err(StreamError::Purged { stream: *stream, given, first });
                };
                of.records.truncate(keep as usize);
            }
            Op::Purge { stream, before } => {
                let Some(of) = self.0.get_mut(&stream.0) else { return Ok(()) };
                let before = before.0.clamp(of.first, of.next());
                of.records.drain(..(before - of.first) as usize);
                of.first = before;
            }
            Op::Restart { stream, next } => {
                let new = ModelStream { first: next.0, ..ModelStream::default() };
                let of = self.0.entry(stream.0).or_insert(new);
                if next.0 < of.first {
                    let (given, first) = (*next, Index(of.first));
                    return Err(StreamError::Purged { stream: *stream, given, first });
                }
                of.records.clear();
                steps.push(self.clone());
                self.0.get_mut(&stream.0).unwrap().first = next.0;
            }
            Op::PutCell { stream, cell, value } => {
                self.0.entry(stream.0).or_default().cells.insert(cell.0, value.clone());
            }
            Op::Drop { stream } => drop(self.0.remove(&stream.0)),
            Op::AcceptDamage => {}
        }
        steps.push(self.clone());
        Ok(())
    }

    pub(super) async fn read(reader: &StreamReader, page_bytes: usize) -> Result<Model> {
        let mut model = Model::default();
        for stream in reader.streams() {
            let bounds = reader.bounds(stream).expect("it was listed");
            let mut of = ModelStream { first: bounds.start.0, ..ModelStream::default() };
            while of.next() < bounds.end.0 {
                let from = Index(of.next());
                let page = reader.read(stream, from..bounds.end, page_bytes).await?;
                assert!(!page.is_empty(), "stream {stream}: nothing at {from}");
                for (index, record) in page {
                    assert_eq!(index.0, of.next(), "stream {stream} has a gap");
                    of.records.push(record);
                }
            }
            for cell in (0..=255).map(CellId) {
                if let Some(value) = reader.cell(stream, cell)? {
                    of.cells.insert(cell.0, value);
                }
            }
            model.0.insert(stream.0, of);
        }
        Ok(model)
    }
}

/// What was acked, and what may stand instead since batches failed, or were never answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected {
    pub(super) acked: Model,
    pub(super) perhaps: Vec<Model>,
}

impl Expected {
    /// Writes through and keeps the books; whether it went well.
    pub(super) async fn write(&mut self, streams: &mut Streams, ops: &[Op]) -> bool {
        let mut after = self.acked.clone();
        let mut steps = Vec::new();
        let answers: Vec<_> = ops.iter().map(|op| after.apply(op, &mut steps)).collect();
        self.perhaps.append(&mut steps);
        match streams.write(ops).await {
            Ok(found) => {
                assert_eq!(texts(&found), texts(&answers), "{ops:?}");
                self.acked = after;
                self.perhaps.clear();
                true
            }
            Err(error) => {
                assert!(error.is_retryable(), "{error}");
                false
            }
        }
    }

    /// The last batch was not waited for: it counts whole, or not in this process.
    pub(super) fn dropped(&mut self, found: Model) -> std::result::Result<(), String> {
        if found != self.acked {
            let whole = self.perhaps.last() == Some(&found);
            whole.then_some(()).ok_or_else(|| format!("found {found:#?}"))?;
            self.settle(found)?;
        }
        Ok(())
    }

    /// After a start: one of those that may be, which from now on is.
    pub(super) fn settle(&mut self, found: Model) -> std::result::Result<(), String> {
        if found != self.acked && !self.perhaps.contains(&found) {
            let near = self.perhaps.last();
            return Err(format!("found {found:?}\nacked {:?}\nor {near:?}", self.acked));
        }
        self.acked = found;
        self.perhaps.clear();
        Ok(())
    }
}

fn texts(answers: &[Result<()>]) -> Vec<Option<String>> {
    answers.iter().map(|answer| answer.as_ref().err().map(ToString::to_string)).collect()
}
