//! Which samples of a series each evaluation time sees.

use super::samples::Samples;
use crate::source::TimeMs;
use crate::steps::Steps;

/// The samples of one window: those from `from` up to, without, `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// After this moment begins the window…
    pub(crate) start: TimeMs,
    /// …and with this moment it ends: the evaluation time less the offset, held back where the
    /// series is not complete.
    pub(crate) end: TimeMs,
    pub(crate) from: usize,
    pub(crate) until: usize,
}

/// Where a selector's windows lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frames {
    pub(crate) steps: Steps,
    pub(crate) offset: TimeMs,
    pub(crate) length: TimeMs,
}

impl Frames {
    /// A window for each evaluation time. They only move forward, so both of their ends walk over the
    /// series once.
    pub(crate) fn over(
        &self,
        times: &[TimeMs],
        complete_to: Option<TimeMs>,
    ) -> impl Iterator<Item = Window> {
        let (offset, length) = (self.offset, self.length);
        let (mut from, mut until) = (0, 0);
        self.steps.iter().map(move |time| {
            let end = Samples::as_of(complete_to, time - offset);
            let start = end - length;
            until += times[until..].iter().take_while(|&&t| t <= end).count();
            from += times[from..].iter().take_while(|&&t| t <= start).count();
            Window { start, end, from, until }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(frames: Frames, complete_to: Option<TimeMs>) -> Vec<(usize, usize)> {
        let times = [10_000, 20_000, 30_000, 40_000, 50_000];
        frames.over(&times, complete_to).map(|w| (w.from, w.until)).collect()
    }

    const FRAMES: Frames = Frames {
        steps: Steps { start: 30_000, end: 60_000, step: 10_000 },
        offset: 0,
        length: 20_000,
    };

    #[test]
    fn windows_are_open_on_their_left_and_closed_on_their_right() {
        assert_eq!(seen(FRAMES, None), [(1, 3), (2, 4), (3, 5), (4, 5)]);
    }

    #[test]
    fn an_offset_moves_the_whole_window() {
        let back = Frames { offset: 10_000, ..FRAMES };
        assert_eq!(seen(back, None), [(0, 2), (1, 3), (2, 4), (3, 5)]);
        let ahead = Frames { offset: -10_000, ..FRAMES };
        assert_eq!(seen(ahead, None), [(2, 4), (3, 5), (4, 5), (5, 5)]);
    }

    #[test]
    fn a_series_that_is_not_complete_is_seen_as_it_last_was() {
        assert_eq!(seen(FRAMES, Some(35_000)), [(1, 3), (1, 3), (1, 3), (1, 3)]);
    }
}
