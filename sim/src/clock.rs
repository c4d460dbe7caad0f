//! A node's wall clock: the simulator's time, off by what its owner never corrects.

use std::time::{SystemTime, UNIX_EPOCH};

use tributary_edge::Clock;

#[derive(Clone, Copy, Debug)]
pub(crate) struct SkewedClock {
    pub(crate) skew_ms: i64,
}

impl Clock for SkewedClock {
    fn now_ns(&self) -> u64 {
        now_ns().saturating_add_signed(self.skew_ms * 1_000_000)
    }
}

/// The world's own time, which no node sees.
pub(crate) fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("simulated time starts long after the epoch").as_nanos() as u64
}
