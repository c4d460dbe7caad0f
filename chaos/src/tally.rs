//! What was sent, added up by the loader itself: the truth of a run, which shares no code with the
//! product.

use std::collections::BTreeMap;

/// Upper bounds in milliseconds; the last bucket has none.
pub(crate) const BOUNDS_MS: [u64; 16] =
    [2, 4, 6, 8, 10, 50, 100, 200, 400, 800, 1000, 1400, 2000, 5000, 10000, 15000];
pub(crate) const BUCKETS: usize = BOUNDS_MS.len() + 1;
pub(crate) const WINDOW_MS: i64 = 10_000;

/// A group by its place in the run's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct GroupId(pub(crate) usize);

/// A window by its end, in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct WindowEnd(pub(crate) i64);

impl WindowEnd {
    /// Of the window in which a span ends: one that ends on a boundary belongs to the next.
    pub(crate) fn of(end_ns: u64) -> Self {
        let window_ns = WINDOW_MS as u64 * 1_000_000;
        WindowEnd((end_ns / window_ns + 1) as i64 * WINDOW_MS)
    }
}

/// What happened to a group, in a window or until a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) count: u64,
    pub(crate) sum_us: u64,
    pub(crate) buckets: [u64; BUCKETS],
}

impl Sum {
    pub(crate) fn of_span(duration_ns: u64) -> Self {
        let bucket = BOUNDS_MS.iter().position(|ms| duration_ns <= ms * 1_000_000);
        let mut sum = Sum { count: 1, sum_us: (duration_ns + 500) / 1000, ..Sum::default() };
        sum.buckets[bucket.unwrap_or(BUCKETS - 1)] = 1;
        sum
    }

    pub(crate) fn add(&mut self, other: &Sum) {
        self.count += other.count;
        self.sum_us += other.sum_us;
        for (mine, theirs) in self.buckets.iter_mut().zip(other.buckets) {
            *mine += theirs;
        }
    }

    /// Spans at or below each bound, as Prometheus counts.
    pub(crate) fn at_or_below(&self) -> [u64; BUCKETS] {
        let mut running = 0;
        self.buckets.map(|count| {
            running += count;
            running
        })
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    cells: BTreeMap<GroupId, BTreeMap<WindowEnd, Sum>>,
}

impl Tally {
    pub(crate) fn add(&mut self, group: GroupId, end: WindowEnd, sum: &Sum) {
        self.cells.entry(group).or_default().entry(end).or_default().add(sum);
    }

    pub(crate) fn merge(&mut self, other: &Tally) {
        for (group, windows) in &other.cells {
            for (end, sum) in windows {
                self.add(*group, *end, sum);
            }
        }
    }

    pub(crate) fn spans(&self) -> u64 {
        self.cells.values().flat_map(BTreeMap::values).map(|sum| sum.count).sum()
    }

    pub(crate) fn cells(&self) -> usize {
        self.cells.values().map(BTreeMap::len).sum()
    }

    /// Every window that any group has something in, ascending.
    pub(crate) fn windows(&self) -> Vec<WindowEnd> {
        let mut ends: Vec<_> = self.cells.values().flat_map(BTreeMap::keys).copied().collect();
        ends.sort_unstable();
        ends.dedup();
        ends
    }

    pub(crate) fn has(&self, group: GroupId, end: WindowEnd) -> bool {
        self.cells.get(&group).is_some_and(|windows| windows.contains_key(&end))
    }

    /// A group's running total, over its windows.
    pub(crate) fn until(&self, group: GroupId, end: WindowEnd) -> Sum {
        let mut total = Sum::default();
        for (_, sum) in self.cells.get(&group).into_iter().flat_map(|w| w.range(..=end)) {
            total.add(sum);
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_that_ends_on_a_boundary_belongs_to_the_window_that_begins_there() {
        assert_eq!(WindowEnd::of(19_999_999_999), WindowEnd(20_000));
        assert_eq!(WindowEnd::of(20_000_000_000), WindowEnd(30_000));
    }

    #[test]
    fn a_bound_is_the_last_of_its_bucket_and_microseconds_round_half_up() {
        let bucket = |ns| Sum::of_span(ns).buckets.iter().position(|count| *count == 1).unwrap();
        assert_eq!([0, 2_000_000, 2_000_001].map(bucket), [0, 0, 1]);
        assert_eq!([15_000_000_000, 15_000_000_001].map(bucket), [15, 16]);
        assert_eq!([499, 500, 1499, 1500].map(|ns| Sum::of_span(ns).sum_us), [0, 1, 1, 2]);
    }

    #[test]
    fn running_totals_add_up_over_windows_and_over_buckets() {
        let mut tally = Tally::default();
        let group = GroupId(3);
        for (end, ns) in [(10_000, 1), (30_000, 5_000_000), (20_000, 60_000_000_000)] {
            tally.add(group, WindowEnd(end), &Sum::of_span(ns));
        }
        assert_eq!(tally.until(group, WindowEnd(20_000)).count, 2);
        let total = tally.until(group, WindowEnd(99_000));
        assert_eq!(total.at_or_below()[..4], [1, 1, 2, 2]);
        assert_eq!((total.at_or_below()[15], total.at_or_below()[16]), (2, 3));
        assert_eq!(tally.until(GroupId(4), WindowEnd(99_000)), Sum::default());
    }
}
