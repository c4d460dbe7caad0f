//! When the next request is due, and when no more are.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

pub(super) struct Pace {
    start: Instant,
    end: Instant,
    every: Option<Duration>,
    most: u64,
    given: AtomicU64,
}

/// From when a request's time counts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Due {
    At(Instant),
    /// As soon as it is stamped and packed.
    WhenReady,
}

impl Due {
    /// Said when it is ready.
    pub(super) fn since(self) -> Instant {
        match self {
            Due::At(due) => due,
            Due::WhenReady => Instant::now(),
        }
    }
}

impl Pace {
    pub(super) fn new(lasts: Duration, every: Option<Duration>, most: Option<u64>) -> Self {
        let start = Instant::now();
        let given = AtomicU64::new(0);
        Pace { start, end: start + lasts, every, most: most.unwrap_or(u64::MAX), given }
    }

    /// Waits until one is due; `None` when no more are. Who comes late finds it overdue: a receiver that
    /// stalls is not spared what it missed.
    pub(super) async fn next(&self) -> Option<Due> {
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        if number >= self.most || Instant::now() >= self.end {
            return None;
        }
        let Some(every) = self.every else { return Some(Due::WhenReady) };
        let due = self.start + every.mul_f64(number as f64);
        if due >= self.end {
            return None;
        }
        sleep_until(due).await;
        Some(Due::At(due))
    }
}
