//! When a connection is asked to go, and cut, and one of HTTP/2 pinged. Without IO: time comes in.

use std::time::Duration;

use tokio::time::Instant;

use crate::receivers::options::Timeouts;

/// Longer than any connection; added to a time it stays a time.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 86_400);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    Ping,
    /// Idle, or old.
    Leave,
    /// It does not answer, or had its time to go.
    Cut,
}

#[derive(Debug)]
pub(crate) struct Life {
    timeouts: Timeouts,
    last_call: Instant,
    old_at: Instant,
    ping_at: Instant,
    pong_by: Option<Instant>,
    gone_by: Option<Instant>,
}

impl Life {
    /// `spread` in 0..=255 shifts the end of the connection's age by a tenth either way.
    pub(crate) fn new(mut timeouts: Timeouts, now: Instant, spread: u8) -> Self {
        let Timeouts { idle, age, leave, ping, pong, .. } = &mut timeouts;
        for timeout in [idle, age, leave, ping, pong] {
            *timeout = (*timeout).min(FOREVER);
        }
        Life {
            timeouts,
            last_call: now,
            old_at: now + timeouts.age.mul_f64(0.9 + f64::from(spread) / 1275.0),
            ping_at: now + timeouts.ping,
            pong_by: None,
            gone_by: None,
        }
    }

    /// A call begins or ends.
    pub(crate) fn called(&mut self, now: Instant) {
        self.last_call = now;
    }

    pub(crate) fn ponged(&mut self) {
        self.pong_by = None;
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.gone_by.is_some()
    }

    pub(crate) fn leave(&mut self, now: Instant) {
        self.gone_by.get_or_insert(now + self.timeouts.leave);
    }

    /// It is cut after so long, if it is not before.
    pub(crate) fn cut_after(&mut self, wait: Duration, now: Instant) {
        let gone_by = now + wait;
        self.gone_by = Some(self.gone_by.map_or(gone_by, |before| before.min(gone_by)));
    }

    /// What is to be done now; asked again until there is nothing.
    pub(crate) fn due(&mut self, now: Instant, is_idle: bool) -> Option<Due> {
        let is_over = |end: Option<Instant>| end.is_some_and(|end| end <= now);
        if is_over(self.pong_by) || is_over(self.gone_by) {
            return Some(Due::Cut);
        }
        let is_unused = is_idle && self.last_call + self.timeouts.idle <= now;
        if !self.is_leaving() && (is_unused || self.old_at <= now) {
            self.leave(now);
            return Some(Due::Leave);
        }
        if self.pong_by.is_none() && self.ping_at <= now {
            self.ping_at = now + self.timeouts.ping;
            self.pong_by = Some(now + self.timeouts.pong);
            return Some(Due::Ping);
        }
        None
    }

    /// Of HTTP/1, which has no pings and whose [`Stage`](super::stage::Stage) says when it is idle:
    /// [`Due::Leave`] or [`Due::Cut`].
    pub(crate) fn ended(&mut self, now: Instant) -> Option<Due> {
        match self.gone_by {
            Some(end) if end <= now => Some(Due::Cut),
            None if self.old_at <= now => {
                self.leave(now);
                Some(Due::Leave)
            }
            _ => None,
        }
    }

    pub(crate) fn end(&self) -> Instant {
        self.gone_by.unwrap_or(self.old_at)
    }

    /// When to ask again at the latest. Calls only put it off, so nobody needs to look at each.
    pub(crate) fn next(&self, now: Instant) -> Instant {
        let pong_or_ping = self.pong_by.unwrap_or(self.ping_at);
        let end = self.gone_by.unwrap_or_else(|| {
            let idle_at = self.last_call + self.timeouts.idle;
            // A call may run for long: then its end is looked for again.
            let idle_at = if idle_at <= now { now + self.timeouts.idle } else { idle_at };
            self.old_at.min(idle_at)
        });
        pong_or_ping.min(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    /// Pings each 60 s for 20 s, idle 300 s, old at 1800 s, 30 s to leave.
    fn life(spread: u8) -> (Life, Instant) {
        let now = Instant::now();
        (Life::new(Timeouts::default(), now, spread), now)
    }

    #[test]
    fn who_answers_pings_lives_until_it_is_idle() {
        let (mut life, born) = life(0);
        for minute in 1..5 {
            let now = life.next(born);
            assert_eq!(now, born + minute * 60 * S);
            assert_eq!(life.due(now, true), Some(Due::Ping));
            assert_eq!(life.due(now, true), None);
            life.ponged();
        }
        assert_eq!(life.due(born + 300 * S, true), Some(Due::Leave));
        life.ponged();
        assert_eq!(life.due(born + 330 * S, true), Some(Due::Cut));
    }

    #[test]
    fn who_does_not_answer_is_cut() {
        let (mut life, born) = life(0);
        assert_eq!(life.due(born + 60 * S, false), Some(Due::Ping));
        assert_eq!(life.next(born + 60 * S), born + 80 * S);
        assert_eq!(life.due(born + 79 * S, false), None);
        assert_eq!(life.due(born + 80 * S, false), Some(Due::Cut));
    }

    #[test]
    fn a_busy_one_is_not_idle_but_grows_old_by_its_spread() {
        for (spread, old_s) in [(0, 1620), (255, 1980)] {
            let (mut life, born) = life(spread);
            life.ping_at = born + 9999 * S;
            assert_eq!(life.due(born + 1000 * S, false), None);
            assert!(life.next(born + 1000 * S) > born + 1000 * S);
            assert_eq!(life.due(born + (old_s - 1) * S, false), None);
            assert_eq!(life.due(born + (old_s + 1) * S, false), Some(Due::Leave));
            assert!(life.is_leaving());
            assert_eq!(life.due(born + (old_s + 2) * S, false), None);
        }
    }

    #[test]
    fn a_call_puts_the_idle_end_off() {
        let (mut life, born) = life(0);
        life.ping_at = born + 9999 * S;
        life.called(born + 100 * S);
        assert_eq!(life.due(born + 399 * S, true), None);
        assert_eq!(life.due(born + 400 * S, true), Some(Due::Leave));
    }
}
