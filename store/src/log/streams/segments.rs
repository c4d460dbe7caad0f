//! Which segments are kept, and what is live in each.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use super::place::Place;
use super::{Index, Position, StreamId};
use crate::disk::File;
use crate::log::segment::Segment as Base;

/// Recovery needs one. Of two, one may be lost.
const TABLES: usize = 2;

pub(super) struct Segment {
    pub(super) first: Position,
    pub(super) file: Arc<dyn File>,
    pub(super) bytes: u64,
    /// Whether its table can be read.
    has_table: bool,
    live_records: u64,
    pub(super) live_bytes: u64,
    /// What was written to it, by stream; some of it may be live.
    runs: BTreeMap<StreamId, Vec<Range<Index>>>,
}

impl Segment {
    fn new(base: &Base) -> Self {
        Segment {
            first: base.first.into(),
            file: Arc::clone(&base.file),
            bytes: base.len,
            has_table: false,
            live_records: 0,
            live_bytes: 0,
            runs: BTreeMap::new(),
        }
    }

    /// Takes runs of what was written here, of about so many records, from those that are noted.
    pub(super) fn take_runs(&mut self, mut records: u64) -> Vec<(StreamId, Range<Index>)> {
        let mut taken = Vec::new();
        while records > 0
            && let Some(mut of_stream) = self.runs.first_entry()
        {
            let stream = *of_stream.key();
            let Some(run) = of_stream.get_mut().last_mut() else {
                of_stream.remove();
                continue;
            };
            let until = Index(run.end.0.min(run.start.0.saturating_add(records)));
            records -= until.0 - run.start.0;
            taken.push((stream, run.start..until));
            run.start = until;
            if run.is_empty() {
                of_stream.get_mut().pop();
            }
        }
        taken
    }

    pub(super) fn note_run(&mut self, stream: StreamId, indexes: Range<Index>) {
        let runs = self.runs.entry(stream).or_default();
        match runs.last_mut() {
            Some(last) if last.end == indexes.start => last.end = indexes.end,
            _ => runs.push(indexes),
        }
    }
}

/// Oldest first. Those that nothing was ever appended to are left out.
#[derive(Default)]
pub(super) struct Segments(VecDeque<Segment>);

impl Segments {
    /// Takes note of how long the log's segments are now, and of new ones.
    pub(super) fn follow<'a>(&mut self, base: impl DoubleEndedIterator<Item = &'a Base>) {
        let known = self.0.back().map(|last| last.first);
        let unknown = |segment: &&Base| Some(Position::from(segment.first)) >= known;
        let new: Vec<&Base> = base.rev().take_while(unknown).collect();
        for base in new.into_iter().rev().filter(|base| base.first < base.next) {
            match self.0.back_mut() {
                Some(last) if last.first == base.first.into() => last.bytes = base.len,
                _ => self.0.push_back(Segment::new(base)),
            }
        }
    }

    pub(super) fn first(&self) -> Position {
        self.0.front().map_or(Position(0), |segment| segment.first)
    }

    pub(super) fn of(&self, position: Position) -> Option<&Segment> {
        self.0.get(self.place_of(position)?)
    }

    fn of_mut(&mut self, position: Position) -> Option<&mut Segment> {
        let at = self.place_of(position)?;
        self.0.get_mut(at)
    }

    fn place_of(&self, position: Position) -> Option<usize> {
        self.0.partition_point(|segment| segment.first <= position).checked_sub(1)
    }

    pub(super) fn has_table(&mut self, position: Position) {
        if let Some(segment) = self.of_mut(position) {
            segment.has_table = true;
        }
    }

    pub(super) fn hold(&mut self, stream: StreamId, index: Index, place: Place) {
        if let Some(segment) = self.of_mut(place.position) {
            segment.live_records += 1;
            segment.live_bytes += place.size();
            segment.note_run(stream, index..index.next());
        }
    }

    pub(super) fn free(&mut self, place: Place) {
        if place.is_lost() {
            return;
        }
        if let Some(segment) = self.of_mut(place.position) {
            segment.live_records -= 1;
            segment.live_bytes -= place.size();
        }
    }

    pub(super) fn live_bytes(&self) -> u64 {
        self.0.iter().map(|segment| segment.live_bytes).sum()
    }

    /// Up to where the log may be trimmed: a segment with a table, with another one behind it, and nothing live
    /// before it.
    pub(super) fn trimmable(&self) -> Option<Position> {
        let most = self.last_removable()?;
        let dead = self.0.iter().take_while(|segment| segment.live_records == 0).count();
        let to = self.0.range(1..=dead.min(most)).rev().find(|segment| segment.has_table)?;
        Some(to.first)
    }

    pub(super) fn forget_before(&mut self, position: Position) {
        while self.0.front().is_some_and(|segment| segment.first < position) {
            self.0.pop_front();
        }
    }

    /// The oldest with something live in it, if it may go once there is nothing.
    pub(super) fn oldest_live(&self) -> Option<&Segment> {
        let most = self.last_removable()?;
        self.0.range(..most).find(|segment| segment.live_records > 0)
    }

    pub(super) fn segment_mut(&mut self, first: Position) -> Option<&mut Segment> {
        self.of_mut(first).filter(|segment| segment.first == first)
    }

    /// Before which so many tables are kept.
    fn last_removable(&self) -> Option<usize> {
        let tables = self.0.iter().enumerate().rev().filter(|(_, segment)| segment.has_table);
        tables.map(|(at, _)| at).nth(TABLES - 1).filter(|at| *at > 0)
    }
}
