//! The envelope around data.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::error::{ApiError, Refusal};

#[derive(Serialize)]
struct Envelope<'a, T> {
    status: &'static str,
    data: T,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    infos: &'a [String],
}

pub(super) fn success(
    data: impl Serialize,
    warnings: &[String],
    infos: &[String],
) -> Result<Response, ApiError> {
    let body = serde_json::to_vec(&Envelope { status: "success", data, warnings, infos })
        .map_err(|error| ApiError::new(Refusal::Internal, format!("writing JSON: {error}")))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// Keeps at most `limit` items, and says so where that left some out; zero is no limit.
pub(super) fn truncate<T>(items: &mut Vec<T>, limit: usize, warnings: &mut Vec<String>) {
    if limit > 0 && items.len() > limit {
        items.truncate(limit);
        warnings.push("results truncated due to limit".into());
    }
}
