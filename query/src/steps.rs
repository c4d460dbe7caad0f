//! The evaluation times of a query: `start`, `start + step`, … up to `end`.

use crate::error::Error;
use crate::source::TimeMs;

/// Times far beyond any sample would overflow once ranges are taken from them.
const MAX_TIME_MS: TimeMs = i64::MAX / 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    pub start: TimeMs,
    pub end: TimeMs,
    /// In milliseconds.
    pub step: TimeMs,
}

impl Steps {
    /// The one evaluation time of an instant query.
    pub fn instant(time: TimeMs) -> Self {
        Steps { start: time, end: time, step: 1 }
    }

    /// Refuses what cannot be stepped through, or not in `max_points`.
    pub(crate) fn check(&self, max_points: usize) -> Result<(), Error> {
        if self.step <= 0 {
            return Err(Error::Times(
                "zero or negative query resolution step widths are not accepted. Try a positive \
                 integer",
            ));
        }
        if self.end < self.start {
            return Err(Error::Times("end timestamp must not be before start time"));
        }
        if self.start < -MAX_TIME_MS || self.end > MAX_TIME_MS {
            return Err(Error::Times("time out of range"));
        }
        // Prometheus compares the number of intervals, so that one point more than the limit passes.
        if (self.end - self.start) / self.step > max_points as i64 {
            return Err(Error::TooManyPoints { limit: max_points });
        }
        Ok(())
    }

    pub(crate) fn count(&self) -> usize {
        ((self.end - self.start) / self.step) as usize + 1
    }

    pub(crate) fn last(&self) -> TimeMs {
        self.at(self.count() - 1)
    }

    pub(crate) fn at(&self, index: usize) -> TimeMs {
        self.start + index as i64 * self.step
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = TimeMs> + use<> {
        let steps = *self;
        (0..steps.count()).map(move |i| steps.at(i))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(start: TimeMs, end: TimeMs, step: TimeMs) -> Result<(), Error> {
        Steps { start, end, step }.check(11_000)
    }

    #[test]
    fn steps_end_at_or_before_the_end() {
        let steps = Steps { start: 1_000, end: 3_500, step: 1_000 };
        assert_eq!(steps.iter().collect::<Vec<_>>(), [1_000, 2_000, 3_000]);
        assert_eq!(steps.last(), 3_000);
    }

    #[test]
    fn eleven_thousand_intervals_pass_and_one_more_does_not() {
        assert!(check(0, 11_000_000, 1_000).is_ok());
        assert!(matches!(check(0, 11_001_000, 1_000), Err(Error::TooManyPoints { .. })));
    }

    #[test]
    fn senseless_times_are_refused() {
        assert!(check(0, 10, 0).is_err() && check(0, 10, -5).is_err());
        assert!(check(10, 0, 1).is_err());
        assert!(check(i64::MIN, i64::MAX, 1).is_err());
    }
}
