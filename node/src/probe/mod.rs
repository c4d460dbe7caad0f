//! Asks every port that matters whether it answers, for real, and stores what it finds.
//!
//! ```text
//!           ┌─ GET ──▶ own /metrics ─┐
//! Prober ───┼─ GET ──▶ API /health   ├─▶ targets: what `/api/v1/targets` shows
//! each 10 s └─ POST ─▶ receivers     ┘─▶ up{job,instance,…}, own metrics ─▶ an edge's journal
//! ```
//!
//! `up` is 1 for a target that answered with success in time, else 0. While the node's own metrics
//! page answers, its metrics are stored as well, with the labels of that target. Both are ordinary
//! samples: they go the way of spans and are there after a restart.

mod metrics;
mod options;
mod prober;
mod request;
mod target;

#[cfg(test)]
mod prober_test;
#[cfg(test)]
pub(crate) mod testing;

pub use metrics::ProbeMetrics;
pub use options::Options;
pub use prober::{Handle, Prober};
pub use target::{Health, Target, TargetState};
