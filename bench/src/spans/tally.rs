//! What must come out: count, sum and buckets by group and window, counted by the generator itself.
//!
//! A span counts in the window that its end lies in (an end on a boundary begins a window), in the first
//! bucket whose bound holds its duration; its duration adds to the sum in µs, rounded half up.

use std::collections::BTreeMap;

use super::catalogue::GroupIndex;
use super::request::Request;

pub struct Tally {
    bounds_ns: Vec<u64>,
    window_ns: u64,
    groups: usize,
    /// By the window's end.
    windows: BTreeMap<u64, Columns>,
}

struct Columns {
    counts: Vec<u64>,
    sums_us: Vec<u128>,
    /// Of all groups, one after the other.
    buckets: Vec<u64>,
}

/// Of one group in one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delta<'a> {
    pub count: u64,
    pub sum_us: u128,
    /// Not cumulative; the last is the one without a bound.
    pub buckets: &'a [u64],
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub count: u64,
    pub sum_us: u128,
    pub buckets: Vec<u64>,
}

/// The shipped layout's.
const BOUNDS_MS: [u64; 16] =
    [2, 4, 6, 8, 10, 50, 100, 200, 400, 800, 1000, 1400, 2000, 5000, 10_000, 15_000];
const WINDOW_NS: u64 = 10_000_000_000;

impl Tally {
    /// With the shipped bounds and windows of 10 s.
    pub fn new(groups: usize) -> Self {
        Tally::with_layout(groups, BOUNDS_MS.map(|ms| ms * 1_000_000).to_vec(), WINDOW_NS)
    }

    /// `bounds_ns` ascend.
    pub fn with_layout(groups: usize, bounds_ns: Vec<u64>, window_ns: u64) -> Self {
        Tally { bounds_ns, window_ns, groups, windows: BTreeMap::new() }
    }

    /// Adds the request as it is when stamped with this end.
    pub fn add(&mut self, request: &Request, end_ns: u64) {
        for (group, duration_ns, end_ns) in request.each_span(end_ns) {
            self.add_span(group, duration_ns, end_ns);
        }
    }

    pub fn add_span(&mut self, group: GroupIndex, duration_ns: u64, end_ns: u64) {
        let bucket = self.bounds_ns.partition_point(|&bound| bound < duration_ns);
        let (width, groups, group) = (self.buckets(), self.groups, group.0 as usize);
        let columns = self
            .windows
            .entry((end_ns / self.window_ns + 1) * self.window_ns)
            .or_insert_with(|| Columns::new(groups, width));
        columns.counts[group] += 1;
        columns.sums_us[group] += u128::from(duration_ns.saturating_add(500) / 1000);
        columns.buckets[group * width + bucket] += 1;
    }

    pub fn bounds_ns(&self) -> &[u64] {
        &self.bounds_ns
    }

    pub fn windows(&self) -> usize {
        self.windows.len()
    }

    /// What is not zero: group, the window's end, the delta; by window, then by group.
    pub fn deltas(&self) -> impl Iterator<Item = (GroupIndex, u64, Delta<'_>)> {
        let width = self.buckets();
        self.windows.iter().flat_map(move |(end_ns, columns)| {
            (0..self.groups).filter(|group| columns.counts[*group] > 0).map(move |group| {
                let delta = Delta {
                    count: columns.counts[group],
                    sum_us: columns.sums_us[group],
                    buckets: &columns.buckets[group * width..][..width],
                };
                (GroupIndex(group as u32), *end_ns, delta)
            })
        })
    }

    /// Of all windows.
    pub fn by_group(&self) -> BTreeMap<GroupIndex, Totals> {
        let mut by_group = BTreeMap::new();
        for (group, _, delta) in self.deltas() {
            let totals = by_group.entry(group).or_insert_with(|| Totals::none(self.buckets()));
            totals.add(delta);
        }
        by_group
    }

    pub fn total(&self) -> Totals {
        let mut total = Totals::none(self.buckets());
        for (_, _, delta) in self.deltas() {
            total.add(delta);
        }
        total
    }

    fn buckets(&self) -> usize {
        self.bounds_ns.len() + 1
    }
}

impl Columns {
    fn new(groups: usize, buckets: usize) -> Self {
        Columns {
            counts: vec![0; groups],
            sums_us: vec![0; groups],
            buckets: vec![0; groups * buckets],
        }
    }
}

impl Totals {
    fn none(buckets: usize) -> Self {
        Totals { buckets: vec![0; buckets], ..Totals::default() }
    }

    fn add(&mut self, delta: Delta<'_>) {
        self.count += delta.count;
        self.sum_us += delta.sum_us;
        for (total, bucket) in self.buckets.iter_mut().zip(delta.buckets) {
            *total += bucket;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_span_on_a_bound_counts_below_it_and_on_a_boundary_in_the_next_window() {
        let mut tally = Tally::new(2);
        tally.add_span(GroupIndex(1), 2_000_000, 10 * SECOND - 1);
        tally.add_span(GroupIndex(1), 2_000_001, 10 * SECOND);
        let found: Vec<_> = tally
            .deltas()
            .map(|(group, end, delta)| (group.0, end, delta.buckets[..2].to_vec()))
            .collect();
        assert_eq!(found, [(1, 10 * SECOND, vec![1, 0]), (1, 20 * SECOND, vec![0, 1])]);
    }

    #[test]
    fn sums_are_rounded_at_the_span() {
        let mut tally = Tally::with_layout(1, vec![1], SECOND);
        for duration_ns in [499, 500, 1_499, u64::MAX] {
            tally.add_span(GroupIndex(0), duration_ns, SECOND);
        }
        let total = tally.total();
        assert_eq!((total.count, total.buckets), (4, vec![0, 4]));
        assert_eq!(total.sum_us, 2 + u128::from(u64::MAX / 1000));
        assert_eq!(tally.by_group()[&GroupIndex(0)].count, 4);
    }
}
