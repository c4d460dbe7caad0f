//! Prometheus's HTTP API: <https://prometheus.io/docs/prometheus/latest/querying/api/>.
//!
//! ```text
//! request ─guard─▶ parameters ─gate─▶ engine or source ─envelope─▶ {"status":"success","data":…}
//!            └ counts, catches panics      any error ────────────▶ {"status":"error","errorType":…}
//! ```
//!
//! * Every refusal has a JSON body, whatever went wrong and whatever path was asked, and is counted
//!   by reason.
//! * Queries that run and queries that wait are both bounded; what is beyond is told to come again.
//! * `labels`, `label/…/values` and `series` look at all that is stored unless `start` and `end` say
//!   otherwise, as in Prometheus.
//! * `latency_offset=0` answers from data that is not complete yet.
//!
//! Evaluation is not here (`tributary_query`), and neither is the page at `/` (`web`).

mod discover;
mod envelope;
mod error;
mod gate;
mod label_name;
mod metrics;
mod options;
mod params;
mod query;
mod router;
mod state;
mod status;
mod targets;
mod units;

#[cfg(test)]
mod api_test;

pub use metrics::ApiMetrics;
pub use options::Options;
pub use router::router;
pub use state::Api;
