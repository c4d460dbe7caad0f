//! `avg`: a compensated sum over a count; where the sum would overflow, a running mean.

use super::Accumulator;
use super::sum::compensated;
use crate::error::Error;
use crate::eval::frame::Columns;
use crate::eval::meter::Meter;

pub(super) struct Average {
    means: Columns,
    states: Vec<State>,
}

#[derive(Clone, Copy, Default)]
struct State {
    count: f64,
    /// A sum, or a mean once the sum would have overflowed.
    value: f64,
    lost: f64,
    is_mean: bool,
}

impl Average {
    pub(super) fn new(groups: usize, width: usize, meter: &mut Meter) -> Result<Self, Error> {
        let means = Columns::absent(groups, width, meter)?;
        meter.take(groups * width * size_of::<State>() / size_of::<f64>())?;
        Ok(Average { means, states: vec![State::default(); groups * width] })
    }
}

impl Accumulator for Average {
    fn add(&mut self, group: usize, values: &[f64], present: &[bool]) {
        let width = values.len();
        let states = &mut self.states[group * width..(group + 1) * width];
        for ((state, &value), &present) in states.iter_mut().zip(values).zip(present) {
            if present {
                state.add(value);
            }
        }
    }

    fn finish(mut self: Box<Self>) -> Columns {
        let width = self.means.width();
        for (group, states) in self.states.chunks_exact(width).enumerate() {
            let (values, present) = self.means.row_mut(group);
            for ((state, value), present) in states.iter().zip(values).zip(present) {
                *present = state.count > 0.0;
                *value = state.mean();
            }
        }
        self.means
    }
}

impl State {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        if self.count == 1.0 {
            self.value = value;
            return;
        }
        if !self.is_mean {
            let (sum, lost) = compensated(value, self.value, self.lost);
            if !sum.is_infinite() {
                (self.value, self.lost) = (sum, lost);
                return;
            }
            self.is_mean = true;
            self.value /= self.count - 1.0;
            self.lost /= self.count - 1.0;
        }
        // An infinite mean stays as it is, unless the other infinity or NaN comes to it.
        if self.value.is_infinite() && (value == self.value || value.is_finite()) {
            return;
        }
        let before = (self.count - 1.0) / self.count;
        (self.value, self.lost) =
            compensated(value / self.count, before * self.value, before * self.lost);
    }

    fn mean(&self) -> f64 {
        if self.is_mean {
            self.value + self.lost
        } else {
            self.value / self.count + self.lost / self.count
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(values: &[f64]) -> f64 {
        let mut state = State::default();
        values.iter().for_each(|&value| state.add(value));
        state.mean()
    }

    #[test]
    fn sums_that_overflow_still_have_a_mean() {
        let close = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-12;
        assert!(close(mean(&[1e308, 1e308, 1e308]), 1e308));
        assert_eq!(mean(&[1.0, 2.0, 6.0]), 3.0);
    }

    #[test]
    fn infinities_average_to_themselves() {
        let inf = f64::INFINITY;
        assert_eq!(mean(&[inf, 1.0, inf]), inf);
        assert_eq!(mean(&[1.0, -inf]), -inf);
        assert!(mean(&[inf, -inf]).is_nan());
        assert!(mean(&[inf, f64::NAN]).is_nan());
    }
}
