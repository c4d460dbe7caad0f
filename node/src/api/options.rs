//! The API's limits, with their defaults. The engine has its own.

use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Options {
    /// Queries evaluated at one time.
    pub max_running: usize,
    /// Queries that wait for their turn; one more is refused.
    pub max_waiting: usize,
    /// A form may be this large. A query in it is refused at far less, in words that say so.
    pub max_form_bytes: usize,
    /// A client has to have sent its form by then.
    pub form_timeout: Duration,
    /// `match[]` parameters of one request: each is a pass over the index.
    pub max_selectors: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            max_running: 16,
            max_waiting: 64,
            max_form_bytes: 4 << 20,
            form_timeout: Duration::from_secs(10),
            max_selectors: 100,
        }
    }
}
