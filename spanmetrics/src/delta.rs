//! What happened to a group in a window: a value in a commutative monoid of integers.
//!
//! Merging is addition, field by field, so any order and any grouping of deltas of one layout give the
//! same sum (law 1). Nothing here is a float.

use crate::codec::{DecodeError, Reader, Writer};
use crate::layout::Layout;

/// One span's weight in `count` and `buckets`; a sampled span weighs a multiple.
pub const SPAN_WEIGHT: u64 = 1024;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// In units of 1/1024 span.
    pub count: u64,
    /// Microseconds, rounded half up once, at the span.
    pub sum_us: u128,
    /// In units of 1/1024 span, one for each bucket of the layout.
    pub buckets: Vec<u64>,
}

impl Delta {
    pub fn empty(layout: &Layout) -> Self {
        Delta { count: 0, sum_us: 0, buckets: vec![0; layout.buckets()] }
    }

    pub fn clear(&mut self) {
        self.count = 0;
        self.sum_us = 0;
        self.buckets.fill(0);
    }

    /// Wraps where it overflows, since only modular addition is associative there; 2^64 units are
    /// 18 thousand million million spans in one window.
    pub fn merge(&mut self, other: &Delta) {
        debug_assert_eq!(self.buckets.len(), other.buckets.len(), "deltas of two layouts");
        self.count = self.count.wrapping_add(other.count);
        self.sum_us = self.sum_us.wrapping_add(other.sum_us);
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine = mine.wrapping_add(*theirs);
        }
    }

    /// Most buckets of a window are empty: those that are not, as gaps and values.
    pub fn encode(&self, w: &mut Writer) {
        w.varint(self.count);
        w.varint(self.sum_us);
        let filled = || self.buckets.iter().enumerate().filter(|(_, units)| **units > 0);
        w.varint(filled().count() as u64);
        let mut next = 0;
        for (at, &units) in filled() {
            w.varint((at - next) as u64);
            w.varint(units);
            next = at + 1;
        }
    }

    pub fn decode(r: &mut Reader<'_>, layout: &Layout) -> Result<Self, DecodeError> {
        let mut delta = Delta::empty(layout);
        delta.count = r.varint()?;
        delta.sum_us = r.varint_u128()?;
        let filled = r.varint()?;
        let mut next = 0u64;
        for _ in 0..filled {
            let at = next.checked_add(r.varint()?).ok_or(DecodeError::Bad("bucket"))?;
            let bucket = usize::try_from(at).ok().and_then(|at| delta.buckets.get_mut(at));
            *bucket.ok_or(DecodeError::Bad("bucket"))? = match r.varint()? {
                0 => return Err(DecodeError::Bad("bucket: empty")),
                units => units,
            };
            next = at + 1;
        }
        Ok(delta)
    }
}

/// For tests: what counts spans keeps them in smaller integers and rounds for itself.
impl Delta {
    pub fn observe(&mut self, layout: &Layout, duration_ns: u64) {
        self.count += SPAN_WEIGHT;
        self.sum_us += (u128::from(duration_ns) + 500) / 1000;
        self.buckets[layout.bucket(duration_ns)] += SPAN_WEIGHT;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_round_trips() {
        let layout = Layout::default();
        let mut delta = Delta::empty(&layout);
        for ns in [0, 5_000_000, 5_000_001, u64::MAX] {
            delta.observe(&layout, ns);
        }
        let mut w = Writer::new();
        delta.encode(&mut w);
        let bytes = w.into_bytes();
        assert_eq!(Delta::decode(&mut Reader::new(&bytes), &layout), Ok(delta));
    }
}
