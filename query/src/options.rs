//! The engine's limits, with their defaults.

use std::time::Duration;

use crate::parse::Limits;

#[derive(Clone, Debug)]
pub struct Options {
    /// How old a sample may be and still stand for its series.
    pub lookback: Duration,
    /// Steps of a range query, as Prometheus counts them.
    pub max_points: usize,
    /// What the text of a query may hold.
    pub limits: Limits,
    /// Samples that one query may read and compute, together. It bounds memory and work: each costs
    /// about nine bytes while it is held.
    pub max_samples: usize,
    /// How long a query may take, waiting for its sources included.
    pub timeout: Duration,
    /// Selections that one query has under way at its source at a time.
    pub parallel_selections: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            lookback: Duration::from_secs(5 * 60),
            max_points: 11_000,
            limits: Limits::default(),
            max_samples: 50_000_000,
            timeout: Duration::from_secs(2 * 60),
            parallel_selections: 8,
        }
    }
}
