//! Why a request gets no data: Prometheus's error envelope and status codes.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tributary_query::source::SourceError;
use tributary_query::{Error as QueryError, ErrorType};

#[derive(Debug)]
pub(super) struct ApiError {
    pub(super) refusal: Refusal,
    message: String,
}

/// What kind of error; travels in the response's extensions, for who counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    BadData,
    TooLarge,
    SlowForm,
    NotFound,
    Method,
    Execution,
    Timeout,
    Unavailable,
    Internal,
}

/// An error may quote what it refuses, which may be long.
const MAX_MESSAGE_BYTES: usize = 2_000;

impl Refusal {
    pub(super) const ALL: [Refusal; 9] = [
        Refusal::BadData,
        Refusal::TooLarge,
        Refusal::SlowForm,
        Refusal::NotFound,
        Refusal::Method,
        Refusal::Execution,
        Refusal::Timeout,
        Refusal::Unavailable,
        Refusal::Internal,
    ];

    /// The label value in our metrics.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Refusal::BadData => "bad_data",
            Refusal::TooLarge => "too_large",
            Refusal::SlowForm => "slow_form",
            Refusal::NotFound => "not_found",
            Refusal::Method => "method",
            Refusal::Execution => "execution",
            Refusal::Timeout => "timeout",
            Refusal::Unavailable => "unavailable",
            Refusal::Internal => "internal",
        }
    }

    /// Prometheus's `errorType`, of which it has fewer.
    fn error_type(self) -> &'static str {
        match self {
            Refusal::TooLarge | Refusal::SlowForm | Refusal::Method => "bad_data",
            other => other.reason(),
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Refusal::BadData => StatusCode::BAD_REQUEST,
            Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::SlowForm => StatusCode::REQUEST_TIMEOUT,
            Refusal::NotFound => StatusCode::NOT_FOUND,
            Refusal::Method => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::Execution => StatusCode::UNPROCESSABLE_ENTITY,
            Refusal::Timeout | Refusal::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl ApiError {
    pub(super) fn new(refusal: Refusal, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.len() > MAX_MESSAGE_BYTES {
            message = format!("{}…", excerpt(&message, MAX_MESSAGE_BYTES));
        }
        ApiError { refusal, message }
    }

    pub(super) fn bad_parameter(name: &str, problem: impl std::fmt::Display) -> Self {
        ApiError::new(Refusal::BadData, format!("invalid parameter {name:?}: {problem}"))
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let refusal = match error.error_type() {
            ErrorType::BadData => Refusal::BadData,
            ErrorType::Execution => Refusal::Execution,
            ErrorType::Timeout => Refusal::Timeout,
            ErrorType::Internal => Refusal::Internal,
        };
        if is_about_the_text(&error) {
            return ApiError::bad_parameter("query", error);
        }
        ApiError::new(refusal, error.to_string())
    }
}

/// Of these Prometheus says which parameter it was. A selector's errors name `match[]` instead, and
/// are told where it is read.
fn is_about_the_text(error: &QueryError) -> bool {
    matches!(
        error,
        QueryError::Parse(_)
            | QueryError::TooComplex { .. }
            | QueryError::Unsupported(_)
            | QueryError::Matcher(_)
            | QueryError::Duration(_)
            | QueryError::RangeQueryType(_)
    )
}

impl From<SourceError> for ApiError {
    fn from(error: SourceError) -> Self {
        QueryError::from(error).into()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({
            "status": "error",
            "errorType": self.refusal.error_type(),
            "error": self.message,
        });
        let content_type = [(header::CONTENT_TYPE, "application/json")];
        let mut response = (self.refusal.status(), content_type, body.to_string()).into_response();
        response.extensions_mut().insert(self.refusal);
        response
    }
}

/// The first bytes of a text, as far as they make whole characters.
pub(super) fn excerpt(text: &str, max_bytes: usize) -> &str {
    let mut end = max_bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_message_is_cut_between_characters() {
        let error = ApiError::new(Refusal::BadData, "é".repeat(5_000) + "end");
        assert!(error.message.len() <= MAX_MESSAGE_BYTES + 3 && error.message.ends_with("é…"));
    }
}
