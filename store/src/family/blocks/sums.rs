//! Sums, told by how far they are from what the buckets let expect: each span at its bucket's middle.
//!
//! A sum is about half of a block's bytes, and most of what it says is said by the buckets already: at 2,880 rows this
//! takes a tenth of its bytes off. The middle is the geometric mean of the bounds, as durations spread over factors;
//! fitting one to each block saves no more than it costs to write down.

use tributary_spanmetrics::codec::{DecodeError, Reader, Writer};
use tributary_spanmetrics::{Layout, SPAN_WEIGHT};

use super::column;

/// `shift`: how many low bits of all `buckets` are zero. Wraps where it overflows: it is a guess, the same each time.
pub(super) struct Expected {
    us: Vec<u64>,
    shift: u32,
}

impl Expected {
    pub(super) fn of(layout: &Layout, buckets: &[Vec<u64>], rows: usize, shift: u32) -> Self {
        let mut us = vec![0u64; rows];
        for (bucket, column) in buckets.iter().enumerate().filter(|(_, c)| !c.is_empty()) {
            let middle = middle_us(layout.bounds_ns(), bucket);
            for (us, units) in us.iter_mut().zip(column) {
                *us = us.wrapping_add((units >> shift).wrapping_mul(middle));
            }
        }
        Expected { us, shift }
    }

    pub(super) fn write(&self, sums_us: &[u128], w: &mut Writer) {
        let beside = |(row, sum): (usize, &u128)| sum.wrapping_sub(self.sum_us(row)) as i128;
        let beside: Vec<i128> = sums_us.iter().enumerate().map(beside).collect();
        let least = beside.iter().min().copied().unwrap_or_default();
        w.varint(((least << 1) ^ (least >> 127)) as u128);
        let above = || beside.iter().map(|beside| beside.wrapping_sub(least) as u128);
        column::write(&above().map(|above| above as u64).collect::<Vec<_>>(), w);
        column::write(&above().map(|above| (above >> u64::BITS) as u64).collect::<Vec<_>>(), w);
    }

    pub(super) fn read(&self, r: &mut Reader<'_>) -> Result<Vec<u128>, DecodeError> {
        let raw = r.varint_u128()?;
        let least = (raw >> 1) ^ 0u128.wrapping_sub(raw & 1);
        let rows = self.us.len();
        let (low, high) = (column::read(r, rows)?, column::read(r, rows)?);
        let word = |column: &[u64], row| u128::from(column.get(row).copied().unwrap_or_default());
        let sum = |row| {
            let above = word(&low, row) | word(&high, row) << u64::BITS;
            self.sum_us(row).wrapping_add(least).wrapping_add(above)
        };
        Ok((0..rows).map(sum).collect())
    }

    fn sum_us(&self, row: usize) -> u128 {
        (u128::from(self.us[row]) << self.shift) / u128::from(SPAN_WEIGHT)
    }
}

fn middle_us(bounds_ns: &[u64], bucket: usize) -> u64 {
    let above = bucket.checked_sub(1).map(|at| bounds_ns[at]);
    let ns = match (above, bounds_ns.get(bucket)) {
        (None, None) => 0,
        (None, Some(to)) => to / 2,
        (Some(from), Some(to)) => (u128::from(from) * u128::from(*to)).isqrt() as u64,
        (Some(from), None) => from.saturating_add(from / 3),
    };
    ns / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_expected_in_the_middle_of_its_bucket() {
        let layout = Layout::explicit(1000, vec![2_000_000, 8_000_000]).expect("ascends");
        let spans = |spans: [u64; 2]| spans.map(|spans| spans * SPAN_WEIGHT).to_vec();
        let buckets = [spans([1, 0]), spans([0, 3]), spans([1, 0])];
        let expected = Expected::of(&layout, &buckets, 2, 10);
        assert_eq!([expected.sum_us(0), expected.sum_us(1)], [1000 + 10_666, 3 * 4000]);
        let halves = [vec![], vec![512], vec![]];
        assert_eq!(Expected::of(&layout, &halves, 1, 9).sum_us(0), 2000);
    }

    #[test]
    fn sums_of_any_size_round_trip() {
        let layout = Layout::default();
        let buckets = vec![Vec::new(); layout.buckets()];
        let expected = Expected::of(&layout, &buckets, 5, 0);
        let sums = [0, 1, u128::from(u64::MAX) + 1, u128::MAX, 1 << 127];
        let mut w = Writer::new();
        expected.write(&sums, &mut w);
        let bytes = w.into_bytes();
        assert_eq!(expected.read(&mut Reader::new(&bytes)), Ok(sums.to_vec()));
    }
}
