//! `count`.

use super::Accumulator;
use crate::error::Error;
use crate::eval::frame::Columns;
use crate::eval::meter::Meter;

pub(super) struct Count {
    counts: Columns,
}

impl Count {
    pub(super) fn new(groups: usize, width: usize, meter: &mut Meter) -> Result<Self, Error> {
        Ok(Count { counts: Columns::absent(groups, width, meter)? })
    }
}

impl Accumulator for Count {
    fn add(&mut self, group: usize, _: &[f64], present: &[bool]) {
        let (counts, seen) = self.counts.row_mut(group);
        for ((count, seen), &present) in counts.iter_mut().zip(seen).zip(present) {
            *count += f64::from(u8::from(present));
            *seen |= present;
        }
    }

    fn finish(self: Box<Self>) -> Columns {
        self.counts
    }
}
