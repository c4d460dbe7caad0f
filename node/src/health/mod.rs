//! The health port, 13133: that the node is there, and how its components are.
//!
//! - `/` and `/health` answer as the Collector's `health_check` extension: 200 while the node serves, 503 from the
//!   moment it was told to stop, which is before anything else of it stops. For what sends it traffic.
//! - `/health/status` names each component with its state, as the Collector's `healthcheckv2` does. A degraded
//!   component leaves the answer at 200, since the node serves on; its reason is told. For people and dashboards.
//!
//! Components set their state ([`Component`]) or are looked at when somebody asks ([`Health::watch`]); they know
//! nothing of this port. Credentials are neither asked for nor looked at.

mod available;
mod edge;
mod registry;
mod status;
mod target;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;

pub use edge::edge;
pub use registry::{Component, Health, State};
pub use target::target;

/// The node serves this once all of its ports answer.
pub fn router(health: Health) -> Router {
    let available = {
        let health = health.clone();
        move || {
            let health = health.clone();
            async move { answer(&health, &available::report(&health)) }
        }
    };
    let status = move || {
        let health = health.clone();
        async move { answer(&health, &status::report(&health)) }
    };
    Router::new()
        .route("/", get(available.clone()))
        .route("/health", get(available))
        .route("/health/status", get(status))
        .fallback(|| async {
            (StatusCode::NOT_FOUND, "not found: ask /health or /health/status\n")
        })
}

fn answer(health: &Health, report: &impl Serialize) -> Response {
    let code = if health.is_stopping() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let body = serde_json::to_string(report).expect("strings serialise");
    (code, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
