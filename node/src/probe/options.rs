//! How often targets are probed, and for whom.

use std::time::Duration;

use tributary_spanmetrics::Tenant;

#[derive(Clone, Debug)]
pub struct Options {
    pub interval: Duration,
    /// A target that has not answered by then is down. Less than the interval.
    pub timeout: Duration,
    /// Whose series the samples are.
    pub tenant: Tenant,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            tenant: Tenant::default(),
        }
    }
}
