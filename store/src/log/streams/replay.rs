//! Makes the streams of what a log holds.
//!
//! Records are taken in order of position, each only once the end of its batch is there, which tells what those between
//! them were that are lost:
//!
//! - a lost *cut, purge or drop* is done all the same: the batch's end says all that they said;
//! - a lost *record* is missing at its index, and a lost *copy* leaves what it was copied from, while that is there;
//! - of a lost *cell* no earlier value counts;
//! - a lost *table* matters only at the very beginning, and until the next one;
//! - a lost *batch's end* takes nothing away, and the next one says that it was one.
//!
//! Where records are lost together with their batch's end it is not known what they were. A gap before a stream's next
//! record is what it lost. Each record names its stream's last cut; where that is one which was not seen, as many of the
//! stream's last records are taken for lost as may have been cut and written again. The next table says how all
//! streams stood, whatever was lost. What is lost behind the last table stays in doubt, for any stream, and the tables
//! from then on say so.

use std::ops::Range;

use super::batch_end::{BatchEnd, Run};
use super::item::{Item, Kind};
use super::place::Place;
use super::state::State;
use super::{CellId, Index, Position, Result, StreamError};
use crate::log::SegmentLog;

/// The streams, and what no batch's end tells of.
pub(super) async fn replay(log: &SegmentLog, dir: &str) -> Result<(State, BatchEnd)> {
    let mut replay = Replay::new(log);
    let mut reader = log.read_from(log.first_index());
    while let Some((index, at, payload)) = reader.next_placed().await? {
        let taken = Item::parse(&payload).and_then(|item| {
            let place = Place::new(index.into(), at, payload.len());
            replay.take(item, place)
        });
        if taken.is_none() {
            return Err(StreamError::Foreign { dir: dir.to_owned(), position: index.0 });
        }
    }
    Ok(replay.finish(log.next_index().into()))
}

struct Replay {
    state: State,
    first: Position,
    /// Below, all is judged.
    judged: Position,
    /// This one was a batch's end, whether or not it is there.
    end_before: Option<Position>,
    /// Behind what is judged.
    batch: Vec<(Item, Place)>,
}

impl Replay {
    fn new(log: &SegmentLog) -> Self {
        let mut state = State::default();
        state.segments.follow(log.segments());
        state.usage.bytes = log.bytes();
        let first = log.first_index().into();
        Replay { state, first, judged: first, end_before: None, batch: Vec::new() }
    }

    /// `None` for what nobody writes.
    fn take(&mut self, item: Item, place: Place) -> Option<()> {
        let is_table = matches!(item, Item::Table(_));
        if place.position == self.first && !is_table {
            return None;
        }
        if let Item::Table(table) = &item {
            // Each record that is kept has had a position of its own.
            let written = place.position.0;
            table.rows.iter().all(|row| row.next.0 - row.first.0 <= written).then_some(())?;
        }
        let Item::BatchEnd(end) = item else {
            self.batch.push((item, place));
            return Some(());
        };
        (end.from.0.checked_add(end.records()) == Some(place.position.0)).then_some(())?;
        // A batch begins behind the end of the one before, whose own record is no loss.
        self.end_before = end.from.0.checked_sub(1).map(Position);
        self.judge(place.position, &end);
        self.judged = Position(place.position.0 + 1);
        Some(())
    }

    fn finish(mut self, next: Position) -> (State, BatchEnd) {
        let mut pending = BatchEnd::new(self.judged);
        for (item, place) in &self.batch {
            if pending.from.0 + pending.records() != place.position.0 {
                pending = BatchEnd::new(place.position);
            }
            pending.note(item);
        }
        if pending.from.0 + pending.records() != next.0 {
            pending = BatchEnd::new(next);
        }
        self.end_before = None;
        self.judge(next, &BatchEnd::new(next));
        (self.state, pending)
    }

    /// All below `until`, by what is there and by what a batch's end tells.
    fn judge(&mut self, until: Position, end: &BatchEnd) {
        for (item, place) in std::mem::take(&mut self.batch) {
            self.lost(self.judged..place.position, end);
            self.state.apply(&item, place);
            self.judged = Position(place.position.0 + 1);
        }
        self.lost(self.judged..until, end);
        self.judged = until;
    }

    fn lost(&mut self, positions: Range<Position>, end: &BatchEnd) {
        if positions.is_empty() {
            return;
        }
        let is_end = self.end_before.is_some_and(|end| positions.contains(&end));
        let untold = end.from.min(positions.end).0.saturating_sub(positions.start.0);
        let unknown = untold - u64::from(is_end);
        let doubt = &mut self.state.doubt;
        doubt.lost += unknown;
        if unknown > 0 {
            doubt.unknown += unknown;
            doubt.until = Position(positions.start.0 + untold);
        }
        let mut at = end.from.0;
        for run in &end.runs {
            let (begin, behind) = (at, at + u64::from(run.records));
            let (from, to) = (positions.start.0.max(begin), positions.end.0.min(behind));
            if from < to {
                self.lost_of(run, from - begin..to - begin, Position(from));
            }
            at = behind;
        }
    }

    /// Some records of a run, the first of them at a position.
    fn lost_of(&mut self, run: &Run, records: Range<u64>, position: Position) {
        let (state, stream) = (&mut self.state, run.stream);
        match run.kind {
            Kind::Data => {
                state.doubt.lost += records.end - records.start;
                for index in records.map(|at| Index(run.index.0 + at)) {
                    state.append(stream, index, Place::LOST, position);
                }
            }
            Kind::Cut => state.cut(stream, run.index, position),
            Kind::Purge => state.purge(stream, run.index, position),
            Kind::Cell => state.put_cell(stream, CellId(run.index.0 as u8), None, position),
            Kind::Drop => state.drop_stream(stream),
            Kind::Accept => state.accept(run.index.0),
            Kind::Table if position == self.first && run.index > Index(0) => {
                state.doubt.unknown += 1;
                state.doubt.until = Position(position.0 + 1);
            }
            Kind::Table | Kind::Copied | Kind::BatchEnd => {}
        }
    }
}
