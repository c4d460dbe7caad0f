//! A node's wall clock: the simulator's time, a little off for good, and stepping by minutes now and then.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use tributary_edge::Clock;

/// No clock is ever further from the world's time, skew aside.
pub(crate) const LONGEST_STEP_S: u64 = 300;

#[derive(Clone, Debug)]
pub(crate) struct SteppingClock {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    /// What its owner never corrects.
    skew_ms: i64,
    /// How far the last step brought it from that.
    off_ms: i64,
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    at_ms: i64,
    /// What the clock said just before.
    said_ms: i64,
}

impl SteppingClock {
    pub(crate) fn new(skew_ms: i64) -> Self {
        let inner = Inner { skew_ms, off_ms: 0, steps: Vec::new() };
        SteppingClock { inner: Arc::new(Mutex::new(inner)) }
    }

    /// Steps to so far from the world's time.
    pub(crate) fn step_to(&self, off_ms: i64) {
        let said_ms = self.now_ms();
        let mut inner = self.locked();
        inner.steps.push(Step { at_ms: now_ms(), said_ms });
        inner.off_ms = off_ms;
    }

    /// The latest time that it has said since a moment of the world's.
    pub(crate) fn furthest_ms_since(&self, moment_ms: i64) -> i64 {
        let now_ms = self.now_ms();
        let inner = self.locked();
        let steps = inner.steps.iter().filter(|step| step.at_ms >= moment_ms);
        steps.map(|step| step.said_ms).fold(now_ms, i64::max)
    }

    fn locked(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nothing panics while it is held")
    }
}

impl Clock for SteppingClock {
    fn now_ns(&self) -> u64 {
        let inner = self.locked();
        now_ns().saturating_add_signed((inner.skew_ms + inner.off_ms) * 1_000_000)
    }
}

/// The world's own time, which no node sees.
pub(crate) fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("simulated time starts long after the epoch").as_nanos() as u64
}

pub(crate) fn now_ms() -> i64 {
    (now_ns() / 1_000_000) as i64
}
