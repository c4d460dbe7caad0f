//! The deltas of one group and layout, a row for each window, held by column.
//!
//! Ends ascend. A bucket that no row has anything in needs no column, which is most of them.

use std::ops::Range;

use tributary_spanmetrics::{Delta, WindowEnd};

use crate::family::totals::Totals;

#[derive(Clone, Debug, Default)]
pub struct Windows {
    ends: Vec<WindowEnd>,
    count: Vec<u64>,
    sum_us: Vec<u128>,
    /// By bucket of the layout; one without rows is zero throughout.
    buckets: Vec<Vec<u64>>,
}

impl Windows {
    /// `buckets`: how many the layout has.
    pub fn new(buckets: usize) -> Self {
        Windows { buckets: vec![Vec::new(); buckets], ..Windows::default() }
    }

    pub(crate) fn of_columns(
        ends: Vec<WindowEnd>,
        count: Vec<u64>,
        sum_us: Vec<u128>,
        buckets: Vec<Vec<u64>>,
    ) -> Self {
        debug_assert!(ends.is_sorted() && count.len() == ends.len() && sum_us.len() == ends.len());
        Windows { ends, count, sum_us, buckets }
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub fn ends(&self) -> &[WindowEnd] {
        &self.ends
    }

    /// In units of 1/1024 span.
    pub fn counts(&self) -> &[u64] {
        &self.count
    }

    pub fn sums_us(&self) -> &[u128] {
        &self.sum_us
    }

    /// By bucket; one without rows is zero throughout.
    pub fn buckets(&self) -> &[Vec<u64>] {
        &self.buckets
    }

    /// How many windows end at `time_ms` or before.
    pub fn until(&self, time_ms: i64) -> usize {
        self.ends.partition_point(|end| end.0 <= time_ms)
    }

    /// A row, made whole: for what looks at few of them.
    pub fn delta(&self, row: usize) -> Delta {
        let units = |column: &Vec<u64>| column.get(row).copied().unwrap_or_default();
        let buckets = self.buckets.iter().map(units).collect();
        Delta { count: self.count[row], sum_us: self.sum_us[row], buckets }
    }

    pub fn deltas(&self) -> impl Iterator<Item = (WindowEnd, Delta)> {
        self.ends.iter().enumerate().map(|(row, end)| (*end, self.delta(row)))
    }

    /// Behind every row that is there.
    pub fn push(&mut self, end: WindowEnd, delta: &Delta) {
        debug_assert!(self.ends.last() < Some(&end), "windows ascend");
        let rows = self.len();
        self.ends.push(end);
        self.count.push(delta.count);
        self.sum_us.push(delta.sum_us);
        for (column, &units) in self.buckets.iter_mut().zip(&delta.buckets) {
            if !column.is_empty() || units > 0 {
                column.resize(rows, 0);
                column.push(units);
            }
        }
    }

    /// Wherever its window belongs.
    pub fn add_delta(&mut self, end: WindowEnd, delta: &Delta) {
        if self.ends.last() < Some(&end) {
            self.push(end, delta);
        } else if let Ok(row) = self.ends.binary_search(&end) {
            self.add_to_row(row, delta);
        } else {
            let mut one = Windows::new(self.buckets.len());
            one.push(end, delta);
            self.add(one);
        }
    }

    fn add_to_row(&mut self, row: usize, delta: &Delta) {
        self.count[row] = self.count[row].wrapping_add(delta.count);
        self.sum_us[row] = self.sum_us[row].wrapping_add(delta.sum_us);
        for (column, &units) in self.buckets.iter_mut().zip(&delta.buckets) {
            if units > 0 {
                column.resize(self.ends.len(), 0);
                column[row] = column[row].wrapping_add(units);
            }
        }
    }

    /// Adds rows of the same layout; those of one window become one.
    pub fn add(&mut self, other: Windows) {
        if self.is_empty() {
            *self = other;
        } else if !other.is_empty() {
            let places = Places::of(&self.ends, &other.ends);
            self.count = places.sum(&self.count, &other.count, u64::wrapping_add);
            self.sum_us = places.sum(&self.sum_us, &other.sum_us, u128::wrapping_add);
            for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
                if !mine.is_empty() || !theirs.is_empty() {
                    *mine = places.sum(mine, theirs, u64::wrapping_add);
                }
            }
            self.ends = places.ends;
        }
    }

    /// Some of the rows.
    pub fn rows(mut self, rows: Range<usize>) -> Self {
        fn keep<T>(column: &mut Vec<T>, rows: &Range<usize>) {
            column.truncate(rows.end);
            column.drain(..rows.start.min(column.len()));
        }
        keep(&mut self.ends, &rows);
        keep(&mut self.count, &rows);
        keep(&mut self.sum_us, &rows);
        self.buckets.iter_mut().for_each(|column| keep(column, &rows));
        self
    }

