//! A request's parameters: from its form, then from its URL. The first of a name wins, so that a form
//! overrides the URL, as in Prometheus.

use axum::Form;
use axum::extract::{FromRequest, Query, Request};
use axum::http::{StatusCode, header};
use tributary_query::source::TimeMs;

use super::error::{ApiError, Refusal};
use super::state::Api;
use super::units;

type Pairs = Vec<(String, String)>;

#[derive(Debug, Default)]
pub(super) struct Parameters(Pairs);

impl Parameters {
    /// An empty value counts as none.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let value = self.all(name).next()?;
        (!value.is_empty()).then_some(value)
    }

    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn time(&self, name: &str) -> Result<Option<TimeMs>, ApiError> {
        self.get(name).map(|text| units::time(name, text)).transpose()
    }

    /// Zero where there is none, which means no limit.
    pub(super) fn limit(&self) -> Result<usize, ApiError> {
        let Some(text) = self.get("limit") else { return Ok(0) };
        let problem = "a number from 0 on is expected; 0 is no limit";
        text.parse().map_err(|_| ApiError::bad_parameter("limit", problem))
    }
}

impl FromRequest<Api> for Parameters {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Api) -> Result<Self, ApiError> {
        let Query(from_url) = Query::<Pairs>::try_from_uri(request.uri())
            .map_err(|error| ApiError::new(Refusal::BadData, error.body_text()))?;
        let mut pairs = if has_form(&request) { form(request, api).await? } else { Pairs::new() };
        pairs.extend(from_url);
        Ok(Parameters(pairs))
    }
}

/// A body of any other type is not looked at.
fn has_form(request: &Request) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let form = content_type.is_some_and(|v| v.starts_with("application/x-www-form-urlencoded"));
    form && request.method() == axum::http::Method::POST
}

async fn form(request: Request, api: &Api) -> Result<Pairs, ApiError> {
    let options = api.options();
    let read = Form::<Pairs>::from_request(request, api);
    match tokio::time::timeout(options.form_timeout, read).await {
        Ok(Ok(Form(pairs))) => Ok(pairs),
        Ok(Err(error)) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(ApiError::new(
            Refusal::TooLarge,
            format!("the form exceeds {} bytes; split the query", options.max_form_bytes),
        )),
        Ok(Err(error)) => Err(ApiError::new(Refusal::BadData, error.body_text())),
        Err(_) => Err(ApiError::new(
            Refusal::SlowForm,
            format!("the form did not come within {:?}", options.form_timeout),
        )),
    }
}
