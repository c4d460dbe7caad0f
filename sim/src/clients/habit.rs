//! How a client goes about one request.

use std::time::Duration;

use madsim::rand::{Rng, thread_rng};

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Habit {
    /// So many first times it hangs up within a few milliseconds.
    pub(super) hasty: u32,
    /// It sends on two connections at once.
    pub(super) is_double: bool,
    /// It gives up once it was refused, or heard nothing.
    pub(super) gives_up: bool,
    /// So often it sends again what was acked: the ack was lost on the way, say.
    pub(super) again: u32,
    /// And once more when the edge may have forgotten it.
    pub(super) forgets: bool,
}

/// Whoever is not hasty waits so long for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Habit {
    pub(crate) fn random() -> Self {
        let mut rng = thread_rng();
        Habit {
            hasty: if rng.gen_ratio(1, 4) { rng.gen_range(1..4) } else { 0 },
            is_double: rng.gen_ratio(1, 5),
            gives_up: rng.gen_ratio(1, 6),
            again: if rng.gen_ratio(1, 3) { rng.gen_range(1..4) } else { 0 },
            forgets: rng.gen_ratio(1, 12),
        }
    }

    pub(super) fn patience(self, round: u32) -> Duration {
        if round < self.hasty {
            Duration::from_millis(thread_rng().gen_range(1..12))
        } else {
            PATIENCE
        }
    }

    /// Between two rounds: twice as long each time, and never as long as anybody else.
    pub(super) fn pause(self, round: u32) -> Duration {
        let longest = FIRST_PAUSE.saturating_mul(1 << round.min(10)).min(LONGEST_PAUSE);
        longest.mul_f64(thread_rng().gen_range(0.5..1.0))
    }
}
