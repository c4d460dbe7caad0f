//! When a group's series have samples.

use std::collections::BTreeSet;

use tributary_store::GroupHistory;

use crate::source::TimeMs;

#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    /// Samples are wanted in `start < time <= end`.
    pub(super) start: TimeMs,
    pub(super) end: TimeMs,
    pub(super) idle: TimeMs,
    pub(super) complete_to: Option<TimeMs>,
}

impl Grid {
    /// Ascending.
    pub(super) fn times(&self, history: &GroupHistory) -> Vec<TimeMs> {
        let layouts = || history.layouts.values();
        let ends: BTreeSet<TimeMs> = layouts()
            .flat_map(|layout| layout.windows.ends().iter().zip(layout.windows.counts()))
            .filter(|(_, units)| **units > 0)
            .map(|(end, _)| end.0)
            .collect();
        let (Some(width), Some(newest)) =
            (layouts().map(|layout| TimeMs::from(layout.layout.window_ms())).min(), ends.last())
        else {
            return Vec::new();
        };
        // Behind the promise of every source, what is not there yet is not known to be nothing.
        let known_to = self.complete_to.unwrap_or(TimeMs::MIN).max(*newest);
        let until = self.end.min(known_to);
        let mut times = Vec::new();
        let mut covered_to = TimeMs::MIN;
        for &end in &ends {
            // One window earlier for a birth or a comeback; in the middle of a life that time is
            // covered already.
            let from = (end - width).max(covered_to.saturating_add(1));
            self.add(&mut times, from, end + self.idle, end, width, until);
            covered_to = covered_to.max(end + self.idle);
        }
        times.sort_unstable();
        times.dedup();
        times
    }

    /// The multiples of `width` in `from..=to`, and `end` itself, where samples are wanted.
    fn add(
        &self,
        times: &mut Vec<TimeMs>,
        from: TimeMs,
        to: TimeMs,
        end: TimeMs,
        width: TimeMs,
        until: TimeMs,
    ) {
        let first = from.max(self.start + 1);
        let mut time = (first + width - 1).div_euclid(width) * width;
        while time <= to.min(until) {
            times.push(time);
            time += width;
        }
        if end > self.start && end <= until {
            times.push(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tributary_spanmetrics::{Delta, Layout, WindowEnd};
    use tributary_store::{LayoutHistory, Totals, Windows};

    fn history(ends: &[TimeMs]) -> GroupHistory {
        let layout = Layout::default();
        let mut delta = Delta::empty(&layout);
        delta.observe(&layout, 1);
        let mut windows = Windows::new(layout.buckets());
        ends.iter().for_each(|end| windows.push(WindowEnd(*end), &delta));
        let id = layout.id();
        let of_layout =
            LayoutHistory { layout: Arc::new(layout), opening: Totals::default(), windows };
        GroupHistory { layouts: [(id, of_layout)].into(), damaged: Vec::new() }
    }

    const GRID: Grid = Grid { start: 0, end: 200_000, idle: 30_000, complete_to: Some(150_000) };

    #[test]
    fn a_life_begins_one_window_early_and_ends_after_the_idle_time() {
        let times = GRID.times(&history(&[50_000]));
        assert_eq!(times, [40_000, 50_000, 60_000, 70_000, 80_000]);
    }

    #[test]
    fn a_comeback_begins_one_window_early_too() {
        let times = GRID.times(&history(&[50_000, 60_000, 120_000]));
        let expected: Vec<_> = (4..=9).chain(11..=15).map(|n| n * 10_000).collect();
        assert_eq!(times, expected);
    }

    #[test]
    fn nothing_stands_behind_the_promise_but_what_is_there() {
        assert_eq!(GRID.times(&history(&[140_000])), [130_000, 140_000, 150_000]);
        assert_eq!(GRID.times(&history(&[170_000])), [160_000, 170_000]);
        let nobody_promised = Grid { complete_to: None, ..GRID };
        assert_eq!(nobody_promised.times(&history(&[50_000])), [40_000, 50_000]);
    }

    #[test]
    fn only_the_wanted_range_is_answered() {
        let grid = Grid { start: 50_000, end: 60_000, ..GRID };
        assert_eq!(grid.times(&history(&[50_000])), [60_000]);
        assert_eq!(grid.times(&history(&[70_000])), [60_000]);
        assert!(grid.times(&history(&[80_000])).is_empty());
    }
}
