//! Paths and methods, and what holds for all of them.

use std::panic::AssertUnwindSafe;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::FutureExt;
use tracing::error;

use super::error::{ApiError, Refusal};
use super::state::Api;
use super::{discover, query, status, targets};

/// The API and `/health`. What else the port serves can be merged with it.
pub fn router(api: Api) -> Router {
    let max_form_bytes = api.options().max_form_bytes;
    Router::new()
        .route("/api/v1/query", get(query::instant).post(query::instant))
        .route("/api/v1/query_range", get(query::range).post(query::range))
        .route("/api/v1/labels", get(discover::names).post(discover::names))
        .route("/api/v1/label/{name}/values", get(discover::values))
        .route("/api/v1/series", get(discover::series).post(discover::series))
        .route("/api/v1/targets", get(targets::targets))
        .route("/api/v1/status/buildinfo", get(status::build_info))
        .route("/health", get(|| async { "OK" }))
        .route("/-/healthy", get(|| async { "Tributary is healthy.\n" }))
        .route("/-/ready", get(|| async { "Tributary is ready.\n" }))
        .method_not_allowed_fallback(wrong_method)
        .fallback(no_such_path)
        .layer(DefaultBodyLimit::max(max_form_bytes))
        .layer(from_fn_with_state(api.clone(), guard))
        .with_state(api)
}

/// Counts requests and refusals, and answers for a handler that panics.
async fn guard(State(api): State<Api>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    api.metrics().request(&path);
    // Nothing that outlives a handler is left half changed by it: shared state is counters and
    // permits, which are given back on the way out.
    let outcome = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let response = outcome.unwrap_or_else(|_| {
        error!(path, "a handler panicked; please report it with the query");
        ApiError::new(Refusal::Internal, "internal error: see the server's log").into_response()
    });
    if let Some(refusal) = response.extensions().get::<Refusal>() {
        api.metrics().refusal(*refusal);
    }
    response
}

async fn wrong_method(request: Request) -> ApiError {
    let (method, path) = (request.method(), request.uri().path());
    ApiError::new(Refusal::Method, format!("{path} does not take {method}"))
}

async fn no_such_path(request: Request) -> ApiError {
    let path = request.uri().path();
    ApiError::new(Refusal::NotFound, format!("there is no {path:?} here"))
}
