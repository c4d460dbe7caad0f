//! Opens what an earlier process left.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use tracing::warn;

use super::scan::{Scan, scan};
use super::segment::{self, HEADER_BYTES, Hole, Segment};
use super::{Index, Result};
use crate::disk::Files;

/// What a log found at its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    pub first: Index,
    pub next: Index,
    /// Of the torn tail: nobody was told that these bytes are durable.
    pub cut_bytes: u64,
    /// Lost although somebody was told that they are durable. Readers skip them.
    pub damaged: Vec<Damage>,
}

/// Records from the first up to, not with, the second. Where both are equal a segment's header is
/// damaged and no record is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub path: String,
    pub from: Index,
    pub to: Index,
    pub bytes: u64,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Damage { path, from, to, bytes } = self;
        if from == to {
            return write!(f, "{path}: {bytes} bytes are damaged, no record is lost");
        }
        let records = to.0 - from.0;
        write!(f, "{path}: {records} records from {from} on are lost, {bytes} bytes are damaged")
    }
}

impl Damage {
    fn new(path: &str, hole: &Hole) -> Self {
        let bytes = hole.until - hole.at;
        Damage { path: path.to_owned(), from: hole.from, to: hole.to, bytes }
    }
}

pub(super) struct Opened {
    pub(super) segments: VecDeque<Segment>,
    pub(super) recovered: Recovered,
    /// The last segment is whole up to the last index, so it can be written on.
    pub(super) is_contiguous: bool,
}

pub(super) async fn recover(files: &Arc<dyn Files>, dir: &str) -> Result<Opened> {
    make_durably(files, dir).await?;
    let mut firsts: Vec<Index> =
        files.list(dir).await?.iter().filter_map(|name| segment::parse_name(name)).collect();
    firsts.sort_unstable();

    let mut found = VecDeque::new();
    for first in firsts {
        found.push_back(Found::read(files, segment::path(dir, first), first).await?);
    }

    let mut opened =
        Opened { segments: VecDeque::new(), recovered: Recovered::default(), is_contiguous: true };
    let mut unfinished = None;
    if found.back().is_some_and(Found::is_unfinished)
        && let Some(last) = found.pop_back()
    {
        opened.recovered.cut_bytes += last.segment.file.len();
        // Its name vouches for the one before it, so it stays until it is made anew.
        if found.is_empty() {
            files.remove(&last.segment.path).await?;
        }
        unfinished = Some(last.segment.first);
    }
    while let Some(next) = found.pop_front() {
        let behind = found.front().map(|next| next.segment.first).or(unfinished);
        opened.take(next, behind).await?;
    }
    opened.is_contiguous &= unfinished.is_none() || opened.segments.is_empty();
    opened.finish(files, dir).await?;
    Ok(opened)
}

struct Found {
    segment: Segment,
    scan: Scan,
    has_header: bool,
}

impl Found {
    async fn read(files: &Arc<dyn Files>, path: String, first: Index) -> Result<Self> {
        let file = files.open(&path).await?;
        let header = file.read_at(0, HEADER_BYTES).await?;
        let has_header = segment::check_header(&path, &header, first)?;
        let scan = scan(&file, first).await?;
        Ok(Found { segment: Segment::new(path, file, first), scan, has_header })
    }

    /// Its making never ended, so nobody was told of anything in it.
    fn is_unfinished(&self) -> bool {
        !self.has_header && self.scan.vouched == self.segment.first
    }
}

impl Opened {
    /// `until` is the next segment's first index: everything below was synced before that was made.
    async fn take(&mut self, found: Found, until: Option<Index>) -> Result<()> {
        let Found { mut segment, scan, has_header } = found;
        if !has_header {
            let (from, to) = (segment.first, segment.first);
            let header = Hole { from, to, at: 0, until: HEADER_BYTES as u64 };
            self.recovered.damaged.push(Damage::new(&segment.path, &header));
        }
        match until {
            Some(until) => segment.keep_whole(scan, until),
            None => {
                // What vouched for the damaged may be cut with the tail: a new segment's first index does
                // it then.
                self.is_contiguous = has_header;
                self.keep_vouched(&mut segment, scan).await?;
            }
        }
        let damaged = segment.holes.iter().map(|hole| Damage::new(&segment.path, hole));
        self.recovered.damaged.extend(damaged);
        self.segments.push_back(segment);
        Ok(())
    }

    /// The last segment: cuts its torn tail and makes the rest durable.
    async fn keep_vouched(&mut self, segment: &mut Segment, mut scan: Scan) -> Result<()> {
        let file = &segment.file;
        scan.cut_torn_tail();
        self.is_contiguous &= scan.holes.is_empty();
        self.recovered.cut_bytes += file.len() - scan.end;
        if scan.end < file.len() {
            file.truncate(scan.end).await?;
        }
        if scan.unvouched_at < scan.end {
            file.rewrite(scan.unvouched_at).await?;
        }
        file.sync().await?;
        segment.keep(scan);
        Ok(())
    }

    async fn finish(&mut self, files: &Arc<dyn Files>, dir: &str) -> Result<()> {
        // Names too may be shown that no crash-proof disk has yet.
        files.sync_dir(dir).await?;
        let recovered = &mut self.recovered;
        recovered.first = self.segments.front().map_or(Index(0), |segment| segment.first);
        recovered.next = self.segments.back().map_or(Index(0), |segment| segment.next);
        if recovered.cut_bytes > 0 {
            warn!(
                dir,
                bytes = recovered.cut_bytes,
                next = recovered.next.0,
                "cut the log's torn tail"
            );
        }
        for damage in &recovered.damaged {
            warn!(dir, "{damage}");
        }
        Ok(())
    }
}

impl Segment {
    fn keep_whole(&mut self, mut scan: Scan, until: Index) {
        if scan.next < until {
            let (from, at) = (scan.next, scan.end);
            scan.holes.push(Hole { from, to: until, at, until: self.file.len() });
        }
        scan.next = until;
        self.keep(scan);
    }

    fn keep(&mut self, scan: Scan) {
        self.next = scan.next;
        self.len = scan.end;
        self.marks = scan.marks;
        self.holes = scan.holes;
    }
}

async fn make_durably(files: &Arc<dyn Files>, dir: &str) -> Result<()> {
    files.create_dir(dir).await?;
    let slashes = dir.match_indices('/').map(|(at, _)| &dir[..at]);
    for above in std::iter::once("").chain(slashes) {
        files.sync_dir(above).await?;
    }
    Ok(())
}
