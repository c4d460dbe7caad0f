//! How many queries run and wait at one time.

use tokio::sync::{Semaphore, SemaphorePermit};

use super::error::{ApiError, Refusal};
use super::options::Options;

pub(super) struct Gate {
    running: Semaphore,
    /// Running and waiting together. A query that finds no room is refused at once: behind so many
    /// others it would only time out later.
    room: Semaphore,
}

/// Held while a query runs.
pub(super) struct Pass<'a> {
    _turn: SemaphorePermit<'a>,
    _room: SemaphorePermit<'a>,
}

impl Gate {
    pub(super) fn new(options: &Options) -> Self {
        Gate {
            running: Semaphore::new(options.max_running),
            room: Semaphore::new(options.max_running + options.max_waiting),
        }
    }

    pub(super) async fn enter(&self) -> Result<Pass<'_>, ApiError> {
        let room = self.room.try_acquire().map_err(|_| {
            ApiError::new(
                Refusal::Unavailable,
                "too many queries run and wait; try again, ask less often, or over shorter ranges",
            )
        })?;
        let turn = self.running.acquire().await.expect("never closed");
        Ok(Pass { _turn: turn, _room: room })
    }
}

#[cfg(test)]
mod tests {
    use futures::poll;

    use super::*;

    #[tokio::test]
    async fn query_beyond_the_waiting_ones_is_refused_and_turns_pass_on() {
        let gate = Gate::new(&Options { max_running: 1, max_waiting: 1, ..Options::default() });
        let first = gate.enter().await.unwrap();
        let mut second = Box::pin(gate.enter());
        assert!(poll!(&mut second).is_pending());
        let refusal = gate.enter().await.err().map(|error| error.refusal);
        assert_eq!(refusal, Some(Refusal::Unavailable));
        drop(first);
        assert!(second.await.is_ok());
    }
}
