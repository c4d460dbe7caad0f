//! All streams, as far as they are durable: what readers see.
//!
//! [`State::apply`] takes one record after the other, the same way whether it was just written or is replayed. What a
//! replay cannot know is in [`Doubt`]; without a doubt none of the branches that look at it is ever taken.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::item::Item;
use super::place::Place;
use super::reader::Usage;
use super::segments::Segments;
use super::stream::{Freed, Stream};
use super::table::{Row, Table, row_bytes};
use super::{CellId, Damage, Index, Position, StreamId};

#[derive(Default)]
pub(super) struct State {
    pub(super) streams: BTreeMap<StreamId, Stream>,
    pub(super) segments: Segments,
    pub(super) doubt: Doubt,
    pub(super) usage: Usage,
}

/// Of records that are lost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Doubt {
    /// Those of which it is not known what they were.
    pub(super) unknown: u64,
    /// Those that any stream may have had, since the last table.
    pub(super) lost: u64,
    /// They stand below.
    pub(super) until: Position,
}

impl State {
    pub(super) fn apply(&mut self, item: &Item, place: Place) {
        match item {
            Item::Data { stream, index, since } => {
                self.see(*stream, *index, *since);
                self.append(*stream, *index, place, place.position);
            }
            Item::Copied { stream, index, since } => {
                // Its stream may have been cut behind it, so it tells less than a `Data` does.
                let new = || Stream::new(*index, *since);
                self.streams.entry(*stream).or_insert_with(new);
                self.copied(*stream, *index, place);
            }
            Item::Cut { stream, from } => self.cut(*stream, *from, place.position),
            Item::Purge { stream, before } => self.purge(*stream, *before, place.position),
            Item::Cell { stream, cell, value } => {
                self.put_cell(*stream, *cell, Some(value.clone()), place.position);
            }
            Item::Drop { stream } => self.drop_stream(*stream),
            Item::Table(table) => {
                self.segments.has_table(place.position);
                self.adopt(table);
            }
            Item::Accept { unknown } => self.accept(*unknown),
            Item::BatchEnd(_) => {}
        }
    }

    /// What a record knows of its stream's cuts.
    fn see(&mut self, id: StreamId, below: Index, since: Position) {
        let Some(stream) = self.streams.get_mut(&id) else {
            self.streams.insert(id, Stream::new(below, since));
            return;
        };
        if stream.since != since {
            // One of those that are lost was the cut.
            let count = self.doubt.lost.saturating_sub(1);
            let freed = stream.distrust(below, count, self.doubt.until);
            stream.since = since;
            self.free(freed);
        }
    }

    /// Of a lost one the place is not there, and the position is.
    pub(super) fn append(&mut self, id: StreamId, index: Index, place: Place, position: Position) {
        let stream = self.streams.entry(id).or_insert_with(|| Stream::new(index, position));
        let (first, next) = (stream.first(), stream.next());
        let freed = if index < first || index.0 > next.0 + self.doubt.lost {
            // Its purge or drop is lost.
            stream.restart(index)
        } else {
            stream.lose_until(index);
            stream.cut(index)
        };
        stream.push(place);
        self.free(freed);
        self.hold(id, index, place);
    }

    /// A lost copy leaves what it was copied from, as long as that is there.
    pub(super) fn copied(&mut self, id: StreamId, index: Index, place: Place) {
        if place.is_lost() {
            return;
        }
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if self.doubt.unknown > 0 {
            // No more records are between it and what is known than the log has.
            let most = place.position.0 - self.segments.first().0;
            let (first, next) = (stream.first(), stream.next());
            if (first.0.saturating_sub(most)..first.0).contains(&index.0) {
                stream.lose_from(index);
            } else if (next.0..next.0 + most).contains(&index.0) {
                stream.lose_until(index.next());
            }
        }
        if let Some(before) = stream.put(index, place) {
            self.segments.free(before);
            self.hold(id, index, place);
        }
    }

