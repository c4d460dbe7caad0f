//! The count of samples that a query has read and computed.

use crate::error::Error;

/// Only grows, so that it bounds both what a query holds and what it does.
#[derive(Debug)]
pub(crate) struct Meter {
    used: usize,
    limit: usize,
}

impl Meter {
    pub(crate) fn new(limit: usize) -> Self {
        Meter { used: 0, limit }
    }

    /// To be called before the memory for these samples is taken.
    pub(crate) fn take(&mut self, samples: usize) -> Result<(), Error> {
        self.used = self.used.saturating_add(samples);
        if self.used > self.limit {
            return Err(Error::TooManySamples { found: self.used, limit: self.limit });
        }
        Ok(())
    }
}
