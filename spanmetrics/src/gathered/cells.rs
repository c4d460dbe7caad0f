//! What the groups of one layout got: a row of small integers for each, by slot.
//!
//! Rows lie behind each other in one table, since there may be a million. A row that outgrows its 32
//! bits is emptied into a wide one; both together are what the group has.

use std::collections::BTreeMap;

use hashbrown::HashTable;

use crate::delta::{Delta, SPAN_WEIGHT};
use crate::groups::Slot;

#[derive(Clone, Debug)]
pub(super) struct Cells {
    buckets: usize,
    by_slot: HashTable<u32>,
    /// Slot, sum (low, high), then the spans of each bucket.
    rows: Vec<u32>,
    wide: BTreeMap<Slot, Delta>,
}

const HEAD: usize = 3;

impl Cells {
    pub(super) fn new(buckets: usize) -> Self {
        Cells { buckets, by_slot: HashTable::new(), rows: Vec::new(), wide: BTreeMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len() / self.stride()
    }

    pub(super) fn bytes(&self) -> usize {
        let wide = size_of::<Delta>() + self.buckets * size_of::<u64>();
        self.rows.capacity() * 4 + self.by_slot.allocation_size() + self.wide.len() * wide
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> {
        self.rows.chunks_exact(self.stride()).map(|row| Slot(row[0]))
    }

    /// Whether the group has a row; a wide one never stands alone.
    pub(super) fn has(&self, slot: Slot) -> bool {
        self.find(slot).is_some()
    }

    #[inline(always)]
    pub(super) fn add(
        &mut self,
        slot: Slot,
        sum_us: u64,
        spans: impl Iterator<Item = (usize, u32)> + Clone,
    ) {
        let at = self.find(slot).unwrap_or_else(|| self.push(slot));
        let row = &mut self.rows[at..at + HEAD + self.buckets];
        let sum = u64::from(row[1]) | u64::from(row[2]) << 32;
        if let Some(sum) = sum.checked_add(sum_us)
            && spans.clone().all(|(bucket, n)| row[HEAD + bucket].checked_add(n).is_some())
        {
            (row[1], row[2]) = (sum as u32, (sum >> 32) as u32);
            for (bucket, n) in spans {
                row[HEAD + bucket] += n;
            }
            return;
        }
        self.widen(at);
        // A single addition fits into an empty row.
        self.add(slot, sum_us, spans);
    }

    /// Adds all of another table of the same layout.
    pub(super) fn merge(&mut self, other: &Cells) {
        debug_assert_eq!(self.buckets, other.buckets, "cells of two layouts");
        for row in other.rows.chunks_exact(other.stride()) {
            let spans = row[HEAD..].iter().copied().enumerate().filter(|(_, n)| *n > 0);
            self.add(Slot(row[0]), u64::from(row[1]) | u64::from(row[2]) << 32, spans);
        }
        for (slot, delta) in &other.wide {
            let empty = || Delta { count: 0, sum_us: 0, buckets: vec![0; other.buckets] };
            self.wide.entry(*slot).or_insert_with(empty).merge(delta);
        }
    }

    /// Adds what the group has to a delta.
    pub(super) fn add_to(&self, slot: Slot, delta: &mut Delta) {
        let Some(at) = self.find(slot) else { return };
        let row = &self.rows[at..at + HEAD + self.buckets];
        add_row(row, delta);
        if let Some(wide) = self.wide.get(&slot) {
            delta.merge(wide);
        }
    }

    /// Forgets the groups that do not pass.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(Slot) -> bool) {
        let stride = self.stride();
        let mut kept = Cells::new(self.buckets);
        for row in self.rows.chunks_exact(stride).filter(|row| keep(Slot(row[0]))) {
            let at = kept.push(Slot(row[0]));
            kept.rows[at..].copy_from_slice(row);
        }
        kept.wide = std::mem::take(&mut self.wide);
        kept.wide.retain(|slot, _| {
            kept.by_slot
                .find(hash(*slot), |&at| kept.rows[at as usize * stride] == slot.0)
                .is_some()
        });
        *self = kept;
    }

    fn stride(&self) -> usize {
        HEAD + self.buckets
    }

    /// Where its row begins.
    #[inline(always)]
    fn find(&self, slot: Slot) -> Option<usize> {
        let stride = self.stride();
        let is_it = |&row: &u32| self.rows[row as usize * stride] == slot.0;
        self.by_slot.find(hash(slot), is_it).map(|row| *row as usize * stride)
    }

    #[inline(never)]
    fn push(&mut self, slot: Slot) -> usize {
        let (at, stride) = (self.rows.len(), self.stride());
        self.rows.resize(at + stride, 0);
        self.rows[at] = slot.0;
        let rows = &self.rows;
        let row_hash = |row: &u32| hash(Slot(rows[*row as usize * stride]));
        self.by_slot.insert_unique(hash(slot), (at / stride) as u32, row_hash);
        at
    }

    #[cold]
    fn widen(&mut self, at: usize) {
        let row = &mut self.rows[at..at + HEAD + self.buckets];
        let buckets = self.buckets;
        let wide = self.wide.entry(Slot(row[0])).or_insert_with(|| Delta {
            count: 0,
            sum_us: 0,
            buckets: vec![0; buckets],
        });
        add_row(row, wide);
        row[1..].fill(0);
    }
}

fn add_row(row: &[u32], delta: &mut Delta) {
    delta.sum_us = delta.sum_us.wrapping_add(u128::from(row[1]) | u128::from(row[2]) << 32);
    for (units, &spans) in delta.buckets.iter_mut().zip(&row[HEAD..]) {
        let added = u64::from(spans) * SPAN_WEIGHT;
        *units = units.wrapping_add(added);
        delta.count = delta.count.wrapping_add(added);
    }
}

#[inline(always)]
fn hash(slot: Slot) -> u64 {
    // Slots are dense: spread them over the table's high bits too.
    u64::from(slot.0).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Layout;

    fn of(cells: &Cells, slot: u32) -> (u64, u128, Vec<u64>) {
        let mut delta = Delta { buckets: vec![0; cells.buckets], ..Delta::default() };
        cells.add_to(Slot(slot), &mut delta);
        (delta.count / SPAN_WEIGHT, delta.sum_us, delta.buckets)
    }

    #[test]
    fn what_outgrows_a_row_is_still_exact() {
        let mut cells = Cells::new(2);
        for _ in 0..3 {
            cells.add(Slot(9), u64::MAX, [(0, u32::MAX), (1, 7)].into_iter());
        }
        let spans = 3 * u64::from(u32::MAX);
        let expected =
            (spans + 21, 3 * u128::from(u64::MAX), vec![spans * SPAN_WEIGHT, 21 * SPAN_WEIGHT]);
        assert_eq!(of(&cells, 9), expected);
        let mut sum = Cells::new(2);
        sum.merge(&cells);
        assert_eq!(of(&sum, 9), expected);
    }

    #[test]
    fn forgotten_groups_leave_the_others_as_they_are() {
        let buckets = Layout::default().buckets();
        let mut cells = Cells::new(buckets);
        for slot in 0..100 {
            cells.add(Slot(slot), u64::from(slot), [(slot as usize % buckets, 1)].into_iter());
        }
        cells.retain(|slot| slot.0 % 3 == 0);
        assert_eq!(cells.len(), 34);
        assert!(!cells.has(Slot(1)) && cells.has(Slot(99)));
        assert_eq!(of(&cells, 99).1, 99);
        assert_eq!(of(&cells, 98), (0, 0, vec![0; buckets]));
    }
}