    /// It turned out to be damaged.
    pub(super) fn lose(&mut self, id: StreamId, index: Index) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if let Some(before) = stream.put(index, Place::LOST) {
            self.segments.free(before);
            self.usage.lost_records += 1;
        }
    }

    pub(super) fn cut(&mut self, id: StreamId, from: Index, position: Position) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.since = position;
            let freed = stream.cut(from);
            self.free(freed);
        }
    }

    pub(super) fn purge(&mut self, id: StreamId, before: Index, position: Position) {
        let stream = self.streams.entry(id).or_insert_with(|| Stream::new(before, position));
        let freed = stream.purge(before);
        self.free(freed);
    }

    pub(super) fn put_cell(
        &mut self,
        id: StreamId,
        cell: CellId,
        value: Option<Bytes>,
        position: Position,
    ) {
        let stream = self.streams.entry(id).or_insert_with(|| Stream::new(Index(0), position));
        stream.cells.insert(cell, value);
    }

    pub(super) fn drop_stream(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.remove(&id) {
            self.free(stream.places().collect());
        }
    }

    /// The owner knows of as many; of what else was lost it does not.
    pub(super) fn accept(&mut self, unknown: u64) {
        self.doubt.unknown = self.doubt.unknown.saturating_sub(unknown);
    }

    /// Whatever was thought so far, this is how it stood.
    fn adopt(&mut self, table: &Table) {
        let named: BTreeSet<StreamId> = table.rows.iter().map(|row| row.stream).collect();
        let gone: Vec<_> = self.streams.keys().filter(|id| !named.contains(id)).copied().collect();
        gone.into_iter().for_each(|id| self.drop_stream(id));
        for row in &table.rows {
            self.see(row.stream, row.next, row.since);
            let Some(stream) = self.streams.get_mut(&row.stream) else { continue };
            let mut freed = Freed::new();
            if stream.next() < row.first || stream.first() > row.next {
                freed = stream.restart(row.first);
            }
            stream.lose_from(row.first);
            freed.extend(stream.purge(row.first));
            stream.lose_until(row.next);
            freed.extend(stream.cut(row.next));
            stream.cells.clone_from(&row.cells);
            self.free(freed);
        }
        self.doubt = Doubt { unknown: table.unknown, ..Doubt::default() };
    }

    fn hold(&mut self, stream: StreamId, index: Index, place: Place) {
        if !place.is_lost() {
            self.segments.hold(stream, index, place);
        }
    }

    fn free(&mut self, freed: Freed) {
        freed.into_iter().for_each(|place| self.segments.free(place));
    }

    /// Looks for all that is live in a segment; whether there is something.
    pub(super) fn note_runs(&mut self, first: Position) -> bool {
        let mut found = Vec::new();
        for (id, stream) in &self.streams {
            let placed = (stream.first().0..).map(Index).zip(stream.places());
            let here = placed.filter(|(_, place)| {
                !place.is_lost()
                    && self
                        .segments
                        .of(place.position)
                        .is_some_and(|segment| segment.first == first)
            });
            found.extend(here.map(|(index, _)| (*id, index)));
        }
        let Some(segment) = self.segments.segment_mut(first) else { return false };
        found.iter().for_each(|(id, index)| segment.note_run(*id, *index..index.next()));
        !found.is_empty()
    }

    pub(super) fn table(&self) -> Table {
        let row = |(id, stream): (&StreamId, &Stream)| Row {
            stream: *id,
            first: stream.first(),
            next: stream.next(),
            since: stream.since,
            cells: stream.cells.clone(),
        };
        Table { unknown: self.doubt.unknown, rows: self.streams.iter().map(row).collect() }
    }

    pub(super) fn table_bytes(&self) -> usize {
        self.streams.values().map(|stream| row_bytes(&stream.cells)).sum()
    }

    pub(super) fn damage(&self) -> Vec<Damage> {
        let mut damaged = Vec::new();
        for (id, stream) in &self.streams {
            let lost = stream.lost().into_iter();
            damaged.extend(lost.map(|run| Damage::Records {
                stream: *id,
                from: run.start,
                to: run.end,
            }));
            let cells = stream.cells.iter().filter(|(_, value)| value.is_none());
            damaged.extend(cells.map(|(cell, _)| Damage::Cell { stream: *id, cell: *cell }));
        }
        if self.doubt.unknown > 0 {
            damaged.push(Damage::AnyStream { records: self.doubt.unknown });
        }
        damaged
    }
}
