//! The node's own metrics: gathered from its components, and offered on port 8888 in Prometheus's
//! text format, 0.0.4.
//!
//! Components count for themselves and know nothing of each other; a [`Registry`] belongs to a node,
//! of which one process may hold several. The same metrics are stored as samples by `probe`, for as
//! long as it finds this port answering.

mod exposition;
mod process;
mod registry;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use tributary_proto::{Metric, MetricValue};

pub use process::process;
pub use registry::Registry;

pub fn router(registry: Registry) -> Router {
    let page = move || {
        let registry = registry.clone();
        async move {
            let content_type = "text/plain; version=0.0.4; charset=utf-8";
            ([(header::CONTENT_TYPE, content_type)], exposition::text(&registry.collect()))
        }
    };
    Router::new()
        .route("/metrics", get(page))
        .fallback(|| async { (StatusCode::NOT_FOUND, "not found: ask /metrics\n") })
}

/// Always 1; its labels say what runs.
pub fn build_info() -> Vec<Metric> {
    vec![Metric {
        name: "tributary_build_info",
        help: "The build that runs.",
        labels: vec![("version", env!("CARGO_PKG_VERSION").to_owned())],
        value: MetricValue::Gauge(1.0),
    }]
}
