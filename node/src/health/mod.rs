//! The health port, 13133: that the node is there, and how its components are.
//!
//! - `/` and `/health` answer as the Collector's `health_check` extension: 200 while the node serves, 503 from the
//!   moment it was told to stop, which is before anything else of it stops. For what sends it traffic.
//! - `/health/status` says the same, and names each component with its state; with `?verbose` the whole answer is in
//!   the shape of the Collector's `healthcheckv2`. Both extensions are asked under this path, and they mean different
//!   things by `status`: hence two shapes. A degraded component leaves the answer at 200, since the node serves on.
//!
//! Components set their state ([`Component`]) or are looked at when somebody asks ([`Health::watch`]); they know
//! nothing of this port. Credentials are neither asked for nor looked at.

mod available;
mod edge;
mod registry;
mod status;
mod target;

use axum::Router;
use axum::extract::RawQuery;
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
    let status = move |RawQuery(query): RawQuery| {
        let health = health.clone();
        async move {
            match is_verbose(query.as_deref()) {
                true => answer(&health, &status::report(&health)),
                false => answer(&health, &status::brief(&health)),
            }
        }
    };
    Router::new()
        .route("/", get(available.clone()))
        .route("/health", get(available))
        .route("/health/status", get(status))
        .fallback(|| async {
            (StatusCode::NOT_FOUND, "not found: ask /health or /health/status\n")
        })
}

fn is_verbose(query: Option<&str>) -> bool {
    let names = query.into_iter().flat_map(|query| query.split('&'));
    names.filter_map(|pair| pair.split('=').next()).any(|name| name == "verbose")
}

fn answer(health: &Health, report: &impl Serialize) -> Response {
    let code = if health.is_stopping() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let body = serde_json::to_string(report).expect("strings serialise");
    (code, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
