//! Range selectors under a function of their windows.

use std::sync::Arc;

use tributary_spanmetrics::METRIC_NAME;

use super::extrapolation::{Extrapolation, Stretch};
use super::frame::{Columns, Frame};
use super::meter::Meter;
use super::operator::{Operand, Operator};
use super::samples::{Samples, by_shared_times, shares_times};
use super::windows::Frames;
use crate::annotations::Annotations;
use crate::error::Error;
use crate::plan::RangeFunction;

/// What counters' names end in.
const COUNTER_ENDINGS: [&str; 4] = ["_total", "_sum", "_count", "_bucket"];

pub(crate) struct Windowed {
    series: Arc<[Samples]>,
    frames: Frames,
    function: RangeFunction,
    order: Vec<usize>,
    /// The windows over the series at hand, and over those that share its times.
    windows: Vec<Option<Stretch>>,
    /// Whether `windows` may serve the next series too.
    reusable: bool,
    kernel: Extrapolation,
    out: Columns,
}

impl Windowed {
    pub(crate) fn new(
        series: Arc<[Samples]>,
        frames: Frames,
        function: RangeFunction,
        meter: &mut Meter,
    ) -> Result<Self, Error> {
        let out = Columns::absent(series.len(), frames.steps.count(), meter)?;
        let order = by_shared_times(&series);
        let kernel = Extrapolation::new(function, frames.length);
        let windows = Vec::new();
        Ok(Windowed { series, frames, function, order, windows, reusable: false, kernel, out })
    }

    fn look(&mut self, series: &Samples) {
        let windows = self.frames.over(&series.times, series.complete_to);
        self.windows.clear();
        self.windows.extend(windows.map(|window| Stretch::of(window, &series.times)));
    }
}

impl Operator for Windowed {
    fn units(&self) -> usize {
        self.order.len()
    }

    fn run(&mut self, unit: usize) -> Result<usize, Error> {
        let all = Arc::clone(&self.series);
        let place = self.order[unit];
        let series = &all[place];
        let cleaned = series.has_stale_markers().then(|| series.without_stale_markers());
        let shared = unit > 0 && shares_times(&all[self.order[unit - 1]], series);
        let series = cleaned.as_ref().unwrap_or(series);
        if cleaned.is_some() || !shared || !self.reusable {
            self.look(series);
            self.reusable = cleaned.is_none();
        }
        let (values, present) = self.out.row_mut(place);
        self.kernel.fill(&series.values, &self.windows, values, present);
        Ok(self.windows.len() + series.values.len())
    }

    fn finish(self: Box<Self>, notes: &mut Annotations) -> Result<Operand, Error> {
        for (row, series) in self.series.iter().enumerate() {
            let name = series.labels.get(METRIC_NAME).unwrap_or_default();
            let counter = COUNTER_ENDINGS.iter().any(|ending| name.ends_with(ending));
            if self.function.of_counter()
                && !name.is_empty()
                && !counter
                && !self.out.is_empty_row(row)
            {
                notes.possible_non_counter(name);
            }
        }
        let labels = self.series.iter().map(|s| s.labels.clone()).collect();
        let frame = Frame { labels, columns: self.out };
        Ok(Operand::Vector(frame.without_names_at_any_time()?))
    }
}
