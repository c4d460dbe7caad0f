//! Asks the targets it is given whether they answer, for real, and stores what it finds.
//!
//! ```text
//!           ┌─ GET ──▶ own /metrics ─┐
//! Prober ───┼─ GET ──▶ API /health   ├─▶ targets: what `/api/v1/targets` shows
//! each 10 s └─ POST ─▶ receivers     ┘─▶ up{job,instance,…}, own metrics ─▶ an edge's journal
//! ```
//!
//! Which targets there are is the role's choice. `dev` names its own metrics page, the API and every
//! OTLP/HTTP receiver, the demo's too; neither OTLP/gRPC nor the health port, nor the API's second
//! name, is asked. A receiver takes a probe for what it is, a request without spans, and counts it
//! as accepted: six a minute for each receiver.
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
