//! Which records are copied forward, and when.
//!
//! Only out of the oldest segment that has something live, for only it can go. Three reasons:
//!
//! - *Few*: no more than a quarter of it is live. A byte that is written so frees four.
//! - *Near*: the log is at three quarters of what appends may have, and a quarter of it is dead.
//! - *Full*: appends may be refused, and a sixteenth is dead. Room is made though it costs more.
//! - *Kept back*: cuts, purges and cells fill what is kept back from appends, and two segments are dead.
//!
//! A batch takes at most [`STEP_BYTES`] of copies along, so that nobody's append waits for more. What is copied while
//! nobody writes is not copied again before somebody does: so it ends.

use std::ops::Range;

use super::reader::Wanted;
use super::state::State;
use super::{Index, Options, Position, StreamId};

const STEP_BYTES: u64 = 512 << 10;
/// Indexes that one step looks at, most of which may be dead.
const STEP_RECORDS: u64 = 16 << 10;
/// And at a time.
const LOOK_RECORDS: u64 = 256;

/// What a step took in hand, to be given back when it comes to nothing.
#[derive(Default)]
pub(super) struct Step {
    pub(super) wanted: Vec<Wanted>,
    segment: Position,
    runs: Vec<(StreamId, Range<Index>)>,
}

/// The segment to copy from, if it began before `until`.
pub(super) fn due(
    state: &State,
    options: &Options,
    bytes: u64,
    until: Position,
) -> Option<Position> {
    let oldest = state.segments.oldest_live().filter(|oldest| oldest.first < until)?;
    let (limit, segment_bytes) = (options.append_limit(), options.segment_bytes);
    let dead = bytes.saturating_sub(state.segments.live_bytes());
    let few = oldest.live_bytes <= oldest.bytes / 4;
    let near = bytes >= limit / 4 * 3 && dead >= bytes / 4;
    let full = bytes + segment_bytes > limit && dead >= (limit / 16).max(2 * segment_bytes);
    let kept_back = bytes > limit && dead >= 2 * segment_bytes;
    (few || near || full || kept_back).then_some(oldest.first)
}

impl Step {
    pub(super) fn take(state: &mut State, segment: Position) -> Step {
        let mut step = Step { segment, ..Step::default() };
        let (mut bytes, mut looked) = (0, 0);
        while bytes < STEP_BYTES && looked < STEP_RECORDS {
            let Some(from) = state.segments.segment_mut(segment) else { break };
            let runs = from.take_runs(LOOK_RECORDS);
            // A step that was dropped half way took its runs along.
            if runs.is_empty() && (looked > 0 || !state.note_runs(segment)) {
                break;
            }
            for (stream, indexes) in runs {
                looked += indexes.end.0 - indexes.start.0;
                bytes += step.want(state, stream, indexes.clone());
                step.runs.push((stream, indexes));
            }
        }
        // In the order of the disk, and each once.
        step.wanted.sort_unstable_by_key(|wanted| wanted.place.position);
        step.wanted.dedup_by_key(|wanted| wanted.place.position);
        step
    }

    fn want(&mut self, state: &State, id: StreamId, indexes: Range<Index>) -> u64 {
        let Some(stream) = state.streams.get(&id) else { return 0 };
        let (from, to) = (indexes.start.max(stream.first()), indexes.end.min(stream.next()));
        let mut bytes = 0;
        for index in (from.0..to.0).map(Index) {
            let Some(place) = stream.get(index) else { continue };
            let stands_here = state
                .segments
                .of(place.position)
                .is_some_and(|segment| !place.is_lost() && segment.first == self.segment);
            if stands_here {
                bytes += place.size();
                self.wanted.extend(Wanted::new(state, id, index, place));
            }
        }
        bytes
    }

    pub(super) fn give_back(self, state: &mut State) {
        if let Some(segment) = state.segments.segment_mut(self.segment) {
            self.runs.into_iter().for_each(|(stream, indexes)| segment.note_run(stream, indexes));
        }
    }
}
