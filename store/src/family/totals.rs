//! Totals: the sum of a block, beside it. A counter's value at the start of a stretch is the sum of
//! all totals before it, so late data touches one stretch and a damaged block spoils nothing after it.

use tributary_spanmetrics::{Delta, Layout};

use super::Damaged;
use super::blocks::Windows;

/// Wide enough for everything that ever was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// In units of 1/1024 span.
    pub count: u128,
    pub sum_us: u128,
    /// In units of 1/1024 span, by bucket of the layout; empty while nothing was added.
    pub buckets: Vec<u128>,
}

const TOTALS_V1: u8 = 1;

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
        windows.values().for_each(|delta| totals.add_delta(delta));
        totals
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        super::seal(TOTALS_V1, |w| {
            w.varint(self.count);
            w.varint(self.sum_us);
            self.buckets.iter().for_each(|units| w.varint(*units));
        })
    }

    pub(crate) fn decode(value: &[u8], layout: &Layout) -> Result<Self, Damaged> {
        super::open(TOTALS_V1, value, |r| {
            let (count, sum_us) = (r.varint_u128()?, r.varint_u128()?);
            let buckets = (0..layout.buckets()).map(|_| r.varint_u128());
            Ok(Totals { count, sum_us, buckets: buckets.collect::<Result<_, _>>()? })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_pinned() {
        let layout = Layout::explicit(1000, vec![5, 6]).expect("ascends");
        let mut delta = Delta::empty(&layout);
        delta.observe(&layout, 6);
        let mut totals = Totals::default();
        totals.add_delta(&delta);
        totals.add(&totals.clone());
        let value = totals.encode();
        let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, PINNED);
        assert_eq!(Totals::decode(&value, &layout), Ok(totals));
    }

    const PINNED: &str = "01801000008010004f3ebf89";
}
