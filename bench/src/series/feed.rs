//! All groups, window after window. Holds one window at a time.

use super::history::{Delta, History};
use super::shape::Shape;

pub struct Feed {
    histories: Vec<History>,
}

pub struct Window {
    pub end_ms: i64,
    /// One for each group, in their order.
    pub deltas: Vec<Delta>,
}

impl Feed {
    pub fn of(shape: &Shape) -> Self {
        Feed { histories: (0..shape.groups).map(|group| History::of(shape, group)).collect() }
    }
}

impl Iterator for Feed {
    type Item = Window;

    fn next(&mut self) -> Option<Window> {
        let mut end_ms = None;
        let deltas: Option<Vec<Delta>> = self
            .histories
            .iter_mut()
            .map(|history| {
                let (end, delta) = history.next()?;
                end_ms = Some(end);
                Some(delta)
            })
            .collect();
        Some(Window { end_ms: end_ms?, deltas: deltas? })
    }
}
