//! `min` and `max`. NaN gives way to any number.

use super::Accumulator;
use crate::error::Error;
use crate::eval::frame::Columns;
use crate::eval::meter::Meter;

pub(super) struct Extremum {
    found: Columns,
    /// Whether the second value takes the first one's place.
    beats: fn(f64, f64) -> bool,
}

impl Extremum {
    pub(super) fn least(groups: usize, width: usize, meter: &mut Meter) -> Result<Self, Error> {
        Ok(Extremum { found: Columns::absent(groups, width, meter)?, beats: |old, new| old > new })
    }

    pub(super) fn greatest(groups: usize, width: usize, meter: &mut Meter) -> Result<Self, Error> {
        Ok(Extremum { found: Columns::absent(groups, width, meter)?, beats: |old, new| old < new })
    }
}

impl Accumulator for Extremum {
    fn add(&mut self, group: usize, values: &[f64], present: &[bool]) {
        let (found, seen) = self.found.row_mut(group);
        let cells = found.iter_mut().zip(seen);
        for ((found, seen), (&value, &present)) in cells.zip(values.iter().zip(present)) {
            if present && (!*seen || found.is_nan() || (self.beats)(*found, value)) {
                (*found, *seen) = (value, true);
            }
        }
    }

    fn finish(self: Box<Self>) -> Columns {
        self.found
    }
}
