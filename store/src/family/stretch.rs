//! Stretches: the pieces of time that rows hold.
//!
//! They are open to the left, as windows are named by their end: the one that ends at midnight belongs to the day
//! before. None crosses midnight in UTC, so that whole days and months can be told from their keys.

use tributary_spanmetrics::Layout;

const DAY_MS: i64 = 24 * 3600 * 1000;

/// As many windows compress best, as measured; twelve times fewer take a fifth more. No stretch has more.
pub(crate) const MOST_WINDOWS: u64 = 2880;

/// No stretch is longer.
pub(crate) const LONGEST: Stretch = Stretch { length_ms: DAY_MS };
pub(crate) const OF_SAMPLES: Stretch = Stretch { length_ms: 8 * 3600 * 1000 };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    length_ms: i64,
}

impl Stretch {
    /// The longest part of a day with at most as many windows as compress best.
    pub(crate) fn of(layout: &Layout) -> Self {
        let windows = DAY_MS as u32 / layout.window_ms();
        let parts =
            (windows.div_ceil(MOST_WINDOWS as u32)..).find(|parts| windows.is_multiple_of(*parts));
        Stretch { length_ms: DAY_MS / i64::from(parts.expect("a window divides a day")) }
    }

    /// The start of the one that `time_ms` belongs to.
    pub(crate) fn start(self, time_ms: i64) -> i64 {
        // Saturating: the ends of a range may be the ends of time.
        time_ms.saturating_sub(1).div_euclid(self.length_ms).saturating_mul(self.length_ms)
    }

    /// Where the one that starts there ends.
    pub(crate) fn end(self, start_ms: i64) -> i64 {
        start_ms.saturating_add(self.length_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const H: i64 = 3600 * 1000;

    #[test]
    fn stretches_are_open_to_the_left_and_reach_the_ends_of_time() {
        let stretch = Stretch { length_ms: 8 * H };
        assert_eq!(stretch.start(8 * H), 0);
        assert_eq!(stretch.start(8 * H + 1), 8 * H);
        assert_eq!(stretch.start(0), -8 * H);
        assert_eq!(stretch.start(i64::MIN), i64::MIN);
        assert!(stretch.start(i64::MAX) > i64::MAX - 8 * H);
        assert_eq!(stretch.end(i64::MAX - 1), i64::MAX);
    }

    #[test]
    fn a_stretch_is_the_part_of_a_day_that_compresses_best() {
        let of = |window_ms| {
            let layout = Layout::explicit(window_ms, vec![1]).expect("divides a day");
            Stretch::of(&layout).length_ms
        };
        assert_eq!([10_000, 15_000, 60_000, 600_000].map(of), [8 * H, 12 * H, 24 * H, 24 * H]);
        assert_eq!([12_000, 27_000, 1].map(of), [8 * H, 12 * H, 2880]);
    }
}