    pub fn add_to(&self, rows: Range<usize>, totals: &mut Totals) {
        if rows.is_empty() {
            return;
        }
        let units =
            |column: &[u64]| column.iter().fold(0u128, |sum, &u| sum.wrapping_add(u.into()));
        totals.count = totals.count.wrapping_add(units(&self.count[rows.clone()]));
        let sum_us = self.sum_us[rows.clone()].iter().fold(0u128, |sum, &us| sum.wrapping_add(us));
        totals.sum_us = totals.sum_us.wrapping_add(sum_us);
        totals.buckets.resize(totals.buckets.len().max(self.buckets.len()), 0);
        for (total, column) in totals.buckets.iter_mut().zip(&self.buckets) {
            if !column.is_empty() {
                *total = total.wrapping_add(units(&column[rows.clone()]));
            }
        }
    }
}

/// Rows are compared, not columns: one of zeros is as good as none.
impl PartialEq for Windows {
    fn eq(&self, other: &Self) -> bool {
        self.buckets.len() == other.buckets.len() && self.deltas().eq(other.deltas())
    }
}

impl Eq for Windows {}

/// Where the rows of two stand in their sum.
struct Places {
    ends: Vec<WindowEnd>,
    mine: Vec<u32>,
    theirs: Vec<u32>,
}

impl Places {
    fn of(mine: &[WindowEnd], theirs: &[WindowEnd]) -> Self {
        let mut places = Places {
            ends: Vec::with_capacity(mine.len() + theirs.len()),
            mine: Vec::with_capacity(mine.len()),
            theirs: Vec::with_capacity(theirs.len()),
        };
        let (mut a, mut b) = (mine.iter().peekable(), theirs.iter().peekable());
        while let Some(&end) = a.peek().into_iter().chain(b.peek()).min() {
            let place = places.ends.len() as u32;
            places.ends.push(*end);
            if a.next_if_eq(&end).is_some() {
                places.mine.push(place);
            }
            if b.next_if_eq(&end).is_some() {
                places.theirs.push(place);
            }
        }
        places
    }

    /// Either may be empty: zero throughout.
    fn sum<T: Copy + Default>(&self, mine: &[T], theirs: &[T], add: impl Fn(T, T) -> T) -> Vec<T> {
        let mut sum = vec![T::default(); self.ends.len()];
        for (&place, &value) in self.mine.iter().zip(mine) {
            sum[place as usize] = value;
        }
        for (&place, &value) in self.theirs.iter().zip(theirs) {
            let place = &mut sum[place as usize];
            *place = add(*place, value);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::btree_map;
    use proptest::prelude::*;

    use super::*;

    type Plain = BTreeMap<i64, (u64, u128, [u64; 3])>;

    fn plain() -> impl Strategy<Value = Plain> {
        let buckets = [0..3u64, 0..1, 0..u64::MAX];
        btree_map(0..20i64, (any::<u64>(), any::<u128>(), buckets), 0..12)
    }

    fn windows(plain: &Plain) -> Windows {
        let mut windows = Windows::new(3);
        for (end, (count, sum_us, buckets)) in plain {
            let delta = Delta { count: *count, sum_us: *sum_us, buckets: buckets.to_vec() };
            windows.push(WindowEnd(*end), &delta);
        }
        windows
    }

    fn read(windows: &Windows) -> Plain {
        let of = |delta: Delta| {
            (delta.count, delta.sum_us, delta.buckets.try_into().expect("three buckets"))
        };
        windows.deltas().map(|(end, delta)| (end.0, of(delta))).collect()
    }

    fn sum(mine: &Plain, theirs: &Plain) -> Plain {
        let mut sum = mine.clone();
        for (end, (count, sum_us, buckets)) in theirs {
            let into = sum.entry(*end).or_default();
            into.0 = into.0.wrapping_add(*count);
            into.1 = into.1.wrapping_add(*sum_us);
            for (into, units) in into.2.iter_mut().zip(buckets) {
                *into = into.wrapping_add(*units);
            }
        }
        sum
    }

    proptest! {
        #[test]
        fn rows_of_one_window_add_up(mine in plain(), theirs in plain()) {
            let mut added = windows(&mine);
            added.add(windows(&theirs));
            prop_assert_eq!(read(&added), sum(&mine, &theirs));
            let mut one_by_one = windows(&mine);
            let theirs = windows(&theirs);
            theirs.deltas().for_each(|(end, delta)| one_by_one.add_delta(end, &delta));
            prop_assert_eq!(one_by_one, added);
        }

        #[test]
        fn some_rows_are_those_between_two_times(all in plain(), from in 0..20i64, to in 0..20i64) {
            let held = windows(&all);
            let rows = held.until(from)..held.until(to).max(held.until(from));
            let mut between = all.clone();
            between.retain(|end, _| from < *end && *end <= to);
            let mut total = Totals::default();
            held.add_to(rows.clone(), &mut total);
            let count = between.values().map(|(count, _, _)| u128::from(*count)).sum::<u128>();
            let last = between.values().map(|(_, _, buckets)| u128::from(buckets[2])).sum::<u128>();
            prop_assert_eq!((total.count, total.buckets.get(2).copied().unwrap_or(0)), (count, last));
            prop_assert_eq!(read(&held.rows(rows)), between);
        }
    }
}
