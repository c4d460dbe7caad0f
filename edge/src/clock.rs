//! The clock seam: wall time comes from here and nowhere else.

/// A node's wall clock. Waiting is tokio's business, which the simulator replaces whole.
pub trait Clock: Send + Sync + 'static {
    /// Nanoseconds since the epoch.
    fn now_ns(&self) -> u64;

    fn now_ms(&self) -> i64 {
        (self.now_ns() / 1_000_000) as i64
    }
}
