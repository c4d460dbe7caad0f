//! Instant selectors: each series' latest sample within the lookback, unless it is a stale marker.

use std::sync::Arc;

use super::frame::{Columns, Frame};
use super::meter::Meter;
use super::operator::{Operand, Operator};
use super::samples::{Samples, by_shared_times, is_stale, shares_times};
use super::windows::Frames;
use crate::annotations::Annotations;
use crate::error::Error;

/// Stands for "no sample in sight".
const NONE: usize = usize::MAX;

pub(crate) struct Lookup {
    series: Arc<[Samples]>,
    frames: Frames,
    order: Vec<usize>,
    /// The place of the sample that each evaluation time sees, for the series that share their times
    /// with the one at hand.
    latest: Vec<usize>,
    out: Columns,
}

impl Lookup {
    pub(crate) fn new(
        series: Arc<[Samples]>,
        frames: Frames,
        meter: &mut Meter,
    ) -> Result<Self, Error> {
        let out = Columns::absent(series.len(), frames.steps.count(), meter)?;
        let order = by_shared_times(&series);
        Ok(Lookup { series, frames, order, latest: Vec::new(), out })
    }
}

impl Operator for Lookup {
    fn units(&self) -> usize {
        self.order.len()
    }

    fn run(&mut self, unit: usize) -> Result<usize, Error> {
        let place = self.order[unit];
        let series = &self.series[place];
        let shared = unit > 0 && shares_times(&self.series[self.order[unit - 1]], series);
        if !shared {
            let windows = self.frames.over(&series.times, series.complete_to);
            self.latest.clear();
            self.latest.extend(windows.map(|w| if w.until > w.from { w.until - 1 } else { NONE }));
        }
        let (values, present) = self.out.row_mut(place);
        for (step, &at) in self.latest.iter().enumerate() {
            if at != NONE && !is_stale(series.values[at]) {
                values[step] = series.values[at];
                present[step] = true;
            }
        }
        Ok(self.latest.len() + if shared { 0 } else { series.times.len() })
    }

    fn finish(self: Box<Self>, _: &mut Annotations) -> Result<Operand, Error> {
        let labels = self.series.iter().map(|s| s.labels.clone()).collect();
        Ok(Operand::Vector(Frame { labels, columns: self.out }))
    }
}
