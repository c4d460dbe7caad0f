//! How long a client may let the edge wait for its body.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::fault::Fault;

/// Used up by waits for the client alone: what the edge takes for its own work, and for its turn at it, is
/// none of the client's doing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    limit: Duration,
    left: Duration,
}

impl Patience {
    pub(crate) fn new(limit: Duration) -> Self {
        Patience { limit, left: limit }
    }

    /// What the client sends next.
    pub(crate) async fn wait<T>(
        &mut self,
        next: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let began = Instant::now();
        let come = timeout(self.left, next).await;
        self.left = self.left.saturating_sub(began.elapsed());
        come.map_err(|_| Fault::Slow { limit: self.limit })?
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    async fn comes_after(seconds: u64) -> Result<u64, Fault> {
        sleep(Duration::from_secs(seconds)).await;
        Ok(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn waits_add_up_and_what_is_between_them_does_not_count() {
        let mut patience = Patience::new(LIMIT);
        assert_eq!(patience.wait(comes_after(20)).await, Ok(20));
        sleep(2 * LIMIT).await;
        assert_eq!(patience.wait(comes_after(9)).await, Ok(9));
        assert_eq!(patience.wait(comes_after(2)).await, Err(Fault::Slow { limit: LIMIT }));
    }
}
