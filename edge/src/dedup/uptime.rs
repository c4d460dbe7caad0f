//! How long an edge has run, over all its starts: the time by which the dedup window is measured.
//!
//! It stands still while the edge is down. A start goes on from the highest uptime that was recorded, so
//! what the last life ran beyond its last record is not counted: ages come out too young, never too old.

use std::time::Duration;

use tokio::time::Instant;

/// In milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Uptime(pub(crate) u64);

impl Uptime {
    /// Zero where `earlier` is the later one.
    pub(crate) fn since(self, earlier: Uptime) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// This start's uptime, as it passes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunningTime {
    at_start: Uptime,
    started: Instant,
}

impl RunningTime {
    /// `latest`: the highest uptime that earlier starts recorded.
    pub(crate) fn go_on_from(latest: Uptime) -> Self {
        RunningTime { at_start: latest, started: Instant::now() }
    }

    pub(crate) fn now(&self) -> Uptime {
        let ran_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Uptime(self.at_start.0.saturating_add(ran_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_start_goes_on_where_the_last_record_was() {
        let running = RunningTime::go_on_from(Uptime(5_000));
        assert_eq!(running.now(), Uptime(5_000));
        tokio::time::advance(Duration::from_millis(1_250)).await;
        assert_eq!(running.now(), Uptime(6_250));
        assert_eq!(running.now().since(Uptime(5_000)), Duration::from_millis(1_250));
        assert_eq!(Uptime(1).since(running.now()), Duration::ZERO);
    }
}
