//! Walks through a segment that may be torn or damaged.

use std::sync::Arc;

use super::Index;
use super::record::{self, HEAD_BYTES, Head, Record};
use super::segment::{HEADER_BYTES, Hole, Marks};
use super::window::Window;
use crate::disk::{File, Result};

/// What stands in a segment, before anybody judges what its holes mean.
pub(super) struct Scan {
    /// Behind the last whole record.
    pub(super) next: Index,
    pub(super) end: u64,
    /// The highest claim of any record, and of the segment itself.
    pub(super) vouched: Index,
    /// Where the batch begins that made that claim: nothing vouches for it or what follows.
    pub(super) unvouched_at: u64,
    pub(super) marks: Marks,
    pub(super) holes: Vec<Hole>,
}

pub(super) async fn scan(file: &Arc<dyn File>, first: Index) -> Result<Scan> {
    let mut scan = Scan {
        next: first,
        end: (HEADER_BYTES as u64).min(file.len()),
        vouched: first,
        unvouched_at: 0,
        marks: Marks::default(),
        holes: Vec::new(),
    };
    let mut window = Window::new(Arc::clone(file), scan.end, file.len());
    while window.left() > 0 {
        let at = window.at();
        let found = match record::read(&mut window).await? {
            Some(record) if record.index >= scan.next => Some(record),
            _ => find_next(&mut window, scan.next).await?,
        };
        let Some(record) = found else { break };
        if record.index > scan.next || window.at() > at {
            let (from, to) = (scan.next, record.index);
            scan.holes.push(Hole { from, to, at, until: window.at() });
        }
        scan.accept(&record, window.at());
        window.seek(scan.end);
    }
    Ok(scan)
}

impl Scan {
    fn accept(&mut self, record: &Record, at: u64) {
        if record.index == record.vouched {
            // A segment's first batch was written together with its header.
            self.unvouched_at = if at == HEADER_BYTES as u64 { 0 } else { at };
        }
        self.vouched = self.vouched.max(record.vouched);
        self.marks.note(record.index, at);
        self.next = record.index.next();
        self.end = at + record.size();
    }

    /// Ends the last segment of a log where its torn tail begins.
    ///
    /// A hole that reaches past what is vouched is the tail's beginning. Its part below is damage.
    pub(super) fn cut_torn_tail(&mut self) {
        let Some(torn) = self.holes.iter().position(|hole| hole.to > self.vouched) else {
            return;
        };
        let hole = self.holes[torn].clone();
        self.holes.truncate(torn);
        self.next = hole.from;
        self.end = hole.at;
        if hole.from < self.vouched {
            self.next = self.vouched;
            self.holes.push(Hole { to: self.vouched, until: hole.at, ..hole });
        }
        self.marks.cut(self.end);
        self.unvouched_at = self.unvouched_at.min(self.end);
    }
}

/// Moves to the next whole record behind a bad one, with `least` or a higher index.
async fn find_next(window: &mut Window, least: Index) -> Result<Option<Record>> {
    // The bad record's own length first: mostly only its payload is bad, and a payload may hold
    // bytes that look like a record.
    let at = window.at();
    if let Some(head) = Head::parse(&window.peek(HEAD_BYTES).await?)
        && ((HEAD_BYTES + head.len) as u64) < window.left()
    {
        window.seek(at + (HEAD_BYTES + head.len) as u64);
        match record::read(window).await? {
            Some(record) if record.index == least.next() => return Ok(Some(record)),
            _ => window.seek(at),
        }
    }
    find(window, least).await
}

/// Moves, byte by byte, to the next whole record that could stand there: each that is lost before it had a
/// head. What stands behind it decides nothing, since a tail that is cut must not change what is found.
async fn find(window: &mut Window, least: Index) -> Result<Option<Record>> {
    let begin = window.at();
    while window.left() >= HEAD_BYTES as u64 {
        let bytes = window.peek(window_bytes(window)).await?;
        let skipped = window.at() - begin;
        let plausible = bytes.windows(HEAD_BYTES).enumerate().position(|(at, bytes)| {
            let most = least.0 + (skipped + at as u64) / HEAD_BYTES as u64;
            Head::parse(bytes)
                .is_some_and(|head| (least.0..=most).contains(&head.index.0) && head.is_plausible())
        });
        match plausible {
            Some(skip) => {
                window.seek(window.at() + skip as u64);
                if let Some(record) = record::read(window).await? {
                    return Ok(Some(record));
                }
                window.seek(window.at() + 1);
            }
            None => {
                // The last bytes may be the beginning of a head.
                let seen = bytes.len().saturating_sub(HEAD_BYTES - 1).max(1);
                window.seek(window.at() + seen as u64);
            }
        }
    }
    Ok(None)
}

fn window_bytes(window: &Window) -> usize {
    usize::try_from(window.left()).unwrap_or(usize::MAX).min(64 << 10)
}
