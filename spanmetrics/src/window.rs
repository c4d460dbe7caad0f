//! Aligned intervals of event time.

use std::fmt;

/// A window `[start, end)`, named by its end in milliseconds since the epoch: there its sample sits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WindowEnd(pub i64);

impl fmt::Display for WindowEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
