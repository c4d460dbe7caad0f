//! `rate`, `increase` and `delta`: how much a value moved over a window.
//!
//! The samples of a window seldom lie at its ends. As Prometheus does (`extrapolatedRate`), what they
//! show is stretched towards an end that is near, by their own average distance or a tenth more, and
//! by half that distance otherwise; a counter is never stretched to before it was zero.

use super::resets::Resets;
use super::windows::Window;
use crate::plan::RangeFunction;

/// An end is near that is less than this many average distances away.
const NEAR: f64 = 1.1;

/// What follows from a window's times alone. All lengths in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    first: usize,
    last: usize,
    sampled: f64,
    to_start: f64,
    to_end: f64,
}

impl Stretch {
    /// `None` where a window has fewer than two samples.
    pub(crate) fn of(window: Window, times: &[i64]) -> Option<Self> {
        let count = window.until.saturating_sub(window.from);
        if count < 2 {
            return None;
        }
        let (first, last) = (window.from, window.until - 1);
        let seconds = |millis: i64| millis as f64 / 1_000.0;
        let sampled = seconds(times[last] - times[first]);
        let average = sampled / (count - 1) as f64;
        let reach = |distance: f64| {
            if distance >= average * NEAR { average / 2.0 } else { distance }
        };
        Some(Stretch {
            first,
            last,
            sampled,
            to_start: reach(seconds(times[first] - window.start)),
            to_end: reach(seconds(window.end - times[last])),
        })
    }
}

/// One of the three functions, over windows of one length.
#[derive(Debug)]
pub(crate) struct Extrapolation {
    function: RangeFunction,
    range_seconds: f64,
    resets: Resets,
}

impl Extrapolation {
    pub(crate) fn new(function: RangeFunction, range_ms: i64) -> Self {
        Extrapolation {
            function,
            range_seconds: range_ms as f64 / 1_000.0,
            resets: Resets::default(),
        }
    }

    /// Fills a row from a series' values and the windows over them.
    pub(crate) fn fill(
        &mut self,
        samples: &[f64],
        windows: &[Option<Stretch>],
        values: &mut [f64],
        present: &mut [bool],
    ) {
        let counter = self.function.of_counter();
        if counter {
            self.resets.read(samples);
        }
        let falls = counter && !self.resets.is_empty();
        let (mut from, mut until) = (0, 0);
        for ((window, value), present) in windows.iter().zip(values).zip(present) {
            let Some(window) = window else { continue };
            let first = samples[window.first];
            let mut moved = samples[window.last] - first;
            if falls {
                from = self.resets.count_to(window.first, from);
                until = self.resets.count_to(window.last, until.max(from));
                moved = self.resets.add_lost(moved, from, until);
            }
            let mut to_start = window.to_start;
            if counter && moved > 0.0 && first >= 0.0 {
                let to_zero = window.sampled * (first / moved);
                if to_zero < to_start {
                    to_start = to_zero;
                }
            }
            let mut factor = (window.sampled + to_start + window.to_end) / window.sampled;
            if self.function.per_second() {
                factor /= self.range_seconds;
            }
            *value = moved * factor;
            *present = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn increase(times: &[i64], samples: &[f64], start: i64, end: i64) -> Option<f64> {
        let from = times.iter().take_while(|&&t| t <= start).count();
        let until = times.iter().take_while(|&&t| t <= end).count();
        let windows = [Stretch::of(Window { start, end, from, until }, times)];
        let (mut values, mut present) = ([0.0], [false]);
        let mut extrapolation = Extrapolation::new(RangeFunction::Increase, end - start);
        extrapolation.fill(samples, &windows, &mut values, &mut present);
        present[0].then_some(values[0])
    }

    #[test]
    fn increments_right_after_a_zero_count_exactly() {
        // The series begins with a zero, one step before its first increments.
        let (times, samples) = ([590_000, 600_000], [0.0, 10.0]);
        assert_eq!(increase(&times, &samples, 300_000, 600_000), Some(10.0));
    }

    #[test]
    fn near_ends_are_reached_and_far_ones_by_half_a_distance() {
        let (times, samples) = ([10_000, 20_000, 30_000], [100.0, 110.0, 120.0]);
        assert_eq!(increase(&times, &samples, 0, 40_000), Some(40.0));
        assert_eq!(increase(&times, &samples, -60_000, 90_000), Some(30.0));
    }

    #[test]
    fn a_fall_is_a_counter_that_began_anew() {
        let (times, samples) = ([10_000, 20_000, 30_000], [100.0, 5.0, 15.0]);
        assert_eq!(increase(&times, &samples, 9_999, 30_000), Some(15.0 * 20.001 / 20.0));
    }

    #[test]
    fn one_sample_says_nothing() {
        assert_eq!(increase(&[10_000], &[1.0], 0, 20_000), None);
    }
}
