//! `sum`, with Neumaier's compensation, as Prometheus adds.

use super::Accumulator;
use crate::error::Error;
use crate::eval::frame::Columns;
use crate::eval::meter::Meter;

pub(super) struct Sum {
    sums: Columns,
    /// What rounding took from each sum so far.
    lost: Vec<f64>,
}

impl Sum {
    pub(super) fn new(groups: usize, width: usize, meter: &mut Meter) -> Result<Self, Error> {
        let mut sums = Columns::absent(groups, width, meter)?;
        meter.take(groups * width)?;
        // Negative zero is what changes no addend, not even another negative zero.
        (0..groups).for_each(|group| sums.row_mut(group).0.fill(-0.0));
        Ok(Sum { sums, lost: vec![0.0; groups * width] })
    }
}

impl Accumulator for Sum {
    fn add(&mut self, group: usize, values: &[f64], present: &[bool]) {
        let width = values.len();
        let (sums, seen) = self.sums.row_mut(group);
        let lost = &mut self.lost[group * width..(group + 1) * width];
        // Written without branches, for the compiler to take several steps at a time.
        let cells = sums.iter_mut().zip(lost).zip(seen);
        for (((sum, lost), seen), (&value, &present)) in cells.zip(values.iter().zip(present)) {
            let (total, rest) = compensated(value, *sum, *lost);
            *sum = if present { total } else { *sum };
            *lost = if present { rest } else { *lost };
            *seen |= present;
        }
    }

    fn finish(mut self: Box<Self>) -> Columns {
        let width = self.sums.width();
        for (group, lost) in self.lost.chunks_exact(width).enumerate() {
            let (sums, _) = self.sums.row_mut(group);
            sums.iter_mut().zip(lost).for_each(|(sum, lost)| *sum += lost);
        }
        self.sums
    }
}

/// Adds to a sum, and to what rounding has taken from it.
pub(super) fn compensated(value: f64, sum: f64, lost: f64) -> (f64, f64) {
    let total = sum + value;
    let rest = if sum.abs() >= value.abs() { (sum - total) + value } else { (value - total) + sum };
    (total, if total.is_infinite() { 0.0 } else { lost + rest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_addends_survive_large_ones() {
        let mut sum = Sum::new(1, 1, &mut Meter::new(10)).expect("within the limit");
        for value in [1.0, 1e100, 1.0, -1e100] {
            sum.add(0, &[value], &[true]);
        }
        sum.add(0, &[5.0], &[false]);
        assert_eq!(Box::new(sum).finish().cell(0, 0), Some(2.0));
    }

    #[test]
    fn nothing_added_is_no_sum() {
        let mut sum = Sum::new(1, 2, &mut Meter::new(10)).expect("within the limit");
        sum.add(0, &[1.0, f64::INFINITY], &[false, true]);
        let sums = Box::new(sum).finish();
        assert_eq!((sums.cell(0, 0), sums.cell(0, 1)), (None, Some(f64::INFINITY)));
    }
}
