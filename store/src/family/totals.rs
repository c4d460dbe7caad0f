//! Totals: the sum of a block, beside it. A counter's value at the start of a stretch is the sum of
//! all totals before it, so late data touches one stretch and a damaged block spoils nothing after it.

use tributary_spanmetrics::codec::Reader;
use tributary_spanmetrics::{Delta, Layout};

use super::{Damaged, MOST_WINDOWS};
use crate::windows::Windows;

/// Wide enough for everything that ever was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// In units of 1/1024 span.
    pub count: u128,
    pub sum_us: u128,
    /// In units of 1/1024 span, by bucket of the layout; empty while nothing was added.
    pub buckets: Vec<u128>,
}

/// Tag 1, retired: without how many windows the block has.
const TOTALS_V2: u8 = 2;

impl Totals {
    pub fn add_delta(&mut self, delta: &Delta) {
        self.count = self.count.wrapping_add(delta.count.into());
        self.sum_us = self.sum_us.wrapping_add(delta.sum_us);
        self.buckets.resize(self.buckets.len().max(delta.buckets.len()), 0);
        for (mine, theirs) in self.buckets.iter_mut().zip(&delta.buckets) {
            *mine = mine.wrapping_add((*theirs).into());
        }
    }

    pub fn add(&mut self, other: &Totals) {
        self.count = self.count.wrapping_add(other.count);
        self.sum_us = self.sum_us.wrapping_add(other.sum_us);
        self.buckets.resize(self.buckets.len().max(other.buckets.len()), 0);
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine = mine.wrapping_add(*theirs);
        }
    }

    pub(crate) fn of(windows: &Windows) -> Self {
        let mut totals = Totals::default();
        windows.add_to(0..windows.len(), &mut totals);
        totals
    }

    pub(crate) fn decode(value: &[u8], layout: &Layout) -> Result<Self, Damaged> {
        super::open(TOTALS_V2, value, |r| {
            r.varint()?;
            let (count, sum_us) = (r.varint_u128()?, r.varint_u128()?);
            let buckets = (0..layout.buckets()).map(|_| r.varint_u128());
            Ok(Totals { count, sum_us, buckets: buckets.collect::<Result<_, _>>()? })
        })
    }
}

pub(crate) fn encode(windows: &Windows) -> Vec<u8> {
    let totals = Totals::of(windows);
    super::seal(TOTALS_V2, |w| {
        w.varint(windows.len() as u64);
        w.varint(totals.count);
        w.varint(totals.sum_us);
        totals.buckets.iter().for_each(|units| w.varint(*units));
    })
}

/// How many windows the block has, by the first bytes alone: compaction plans by it.
pub(crate) fn windows_of(value: &[u8]) -> u64 {
    let mut r = Reader::new(value.get(1..).unwrap_or_default());
    r.varint().unwrap_or_default().min(MOST_WINDOWS)
}

#[cfg(test)]
mod tests {
    use tributary_spanmetrics::WindowEnd;

    use super::*;

    #[test]
    fn the_bytes_are_pinned() {
        let layout = Layout::explicit(1000, vec![5, 6]).expect("ascends");
        let mut delta = Delta::empty(&layout);
        delta.observe(&layout, 6);
        let mut windows = Windows::new(layout.buckets());
        windows.push(WindowEnd(1000), &delta);
        windows.push(WindowEnd(3000), &delta);
        let value = encode(&windows);
        let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, PINNED);
        assert_eq!(Totals::decode(&value, &layout), Ok(Totals::of(&windows)));
        assert_eq!(windows_of(&value), 2);
    }

    const PINNED: &str = "020280100000801000eddaedaa";
}
