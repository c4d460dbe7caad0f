//! Plain maps of integers, and additions that anybody can follow.

use std::collections::BTreeMap;

/// Tenant, group, layout, end of the window.
pub(crate) type CellKey = (usize, usize, usize, i64);
/// Tenant, series, time.
pub(crate) type PointKey = (usize, usize, i64);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) count: u64,
    pub(crate) sum_us: u128,
    pub(crate) buckets: Vec<u64>,
}

/// What a slice says, and what a shard holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plain {
    pub(crate) cells: BTreeMap<CellKey, Cell>,
    pub(crate) points: BTreeMap<PointKey, u64>,
}

/// The sum of many cells, without trailing zeroes among its buckets: how long they are is no answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Opening {
    pub(crate) count: u128,
    pub(crate) sum_us: u128,
    pub(crate) buckets: Vec<u128>,
}

/// What is told of a group in one layout: the sum up to the start of a range, and the windows behind it.
pub(crate) type Told = (Opening, BTreeMap<i64, Cell>);

impl Plain {
    /// A cell adds up; of two points at one time the first stands.
    pub(crate) fn add(&mut self, other: &Plain) {
        for (key, theirs) in &other.cells {
            let mine = self.cells.entry(*key).or_default();
            mine.count += theirs.count;
            mine.sum_us += theirs.sum_us;
            mine.buckets.resize(theirs.buckets.len(), 0);
            for (at, units) in theirs.buckets.iter().enumerate() {
                mine.buckets[at] += units;
            }
        }
        for (key, bits) in &other.points {
            self.points.entry(*key).or_insert(*bits);
        }
    }

    /// By layout; one of which there is nothing to tell is absent.
    pub(crate) fn group(
        &self,
        tenant: usize,
        group: usize,
        from: i64,
        to: i64,
    ) -> BTreeMap<usize, Told> {
        let mut told = BTreeMap::<usize, Told>::new();
        let all = (tenant, group, 0, i64::MIN)..=(tenant, group, usize::MAX, i64::MAX);
        for ((.., layout, end), cell) in self.cells.range(all) {
            if *end <= from {
                told.entry(*layout).or_default().0.add(cell);
            } else if *end <= to {
                told.entry(*layout).or_default().1.insert(*end, cell.clone());
            }
        }
        told
    }

    pub(crate) fn series(
        &self,
        tenant: usize,
        series: usize,
        from: i64,
        to: i64,
    ) -> BTreeMap<i64, u64> {
        let all = (tenant, series, i64::MIN)..=(tenant, series, i64::MAX);
        let inside = self.points.range(all).filter(|((.., time), _)| from < *time && *time <= to);
        inside.map(|((.., time), bits)| (*time, *bits)).collect()
    }
}

impl Opening {
    fn add(&mut self, cell: &Cell) {
        self.count += u128::from(cell.count);
        self.sum_us += cell.sum_us;
        self.buckets.resize(self.buckets.len().max(cell.buckets.len()), 0);
        for (at, units) in cell.buckets.iter().enumerate() {
            self.buckets[at] += u128::from(*units);
        }
        self.trim();
    }

    pub(crate) fn trim(&mut self) {
        while self.buckets.last() == Some(&0) {
            self.buckets.pop();
        }
    }
}
