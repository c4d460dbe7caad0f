//! Compares what the product answers with what was sent, to the last unit.
//!
//! At every window's end, for every group: calls, count, sum and each bucket are running totals, so a
//! span too much, too few, or in a wrong window or bucket shows there and from there on.

mod api;
mod compare;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use self::api::Api;
use self::compare::{Answers, compare};
pub(crate) use self::compare::{Bounds, Difference};
use crate::load::Groups;
use crate::tally::{WINDOW_MS, WindowEnd};

/// A window seals this long after its end.
const GRACE: Duration = Duration::from_secs(2);
/// What the way from a seal to an answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// Windows further apart are asked for one by one.
const MAX_GAP_WINDOWS: i64 = 30;
const MAX_STEPS: i64 = 200;

pub(crate) struct Judge {
    api: Api,
    groups: Groups,
}

/// What a comparison found.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Values compared.
    pub(crate) values: u64,
    pub(crate) lost_spans: u64,
    pub(crate) surplus_spans: u64,
    /// Of each group in its first window that differs.
    pub(crate) differences: Vec<Difference>,
    pub(crate) warnings: Vec<String>,
}

impl Judge {
    pub(crate) fn new(api_port: u16, groups: Groups) -> Self {
        Judge { api: Api::new(api_port, groups.services()), groups }
    }

    /// Waits until all that was sent must be visible, then compares. Nothing may be under way.
    pub(crate) async fn judge(&self, bounds: &Bounds) -> anyhow::Result<Verdict> {
        let Some(last) = bounds.least.windows().last().copied() else {
            return Ok(Verdict::default());
        };
        // What came late into a sealed window goes out with the next seal.
        let next = WindowEnd::of(now().as_nanos() as u64).max(last);
        let sealed = Duration::from_millis(next.0 as u64) + GRACE;
        tokio::time::sleep(sealed.saturating_sub(now()) + Duration::from_millis(300)).await;
        let until = Instant::now() + ANSWER_LIMIT;
        loop {
            let found = self.look(bounds, next).await;
            match found {
                Ok(verdict) if verdict.differences.is_empty() => return Ok(verdict),
                found if Instant::now() > until => return found,
                _ => tokio::time::sleep(Duration::from_millis(700)).await,
            }
        }
    }

    async fn look(&self, bounds: &Bounds, newest: WindowEnd) -> anyhow::Result<Verdict> {
        let mut answers = Answers::default();
        let mut warnings = Vec::new();
        let mut ends = bounds.most.windows();
        ends.push(newest);
        for (from, to) in stretches(&ends) {
            warnings.extend(self.api.read(from, to, &self.groups, &mut answers).await?);
        }
        warnings.sort_unstable();
        warnings.dedup();
        Ok(Verdict { warnings, ..compare(bounds, &answers, &self.groups) })
    }
}

/// How long it is until the next window is sealed.
pub(crate) fn until_seal() -> Duration {
    let width = Duration::from_millis(WINDOW_MS as u64);
    let into_window = (now() - GRACE).as_nanos() % width.as_nanos();
    width - Duration::from_nanos(into_window as u64)
}

/// Ranges that cover all ends and not much besides.
fn stretches(ends: &[WindowEnd]) -> Vec<(WindowEnd, WindowEnd)> {
    let mut stretches: Vec<(WindowEnd, WindowEnd)> = Vec::new();
    for &end in ends {
        match stretches.last_mut() {
            Some((from, to))
                if end.0 - to.0 <= MAX_GAP_WINDOWS * WINDOW_MS
                    && end.0 - from.0 < MAX_STEPS * WINDOW_MS =>
            {
                *to = end;
            }
            _ => stretches.push((end, end)),
        }
    }
    stretches
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_cover_every_end_and_leave_out_long_gaps() {
        let ends = [10_000, 20_000, 60_000, 900_000, 910_000].map(WindowEnd);
        let expected = [(10_000, 60_000), (900_000, 910_000)];
        assert_eq!(stretches(&ends), expected.map(|(a, b)| (WindowEnd(a), WindowEnd(b))));
    }
}
