//! One stream, as far as it is durable.

use std::collections::VecDeque;
use std::ops::Range;

use super::place::Place;
use super::table::Cells;
use super::{Index, Position};

/// Places that an empty stream may keep room for.
const SPARE: usize = 256;

pub(super) struct Stream {
    first: Index,
    /// Where the last cut stands, or what made the stream.
    pub(super) since: Position,
    /// Of the records from the first on; 16 bytes each.
    places: VecDeque<Place>,
    pub(super) cells: Cells,
}

/// Where records stood that nobody needs any more.
pub(super) type Freed = Vec<Place>;

impl Stream {
    pub(super) fn new(first: Index, since: Position) -> Self {
        Stream { first, since, places: VecDeque::new(), cells: Cells::new() }
    }

    pub(super) fn first(&self) -> Index {
        self.first
    }

    pub(super) fn next(&self) -> Index {
        Index(self.first.0 + self.places.len() as u64)
    }

    pub(super) fn get(&self, index: Index) -> Option<Place> {
        self.places.get(self.offset(index)?).copied()
    }

    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        self.places.iter().copied()
    }

    pub(super) fn push(&mut self, place: Place) {
        self.places.push_back(place);
    }

    /// Puts a place of an index that is kept; answers the one before.
    pub(super) fn put(&mut self, index: Index, place: Place) -> Option<Place> {
        let at = self.offset(index)?;
        Some(std::mem::replace(self.places.get_mut(at)?, place))
    }

    pub(super) fn cut(&mut self, from: Index) -> Freed {
        let keep = usize::try_from(from.0.saturating_sub(self.first.0)).unwrap_or(usize::MAX);
        self.places.drain(keep.min(self.places.len())..).collect()
    }

    pub(super) fn purge(&mut self, before: Index) -> Freed {
        let most = before.0.saturating_sub(self.first.0);
        let gone = self.places.len().min(usize::try_from(most).unwrap_or(usize::MAX));
        self.first = self.first.max(before);
        let freed = self.places.drain(..gone).collect();
        // A burst that is over gives its memory back.
        if self.places.capacity() > 4 * self.places.len() + SPARE {
            self.places.shrink_to(2 * self.places.len());
        }
        freed
    }

    /// Empty, going on at an index.
    pub(super) fn restart(&mut self, first: Index) -> Freed {
        self.first = first;
        self.places.drain(..).collect()
    }

    /// What is missing up to `next` is lost.
    pub(super) fn lose_until(&mut self, next: Index) {
        while self.next() < next {
            self.places.push_back(Place::LOST);
        }
    }

    /// What is missing from `first` on is lost.
    pub(super) fn lose_from(&mut self, first: Index) {
        while self.first > first {
            self.first = Index(self.first.0 - 1);
            self.places.push_front(Place::LOST);
        }
    }

    /// The last `count` records below `below` are lost, but for those that stand behind `until`.
    pub(super) fn distrust(&mut self, below: Index, count: u64, until: Position) -> Freed {
        let from = Index(below.0.saturating_sub(count).max(self.first.0));
        let mut freed = Freed::new();
        for index in (from.0..below.min(self.next()).0).map(Index) {
            if self.get(index).is_some_and(|place| place.position < until) {
                freed.extend(self.put(index, Place::LOST));
            }
        }
        freed
    }

    /// Runs of records that are lost.
    pub(super) fn lost(&self) -> Vec<Range<Index>> {
        let mut runs: Vec<Range<Index>> = Vec::new();
        for (index, place) in (self.first.0..).map(Index).zip(&self.places) {
            if !place.is_lost() {
                continue;
            }
            match runs.last_mut() {
                Some(run) if run.end == index => run.end = index.next(),
                _ => runs.push(index..index.next()),
            }
        }
        runs
    }

    fn offset(&self, index: Index) -> Option<usize> {
        usize::try_from(index.0.checked_sub(self.first.0)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(n: u64) -> Place {
        Place::new(Position(n), n, 1)
    }

    fn stream(first: u64, records: u64) -> Stream {
        let mut stream = Stream::new(Index(first), Position(0));
        (0..records).for_each(|n| stream.push(place(n)));
        stream
    }

    #[test]
    fn both_ends_go() {
        let mut stream = stream(5, 10);
        assert_eq!(
            (stream.purge(Index(7)).len(), stream.first(), stream.next()),
            (2, Index(7), Index(15))
        );
        assert_eq!((stream.cut(Index(12)).len(), stream.next()), (3, Index(12)));
        assert_eq!(stream.get(Index(7)), Some(place(2)));
        assert_eq!((stream.get(Index(6)), stream.get(Index(12))), (None, None));
        assert_eq!(
            (stream.purge(Index(20)).len(), stream.first(), stream.next()),
            (5, Index(20), Index(20))
        );
    }

    #[test]
    fn what_is_lost_is_told_in_runs() {
        let mut stream = stream(5, 3);
        stream.lose_until(Index(10));
        stream.push(place(9));
        stream.lose_from(Index(3));
        assert_eq!(stream.lost(), [Index(3)..Index(5), Index(8)..Index(10)]);
    }

    #[test]
    fn what_may_have_been_cut_is_lost() {
        let mut stream = stream(5, 6);
        let freed = stream.distrust(Index(9), 2, Position(3));
        assert_eq!(freed, [place(2)], "7 stands before the hole, 8 behind it");
        assert_eq!(stream.lost(), [Index(7)..Index(8)]);
    }
}
